"""From the lines of a PDF page to its blocks: which lines are one paragraph, a list item, a row of a table."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from ingest.loaders.pdf_text import Cell, Line

_BULLET = re.compile(r"[•◦▪▫‣⁃·●○■□–—*-]\s+\S|[•◦▪▫‣⁃●○■□]\S")
_NUMBERED = re.compile(r"(?:\(?(?:\d{1,3}|[a-z]|[ivx]{1,5})[.)]|\[\d{1,3}\])\s+\S", re.IGNORECASE)
_TERMINAL = re.compile(r"[.!?:;…。！？][\"'”’»)\]]*$")
_LEADER = re.compile(r"(?:\.\s?){4,}\s*[\divxlc]+$", re.IGNORECASE)  # a line of a table of contents
_MIN_TABLE_ROWS = 3
_DEFAULT_PITCH = 1.35  # baseline distance ÷ glyph height, where a page does not show its own


@dataclass(slots=True)
class Stretch:
    """Lines [first, last) of a page that belong together."""

    kind: Literal["heading", "paragraph", "list", "table"]
    first: int
    last: int
    level: int = 0  # of a heading, 1 = top
    title: str = ""  # of a heading


def stretches(lines: Sequence[Line], headings: Sequence[Stretch]) -> list[Stretch]:
    """Every line of a page in one stretch, in order, around the headings that are known."""
    pitch = _pitch(lines)
    tables = _tables(lines, headings)
    result: list[Stretch] = []
    done = 0
    for known in sorted([*headings, *tables], key=lambda stretch: stretch.first):
        result += _paragraphs(lines, done, known.first, pitch)
        result.append(known)
        done = known.last
    return result + _paragraphs(lines, done, len(lines), pitch)


def _paragraphs(lines: Sequence[Line], first: int, last: int, pitch: float) -> list[Stretch]:
    result: list[Stretch] = []
    for index in range(first, last):
        if result and not _breaks(lines, result[-1].first, index, pitch):
            result[-1].last = index + 1
        else:
            item = _BULLET.match(lines[index].text) or _NUMBERED.match(lines[index].text)
            result.append(Stretch("list" if item else "paragraph", index, index + 1))
    return result


def _breaks(lines: Sequence[Line], first: int, index: int, pitch: float) -> bool:
    """Whether line `index` begins a new paragraph after the one that began at `first`."""
    before, line = lines[index - 1], lines[index]
    height = max(before.size, line.size)
    ended = _TERMINAL.search(before.text) is not None
    step = line.bottom - before.bottom
    if abs(before.size - line.size) > 0.15 * height or before.bold != line.bold:
        return True
    if _LEADER.search(before.text) or _BULLET.match(line.text):
        return True
    if step < 0.3 * height:  # a new column, or a place beside
        return ended or not (before.hyphenated or line.text[:1].islower())
    if step > 1.25 * pitch * height or line.x0 >= before.x1 or line.x1 <= before.x0:
        return True
    if _NUMBERED.match(line.text) and (ended or _NUMBERED.match(lines[first].text) or _had_room(lines, index)):
        return True
    indent = line.x0 - before.x0
    in_item = _BULLET.match(lines[first].text) or _NUMBERED.match(lines[first].text)
    if indent > 0.8 * height and not (index - first == 1 and (in_item or not ended)):
        return True
    if indent < -0.8 * height and index - first > 1 and (ended or in_item):
        return True
    return ended and _had_room(lines, index)


def _had_room(lines: Sequence[Line], index: int) -> bool:
    """Whether the first word of line `index` would have fitted, with room to spare, at the end of the line before."""
    before, line = lines[index - 1], lines[index]
    edge = max(
        other.x1
        for other in lines[max(0, index - 20) : index + 20]
        if abs(other.x0 - before.x0) < 3 * before.size or other is before
    )
    first_word = line.text.split(maxsplit=1)[0]
    width = (line.x1 - line.x0) * (len(first_word) + 1) / max(len(line.text), 1)
    return edge - before.x1 > 1.3 * width + 0.5 * before.size


def _pitch(lines: Sequence[Line]) -> float:
    """The page's usual distance of baselines within a paragraph, in glyph heights."""
    ratios = [
        (below.bottom - above.bottom) / above.size
        for above, below in pairwise(lines)
        if abs(above.size - below.size) < 0.1 * above.size and below.x0 < above.x1 and above.x0 < below.x1
    ]
    close = [ratio for ratio in ratios if 0.7 < ratio < 2.6]
    return float(np.median(close)) if len(close) >= 3 else _DEFAULT_PITCH


