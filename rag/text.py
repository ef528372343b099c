"""Sentences and words of a text, with exact offsets.

Sentences, by rule and not by model, so that the same text always gives the same spans, in time proportional to its
length:

- A blank line ends a sentence. So does a line break after a heading line (`# …`) or a table row (`a | b`), and one
  before a list item, a heading line or a table row. Other line breaks are wrapping: they end a sentence only
  where the line ends with terminal punctuation that is not that of an abbreviation.
- `! ? … .` end a sentence before white space, unless a small letter follows or the full stop belongs to an
  abbreviation, an initial, an ordinal or an enumerator; `。！？؟।` and their like always do.
- Closing quotes and brackets, and citation markers (`[1]`, `[2][3]`), stay with the sentence before them.
- Spans are trimmed; list bullets, enumerators at the start of a line and `#` marks stand outside the spans.
"""

import re
from collections.abc import Iterator

from rag.abbreviations import (
    AFTER_ORDINAL,
    BEFORE_LABEL,
    BEFORE_NUMBER,
    BEFORE_ORDINAL,
    MAYBE_FINAL,
    NEVER_FINAL,
    OFTEN_FINAL,
    STARTERS,
    TIME_ZONES,
)
from rag.types import Span
from rag.words import content_words, counted_words, stem, words

__all__ = ["content_words", "counted_words", "split_sentences", "stem", "words"]

_ALWAYS = "。！？｡؟۔।॥።။៕"  # they need no white space after them
_CLOSERS = "\"'”’»«›‹“)]}」』】）》〉"
_END = re.compile(rf"[.!?…{_ALWAYS}]+")
_CLOSING = re.compile(rf"[{re.escape(_CLOSERS)}]*")
_MARKERS = re.compile(
    r"(?:[ \t]?(?:\[(?:\^?\d{1,4}(?:[ \t]?[,;–-][ \t]?\d{1,4}){0,20}|[a-z]|citation needed|(?:note|nb) \d{1,4})\]"
    r"|［\d{1,4}］|【\d{1,4}[^】\n]{0,40}】))+|[⁰¹²³⁴⁵-⁹]+"
)
_NEXT = re.compile(r"[\s\"'“‘„‚«‹»›(\[{¿¡—–•*「『（\-]{0,40}")
_NEXT_WORD = re.compile(r"[^\W\d_]{1,30}")
_ROMAN = re.compile(r"[IVXLCDM]{1,7}\b")
_NUMBERING = re.compile(r"\d{1,3}(?:\.\d{1,3}){0,6}")
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
_LOOK_BACK = 40  # characters before a full stop that are read to recognise its word
_WORD_BEFORE = re.compile(r"[^\s()\[\]{}\"“”„‚‘«»›‹,;:/|—–]+$")

_LINE = re.compile(r"[^\n]*\n?")
_BULLET = re.compile(r"[ \t]*(?:[-*+•‣◦▪●○–·][ \t]+)+")
_ENUMERATOR = re.compile(r"[ \t]*(?:\(?(\d{1,3})[.)]|\(?[a-zA-Z]\)|\([ivx]{1,4}\))[ \t]+(?=\S)")
_HEADING = re.compile(r"[ \t]{0,3}#{1,6}[ \t]+")
_OPEN_LINE_END = ":;"  # a numbered line after one of these starts a list


def split_sentences(text: str) -> tuple[Span, ...]:
    """Sentences of `text` in order: trimmed, not overlapping, none empty; nothing but marks and space is left out."""
    spans = []
    for start, end in _segments(text):
        for first, last in _sentences(text, start, end):
            while first < last and text[first].isspace():
                first += 1
            while last > first and text[last - 1].isspace():
                last -= 1
            if first < last:
                spans.append(Span(start=first, end=last))
    return tuple(spans)


