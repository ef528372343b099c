"""Answers and rivals of theirs, from SQuAD-like paragraphs."""

import random

import pytest

from rag.verify.pairs import CONTRADICTED, SUPPORTED, UNSUPPORTED, Paragraph, Question, TrainingPair
from rag.verify.rival_pairs import RivalBuilder


def paragraph(title: str, text: str, *asked: tuple[str, str]) -> Paragraph:
    questions = tuple(Question(text=q, answer=a, answer_start=text.index(a)) for q, a in asked)
    return Paragraph(title=title, text=text, questions=questions)


PARAGRAPHS = [
    paragraph(
        "Works", "The old works were opened in 1843 by the river. They were sold in 1871 for a small sum. A fire broke "
        "out in 1899 and lasted for days. The owner never came back.",
        ("When were the old works opened?", "1843"), ("When were the works sold?", "1871"),
        ("When did a fire break out?", "1899"),
    ),
    paragraph(
        "Works", "The new works were opened in 1921. They had 12 engines.",
        ("When were the new works opened?", "1921"), ("How many engines did the new works have?", "12"),
    ),
    paragraph("Alone", "The lake is 30 metres deep.", ("How deep is the lake?", "30 metres")),
]  # fmt: skip


@pytest.fixture(scope="module")
def pairs() -> list[TrainingPair]:
    return [pair for seed in range(60) for pair in RivalBuilder(PARAGRAPHS, random.Random(seed)).build(100)]


def test_the_same_generator_gives_the_same_pairs() -> None:
    first = RivalBuilder(PARAGRAPHS, random.Random(1)).build(5)
    assert first == RivalBuilder(PARAGRAPHS, random.Random(1)).build(5)
    assert len(first) == 5


def test_an_answer_is_supported_beside_its_rival_and_the_rival_contradicted(pairs: list[TrainingPair]) -> None:
    opened = [pair for pair in pairs if "old works opened" in pair.claim and "opened in 1843" in pair.evidence]
    assert {pair.label for pair in opened} == {SUPPORTED, CONTRADICTED}
    for pair in opened:
        assert (pair.label == SUPPORTED) == ("1843" in pair.claim)
    rivals = [pair for pair in opened if pair.label == CONTRADICTED]
    assert all(
        any(year in pair.claim and year in pair.evidence for year in ("1871", "1899", "1921")) for pair in rivals
    )


def test_without_the_answering_sentence_nothing_is_supported(pairs: list[TrainingPair]) -> None:
    without = [pair for pair in pairs if "old works opened" in pair.claim and "1843" not in pair.evidence]
    assert len(without) > 5
    assert {pair.label for pair in without} == {UNSUPPORTED}
    assert any("1843" not in pair.claim for pair in without)


def test_a_question_without_a_rival_is_left_out(pairs: list[TrainingPair]) -> None:
    assert pairs
    assert not any("lake" in pair.claim for pair in pairs)


def test_small_numbers_are_written_both_ways() -> None:
    numbers = [
        paragraph(
            "Rules", "There are 12 days of leave. Pay goes on for 16 weeks of illness. It ends after four months.",
            ("How many days of leave are there?", "12 days"), ("How many weeks of illness?", "16 weeks"),
        ),
    ]  # fmt: skip
    built = [pair for seed in range(30) for pair in RivalBuilder(numbers, random.Random(seed)).build(9)]
    said = {pair.claim.partition("? ")[2].split()[0] for pair in built if "? " in pair.claim}
    assert said >= {"12", "twelve", "16", "sixteen"}


def test_statements_alone_where_they_are_wanted() -> None:
    built = RivalBuilder(PARAGRAPHS, random.Random(2), is_stated=True)
    pairs = [pair for _ in range(40) for pair in built.build(100)]
    assert {pair.label for pair in pairs} == {SUPPORTED, CONTRADICTED, UNSUPPORTED}
    assert not any("?" in pair.claim for pair in pairs)
    assert {pair.source for pair in pairs} == {"squad_rival_stated"}
    assert any(pair.claim == "The old works were opened in 1871." and pair.label == CONTRADICTED for pair in pairs)
