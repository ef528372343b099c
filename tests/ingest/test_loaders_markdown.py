"""Markdown files."""

from pathlib import Path

import pytest

from ingest.limits import Limits
from ingest.loaders.markdown import load_markdown
from rag.types import ParsedDocument


def parse(text: str, tmp_path: Path) -> ParsedDocument:
    path = tmp_path / "made.md"
    path.write_bytes(text.encode())
    return load_markdown(path, name="made.md", password=None, limits=Limits())


def blocks(parsed: ParsedDocument) -> list[tuple[str, str]]:
    return [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks]


def test_an_article_is_a_heading_and_its_paragraphs(tmp_path: Path) -> None:
    article = '# 1973 oil crisis\n\nThe crisis began (OAPEC) in 1973.[1] It cost US$3.\n\nThe "shock" came * later_on_.'
    parsed = parse(article + "\n", tmp_path)
    assert parsed.text == article[2:]
    assert parsed.title == "1973 oil crisis"
    assert [block.heading for block in parsed.blocks] == ["1973 oil crisis"] * 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a *b* **c** ~~d~~ `e*f`", [("paragraph", "a b c d e*f")]),
        ("[text](http://x.y) <http://z.w> ![alt *x*](a.png)", [("paragraph", "text http://z.w alt x")]),
        ("soft\nwrapped  \nhard", [("paragraph", "soft wrapped\nhard")]),
        ("AT&amp;T &lt;b&gt; \\*no\\*", [("paragraph", "AT&T <b> *no*")]),
        ("<Name> and <|im_start|> and a<br>b", [("paragraph", "<Name> and <|im_start|> and a\nb")]),
        ("10<sup>6</sup> <b>x</b><!-- no -->", [("paragraph", "10⁶ x")]),
        ("- a\n- b\n  - c\n\n1. x\n2. y", [("list", "- a\n- b\n  - c\n1. x\n2. y")]),
        ("3) x\n4) y", [("list", "3) x\n4) y")]),
        ("- a\n\n  b\n\n- c", [("list", "- a\nb\n- c")]),
        ("- a\n\n  ```\n  x\n  ```\n\n  b", [("list", "- a"), ("code", "x"), ("paragraph", "b")]),
        ("| a | b |\n|---|---|\n| 1 | `x` |", [("table", "a | b\n1 | x")]),
        ("```py\nif x:\n    y\n\nz\n```", [("code", "if x:\n    y\n\nz")]),
        ("    indented\n      code", [("code", "indented\n  code")]),
        ("> quote\n>\n> more", [("paragraph", "quote"), ("paragraph", "more")]),
        ("<div><h2>In</h2><p>html</p><script>no</script></div>", [("heading", "In"), ("paragraph", "html")]),
        ("Title\n=====\n\ntext\n\n---\n\nmore", [("heading", "Title"), ("paragraph", "text"), ("paragraph", "more")]),
        ("a[^1] and [1]\n\n[^1]: note", [("paragraph", "a[^1] and [1]"), ("paragraph", "[^1]: note")]),
    ],
)
def test_marks_go_and_text_stays(tmp_path: Path, text: str, expected: list[tuple[str, str]]) -> None:
    assert blocks(parse(text, tmp_path)) == expected


def test_tables_keep_their_header_and_headings_their_path(tmp_path: Path) -> None:
    parsed = parse("# A\n## B\n| x | y |\n|--|--|\n| 1 | 2 |\n## C\nt", tmp_path)
    table = parsed.blocks[2]
    assert (table.heading, table.table_header) == ("A › B", "x | y")
    assert parsed.blocks[-1].heading == "A › C"


def test_front_matter_gives_the_title_and_a_warning(tmp_path: Path) -> None:
    parsed = parse('---\ntitle: "My paper"\ntags: [a]\n---\n# Other\n\ntext', tmp_path)
    assert parsed.title == "My paper"
    assert parsed.text == "Other\n\ntext"
    assert len(parsed.receipt.warnings) == 1
    assert parse("---\njust a line\n---\n\ntext", tmp_path).text.startswith("just a line")


def test_absurd_nesting_is_read_as_text(tmp_path: Path) -> None:
    parsed = parse(">" * 5000 + " deep\n\n" + "- " * 300 + "deeper", tmp_path)
    assert "deep" in parsed.text and "deeper" in parsed.text
    assert "plain text" in parsed.receipt.warnings[0]
    assert "deep" in parse("> " * 50 + "deep", tmp_path).text
    assert parse("-" * 200 + "\n\ntext", tmp_path).receipt.warnings == ()
