"""The one place that counts offsets."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.builder import TextBuilder
from ingest.limits import Limits
from rag.errors import DocumentError
from rag.normalize import is_normalized
from rag.types import ParsedDocument


def build(builder: TextBuilder) -> ParsedDocument:
    return builder.build(media_type="text/plain")


def test_blocks_stand_where_they_say_under_their_heading_path() -> None:
    builder = TextBuilder(Limits())
    builder.add_paragraph("Before  all\u00a0headings")
    builder.add_heading(1, "Leave")
    builder.add_heading(2, "Parental\nleave")
    builder.add_paragraph("Ten weeks.")
    builder.add_heading(3, "Twins")
    builder.add_heading(2, "Sick leave")
    builder.add_list_item("call in")
    builder.add_list_item("rest", marker="2.", level=1)
    builder.add_paragraph(" \u200b ")
    builder.add_code("  a  b\n    c\n")
    parsed = build(builder)
    assert parsed.text == (
        "Before all headings\n\nLeave\n\nParental leave\n\nTen weeks.\n\nTwins\n\nSick leave\n\n"
        "- call in\n  2. rest\n\n  a  b\n    c"
    )
    assert [(block.kind, parsed.text[block.start : block.end], block.heading) for block in parsed.blocks] == [
        ("paragraph", "Before all headings", None),
        ("heading", "Leave", "Leave"),
        ("heading", "Parental leave", "Leave › Parental leave"),
        ("paragraph", "Ten weeks.", "Leave › Parental leave"),
        ("heading", "Twins", "Leave › Parental leave › Twins"),
        ("heading", "Sick leave", "Leave › Sick leave"),
        ("list", "- call in\n  2. rest", "Leave › Sick leave"),
        ("code", "  a  b\n    c", "Leave › Sick leave"),
    ]
    assert parsed.title == "Leave"
    assert parsed.receipt.pages[0].page is None
    assert parsed.receipt.pages[0].n_chars == len(parsed.text)


def test_a_table_is_a_line_a_row_and_knows_its_header() -> None:
    builder = TextBuilder(Limits())
    builder.add_table([["", " "], ["Name", "Age |\nyears", ""], [], ["Ann", "5"], ["", "6"]])
    builder.add_table([["only", "row"]])
    builder.add_table([["a"], ["b"]], header=False)
    parsed = build(builder)
    assert parsed.text == "Name | Age ¦ years\nAnn | 5\n| 6\n\nonly | row\n\na\nb"
    assert [block.table_header for block in parsed.blocks] == ["Name | Age ¦ years", None, None]


def test_pages_are_contiguous_even_where_one_is_empty() -> None:
    builder = TextBuilder(Limits())
    builder.start_page(1, width=720, height=540)
    builder.add_paragraph("One")
    builder.start_page(2)
    builder.flag("no_text")
    builder.flag("no_text")
    builder.start_page(3)
    builder.add_paragraph("Three")
    builder.start_page(4)
    parsed = build(builder)
    assert parsed.text == "One\n\nThree"
    assert [(page.number, page.start, page.end) for page in parsed.pages] == [
        (1, 0, 5),
        (2, 5, 5),
        (3, 5, 10),
        (4, 10, 10),
    ]
    assert parsed.pages[0].width == 720
    assert [(receipt.page, receipt.n_chars, receipt.flags) for receipt in parsed.receipt.pages] == [
        (1, 5, ()),
        (2, 0, ("no_text",)),
        (3, 5, ()),
        (4, 0, ()),
    ]


def test_a_page_may_start_without_a_heading() -> None:
    builder = TextBuilder(Limits())
    builder.add_heading(1, "First")
    builder.leave_headings()
    builder.add_paragraph("text")
    assert build(builder).blocks[1].heading is None


def test_nothing_visible_is_no_text() -> None:
    builder = TextBuilder(Limits())
    builder.add_heading(1, " ")
    builder.add_list_item("\u200b")
    builder.add_table([["", None or ""]])
    with pytest.raises(DocumentError) as caught:
        build(builder)
    assert caught.value.code == "no_text"


def test_limits_hold() -> None:
    builder = TextBuilder(Limits(max_chars=10, max_pages=2))
    with pytest.raises(DocumentError) as caught:
        builder.add_table(["ab"] for _ in iter(int, 1))  # an endless table
    assert caught.value.code == "too_large"
    builder.start_page(1)
    builder.start_page(2)
    with pytest.raises(DocumentError, match="more than 2 pages"):
        builder.start_page(3)
    builder.add_paragraph("0123456789")
    with pytest.raises(DocumentError, match="more than 10 characters"):
        builder.add_paragraph("x")


def test_warnings_are_kept_once() -> None:
    builder = TextBuilder(Limits())
    builder.warn("Two pictures have no description.")
    builder.warn("Two pictures have no description.")
    builder.add_paragraph("x")
    assert build(builder).receipt.warnings == ("Two pictures have no description.",)


PIECE = st.text(alphabet=st.sampled_from(list("aé\u0301\u0308 \n\t|xÅ가\u200b")), max_size=12)


@given(
    st.lists(st.tuples(st.sampled_from(["heading", "paragraph", "item", "table", "code", "page"]), PIECE), max_size=12)
)
def test_any_sequence_gives_normalized_text_with_exact_blocks(pieces: list[tuple[str, str]]) -> None:
    builder = TextBuilder(Limits())
    builder.start_page(1)
    builder.add_paragraph("start")
    n_pages = 1
    for kind, text in pieces:
        if kind == "heading":
            builder.add_heading(len(text) % 3 + 1, text)
        elif kind == "paragraph":
            builder.add_paragraph(text)
        elif kind == "item":
            builder.add_list_item(text)
        elif kind == "table":
            builder.add_table([[text, "x"], ["y", text]])
        elif kind == "code":
            builder.add_code(text)
        else:
            n_pages += 1
            builder.start_page(n_pages)
    parsed = build(builder)
    assert is_normalized(parsed.text)
    assert unicodedata.is_normalized("NFC", parsed.text)
    position = 0
    for block in parsed.blocks:
        assert parsed.text[position : block.start].strip() == ""
        assert parsed.text[block.start : block.end].strip() != ""
        position = block.end
    assert position == len(parsed.text)
    assert [page.number for page in parsed.pages] == list(range(1, n_pages + 1))
    assert parsed.pages[0].start == 0
    assert parsed.pages[-1].end == len(parsed.text)
    assert all(left.end == right.start for left, right in zip(parsed.pages, parsed.pages[1:], strict=False))
