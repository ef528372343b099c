"""Citation markers in running text: how they are read, held back while streaming, and escaped in evidence.

A marker is a bracket that holds numbers: `[1]`, `[1, 2]`, `[2-4]`, `[^1]`, `【1】`, `［3］`, `[passage 2]`.
"""

import re
from dataclasses import dataclass

_OPEN = "[［【〔⟦"
_CLOSE = "]］】〕⟧"
_ANY = re.escape(_OPEN + _CLOSE)
_WORD = r"(?:passages?|sources?|documents?|docs?|refs?|references?|citations?)"
_NUMBER = r"\^?\d{1,9}"
_BETWEEN = r"(?:\s{0,3}(?:,|;|/|&|and|-|–|—)\s{0,3}|\s{1,3})"
MARKER = re.compile(
    rf"[{re.escape(_OPEN)}]\s{{0,3}}(?:{_WORD}\s{{0,3}}[:#]?\s{{0,3}})?"
    rf"({_NUMBER}(?:{_BETWEEN}{_NUMBER}){{0,15}})\s{{0,3}}(?:†[^\n{_ANY}]{{0,40}})?[{re.escape(_CLOSE)}]",
    re.IGNORECASE,
)
_WITH_BLANKS = re.compile(rf"[ \t]{{0,20}}(?:{MARKER.pattern})", re.IGNORECASE)
_BEGINNING = re.compile(  # what may still become a marker
    rf"[{re.escape(_OPEN)}]\s{{0,3}}[a-z]{{0,10}}\s{{0,3}}[:#]?(?:[\s\d^,;/&–—-]|and?)*(?:†[^\n{_ANY}]*)?",
    re.IGNORECASE,
)
_LOOK_ALIKE = re.compile(  # numbers in brackets that this file does not read but a reader or a model may
    rf"[{re.escape(_OPEN)}][^\w\n{_ANY}]{{0,4}}\d[^a-zA-Z\n{_ANY}]{{0,40}}[{re.escape(_CLOSE)}]"
)
_LONGEST = 400  # characters; no marker is longer
_WIDEST_RANGE = 10
# Characters that show nothing but can hide a marker or an instruction: zero-width and bidirectional controls, tags.
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]")


@dataclass(frozen=True, slots=True)
class Marker:
    """One marker as it was written."""

    start: int
    end: int
    numbers: tuple[int, ...]  # in the order written, without repetitions


def find_markers(text: str) -> tuple[Marker, ...]:
    """Every marker of `text`, in order."""
    return tuple(Marker(match.start(), match.end(), _read_numbers(match.group(1))) for match in MARKER.finditer(text))


def _read_numbers(inside: str) -> tuple[int, ...]:
    """The numbers of one marker; `2-4` is 2, 3, 4."""
    numbers: list[int] = []
    previous_end = None
    for match in re.finditer(r"\d+", inside):
        number = int(match.group())
        between = inside[previous_end : match.start()].strip(" ^\t\n") if previous_end is not None else ""
        if between in ("-", "–", "—") and 0 < number - numbers[-1] <= _WIDEST_RANGE:
            numbers.extend(range(numbers[-1] + 1, number))
        numbers.append(number)
        previous_end = match.end()
    return tuple(dict.fromkeys(numbers))


def drop_markers(text: str) -> str:
    """`text` without its markers and without the blanks that stood before them."""
    return _WITH_BLANKS.sub("", text)


def held_back(text: str) -> int:
    """How many characters at the end of `text` may still become a marker and must not be shown yet."""
    opened = max(text.rfind(mark) for mark in _OPEN)
    if opened < 0 or len(text) - opened > _LONGEST:
        return 0
    return len(text) - opened if _BEGINNING.fullmatch(text, opened) else 0


def escape_markers(text: str) -> str:
    """`text` without invisible controls and with round brackets around what could be read as a marker.

    Nothing in the result is a marker: a document that says `[2]` is shown to the model as saying `(2)`.
    """
    text = _INVISIBLE.sub("", text)
    for pattern in (MARKER, _LOOK_ALIKE):
        text = pattern.sub(lambda match: f"({match.group()[1:-1]})", text)
    return text


def one_line(text: str) -> str:
    """`text` escaped and on one line."""
    return " ".join(escape_markers(text).split())
