"""Rows of tables as a decoder is shown them."""

import hypothesis
import pytest
from hypothesis import strategies as st

from rag.table_rows import read_tables, spelled_out


def told(text: str) -> str:
    return "\n".join(spelled_out(text.split("\n")))


def test_each_cell_is_told_with_the_name_of_its_column() -> None:
    assert told("Rates\n\nCountry | Day | Hotel\nFrance | 32 EUR | 160 EUR\nJapan |  | 210\n\nHalved on Fridays.") == (
        "Rates\n\nCountry | Day | Hotel\nCountry: France; Day: 32 EUR; Hotel: 160 EUR\nCountry: Japan; Hotel: 210\n\n"
        "Halved on Fridays."
    )


def test_a_heading_before_the_header_and_a_row_without_cells_stay() -> None:
    assert told("Staff › Leave\nName | Days\nEurope\nAnna | 30\nBo | 28\nCai | 25") == (
        "Staff › Leave\nName | Days\nEurope\nName: Anna; Days: 30\nName: Bo; Days: 28\nName: Cai; Days: 25"
    )


def test_a_column_without_a_name_is_told_by_its_cell() -> None:
    assert told(" | 2023 | 2024\nSales | 5 | 7") == " | 2023 | 2024\nSales; 2023: 5; 2024: 7"


@pytest.mark.parametrize(
    "text",
    [
        "cat notes | sort\ncat other | sort | uniq\nls | wc",  # more cells than the first line has
        "Anna | 30\nBo | 28",  # no names: a value stands among them
        "Name | Name\nAnna | Bo",
        f"Name | {'long ' * 9}\nAnna | 3",
        " | ".join(f"c{n}" for n in range(13)) + "\n" + " | ".join("1" for _ in range(13)),
        "Name | Days\na line\nanother\na third\nAnna | 30",  # mostly no rows
        "a | b",
        "no table\nat all",
        "",
    ],
)
def test_what_is_no_table_with_names_stays_as_it_is(text: str) -> None:
    assert told(text) == text


@hypothesis.given(st.lists(st.text(alphabet="ab1 |\u00a6", max_size=12), max_size=8))
def test_no_line_and_no_cell_is_lost(lines: list[str]) -> None:
    shown = spelled_out(lines)
    assert len(shown) == len(lines)
    for line, other in zip(lines, shown, strict=True):
        assert all(cell.strip() in other for cell in line.split(" | "))


def test_tables_are_read_back_and_the_rest_is_left() -> None:
    text = "Staff\nName | Days\nEurope\nAnna | 30\nBo | 28\n\nSince May.\n\n3 | 4\n5 | 6"
    tables, prose = read_tables(text)
    assert [table.names for table in tables] == [("Name", "Days"), ()]
    assert [table.rows for table in tables] == [(("Anna", "30"), ("Bo", "28")), (("3", "4"), ("5", "6"))]
    assert [line for line in prose.splitlines() if line] == ["Staff", "Since May."]
    assert read_tables("no table") == ((), "no table")
