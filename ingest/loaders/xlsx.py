"""Workbooks: each sheet is a section, each block of rows between empty rows a table."""

import itertools
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import openpyxl
from lxml import etree
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet._read_only import ReadOnlyWorksheet

from ingest.builder import TextBuilder
from ingest.limits import Limits
from ingest.loaders.number_format import show_value
from rag.errors import DocumentError
from rag.types import ParsedDocument

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_MAX_ROWS = 1_048_576  # of a sheet (ECMA-376 sets no bound; this is what spreadsheet programs write)
_MAX_LINES_ABOVE = 20  # more rows of one cell are a list, not the lines above a table
_SHEET_FILE = re.compile(r"xl/worksheets/[^/]+\.xml")
_UNCOMPUTED = re.compile(rb"<f(?:\s[^>]*)?(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v></v>)?\s*</c>")
_READ_BYTES = 1 << 20
_OVERLAP_BYTES = 16_384  # longest formula, so that none is missed at a seam
_NUMBER = re.compile(r"[-+(]?[€$£]?\s?\d[\d.,:\s%€$£)-]*")


def load_xlsx(path: Path, *, name: str, password: str | None, limits: Limits) -> ParsedDocument:
    """Parse a workbook with the values that its formulas had when it was saved.

    Sheets are headings, hidden ones named in a warning. Rows above a table that fill one cell are paragraphs; its
    first row is a header if it holds texts only.

    Raises:
        DocumentError: `corrupt`, `no_text`, `too_large`.
    """
    builder = TextBuilder(limits)
    try:
        with path.open("rb") as file:
            title = _read_workbook(builder, file)
        n_uncomputed = _count_uncomputed(path)
    except (InvalidFileException, KeyError, ValueError, TypeError, AttributeError, IndexError, SyntaxError) as error:
        raise _corrupt() from error
    except (etree.XMLSyntaxError, zipfile.BadZipFile, EOFError) as error:
        raise _corrupt() from error
    if n_uncomputed:
        builder.warn(
            f"Formulas without a stored result were left out: {n_uncomputed}; "
            "open the workbook in a spreadsheet program, save it, and upload it again."
        )
    return builder.build(media_type=MEDIA_TYPE, title=title)


def _corrupt() -> DocumentError:
    return DocumentError(
        "corrupt",
        "The file is no whole workbook; open it in a spreadsheet program, save it again as .xlsx, upload that.",
    )


def _read_workbook(builder: TextBuilder, file: IO[bytes]) -> str | None:
    """Add every sheet; returns the title the workbook gives itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of features that openpyxl does not keep when it writes
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True)
        for sheet in workbook.worksheets:
            _add_sheet(builder, sheet)
        if workbook.chartsheets:
            builder.warn(f"Chart sheets were left out: {len(workbook.chartsheets)}.")
        title: str | None = workbook.properties.title
        return title


def _add_sheet(builder: TextBuilder, sheet: ReadOnlyWorksheet) -> None:
    sheet.reset_dimensions()  # the size a file claims may be wrong, or a million rows of nothing
    rows = (_shown(row) for row in _bounded(sheet.iter_rows()))
    regions = (region for filled, region in itertools.groupby(rows, key=bool) if filled)
    for index, region in enumerate(regions):
        if index == 0:
            builder.add_heading(1, sheet.title)
            if sheet.sheet_state != "visible":
                builder.warn(f"The sheet “{sheet.title}” is hidden in the workbook.")
                builder.flag("hidden_sheet")
        _add_region(builder, region)


def _bounded(rows: Iterable[Any]) -> Iterator[Any]:
    """The rows; openpyxl fills the gaps between them, however far apart a damaged file says they are."""
    for index, row in enumerate(rows):
        if index >= _MAX_ROWS:
            raise _corrupt()
        yield row


def _shown(row: Iterable[Any]) -> list[str]:
    """The cells as text, without empty ones at the end; [] for an empty row."""
    cells = [show_value(cell.value, getattr(cell, "number_format", None)).strip() for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _add_region(builder: TextBuilder, rows: Iterator[list[str]]) -> None:
    """Add rows that no empty row parts: lines above the table, then the table."""
    above: list[list[str]] = []
    first: list[str] = []
    for row in rows:
        if sum(map(bool, row)) > 1:
            first = row
            break
        above.append(row)
        if len(above) > _MAX_LINES_ABOVE:
            break
    if not first:  # one column
        margin = min(map(len, above)) - 1
        builder.add_table((_without_margin(row, margin) for row in itertools.chain(above, rows)), header=False)
        return
    for row in above:
        builder.add_paragraph(row[-1])
    margin = next(index for index, cell in enumerate(first) if cell)
    header = not any(_NUMBER.fullmatch(cell) for cell in first)
    builder.add_table((_without_margin(row, margin) for row in itertools.chain([first], rows)), header=header)


def _without_margin(row: list[str], margin: int) -> list[str]:
    """The row without the empty columns on the left that the table's first row has."""
    n_empty = next((index for index, cell in enumerate(row) if cell), 0)
    return row[min(margin, n_empty) :]


def _count_uncomputed(path: Path) -> int:
    """Formulas for which the file holds no value, as programs write that do not compute."""
    count = 0
    with zipfile.ZipFile(path) as archive:
        for entry in archive.namelist():
            if not _SHEET_FILE.fullmatch(entry):
                continue
            tail = b""
            with archive.open(entry) as stream:
                while piece := stream.read(_READ_BYTES):
                    window = tail + piece
                    last = 0
                    for match in _UNCOMPUTED.finditer(window):
                        count += 1
                        last = match.end()
                    tail = window[max(last, len(window) - _OVERLAP_BYTES) :]
    return count
