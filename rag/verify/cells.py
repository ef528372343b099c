"""Answers that are a cell of a table: whether they stand in the row and the column that the question names.

A cross-encoder reads a table as a list of words and takes any of its cells for the answer: of 124 wrong cells of five
tables it let 103 pass.
"""

from collections.abc import Iterable, Sequence

from rag.table_rows import Table
from rag.text import content_words

_MAX_WORDS = 8  # a longer answer may tell more than a cell

_Terms = frozenset[str]


def other_cell(asked: str, said: str, tables: Sequence[Table], prose: str) -> str | None:
    """Why a short answer is the wrong cell, as a sentence; None where nothing says so.

    Nothing is said of answers that stand outside of tables as well, or where the question names no row and no column.

    Args:
        asked: The question.
        said: The answer.
        tables: Of the evidence.
        prose: What else the evidence says.
    """
    words = content_words(said)
    if not asked or not words or len(said.split()) > _MAX_WORDS or said.strip(" .").casefold() in prose.casefold():
        return None
    given = frozenset(content_words(asked))
    found = [why for table in tables for why in _judged(table, given, words, said.strip(" ."))]
    return None if None in found else next(iter(found), None)


def _judged(table: Table, given: _Terms, words: Sequence[str], said: str) -> Iterable[str | None]:
    """For a table that holds the answer: None where it may be the right cell, or why not."""
    terms = [[content_words(cell) for cell in row] for row in table.rows]
    places = [
        (row, column)
        for row, cells in enumerate(terms)
        for column, cell in enumerate(cells)
        if cell[: len(words)] == tuple(words) and not frozenset(cell) <= given
    ]
    if not places:
        return
    named_rows = _most_named(
        (row, frozenset(cell), given)
        for row, cells in enumerate(terms)
        for column, cell in enumerate(cells)
        if (column == 0) != any(place == 0 for _, place in places)
    )
    if named_rows and not any(row in named_rows for row, _ in places):
        here, there = table.rows[places[0][0]][0], table.rows[min(named_rows)][0]
        yield f"{said} stands in the row of {here}, not of {there}"
        return
    named_columns = _most_named(
        (column, frozenset(content_words(name)), given) for column, name in enumerate(table.names) if column
    )
    in_row = [column for row, column in places if not named_rows or row in named_rows]
    if named_columns and 0 not in in_row and not named_columns & frozenset(in_row):
        here, there = table.names[in_row[0]], table.names[min(named_columns)]
        yield f"{said} stands under {here}, not under {there}"
        return
    yield None


def _most_named(candidates: Iterable[tuple[int, _Terms, _Terms]]) -> frozenset[int]:
    """Numbers of those whose words are all given; of "paper" and "paper tray" only the latter, where both are."""
    named = [(number, terms) for number, terms, given in candidates if terms and terms <= given]
    return frozenset(number for number, terms in named if not any(terms < other for _, other in named))
