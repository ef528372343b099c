"""The table of `citebound ask --inspect`."""

import math
from typing import Any

from api.cli.token_table import token_table, visible


def inspected(*texts: str, n_tokens: int | None = None) -> dict[str, Any]:
    tokens = [
        {
            "text": text,
            "probability": 0.75,
            "reshaped_probability": None,
            "n_kept": None,
            "entropy": 2 * math.log(2),
            "alternatives": [{"text": text, "probability": 0.75}, {"text": "\n", "probability": 0.125}],
        }
        for text in texts
    ]
    return {"tokens": tokens, "n_tokens": len(tokens) if n_tokens is None else n_tokens}


def test_a_line_by_hand() -> None:
    head, line = token_table(inspected(" Paris"), bars=False)
    assert head == "token                prob  bits  most probable"
    assert line == '" Paris"            0.750  2.00  " Paris" 0.750  "\\n" 0.125'


def test_bars_are_drawn_in_eighths() -> None:
    head, line = token_table(inspected("a"), bars=True)
    assert "█████████   " in line
    assert head.index("most") == line.index('"a" 0.750')


def test_columns_hold_for_wide_and_long_tokens() -> None:
    lines = list(token_table(inspected("日本語", "e\u0301", "x" * 60), bars=False))
    assert [line.endswith("2.00  " + line.partition("2.00  ")[2]) for line in lines[1:]] == [True] * 3
    assert lines[1].startswith('"日本語"' + " " * 10)  # 2 quotes and 3 wide characters take 8 of 18 columns
    assert lines[2].startswith('"e\u0301"' + " " * 15)
    assert lines[3].startswith('"' + "x" * 16 + "… ")


def test_what_is_not_shown_is_counted() -> None:
    assert list(token_table(inspected("a", n_tokens=5), bars=False))[-1] == "… and 4 more"


def test_a_token_commands_no_terminal() -> None:
    assert visible("\x1b[31m\u202e\r") == '"\\x1b[31m\\u202e\\r"'


def test_what_sampling_makes_of_it_has_its_own_columns() -> None:
    given = inspected("a", "b")
    for token in given["tokens"]:
        token |= {"reshaped_probability": 0.9, "n_kept": 3}
    head, first, *_ = token_table(given, bars=False)
    assert head.index("drawn") + len("drawn") == first.index("0.900") + len("0.900")
    assert head.index("kept") + len("kept") == first.index(" 3 ") + 2