def _segments(text: str) -> Iterator[tuple[int, int]]:
    """Stretches that no sentence leaves: wrapped paragraphs, list items, table rows, heading lines."""
    start = end = 0  # the open stretch; empty when start == end
    number: int | None = None  # of the numbered item before
    alone = False  # the open stretch is one line that the next may not join
    in_item = False  # the open stretch is a list item
    for match in _LINE.finditer(text):
        line_start, line_end = match.span()
        line = match.group()
        if not line or line.isspace():
            if start < end:
                yield start, end
            start = end = line_end
            continue
        before = text[max(start, end - _LOOK_BACK) : end].rstrip()[-1:]
        free = not before or alone or before in _OPEN_LINE_END or _END.match(before) is not None
        heading, row = _HEADING.match(line), " | " in line or line.lstrip().startswith("|")
        item = _BULLET.match(line)
        if item is not None and "–" in item.group() and not (free or in_item):
            item = None  # a dash of the prose that wrapped to the start of a line
        if item is None and (counted := _ENUMERATOR.match(line)) is not None:
            value = int(counted.group(1)) if counted.group(1) else None
            after = _NEXT_WORD.match(line, counted.end())
            is_date = after is not None and after.group().casefold() in AFTER_ORDINAL
            follows = number is not None and value == number + 1
            if not is_date and (value is None or value == 1 or follows or free):
                item, number = counted, value
        mark = heading or item
        if start < end and (mark is not None or row or alone):
            yield start, end
            start = end
        if start == end:
            start = line_start + (mark.end() if mark is not None else 0)
            in_item = item is not None
        end = line_end
        alone = row or heading is not None
    if start < end:
        yield start, end


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut one stretch at its sentence ends."""
    position = start
    while (match := _END.search(text, position, end)) is not None:
        position = match.end()
        cut = _cut_after(text, start, match.start(), position, end)
        if cut is not None:
            yield start, cut
            start = position = cut
    if start < end:
        yield start, end


def _cut_after(text: str, start: int, first: int, last: int, limit: int) -> int | None:
    """Where the sentence ends whose terminal punctuation is text[first:last], or None where it goes on."""
    if first - start <= _LOOK_BACK and not any(char.isalnum() for char in text[start:first]):
        return None  # nothing was said yet: ". . ." or "... and so on"
    closed = _match_end(_CLOSING, text, last, limit)
    cut = _match_end(_MARKERS, text, closed, limit)
    if cut > closed:
        cut = _match_end(_CLOSING, text, cut, limit)
    if cut < limit and cut == closed and text[last - 1] not in _ALWAYS and not text[cut].isspace():
        return None
    following = _match_end(_NEXT, text, cut, limit)
    if following >= limit:
        return limit
    if text[last - 1] in _ALWAYS:
        return cut
    if text[following] in ".…":
        return None  # an ellipsis with spaces
    if text[first:last] == "." and _belongs_to_word(text, start, first, following, limit):
        return None
    if text[following].islower() and "\n" not in text[cut:following]:
        return None
    return cut


def _belongs_to_word(text: str, start: int, dot: int, following: int, limit: int) -> bool:
    """Whether the full stop at `dot` is part of the word before it (abbreviation, initial, ordinal, enumerator)."""
    back = text[max(start, dot - _LOOK_BACK) : dot]
    found = _WORD_BEFORE.search(back)
    if found is None:
        return False
    word = found.group()
    key = word.casefold().lstrip("'’")
    alone = not back[: found.start()].strip()
    previous = _WORD_BEFORE.search(back[: found.start()].rstrip())
    before = previous.group() if previous is not None else ""
    next_word = _NEXT_WORD.match(text, following, limit)
    next_key = next_word.group().casefold() if next_word is not None else ""
    starts = next_key in STARTERS and not text[following].islower()
    if word[0].isdigit():
        return _is_ordinal(word, before, next_key, alone=alone, starts=starts)
    if key in NEVER_FINAL or (alone and _ROMAN.fullmatch(word) is not None):
        return True
    if key in BEFORE_NUMBER and text[following].isdigit():
        return True
    if key in BEFORE_LABEL and _is_label(text, following, limit):
        return True
    if key in OFTEN_FINAL:
        return text[following].islower() or next_key in TIME_ZONES
    if key in MAYBE_FINAL or _DOTTED.fullmatch(word) is not None:
        return not starts
    if len(word) == 1 and word.isalpha():
        chained = text[following].isupper() and text[following + 1 : min(following + 2, limit)] == "."
        return alone or chained or (not starts and _is_initial(word, before))
    return False


def _is_initial(letter: str, before: str) -> bool:
    """A single letter that stands for a word: "J. K. Rowling", "z. B."; not "vitamin C." or "World War I."."""
    in_chain = len(before) == 2 and before[0].isalpha() and before[1] == "."
    if in_chain or letter.islower():
        return True
    return letter != "I" and before[:1].isupper()


def _is_ordinal(number: str, before: str, next_key: str, *, alone: bool, starts: bool) -> bool:
    """The 3. of "am 3. Mai", or an enumerator that opens the sentence ("3.2. Scope")."""
    if _NUMBERING.fullmatch(number) is None:
        return False
    if alone or next_key in AFTER_ORDINAL:
        return True
    return number.isdigit() and before.casefold() in BEFORE_ORDINAL and not starts


def _is_label(text: str, position: int, limit: int) -> bool:
    """A number, a Roman number or a single letter stands at `position`: "Fig. A", "Kap. IV"."""
    if text[position].isdigit() or _ROMAN.match(text, position, limit) is not None:
        return True
    return text[position].isalpha() and not text[position + 1 : min(position + 2, limit)].isalnum()


def _match_end(pattern: re.Pattern[str], text: str, position: int, limit: int) -> int:
    """End of `pattern` at `position`, or `position` where it does not match."""
    match = pattern.match(text, position, limit)
    return match.end() if match is not None else position