def _tables(lines: Sequence[Line], headings: Sequence[Stretch]) -> list[Stretch]:
    """Runs of at least three lines that gaps cut into cells which stand below each other; sets the lines' cells."""
    taken = {index for heading in headings for index in range(heading.first, heading.last)}
    seeds: list[Stretch] = []
    for index, line in enumerate(lines):
        if index in taken or len(line.cells) < 2:
            continue
        if seeds and seeds[-1].last == index and _is_next_row(lines[index - 1], line):
            seeds[-1].last = index + 1
        else:
            seeds.append(Stretch("table", index, index + 1))
    result: list[Stretch] = []
    for seed in seeds:
        if seed.last - seed.first >= _MIN_TABLE_ROWS and seed.first not in taken:
            _grow(lines, seed, taken)
            taken.update(range(seed.first, seed.last))
            result.append(seed)
    return result


def _grow(lines: Sequence[Line], table: Stretch, taken: set[int]) -> None:
    """Split the rows where a word starts a known column though the gap before it is narrow; take in rows beside."""
    columns = [x0 for line in lines[table.first : table.last] for _, x0, _ in line.cells[1:]]
    for line in lines[table.first : table.last]:
        line.cells = _split_at_columns(line, columns)
    for step in (-1, 1):
        while True:
            index = table.first - 1 if step < 0 else table.last
            if not 0 <= index < len(lines) or index in taken:
                break
            line, row = lines[index], lines[index - step]
            cells = _split_at_columns(line, columns)
            if len(cells) < 2 or not 0.5 * row.size < step * (line.bottom - row.bottom) < 3 * row.size:
                break
            line.cells = cells
            table.first, table.last = min(table.first, index), max(table.last, index + 1)


def _split_at_columns(line: Line, columns: Sequence[float]) -> tuple[Cell, ...]:
    cells: list[Cell] = []
    wide = {begin for begin, _, _ in line.cells}
    for begin, x0, x1 in line.words:
        starts_column = bool(cells) and x0 - cells[-1][2] > 0.2 * line.size and _near(x0, columns, 0.4 * line.size)
        if cells and begin not in wide and not starts_column:
            cells[-1] = (*cells[-1][:2], max(cells[-1][2], x1))
        else:
            cells.append((begin, x0, x1))
    return tuple(cells)


def _near(value: float, others: Sequence[float], tolerance: float) -> bool:
    return any(abs(value - other) < tolerance for other in others)


def _is_next_row(above: Line, below: Line) -> bool:
    """Whether two lines of cells have a column in common besides their outer edges, which all lines of a text share."""
    step = below.bottom - above.bottom
    if not 0.5 * above.size < step < 5 * above.size:
        return False
    tolerance = 0.6 * above.size
    starts, ends = [x0 for _, x0, _ in above.cells[1:]], [x1 for _, _, x1 in above.cells[:-1]]
    middles = [x0 + x1 for _, x0, x1 in above.cells[1:]]
    return any(
        _near(x0, starts, tolerance) or _near(x0 + x1, middles, 2 * tolerance) for _, x0, x1 in below.cells[1:]
    ) or any(_near(x1, ends, tolerance) for _, _, x1 in below.cells[1:-1])
