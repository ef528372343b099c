"""Answers that are cells of tables."""

import pytest

from rag.table_rows import read_tables
from rag.verify.cells import other_cell

RATES = """Meals are paid as an allowance.

Rates
Country | Daily allowance | Hotel limit per night
France | 32 EUR | 160 EUR
Japan | 6,500 JPY | 21,000 JPY
New Caledonia | 32 EUR | 90 EUR

The allowance is halved on Fridays."""


def why(asked: str, said: str, text: str = RATES) -> str | None:
    tables, prose = read_tables(text)
    return other_cell(asked, said, tables, prose)


@pytest.mark.parametrize(
    ("asked", "said", "part"),
    [
        ("What is the daily allowance in Japan?", "32 EUR", "in the row of France, not of Japan"),
        ("What is the hotel limit per night in France?", "21,000 JPY.", "in the row of Japan, not of France"),
        ("What is the daily allowance in Japan?", "21,000 JPY", "under Hotel limit per night, not under Daily"),
        ("Which country has a hotel limit of 160 EUR?", "Japan", "in the row of Japan, not of France"),
        ("What is the daily allowance?", "90", "under Hotel limit per night, not under Daily allowance"),
    ],
)  # fmt: skip
def test_a_cell_of_another_row_or_column_is_told(asked: str, said: str, part: str) -> None:
    told = why(asked, said)
    assert told is not None
    assert part in told


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("What is the daily allowance in France?", "32 EUR"),
        ("What is the daily allowance in New Caledonia?", "32 EUR"),
        ("How much is paid in Japan?", "6,500 JPY"),
        ("What is the hotel limit per night in France and Japan?", "160 EUR"),
        ("Which country has a hotel limit of 160 EUR?", "France"),
        ("What is the hotel limit abroad?", "160 EUR"),  # no row is named
        ("What do trips to France cost?", "160 EUR"),  # no column is named
        ("When is the allowance in Japan halved?", "Fridays"),  # not from the table
        ("What is the daily allowance in Japan?", "1 EUR"),  # in no cell: others judge that
        ("What is the daily allowance in Japan?", "32 EUR in France and in New Caledonia, as in the years before"),
        ("", "32 EUR"),
        ("What is the daily allowance in Japan?", "…"),
    ],
)
def test_nothing_is_said_of_right_cells_and_where_the_question_names_none(asked: str, said: str) -> None:
    assert why(asked, said) is None


def test_what_also_stands_outside_of_the_table_is_left_to_the_reader() -> None:
    assert why("What is the daily allowance in Japan?", "32 EUR", RATES + " In Japan, too, 32 EUR are paid.") is None


def test_without_names_of_columns_rows_are_still_told_apart() -> None:
    text = "Anna | 30\nBo | 28"
    assert why("How many days has Anna?", "28", text) == "28 stands in the row of Bo, not of Anna"
    assert why("How many days has Bo?", "28", text) is None


def test_of_two_tables_one_that_may_be_meant_is_enough() -> None:
    other = "Site | Daily allowance\nJapan office | 32 EUR\nLeeds | 4 GBP"
    assert why("What is the daily allowance in the Japan office?", "32 EUR", f"{RATES}\n\n{other}") is None
