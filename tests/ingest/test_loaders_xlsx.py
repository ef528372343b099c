"""Workbooks, made here with openpyxl."""

import datetime
import zipfile
from pathlib import Path

import openpyxl
import pytest

from ingest.limits import Limits
from ingest.loaders.number_format import show_value
from ingest.loaders.xlsx import load_xlsx
from rag.errors import DocumentError
from rag.types import ParsedDocument


def parse(workbook: openpyxl.Workbook, tmp_path: Path, limits: Limits | None = None) -> ParsedDocument:
    path = tmp_path / "made.xlsx"
    workbook.save(path)
    return load_xlsx(path, name="made.xlsx", password=None, limits=limits or Limits())


def test_sheets_are_sections_and_regions_tables(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    prices = workbook.active
    prices.title = "Prices"
    prices["B2"] = "Price list 2024"
    for column, text in zip("BCD", ["Item", "Price", "Since"], strict=True):
        prices[f"{column}3"] = text
    prices["B4"], prices["C4"], prices["D4"] = "Pen", 1234.5, datetime.date(2024, 5, 3)
    prices["C4"].number_format = '#,##0.00 "€"'
    prices["B5"], prices["D5"] = "Ink\nblue", datetime.datetime(2024, 5, 3, 14, 30)
    prices["B8"], prices["C8"] = 1, 0.256
    prices["C8"].number_format = "0.0%"
    workbook.create_sheet("Empty")
    hidden = workbook.create_sheet("Notes")
    hidden.sheet_state = "hidden"
    hidden["A1"], hidden["A2"], hidden["A3"] = "just", True, "lines"
    parsed = parse(workbook, tmp_path)
    assert parsed.text == (
        "Prices\n\nPrice list 2024\n\nItem | Price | Since\nPen | 1,234.50 € | 2024-05-03\n"
        "Ink blue | | 2024-05-03 14:30\n\n1 | 25.6%\n\nNotes\n\njust\nTRUE\nlines"
    )
    assert [block.table_header for block in parsed.blocks if block.kind == "table"] == [
        "Item | Price | Since",
        None,
        None,
    ]
    assert {block.heading for block in parsed.blocks} == {"Prices", "Notes"}
    assert parsed.pages == ()
    assert parsed.receipt.warnings == ("The sheet “Notes” is hidden in the workbook.",)


def test_a_far_away_cell_costs_little(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    workbook.active["A1"] = "near"
    workbook.active["XFD200000"] = "far"
    parsed = parse(workbook, tmp_path)
    assert parsed.text == "Sheet\n\nnear\n\nfar"


def test_a_row_number_beyond_every_sheet_is_damage(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    workbook.active.append(["near"])
    path, edited = tmp_path / "made.xlsx", tmp_path / "edited.xlsx"
    workbook.save(path)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(edited, "w") as target:
        for entry in source.namelist():
            target.writestr(entry, source.read(entry).replace(b'<row r="1"', b'<row r="999999999999"'))
    with pytest.raises(DocumentError) as caught:
        load_xlsx(edited, name="edited.xlsx", password=None, limits=Limits())
    assert caught.value.code == "corrupt"


def test_too_much_text_is_refused(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    for _ in range(50):
        workbook.active.append(["word"] * 10)
    with pytest.raises(DocumentError) as caught:
        parse(workbook, tmp_path, Limits(max_chars=1000))
    assert caught.value.code == "too_large"


def test_formulas_without_a_result_are_counted(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    workbook.active.append(["sum", "=1+1", "=2+2"])
    parsed = parse(workbook, tmp_path)
    assert parsed.text == "Sheet\n\nsum"
    assert parsed.receipt.warnings[0].startswith("Formulas without a stored result were left out: 2;")


def test_damaged_and_empty_workbooks_say_so(tmp_path: Path) -> None:
    path = tmp_path / "bad.xlsx"
    path.write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(DocumentError) as caught:
        load_xlsx(path, name="bad.xlsx", password=None, limits=Limits())
    assert caught.value.code == "corrupt"
    with pytest.raises(DocumentError) as caught:
        parse(openpyxl.Workbook(), tmp_path)
    assert caught.value.code == "no_text"


@pytest.mark.parametrize(
    ("value", "number_format", "shown"),
    [
        (0.1 + 0.2, "General", "0.3"),
        (3.0, "General", "3"),
        (12, None, "12"),
        (1234567, "#,##0", "1,234,567"),
        (-1234.5, "#,##0.00;[Red](#,##0.00)", "-1,234.50"),
        (0.5, "0%", "50%"),
        (9.5, "[$€-407] #,##0.00", "€ 9.50"),
        (9.5, "$0.00_);($0.00)", "$9.50"),
        (7, '0 "of 10"', "7 of 10"),
        (1067, "00000", "01067"),
        (1e20, "0.00E+00", "1e+20"),
        (0.25, "# ?/?", "0.25"),
        (5_000_000, "0.0,,", "5000000"),
        (-0.001, "0.00", "0.00"),
        (float("nan"), "0.00", "nan"),
        (True, "General", "TRUE"),
        (None, "General", ""),
        ("text", "0.00", "text"),
        (datetime.time(9, 5), "hh:mm", "09:05:00"),
        (datetime.datetime(2024, 1, 2), "dd.mm.yyyy", "2024-01-02"),
        (datetime.timedelta(hours=30), "[h]:mm", "1 day, 6:00:00"),
        ("#REF!", "General", "#REF!"),
    ],
)
def test_values_read_like_in_the_cell(value: object, number_format: str | None, shown: str) -> None:
    assert show_value(value, number_format) == shown
