"""How figures, labels and places are worded; one place, so that plots, tables and sentences agree."""

import re
from collections.abc import Mapping
from typing import Any

THIN = "\u202f"  # between a number and its unit, so that they stay on one line
MINUS = "\u2212"
TIMES = "\u00d7"

OUTCOMES: Mapping[str, str] = {
    "correct": "correct",
    "wrong": "wrong",
    "abstained": "abstained",
    "right_abstention": "rightly abstained",
    "false_confidence": "false confidence",
}
CAUSES: Mapping[str, str] = {
    "not_in_corpus": "not in the corpus",
    "not_retrieved": "not retrieved",
    "cut_by_budget": "cut by the token budget",
    "present_but_unread": "present but unread",
    "memory_over_evidence": "memory over evidence",
}
NAMES: Mapping[str, str] = {
    "token_f1": "Token F1",
    "wrong_given_answered": "Wrong, given an answer",
    "wrong_rate": "Wrong, of all cases",
    "correct_rate": "Correct, of all cases",
    "over_refusal": "Over-refusal",
    "unsupported_claim_rate": "Claims not supported",
    "absent_claim_rate": "Claims found nowhere",
    "contradiction_rate": "Answers with a contradiction",
    "citation_out_of_range": "Markers that point nowhere",
    "citation_missed": "Missed citations",
    "citation_misplaced": "Misplaced citations",
    "quotes_literal": "Quotes word for word",
}
NOT_SHARES = frozenset({"net_score"})  # from −1 to 1: read as a number
TRANSITIONS: Mapping[tuple[str, str], str] = {
    ("correct", "correct"): "still right",
    ("correct", "wrong"): "broken by context",
    ("correct", "abstained"): "newly abstained",
    ("wrong", "correct"): "rescued",
    ("wrong", "wrong"): "still wrong",
    ("wrong", "abstained"): "newly abstained",
    ("abstained", "correct"): "rescued",
    ("abstained", "wrong"): "newly wrong",
    ("abstained", "abstained"): "still abstained",
    ("right_abstention", "right_abstention"): "still rightly abstained",
    ("right_abstention", "false_confidence"): "newly overconfident",
    ("false_confidence", "right_abstention"): "newly rightly abstained",
    ("false_confidence", "false_confidence"): "still overconfident",
}


def figure_name(key: str) -> str:
    """The words for a figure."""
    return name_of(key, NAMES)


def transition_name(before: str, after: str) -> str:
    """The words for a change of outcome."""
    return TRANSITIONS.get((before, after), f"{OUTCOMES.get(before, before)} → {OUTCOMES.get(after, after)}")


def value_of(key: str, value: float | None) -> str:
    """A figure's value."""
    return number(value) if key in NOT_SHARES else share(value)


def points(key: str, value: float | None) -> str:
    """A difference of two values of a figure: percentage points where they are shares."""
    if value is None:
        return "–"
    return signed(value, number(value) if key in NOT_SHARES else f"{number(100 * value, 1)}{THIN}pts")


def bounds(key: str, low: float | None, high: float | None) -> str:
    """An interval of values or differences, in percent without the sign; empty where there is none."""
    if low is None or high is None:
        return ""
    return (
        f"[{number(low)}, {number(high)}]"
        if key in NOT_SHARES
        else f"[{number(100 * low, 1)}, {number(100 * high, 1)}]"
    )


def name_of(key: str, known: Mapping[str, str] = NAMES) -> str:
    """The words for an identifier; an unknown one is written out."""
    words = key.replace("_", " ")
    return known.get(key) or words[:1].upper() + words[1:]


def number(value: float | None, digits: int = 2) -> str:
    """A plain number with a true minus sign, or a dash where there is none."""
    if value is None:
        return "–"
    text = f"{value:,.{digits}f}"
    return (MINUS + text[1:]) if text.startswith("-") and float(text.replace(",", "")) != 0 else text.lstrip("-")


def share(value: float | None, digits: int = 1) -> str:
    """A fraction as a percentage."""
    return "–" if value is None else f"{number(100 * value, digits)}{THIN}%"


def signed(value: float, text: str) -> str:
    """`text`, which says `value`, with a plus where it is above 0."""
    return f"+{text}" if value > 0 else text


def count(value: float) -> str:
    """How many; sums of shares keep two decimals."""
    return number(value, 0 if float(value).is_integer() else 2)


def tied(sentence: str) -> str:
    """A sentence in which no line ends between a number and its percent sign."""
    return re.sub(r"(?<=\d) %", f"{THIN}%", sentence)


def when(iso: str) -> str:
    """A UTC time to the minute; anything else as it stands."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d(\.\d+)?)?(Z|\+00:00)", iso)
    return f"{found[1]} {found[2]} UTC" if found else iso


def plural(n: int, one: str, many: str | None = None) -> str:
    """The number with its noun."""
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def p_value(value: float | None) -> str:
    """A p-value as papers print it."""
    if value is None:
        return "–"
    said = "< .001" if value < 0.001 else "= 1.0" if value >= 0.9995 else f"= {value:.3f}".replace("0.", ".")
    return f"p {said}".replace(" ", "\u00a0")


def text_of(value: Any) -> str:
    """A setting as a reader writes it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
