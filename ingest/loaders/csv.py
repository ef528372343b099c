"""CSV and TSV: one table, a line a record, the first record kept as header where it reads like one."""

import csv
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path, PurePath

from ingest.builder import TextBuilder
from ingest.limits import Limits
from ingest.loaders.encoding import decode
from rag.errors import DocumentError
from rag.types import ParsedDocument

MEDIA_TYPE = "text/csv"

_DELIMITERS = ",;\t|"
_SAMPLE_CHARS = 65_536
_SAMPLE_RECORDS = 50
_NUMBER_OR_DATE = re.compile(r"[-+(]?[€$£]?\s?\d[\d.,:/\s%€$£TZ)+-]*")
_SEPARATOR_LINE = re.compile(r"\ufeff?sep=(.)\r?\n")  # of spreadsheet programs


def load_csv(path: Path, *, name: str, password: str | None, limits: Limits) -> ParsedDocument:
    """Parse a file of delimited records; the delimiter is found by trying which one gives records of equal length.

    Raises:
        DocumentError: `empty`, `no_text`, `too_large`, `corrupt` (a quotation that never ends in a huge field).
    """
    data = path.read_bytes()
    if not data:
        raise DocumentError("empty", "The file is empty; upload one with content.")
    decoded = decode(data)
    text = decoded.text.replace("\x00", "")
    builder = TextBuilder(limits)
    decoded.report(builder)
    named = _SEPARATOR_LINE.match(text)
    if named is not None:
        delimiter, text = named.group(1), text[named.end() :]
    else:
        delimiter = _find_delimiter(text, PurePath(name).suffix.lower())
    records = _records(text, delimiter, limits)
    first = next(records, [])
    header = bool(first) and not any(_NUMBER_OR_DATE.fullmatch(cell.strip()) for cell in first)
    builder.add_table(itertools.chain([first], records), header=header)
    media_type = "text/tab-separated-values" if delimiter == "\t" else MEDIA_TYPE
    return builder.build(media_type=media_type, encoding=decoded.encoding)


def _records(text: str, delimiter: str, limits: Limits) -> Iterator[list[str]]:
    """The records that are not empty."""
    csv.field_size_limit(min(limits.max_chars, 2**31 - 1))  # the module's own bound of 128 KiB is below ours
    try:
        for record in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True):
            if any(cell.strip() for cell in record):
                yield record
    except csv.Error as error:
        raise DocumentError(
            "corrupt", f"The file cannot be read as CSV ({error}); export it again with quoted fields."
        ) from error


def _find_delimiter(text: str, suffix: str) -> str:
    """The delimiter whose first records have the most equal number of fields, at least two."""
    if suffix == ".tsv":
        return "\t"
    sample = text[:_SAMPLE_CHARS]
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=True)
        try:
            lengths = [len(record) for record in itertools.islice(reader, _SAMPLE_RECORDS) if record]
        except csv.Error:
            continue
        if len(lengths) > 1 and len(sample) == _SAMPLE_CHARS:
            lengths.pop()  # the sample may end inside it
        usual = max(set(lengths), key=lengths.count, default=1)
        if usual < 2:
            continue
        score = lengths.count(usual) / len(lengths) + min(usual, 20) / 1000
        if score > best_score:
            best, best_score = delimiter, score
    return best
