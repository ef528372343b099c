"""Cutting parsed documents into passages."""

import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.builder import TextBuilder
from ingest.chunk import cut_passages
from ingest.limits import Limits
from rag.passage_text import embedding_text
from rag.types import Block, NewPassage, ParsedDocument, Receipt


@dataclass
class Words:
    """A token is a word of up to eight letters or a single sign."""

    max_tokens: int = 256
    n_calls: int = 0

    def token_ends(self, text: str) -> tuple[int, ...]:
        self.n_calls += 1
        return tuple(match.end() for match in re.finditer(r"\w{1,8}|[^\w\s]", text))


def cut(builder: TextBuilder, max_tokens: int) -> tuple[NewPassage, ...]:
    parsed = builder.build(media_type="text/plain")
    passages = cut_passages(parsed, Words(), max_tokens=max_tokens)
    check_cover(parsed, passages)
    return passages


def check_cover(parsed: ParsedDocument, passages: tuple[NewPassage, ...]) -> None:
    assert "".join(passage.text for passage in passages) == parsed.text
    position = 0
    for ordinal, passage in enumerate(passages):
        assert passage.ordinal == ordinal
        assert passage.start == position < passage.end
        assert passage.text == parsed.text[passage.start : passage.end]
        assert passage.text.strip()
        position = passage.end


def sentence(n_words: int, word: str = "word") -> str:
    return " ".join([word] * (n_words - 1) + ["end."])  # n_words + 1 tokens


def test_small_paragraphs_of_one_section_are_packed() -> None:
    builder = TextBuilder(Limits())
    builder.add_heading(1, "Leave")
    for _ in range(5):
        builder.add_paragraph(sentence(9))  # 10 tokens
    passages = cut(builder, 32)
    assert [passage.text.count("end.") for passage in passages] == [3, 2]
    assert [passage.n_tokens for passage in passages] == [31, 21]  # the heading counts in both
    assert [passage.heading for passage in passages] == ["Leave", "Leave"]
    assert [embedding_text(passage).count("Leave") for passage in passages] == [1, 1]
    assert not any(passage.continues for passage in passages)


def test_a_paragraph_that_fits_alone_is_not_cut() -> None:
    builder = TextBuilder(Limits())
    builder.add_paragraph(sentence(9))
    builder.add_paragraph(sentence(28))
    assert [passage.n_tokens for passage in cut(builder, 30)] == [10, 29]


def test_headings_open_passages_and_stay_with_what_follows() -> None:
    builder = TextBuilder(Limits())
    builder.add_paragraph("Preface.")
    builder.add_heading(1, "Book")
    builder.add_heading(2, "One")
    builder.add_paragraph("Text one.")
    builder.add_heading(2, "Two")
    builder.add_heading(2, "Three")
    builder.add_paragraph("Text three.")
    builder.add_heading(1, "End")
    assert [(passage.text.strip(), passage.heading) for passage in cut(builder, 100)] == [
        ("Preface.", None),
        ("Book\n\nOne\n\nText one.", "Book › One"),
        ("Two", "Book › Two"),
        ("Three\n\nText three.", "Book › Three"),
        ("End", "End"),
    ]


def test_a_long_paragraph_is_cut_at_sentences_then_words_then_tokens() -> None:
    builder = TextBuilder(Limits())
    builder.add_paragraph(" ".join(sentence(5, "Word") for _ in range(5)))  # 5 × 6 tokens
    passages = cut(builder, 15)
    assert [passage.n_tokens for passage in passages] == [12, 12, 6]
    assert [passage.continues for passage in passages] == [False, True, True]

    builder = TextBuilder(Limits())
    builder.add_paragraph("word " * 20)
    assert [passage.n_tokens for passage in cut(builder, 9)] == [9, 9, 2]

    builder = TextBuilder(Limits())
    builder.add_paragraph("a" * 100)  # 13 tokens without a blank
    assert [len(passage.text) for passage in cut(builder, 5)] == [40, 40, 20]


def test_the_rest_of_a_long_paragraph_is_packed_with_the_next() -> None:
    builder = TextBuilder(Limits())
    builder.add_paragraph(" ".join(sentence(5, "Word") for _ in range(3)))
    builder.add_paragraph("Short one.")
    passages = cut(builder, 12)
    assert [passage.n_tokens for passage in passages] == [12, 9]
    assert passages[1].text.endswith("Short one.")


def test_a_table_is_cut_between_rows_and_keeps_its_header() -> None:
    builder = TextBuilder(Limits())
    builder.add_heading(1, "Prices")
    builder.add_table([["Item", "Price"], *([f"thing{n}", str(n)] for n in range(10))])  # 3 tokens a row
    passages = cut(builder, 16)
    assert passages[0].text == "Prices\n\nItem | Price\nthing0 | 0\nthing1 | 1\nthing2 | 2\nthing3 | 3\n"
    assert [passage.table_header for passage in passages] == [None, "Item | Price", "Item | Price"]
    assert [passage.continues for passage in passages] == [False, True, True]
    assert embedding_text(passages[1]).startswith("Prices\nItem | Price\nthing4 | 4\n")
    assert all(passage.n_tokens <= 16 for passage in passages)
    assert passages[1].n_tokens == len(Words().token_ends(embedding_text(passages[1])))


def test_a_list_is_cut_between_items() -> None:
    builder = TextBuilder(Limits())
    for _ in range(4):
        builder.add_list_item("four words an item")
    builder.add_list_item("word " * 15)
    passages = cut(builder, 11)
    assert [passage.n_tokens for passage in passages] == [10, 10, 11, 5]
    assert [passage.continues for passage in passages] == [False, False, False, True]


