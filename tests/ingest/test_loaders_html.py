"""HTML and XHTML pages."""

from pathlib import Path

import pytest

from ingest.limits import Limits
from ingest.loaders.html import load_html
from rag.errors import DocumentError
from rag.types import ParsedDocument


def parse(page: str | bytes, tmp_path: Path) -> ParsedDocument:
    path = tmp_path / "made.html"
    path.write_bytes(page.encode() if isinstance(page, str) else page)
    return load_html(path, name="made.html", password=None, limits=Limits())


def blocks(parsed: ParsedDocument) -> list[tuple[str, str]]:
    return [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<p>a <b>b</b>\n  c</p>d", [("paragraph", "a b c"), ("paragraph", "d")]),
        ("a<br>b<br/>c", [("paragraph", "a\nb\nc")]),
        (
            "<h1>T</h1><div>x<div>y</div>z</div>",
            [("heading", "T"), ("paragraph", "x"), ("paragraph", "y"), ("paragraph", "z")],
        ),
        ("<nav>menu</nav><script>s</script><style>t</style><p>x</p><template>u</template>", [("paragraph", "x")]),
        ("<p hidden>a</p><p style='DISPLAY: none'>b</p><p aria-hidden=true>c</p><p>d</p>", [("paragraph", "d")]),
        ("<p>a<!-- no -->b<span hidden>x</span>c</p>", [("paragraph", "abc")]),
        ("<ul><li>a<li>b<ul><li>c</ul></ul>", [("list", "- a\n- b\n  - c")]),
        ("<ol start=4><li>a<li value=9>b<li><p>c</p><p>d</p></ol>", [("list", "4. a\n9. b\n10. c\nd")]),
        ("<li>alone", [("list", "- alone")]),
        ("<dl><dt>T<dd><p>D</p><dd>E<dt>U<dd>F</dl>", [("paragraph", "T\nD\nE"), ("paragraph", "U\nF")]),
        ("<pre>  a\n    b</pre>", [("code", "  a\n    b")]),
        ("<table><tr><th>A<th>B<tr><td>1<td>2</table>", [("table", "A | B\n1 | 2")]),
        ("<table><tr><td colspan=2>x<td>y<tr><td>1<td>2<td>3</table>", [("table", "x | | y\n1 | 2 | 3")]),
        (
            "<table><caption>Cap</caption><tr><td><p>a</p><ul><li>b</ul><td>c|d<tr><td>1<td>2</table>",
            [("paragraph", "Cap"), ("table", "a b | c¦d\n1 | 2")],
        ),
        ("<table><tr><td><p>one</p><p>two</p></table>", [("paragraph", "one"), ("paragraph", "two")]),
        (
            "<table><tr><td>menu<td><h2>T</h2>x<table><tr><td>1<td>2</table></table>",
            [("paragraph", "menu"), ("heading", "T"), ("paragraph", "x"), ("table", "1 | 2")],
        ),
        ("H<sub>2</sub>O 10<sup>-6</sup> x<sup>note</sup>", [("paragraph", "H2O 10⁻⁶ xnote")]),
        ("<p>&lt;b&gt; &amp;amp; &nbsp; caf&eacute; <q>hi</q></p>", [("paragraph", "<b> &amp; café “hi”")]),
        ("<img alt='A cat'> sat <img src=x>", [("paragraph", "A cat sat")]),
        ("<svg><title>no</title></svg><p>x", [("paragraph", "x")]),
        ("<blockquote>q<h3>H</h3>r</blockquote>", [("paragraph", "q"), ("heading", "H"), ("paragraph", "r")]),
        ("just text, <|im_start|> & no tags", [("paragraph", "just text, <|im_start|> & no tags")]),
    ],
)
def test_a_page_reads_like_on_the_screen(tmp_path: Path, page: str, expected: list[tuple[str, str]]) -> None:
    assert blocks(parse(page, tmp_path)) == expected


def test_title_language_and_headings(tmp_path: Path) -> None:
    parsed = parse("<html><head><title>A &amp; B</title></head><body><h1>X</h1><h3>Y</h3><p>z<h2>W</h2>", tmp_path)
    assert parsed.title == "A & B"
    assert [block.heading for block in parsed.blocks] == ["X", "X › Y", "X › Y", "X › W"]


def test_header_rows(tmp_path: Path) -> None:
    with_header = parse("<table><thead><tr><td>A<td>B</thead><tr><td>1<td>2</table>", tmp_path)
    without = parse("<table><tr><td>A<td>B<tr><td>1<td>2</table>", tmp_path)
    assert with_header.blocks[0].table_header == "A | B"
    assert without.blocks[0].table_header is None


@pytest.mark.parametrize(
    ("page", "encoding"),
    [
        ("<meta charset=windows-1251><p>Привет", "cp1251"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1"><p>“é”', "cp1252"),
        ("<p>Привет без указания", "utf-8"),
        ("<p>Wide", "utf-16"),
    ],
)
def test_encodings(tmp_path: Path, page: str, encoding: str) -> None:
    parsed = parse(page.encode(encoding), tmp_path)
    assert parsed.text == page.rpartition(">")[2]


def test_xhtml_with_entities_and_empty_elements(tmp_path: Path) -> None:
    page = (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://x/y.dtd">'
        '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>T</title><script src="a.js"/></head>'
        '<body><a id="x"/><p>caf&eacute;&nbsp;&mdash; &lt;ok&gt;</p></body></html>'
    )
    parsed = parse(page, tmp_path)
    assert (parsed.title, parsed.text) == ("T", "café — <ok>")
    assert parse('<?xml version="1.0"?><html><body><p>not <b>well formed</p></body></html>', tmp_path).text == (
        "not well formed"
    )


def test_entities_are_never_expanded(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("top secret")
    entities = f'<!ENTITY a "ha"><!ENTITY b "{"&a;" * 50}"><!ENTITY c SYSTEM "{secret}">'
    page = f'<?xml version="1.0"?><!DOCTYPE html [{entities}]><html><body><p>x &b; &c;</p></body></html>'
    assert "haha" not in (text := parse(page, tmp_path).text)
    assert "secret" not in text


def test_deep_nesting_is_read_or_refused_never_cut_off(tmp_path: Path) -> None:
    assert parse("<div>" * 2_000 + "deep", tmp_path).text == "deep"
    with pytest.raises(DocumentError, match="too deep"):
        parse("<p>seen</p>" + "<div>" * 20_000 + "deep", tmp_path)
    assert parse("<ul><li>x" * 300, tmp_path).text.count("x") == 300


@pytest.mark.parametrize(
    ("page", "code"), [(b"", "empty"), (b"<!-- only -->", "no_text"), (b"<html><body><script>x</script>", "no_text")]
)
def test_nothing_is_an_error(tmp_path: Path, page: bytes, code: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(page, tmp_path)
    assert caught.value.code == code
