"""A look inside the decoder as a table for the terminal."""

import unicodedata
from collections.abc import Iterator
from typing import Any

_TEXT_CELLS = 18
_BAR_CELLS = 12
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def token_table(inspected: dict[str, Any], *, bars: bool) -> Iterator[str]:
    """The lines of the table: a token, its probability, the entropy in bits, and the most probable tokens there.

    Where sampling was given, also with what probability the token would be drawn, and how many tokens could be.

    Args:
        inspected: What `POST /v1/inspect` answered.
        bars: Whether probabilities are drawn as well, which is for people and not for programs.
    """
    bar = f" {'':{_BAR_CELLS}}" if bars else ""
    is_reshaped = any(token["reshaped_probability"] is not None for token in inspected["tokens"])
    more = f" {'drawn':>6} {'kept':>6}" if is_reshaped else ""
    yield f"{'token':{_TEXT_CELLS}} {'prob':>6}{bar} {'bits':>5}{more}  most probable"
    for token in inspected["tokens"]:
        p = token["probability"]
        drawn = f" {_bar(p)}" if bars else ""
        bits = token["entropy"] / 0.6931471805599453  # nats per bit: ln 2
        others = "  ".join(f"{visible(row['text'])} {row['probability']:.3f}" for row in token["alternatives"])
        more = f" {token['reshaped_probability']:6.3f} {token['n_kept']:6}" if is_reshaped else ""
        yield f"{_fit(visible(token['text']))} {p:6.3f}{drawn} {bits:5.2f}{more}  {others}"
    n_hidden = inspected["n_tokens"] - len(inspected["tokens"])
    if n_hidden > 0:
        yield f"… and {n_hidden} more"


def visible(text: str) -> str:
    """A token in quotes on one line; what a terminal would obey or not show is escaped."""
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f'"{"".join(escaped)}"'


def _bar(share: float) -> str:
    eighths = round(share * _BAR_CELLS * 8)
    full, rest = divmod(eighths, 8)
    return (_EIGHTHS[8] * full + (_EIGHTHS[rest] if rest else "")).ljust(_BAR_CELLS)


def _fit(text: str) -> str:
    """`text` in exactly `_TEXT_CELLS` columns, cut with an ellipsis where it is longer."""
    if _cells(text) > _TEXT_CELLS:
        while _cells(text) > _TEXT_CELLS - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (_TEXT_CELLS - _cells(text))


def _cells(text: str) -> int:
    """Columns a text takes; East Asian wide characters take two (Unicode Standard Annex 11), marks none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
