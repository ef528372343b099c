"""A spreadsheet cell's value as its reader sees it."""

import datetime
import re
from dataclasses import dataclass
from functools import lru_cache

_QUOTED = re.compile(r'"([^"]*)"|\\(.)')
_CURRENCY = re.compile(r"\[\$([^\]-]*)[^\]]*\]")
_DROPPED = re.compile(r"\[[^\]]*\]|_.|\*.")
_DIGITS = re.compile(r"[#0?][#0?,]*(?:\.([#0?]*))?(,*)")
_MAX_DECIMALS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pattern:
    prefix: str
    suffix: str
    min_digits: int  # before the point
    decimals: int
    grouped: bool  # thousands separated
    percent: bool


def show_value(value: object, number_format: str | None) -> str:
    """Text for a cell: dates as ISO 8601, numbers by the common parts of their format, the rest as it is.

    Of a number format the decimals, thousands separators, percent sign, currency and literal text are followed;
    fractions, exponents, conditions and colors are not: such numbers are written in full.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime.datetime):
        if value.time() == datetime.time():
            return value.date().isoformat()
        return value.replace(microsecond=0, tzinfo=None).isoformat(sep=" ").removesuffix(":00")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, datetime.time):
        return value.replace(microsecond=0).isoformat()
    if isinstance(value, int | float):
        return _show_number(value, number_format or "General")
    return str(value)


def _show_number(value: int | float, number_format: str) -> str:
    try:
        pattern = _read_format(number_format)
        if pattern is not None:
            scaled = value * 100 if pattern.percent else value
            shown = f"{abs(scaled):{',' if pattern.grouped else ''}.{pattern.decimals}f}"
            sign = "-" if scaled < 0 and any(digit in shown for digit in "123456789") else ""
            whole, point, fraction = shown.partition(".")
            return f"{sign}{pattern.prefix}{whole.zfill(pattern.min_digits)}{point}{fraction}{pattern.suffix}"
        return str(value) if isinstance(value, int) else f"{value:.15g}"
    except (OverflowError, ValueError):
        return str(value)


@lru_cache(maxsize=1024)
def _read_format(number_format: str) -> _Pattern | None:
    """What is followed of a format; None where the number is written in full."""
    section = number_format.split(";")[0]
    if section.casefold() in ("general", "@", "") or re.search(r"[eE][+-]|/", section):
        return None
    section = _CURRENCY.sub(lambda match: match.group(1), section)
    literals: list[str] = []

    def keep(match: re.Match[str]) -> str:
        literals.append(match.group(1) if match.group(1) is not None else match.group(2))
        return chr(0xE000 + len(literals) - 1)  # digits inside quotes are no digits of the pattern

    section = _DROPPED.sub("", _QUOTED.sub(keep, section))
    digits = _DIGITS.search(section)
    if digits is None or digits.group(2) or len(literals) > 100:
        return None  # text only, or scaled to thousands
    decimals = len(digits.group(1) or "")
    if decimals > _MAX_DECIMALS or ("#" in (digits.group(1) or "")):
        return None

    def restore(text: str) -> str:
        return "".join(literals[ord(char) - 0xE000] if 0xE000 <= ord(char) < 0xE100 else char for char in text)

    prefix, suffix = restore(section[: digits.start()]), restore(section[digits.end() :])
    whole = digits.group().partition(".")[0]
    return _Pattern(
        prefix=prefix,
        suffix=suffix,
        min_digits=whole.count("0"),
        decimals=decimals,
        grouped="," in whole,
        percent="%" in section,
    )