def test_code_is_cut_between_lines() -> None:
    builder = TextBuilder(Limits())
    builder.add_code("\n".join(f"    call {n} ;" for n in range(6)))
    passages = cut(builder, 7)
    assert [passage.text.count("\n") for passage in passages] == [2, 2, 1]


def test_pages_are_those_of_the_first_and_last_visible_character() -> None:
    builder = TextBuilder(Limits())
    builder.start_page(1)
    builder.add_paragraph("One.")
    builder.start_page(2)
    builder.start_page(3)
    builder.add_paragraph("Three.")
    assert [(passage.first_page, passage.last_page) for passage in cut(builder, 50)] == [(1, 3)]
    assert [(passage.first_page, passage.last_page) for passage in cut(builder, 2)] == [(1, 1), (3, 3)]


def test_formats_without_pages_have_none() -> None:
    builder = TextBuilder(Limits())
    builder.add_paragraph("One.")
    assert cut(builder, 5)[0].first_page is None


def test_text_before_and_between_blocks_is_covered() -> None:
    text = "lost? A block. gap B block. tail"
    blocks = (
        Block(kind="paragraph", start=6, end=14, heading=None),
        Block(kind="paragraph", start=19, end=27, heading="B"),
    )
    for found in (blocks, ()):
        parsed = ParsedDocument(text=text, pages=(), blocks=found, media_type="text/plain", receipt=Receipt())
        check_cover(parsed, cut_passages(parsed, Words(), max_tokens=50))


def test_an_endless_heading_and_header_are_shortened_not_the_text() -> None:
    builder = TextBuilder(Limits())
    builder.add_heading(1, "very " * 30 + "long")
    builder.add_table([["column"] * 40, *([["x"] * 3] * 20)])
    passages = cut(builder, 30)
    assert all(passage.n_tokens <= 30 for passage in passages)
    assert passages[-1].heading is not None and passages[-1].heading.endswith("…")
    assert passages[-1].table_header is not None and passages[-1].table_header.endswith("…")


def test_tokens_are_counted_in_few_calls() -> None:
    builder = TextBuilder(Limits())
    builder.add_heading(1, "Top")
    for _ in range(2_000):
        builder.add_paragraph(sentence(20))
    counter = Words()
    parsed = builder.build(media_type="text/plain")
    check_cover(parsed, cut_passages(parsed, counter, max_tokens=60))
    assert counter.n_calls <= len(parsed.text) // 50_000 + 3


def test_five_megabytes_without_a_break() -> None:
    text = ("word, " * 900_000).strip()
    parsed = ParsedDocument(text=text, pages=(), blocks=(), media_type="text/plain", receipt=Receipt())
    passages = cut_passages(parsed, Words(), max_tokens=254)
    check_cover(parsed, passages)
    assert max(passage.n_tokens for passage in passages) == 254


def test_the_budget_must_be_positive() -> None:
    parsed = ParsedDocument(text="x", pages=(), blocks=(), media_type="text/plain", receipt=Receipt())
    with pytest.raises(ValueError, match="max_tokens"):
        cut_passages(parsed, Words(), max_tokens=0)
    empty = ParsedDocument(text=" \n", pages=(), blocks=(), media_type="text/plain", receipt=Receipt())
    assert cut_passages(empty, Words(), max_tokens=1) == ()


TEXT = st.lists(
    st.sampled_from(["word", "Some", "end.", "longerwords" * 3, "x | y", "(a)", "é", "\n", "日本。"]),
    min_size=1,
    max_size=40,
)
KINDS = st.sampled_from(["heading1", "heading2", "paragraph", "item", "table", "code", "page"])


def test_no_passage_is_blank_where_code_begins_with_a_blank_line() -> None:
    builder = TextBuilder(Limits())
    builder.add_paragraph("start")
    builder.add_code(" \n end.")
    parsed = builder.build(media_type="text/plain")
    check_cover(parsed, cut_passages(parsed, Words(), max_tokens=1))


@given(st.lists(st.tuples(KINDS, TEXT.map(" ".join)), max_size=12), st.integers(1, 40))
def test_passages_cover_keep_the_budget_and_their_section(pieces: list[tuple[str, str]], max_tokens: int) -> None:
    builder = TextBuilder(Limits())
    builder.add_paragraph("start")
    n_pages = 0
    for kind, text in pieces:
        if kind.startswith("heading"):
            builder.add_heading(int(kind[-1]), text[:60])
        elif kind == "paragraph":
            builder.add_paragraph(text)
        elif kind == "item":
            builder.add_list_item(text)
        elif kind == "table":
            builder.add_table([["Name", "Value"], *([word] for word in text.split())])
        elif kind == "code":
            builder.add_code(text)
        else:
            n_pages += 1
            builder.start_page(n_pages)
    parsed = builder.build(media_type="text/plain")
    counter = Words()
    passages = cut_passages(parsed, counter, max_tokens=max_tokens)
    check_cover(parsed, passages)
    for passage in passages:
        assert passage.n_tokens == len(counter.token_ends(embedding_text(passage)))
        assert passage.n_tokens <= max_tokens
        inside = [block for block in parsed.blocks if block.start < passage.end and block.end > passage.start]
        assert len({block.heading for block in inside if block.kind != "heading"}) <= 1
        kinds = [block.kind == "heading" for block in inside]
        assert kinds == sorted(kinds, reverse=True)  # headings stand first
