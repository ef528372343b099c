"""Numbers, names and negations of a claim, looked up in the evidence one by one.

A model that reads loosely takes 1947 for 1948. These comparisons do not: what a claim states and no evidence holds is
named, for people to see and for the verdict to depend on.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from rag.text import content_words
from rag.words import NUMBER_WORDS

_SMALL = {word: value for value, word in enumerate(NUMBER_WORDS)}
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "eleventh": 11, "twelfth": 12,
}  # fmt: skip
_TIMES = {"once": 1, "twice": 2, "thrice": 3, "dozen": 12}
_SCALES = {
    "hundred": 1e2, "thousand": 1e3, "k": 1e3, "million": 1e6, "m": 1e6, "mn": 1e6, "billion": 1e9, "bn": 1e9,
    "b": 1e9, "trillion": 1e12,
}  # fmt: skip
_MONTHS = {
    name: number
    for number, names in enumerate(
        ("january jan", "february feb", "march", "april apr", "may", "june jun", "july jul", "august aug",
         "september sep sept", "october oct", "november nov", "december dec"), start=1)
    for name in names.split()
}  # fmt: skip
_NUMBER = re.compile(
    r"\b(\d+)(?:(['’]?s)|(?:st|nd|rd|th))\b(\scentur)?"
    r"|(?<![\w.,])[-−]?(\d{1,3}(?:[,'’]\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?)\s?"
    r"(%|percent\b|per cent\b|(?:hundred|thousand|million|billion|trillion|bn|mn|[kKmMbB])\b|[a-zA-Z]{1,3}\b)?",
)
_TO_YEAR = re.compile(r"\b(\d\d)(\d\d)\s?[-–—/]\s?(\d\d)\b(?![-–—/]?\d)")  # 2018–19
_LEAST = re.compile(
    r"\b(?:more than|over|at least|above|exceed(?:s|ed|ing)?|no (?:less|fewer) than)\s+[$£€]?$", re.IGNORECASE
)
_MOST = re.compile(r"\b(?:less than|fewer than|under|at most|below|up to|no more than)\s+[$£€]?$", re.IGNORECASE)
_BOUND_CHARS = 20  # before a number, in which its bound stands
_BOUND_TIMES = 10.0  # what is this much more, or less, is a number of something else
_DECADE, _CENTURY = "decade", "century"
_PERIODS = {_DECADE: 10, _CENTURY: 100}  # years
_SINGLE = "|".join([*_SMALL, *_TENS, *_ORDINALS, *_TIMES])
_SPELLED = re.compile(
    rf"\b(?:({'|'.join(_TENS)})[-\s]({'|'.join(list(_SMALL)[1:10])})|({_SINGLE}))\b(?:[-\s]({'|'.join(_SCALES)})\b)?",
    re.IGNORECASE,
)
_MONTH = re.compile(rf"(?<!^)\b({'|'.join(name.title() for name in _MONTHS)})\b\.?")
_MONTH_UNIT = "month"
_PLAIN_OVER = 12
_YEAR = re.compile(r"1[0-9]{3}|20[0-9]{2}")
_COUNTED = re.compile(
    rf"\b(\d[\d,.]*(?:\s(?:hundred|thousand|million|billion))?|{'|'.join(list(_SMALL)[2:])}|{'|'.join(_TENS)})"
    r"[\s-]([a-zA-ZÀ-ÿ]{3,})",
    re.IGNORECASE,
)
_NAME = re.compile(r"\b[A-ZÀ-ÖØ-Þ][\w'’-]*(?:\s+[A-ZÀ-ÖØ-Þ][\w'’-]*)*")
_NEGATION = re.compile(
    r"\b(?:not|no|never|neither|nor|none|nobody|nothing|nowhere|without|cannot|hardly|\w+n[’']t|failed to|lacks?"
    r"|nicht|kein(?:e[mnrs]?)?|nie|niemals|ohne)\b",
    re.IGNORECASE,
)
_UNITS = {"%": "%", "percent": "%", "per cent": "%"}
_UNIT_WORDS = "km m cm mm mi ft kg g mg lb oz l ml hz khz mhz ghz kb mb gb tb kw mw gw v"
_KNOWN_UNITS = frozenset(_UNIT_WORDS.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number that a text states."""

    value: float
    unit: str  # "%" or a unit's letters in lower case; "" where none follows
    text: str  # as written
    bound: int = 0  # 1 for "more than" it, -1 for "less than" it

    def met_by(self, other: "Quantity") -> bool:
        """Whether `other` says the same; of a bound, also whether it lies on its right side and not far off."""
        if self.same_as(other):
            return True
        if not self.bound or self.unit != other.unit or min(self.value, other.value) <= 0:
            return False
        times = other.value / self.value if self.bound > 0 else self.value / other.value
        return 1 <= times <= _BOUND_TIMES

    def same_as(self, other: "Quantity") -> bool:
        """Equal values, and not two different units; a decade or a century is met by any year of it."""
        for span, other_one in ((self, other), (other, self)):
            if span.unit in _PERIODS and other_one.unit == "":
                first = span.value if span.unit == _DECADE else 100 * (span.value - 1)
                return first <= other_one.value < first + _PERIODS[span.unit] or other_one.value == span.value
        if self.unit and other.unit and self.unit != other.unit:
            return False
        return abs(self.value - other.value) <= 1e-9 * max(1.0, abs(self.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What of a claim stands in some evidence."""

    n_numbers: int  # numbers that the claim states
    missing_numbers: tuple[str, ...]  # those that the evidence does not hold, as written
    plain_missing: tuple[str, ...]  # those of them that are over _PLAIN_OVER in digits: nobody counts them on fingers
    n_names: int
    missing_names: tuple[str, ...]  # names of which the evidence holds no word
    conflicts: tuple[
        tuple[str, str], ...
    ]  # ("14 days", "30 days"): the claim's, the evidence's; none of the claim's there
    negation_differs: bool  # one of the two negates and the other does not


def quantities(text: str) -> tuple[Quantity, ...]:
    """The numbers of `text`: spelled-out ones, scaled ones ("3 million") and months (1 to 12) included."""
    found: list[tuple[int, Quantity]] = []
    ends = {range_.start(3): range_ for range_ in _TO_YEAR.finditer(text) if range_[3] > range_[2]}
    for match in _NUMBER.finditer(text):
        ordinal, digits, unit = match.group(1), match.group(4), match.group(5) or ""
        if ordinal is not None:
            period = _DECADE if match.group(2) and len(ordinal) == 4 else _CENTURY if match.group(3) else ""
            shown = ordinal + match.group()[len(ordinal) :].removesuffix(" centur")
            number = float(ordinal)
            if period == _DECADE and number % 100 == 0:  # "the 1700s"
                period, number = _CENTURY, number / 100 + 1
            found.append((match.start(), Quantity(value=number, unit=period, text=shown)))
            continue
        if match.start(4) in ends:
            year = ends[match.start(4)]
            found.append((match.start(), Quantity(value=float(year[1] + year[3]), unit="", text=digits)))
            continue
        unit = _UNITS.get(unit.casefold(), unit.casefold())
        value = _value(digits)
        if unit in _SCALES and (unit not in _KNOWN_UNITS or match.group(5) == "M"):
            value, unit = value * _SCALES[unit], ""
        elif unit not in _KNOWN_UNITS and unit != "%":
            unit = ""
        shown = match.group().strip() if unit or value != _value(digits) else digits
        bound = _bound(text, match.start())
        found.append((match.start(), Quantity(value=value, unit=unit, text=shown, bound=bound)))
    for match in _SPELLED.finditer(text):
        tens, ones, single, scale = (part.casefold() if part else "" for part in match.groups())
        value = _TENS[tens] + _SMALL[ones] if tens else {**_SMALL, **_TENS, **_ORDINALS, **_TIMES}[single]
        found.append(
            (match.start(), Quantity(value=value * _SCALES.get(scale, 1.0), unit="", text=match.group().strip()))
        )
    for match in _MONTH.finditer(text):
        month = Quantity(value=float(_MONTHS[match.group(1).casefold()]), unit=_MONTH_UNIT, text=match.group(1))
        found.append((match.start(), month))
    found.sort(key=lambda row: row[0])
    return tuple(quantity for _, quantity in found)


def _bound(text: str, start: int) -> int:
    """1 or -1 where the number at `start` is a lower or an upper bound, else 0."""
    before = text[max(0, start - _BOUND_CHARS) : start]
    return 1 if _LEAST.search(before) else -1 if _MOST.search(before) else 0


def counted(text: str) -> tuple[tuple[Quantity, str, str], ...]:
    """Numbers with what they count: (the number, the plain form of the word after it, both as written).

    Years and ordinals count nothing; "30 paid days" counts "paid", which is as good for telling 30 from 14.
    """
    rows = []
    for match in _COUNTED.finditer(text):
        terms = content_words(match.group(2))
        values = quantities(match.group(1))
        if terms and len(values) == 1 and not _YEAR.fullmatch(match.group(1)):
            rows.append((values[0], terms[0], match.group()))
    return tuple(rows)


def compare(claim: str, evidence: str, *, asked: str = "") -> Comparison:
    """What of `claim` the text of `evidence` holds; what `asked` (the question) says already is not looked up."""
    known = quantities(evidence)
    given = quantities(asked)
    stated = [
        one for one in quantities(claim) if not any(one.same_as(other) for other in given) and not _is_article(one)
    ]
    held = frozenset(content_words(evidence))
    given_words = frozenset(content_words(asked))
    told = counted(evidence)
    conflicts = []
    for number, what, said in counted(claim):
        there = [(other, written) for other, same, written in told if same == what]
        if there and number in stated and not any(number.same_as(other) for other, _ in there):
            conflicts.append((said, there[0][1]))
    names = [name for name in names_of(claim) if not given_words.issuperset(content_words(name))]
    missing = [one for one in stated if not any(one.met_by(other) for other in known)]
    return Comparison(
        n_numbers=len(stated),
        missing_numbers=tuple(one.text for one in missing),
        plain_missing=tuple(one.text for one in missing if one.value > _PLAIN_OVER and one.text[0].isdecimal()),
        n_names=len(names),
        missing_names=tuple(name for name in names if not _held(name, held)),
        conflicts=tuple(conflicts),
        negation_differs=is_negated(claim) != is_negated(evidence),
    )


def names_of(text: str) -> tuple[str, ...]:
    """Capitalized words inside `text`, those in a row together; the first word of a sentence counts only in a row."""
    found = []
    for match in _NAME.finditer(text):
        before = text[: match.start()].rstrip()
        opens = not before or before[-1] in ".!?:"
        written = match.group().split()
        while opens and len(written) > 1 and not content_words(written[0]):
            written, opens = written[1:], False  # "On March" names March
        name = match.group()[match.group().index(written[0]) :]
        if content_words(name) and (not opens or len(written) > 1):
            found.append(name)
    return tuple(dict.fromkeys(found))


def is_negated(text: str) -> bool:
    """Whether a word of `text` negates."""
    return _NEGATION.search(text) is not None


def reasons(comparison: Comparison, limit: int = 3) -> tuple[str, ...]:
    """What is missing, for people."""
    lines = [f"the evidence says {there}, not {said}" for said, there in comparison.conflicts]
    lines += [f"{number} is not in the evidence" for number in comparison.missing_numbers]
    lines += [f"{name} is not named in the evidence" for name in comparison.missing_names]
    return tuple(dict.fromkeys(lines))[:limit]


def _value(digits: str) -> float:
    """The value of written digits: "69,197" is 69197, "3,5" is 3.5."""
    if re.fullmatch(r"\d{1,3}(?:[,'’]\d{3})+(?:\.\d+)?", digits):
        return float(re.sub("[,'’]", "", digits))
    return float(digits.replace(",", "."))


def _is_article(quantity: Quantity) -> bool:
    """Whether it is "one", "first" or the like, seldom meant as a number."""
    return quantity.text.casefold() in ("one", "first", "second", "once", "zero")


def _held(name: str, held: Collection[str]) -> bool:
    """Whether the evidence holds any word of the name: a family name alone is enough."""
    return any(term in held for term in _terms(name))


def _terms(name: str) -> Iterable[str]:
    return content_words(name)
