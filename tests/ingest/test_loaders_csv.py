"""Delimited records."""

from pathlib import Path

import pytest

from ingest.limits import Limits
from ingest.loaders.csv import load_csv
from rag.errors import DocumentError
from rag.types import ParsedDocument


def parse(text: str | bytes, tmp_path: Path, name: str = "made.csv", limits: Limits | None = None) -> ParsedDocument:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_csv(path, name=name, password=None, limits=limits or Limits())


@pytest.mark.parametrize(
    ("text", "expected", "header"),
    [
        ("name,age\nAnn,5\nBob,6\n", "name | age\nAnn | 5\nBob | 6", "name | age"),
        ("name;age\nAnn;5,5\nBob;6,1\n", "name | age\nAnn | 5,5\nBob | 6,1", "name | age"),
        ("name\tnote\nAnn\ta, b\n", "name | note\nAnn | a, b", "name | note"),
        ('a,b\n"x, y","line\nbreak"\n', "a | b\nx, y | line break", "a | b"),
        ('a,b\n"say ""hi""",x|y\n', 'a | b\nsay "hi" | x¦y', "a | b"),
        ("1,2\n3,4\n", "1 | 2\n3 | 4", None),
        ("2024-05-03,x\n2024-05-04,y\n", "2024-05-03 | x\n2024-05-04 | y", None),
        ("one column\nof text\n", "one column\nof text", "one column"),
        ("sep=;\na;b\n1;2\n", "a | b\n1 | 2", "a | b"),
        ("\ufeffa,b\r\n\r\n1,2\r\n", "a | b\n1 | 2", "a | b"),
        ("a,b\n1\n1,2,3\n", "a | b\n1\n1 | 2 | 3", "a | b"),
        ("a,b\x00\n1,2\n", "a | b\n1 | 2", "a | b"),
    ],
)
def test_records_become_lines(tmp_path: Path, text: str, expected: str, header: str | None) -> None:
    parsed = parse(text, tmp_path)
    assert parsed.text == expected
    assert parsed.blocks[0].table_header == header
    assert len(parsed.blocks) == 1


def test_tsv_by_name_and_encoding(tmp_path: Path) -> None:
    parsed = parse("Größe\tMaß\nklein\t1\n".encode("cp1252"), tmp_path, "made.tsv")
    assert parsed.text == "Größe | Maß\nklein | 1"
    assert parsed.media_type == "text/tab-separated-values"
    assert parsed.receipt.encoding == "cp1252"


def test_a_large_field_is_read(tmp_path: Path) -> None:
    assert len(parse("a,b\n" + "x" * 300_000 + ",y\n", tmp_path).text) == 300_010


def test_an_open_quotation_and_an_empty_file_say_so(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        parse('a,b\n"' + "x" * 2000, tmp_path, limits=Limits(max_chars=1000))
    assert caught.value.code == "corrupt"
    with pytest.raises(DocumentError) as caught:
        parse("", tmp_path)
    assert caught.value.code == "empty"
    with pytest.raises(DocumentError) as caught:
        parse(",,\n,,\n", tmp_path)
    assert caught.value.code == "no_text"
