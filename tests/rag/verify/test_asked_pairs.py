"""Questions with evidence, as the verifier learns to find answers by them."""

import random
from pathlib import Path

import pytest

from rag.paragraphs import is_held_out
from rag.verify.asked_pairs import AskedBuilder
from rag.verify.pairs import ASKED, Paragraph, TrainingPair, read_paragraphs
from rag.verify.train import PARAGRAPHS_FILE


@pytest.fixture(scope="module")
def paragraphs(tiny_data: Path) -> list[Paragraph]:
    found = read_paragraphs(tiny_data / PARAGRAPHS_FILE)
    return [
        Paragraph(title=f"Town {number // 4}", text=paragraph.text, questions=paragraph.questions)
        for number, paragraph in enumerate(found)
    ]


@pytest.fixture(scope="module")
def pairs(paragraphs: list[Paragraph]) -> list[TrainingPair]:
    return AskedBuilder(paragraphs, random.Random(3)).build(1_000)


def test_the_place_of_an_answer_holds_it(paragraphs: list[Paragraph], pairs: list[TrainingPair]) -> None:
    answers = {one.text: {q.answer for p in paragraphs for q in p.questions if q.text == one.text}
               for p in paragraphs for one in p.questions}  # fmt: skip
    answered = [pair for pair in pairs if pair.answer is not None]
    assert answered
    for pair in answered:
        assert pair.answer is not None
        assert pair.answer.cut(pair.evidence) in answers[pair.claim]
        assert (pair.label, pair.source) == (ASKED, "squad_answered")


def test_a_question_without_an_answer_has_no_place_and_its_evidence_does_not_hold_one(
    paragraphs: list[Paragraph], pairs: list[TrainingPair]
) -> None:
    asked = {one.text: one.answer for paragraph in paragraphs for one in paragraph.questions}
    unanswered = [pair for pair in pairs if pair.source == "squad_unanswered"]
    assert 0.1 < len(unanswered) / len(pairs) < 0.4
    assert all(pair.answer is None for pair in unanswered)
    same = [pair for pair in unanswered if pair.claim in asked and not pair.claim.startswith("Who")]
    assert same  # names are the same in all these articles
    assert not any(asked[pair.claim] in pair.evidence for pair in same)


def test_articles_kept_from_the_decoder_are_kept_from_it_too(paragraphs: list[Paragraph]) -> None:
    """What measures the whole service may not have been read by any part of it."""
    held = next(f"Name {n}" for n in range(200) if is_held_out(f"Name {n}"))
    moved = [Paragraph(title=held, text=one.text, questions=one.questions) for one in paragraphs]
    assert AskedBuilder(moved, random.Random(3)).build(50) == []


def test_the_same_generator_gives_the_same_pairs(paragraphs: list[Paragraph], pairs: list[TrainingPair]) -> None:
    assert AskedBuilder(paragraphs, random.Random(3)).build(1_000) == pairs
    assert AskedBuilder(paragraphs, random.Random(3)).build(5) == pairs[:5]
