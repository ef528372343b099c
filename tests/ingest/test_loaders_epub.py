"""Books, zipped together here."""

import zipfile
from pathlib import Path

import pytest

from ingest.limits import Limits
from ingest.loaders.epub import load_epub
from rag.errors import DocumentError
from rag.types import ParsedDocument

CONTAINER = '<container xmlns="urn:oasis"><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
PACKAGE = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The Book</dc:title></metadata>
<manifest><item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="t" href="toc.ncx" media-type="application/x-dtbncx+xml"/>
<item id="two" href="text/ch%202.xhtml" media-type="application/xhtml+xml"/>
<item id="one" href="text/ch1.xhtml" media-type="application/xhtml+xml"/>
<item id="gone" href="text/gone.xhtml" media-type="application/xhtml+xml"/>
<item id="pic" href="a.png" media-type="image/png"/></manifest>
<spine><itemref idref="n"/><itemref idref="one"/><itemref idref="two"/><itemref idref="gone"/><itemref idref="pic"/>
<itemref idref="unknown"/></spine></package>"""
FILES = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": CONTAINER,
    "OPS/book.opf": PACKAGE,
    "OPS/nav.xhtml": (
        '<html xmlns="http://www.w3.org/1999/xhtml"><body><nav><a href="text/ch1.xhtml">Start</a></nav></body></html>'
    ),
    "OPS/toc.ncx": (
        '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>Second</text></navLabel>'
        '<content src="text/ch%202.xhtml#top"/></navPoint></navMap></ncx>'
    ),
    "OPS/text/ch1.xhtml": (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml">'
        "<head><title>x</title></head><body><h1>One</h1><p>It was&nbsp;dark.</p></body></html>"
    ),
    "OPS/text/ch 2.xhtml": "<html><body><p>It was light.<p>Still.</body></html>",
}


def parse(tmp_path: Path, **changes: str | None) -> ParsedDocument:
    path = tmp_path / "made.epub"
    files = FILES | {name.replace("__", "/").replace("_xml", ".xml"): data for name, data in changes.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            if data is not None:
                archive.writestr(name, data)
    return load_epub(path, name="made.epub", password=None, limits=Limits())


def test_chapters_come_in_the_order_of_the_spine(tmp_path: Path) -> None:
    parsed = parse(tmp_path)
    assert parsed.title == "The Book"
    assert [(block.kind, parsed.text[block.start : block.end], block.heading) for block in parsed.blocks] == [
        ("heading", "One", "One"),
        ("paragraph", "It was dark.", "One"),
        ("heading", "Second", "Second"),
        ("paragraph", "It was light.", "Second"),
        ("paragraph", "Still.", "Second"),
    ]
    assert parsed.pages == ()
    assert parsed.receipt.warnings == ("Chapters that the book names but does not hold: 1.",)


def test_copy_protection_is_named_and_scrambled_fonts_are_not(tmp_path: Path) -> None:
    one = '<encryption><EncryptionMethod xmlns="urn:enc" Algorithm="{}"/></encryption>'
    with pytest.raises(DocumentError) as caught:
        parse(tmp_path, **{"META-INF__encryption_xml": one.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc")})
    assert caught.value.code == "encrypted"
    fonts = one.format("http://www.idpf.org/2008/embedding")
    assert "dark" in parse(tmp_path, **{"META-INF__encryption_xml": fonts}).text


@pytest.mark.parametrize(
    "container", [None, "<container/>", "no xml", CONTAINER.replace("book.opf", "../../etc/passwd")]
)
def test_damaged_books_say_so(tmp_path: Path, container: str | None) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(tmp_path, **{"META-INF__container_xml": container})
    assert caught.value.code == "corrupt"


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "made.epub"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(DocumentError) as caught:
        load_epub(path, name="made.epub", password=None, limits=Limits())
    assert caught.value.code == "corrupt"
