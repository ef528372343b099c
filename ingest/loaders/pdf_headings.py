"""Which lines of a PDF are headings: those its outline names, else those set larger or bolder than the rest."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.loaders.pdf_layout import Stretch
from ingest.loaders.pdf_text import Line

_MAX_HEADING_LINES = 3
_MAX_HEADING_CHARS = 200
_MAX_BOLD_HEADING_CHARS = 90
_LARGER = 1.12  # times the body's size
_MAX_SHARE = 0.4  # of a document's characters; where more is set large, size says nothing
_MAX_LEVELS = 6
_NOT_WORD = re.compile(r"[\W_]+")
_NUMBER = re.compile(r"(?:(?:chapter|section|part|appendix|kapitel|abschnitt|teil|anhang)?(?:\d+|[a-z]|[ivxlc]+)?)?")
_NUMBERED = re.compile(r"(?:\d+|[A-Z])(?:\.\d+)*\.?\s")
_LETTERS = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlineEntry:
    """One entry of a PDF's outline."""

    title: str  # normalized, one line
    level: int  # 1 = top
    page: int  # 0-based


def find_headings(pages: Sequence[Sequence[Line]], outline: Sequence[OutlineEntry]) -> list[list[Stretch]]:
    """The headings on each page, in order.

    An entry of the outline is a heading where its words stand as whole lines on its page or the next one. Only if
    fewer than half of the entries are found (or there are none), size and weight decide.
    """
    found = _from_outline(pages, outline)
    if outline and 2 * sum(map(len, found)) >= len(outline):
        return found
    return _from_type(pages, found)


def _from_outline(pages: Sequence[Sequence[Line]], outline: Sequence[OutlineEntry]) -> list[list[Stretch]]:
    found: list[list[Stretch]] = [[] for _ in pages]
    squeezed: dict[int, list[str]] = {}
    for entry in outline:
        wanted = _squeeze(entry.title)
        for page in range(entry.page, min(entry.page + 2, len(pages))):
            if page not in squeezed:
                squeezed[page] = [_squeeze(line.text) for line in pages[page]]
            place = _place(squeezed[page], wanted, found[page])
            if place is not None:
                said = " ".join(line.text for line in pages[page][slice(*place)])
                found[page].append(Stretch("heading", *place, level=entry.level, title=max(said, entry.title, key=len)))
                break
    for stretches in found:
        stretches.sort(key=lambda stretch: stretch.first)
    return found


def _place(lines: list[str], wanted: str, taken: Sequence[Stretch]) -> tuple[int, int] | None:
    """Lines [first, last) that say what is wanted, or that and a number before it."""
    if not wanted:
        return None
    used = {index for stretch in taken for index in range(stretch.first, stretch.last)}
    for first in range(len(lines)):
        said = ""
        for last in range(first, min(first + _MAX_HEADING_LINES, len(lines))):
            if last in used:
                break
            said += lines[last]
            if len(said) > len(wanted) + 20:
                break
            longer, shorter = (said, wanted) if len(said) >= len(wanted) else (wanted, said)
            if shorter and longer.endswith(shorter) and _NUMBER.fullmatch(longer.removesuffix(shorter)):
                return first, last + 1
    return None


def _from_type(pages: Sequence[Sequence[Line]], known: list[list[Stretch]]) -> list[list[Stretch]]:
    sizes: Counter[float] = Counter()
    for lines in pages:
        for line in lines:
            sizes[_rounded(line.size)] += len(line.text)
    if not sizes:
        return known
    body = sizes.most_common(1)[0][0]
    n_chars = sizes.total()
    if sum(count for size, count in sizes.items() if size >= _LARGER * body) > _MAX_SHARE * n_chars:
        return known
    found = [_on_page(lines, body, stretches) for lines, stretches in zip(pages, known, strict=True)]
    by_type = [stretch for stretches in found for stretch in stretches if not stretch.level]
    if sum(len(stretch.title) for stretch in by_type) > _MAX_SHARE * n_chars:
        return known
    deepest = max((stretch.level for stretches in known for stretch in stretches), default=0)
    ranks: dict[float, int] = {}
    for lines, stretches in zip(pages, found, strict=True):
        for stretch in stretches:
            if not stretch.level:
                ranks.setdefault(_rounded(max(line.size for line in lines[stretch.first : stretch.last])), 0)
    for rank, size in enumerate(sorted(ranks, reverse=True)):
        ranks[size] = min(deepest + rank + 1, _MAX_LEVELS)
    for lines, stretches in zip(pages, found, strict=True):
        for stretch in stretches:
            if not stretch.level:
                stretch.level = ranks[_rounded(max(line.size for line in lines[stretch.first : stretch.last]))]
    return found


def _on_page(lines: Sequence[Line], body: float, known: Sequence[Stretch]) -> list[Stretch]:
    used = {index for stretch in known for index in range(stretch.first, stretch.last)}
    found: list[Stretch] = []
    for index, line in enumerate(lines):
        if index in used or not _stands_out(lines, index, body):
            continue
        last = found[-1] if found else None
        if last is not None and last.last == index and _goes_on(lines[index - 1], line):
            last.last = index + 1
            last.title += " " + line.text
        else:
            found.append(Stretch("heading", index, index + 1, title=line.text))
    kept = [
        stretch
        for stretch in found
        if stretch.last - stretch.first <= _MAX_HEADING_LINES
        and len(stretch.title) <= _MAX_HEADING_CHARS
        and len(_LETTERS.findall(stretch.title)) >= 3
    ]
    return sorted([*known, *kept], key=lambda stretch: stretch.first)


def _stands_out(lines: Sequence[Line], index: int, body: float) -> bool:
    line = lines[index]
    if len(line.cells) > 2:
        return False
    if line.size >= _LARGER * body:
        return True
    if not line.bold or line.size < 0.95 * body or len(line.text) > _MAX_BOLD_HEADING_CHARS:
        return False
    if line.text[-1] in ".,;" or len(line.cells) > 1:
        return False
    above = index == 0 or not lines[index - 1].bold
    below = index + 1 == len(lines) or not lines[index + 1].bold
    return above and below


def _goes_on(before: Line, line: Line) -> bool:
    step = line.bottom - before.bottom
    same_type = abs(before.size - line.size) < 0.1 * line.size and before.bold == line.bold
    return same_type and 0 < step < 1.25 * line.size and not _NUMBERED.match(line.text)


def _rounded(size: float) -> float:
    return round(2 * size) / 2


def _squeeze(text: str) -> str:
    return _NOT_WORD.sub("", text.casefold())
