"""Claims after questions in two steps."""

import random

import pytest

from rag.verify.pairs import CONTRADICTED, NOT_SUPPORTED, SUPPORTED, UNSUPPORTED, Paragraph, Question, TrainingPair
from rag.verify.two_step_pairs import TwoStepBuilder, described


def paragraph(title: str, text: str, *asked: tuple[str, str]) -> Paragraph:
    questions = tuple(Question(text=q, answer=a, answer_start=text.index(a)) for q, a in asked)
    return Paragraph(title=title, text=text, questions=questions)


PARAGRAPHS = [
    paragraph(
        "Ada", "Ada Lovelace wrote the first notes. She lived in London. Her notes were published in 1843.",
        ("Who wrote the first notes?", "Ada Lovelace"), ("When were the Notes published?", "1843"),
    ),
    paragraph(
        "Babbage", "Ada Lovelace met Charles Babbage in Turin. Mary Somerville was her tutor.",
        ("Where did Charles Babbage meet Ada Lovelace?", "Turin"),
        ("Who was the tutor of Ada Lovelace?", "Mary Somerville"),
    ),
    paragraph(
        "Emma", "The novel Emma was published in 1815 by Murray.",
        ("When was Emma published?", "1815"), ("Who published Emma?", "Murray"),
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def pairs() -> list[TrainingPair]:
    return TwoStepBuilder(PARAGRAPHS, random.Random(3)).build(400)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Who wrote the first notes?", "the person who wrote the first notes"),
        ("Which British band won the prize?", "the British band that won the prize"),
        ("Which university is she affiliated with?", None),  # "that is she affiliated with" is no phrase
        ("What city was Ada born in?", None),
        ("When was Emma published?", None),
        ("Who was he?", None),
    ],
)
def test_what_a_question_asks_for_as_a_phrase(question: str, said: str | None) -> None:
    assert described(question) == said


def test_a_name_is_asked_for_by_what_another_question_asks_of_it(pairs: list[TrainingPair]) -> None:
    asked = "Where did Charles Babbage meet the person who wrote the first notes?"
    found = {pair.claim.removeprefix(f"{asked} "): pair for pair in pairs if pair.claim.startswith(asked)}
    assert found["Turin"].label in (SUPPORTED, UNSUPPORTED)
    assert found["Ada Lovelace"].label == NOT_SUPPORTED  # the name between the two steps answers neither
    for pair in pairs:
        if pair.source == "squad_bridge":
            assert "wrote the first notes" in pair.evidence and pair.label == SUPPORTED
        if pair.source == "squad_bridge_missing":
            assert pair.label == UNSUPPORTED and not any(name in pair.evidence for name in ("Turin", "Somerville"))


def test_of_two_dated_things_the_earlier_one_is_supported(pairs: list[TrainingPair]) -> None:
    compared = [pair for pair in pairs if pair.source == "squad_compared"]
    assert {pair.label for pair in compared} == {SUPPORTED, CONTRADICTED}
    for pair in compared:
        assert "1815" in pair.evidence and "1843" in pair.evidence
        asked, said = pair.claim.rsplit("? ", 1)
        if " before " in asked:
            is_right = (said == "yes") == asked.startswith("Was Emma")
        elif " after " in asked:
            is_right = (said == "no") == asked.startswith("Was Emma")
        else:
            wants_first = any(word in asked for word in (" first,", " earlier,"))
            is_right = (said == "Emma") == wants_first
        assert (pair.label == SUPPORTED) == is_right, pair.claim


def test_the_same_generator_gives_the_same_pairs_and_no_claim_twice(pairs: list[TrainingPair]) -> None:
    assert TwoStepBuilder(PARAGRAPHS, random.Random(3)).build(400) == pairs
    assert len({pair.claim for pair in pairs}) == len(pairs)


def test_without_two_paragraphs_that_belong_together_there_is_nothing() -> None:
    assert TwoStepBuilder(PARAGRAPHS[:1], random.Random(3)).build(10) == []
