"""Statements about made-up things: the labels are checked by reading the evidence again, not by what built it."""

import random
import re

import pytest

from rag.verify.fact_statements import StatementBuilder
from rag.verify.pairs import CONTRADICTED, SUPPORTED, UNSUPPORTED, TrainingPair

NAME = r"[A-Z][\w' ]+?"
OFFICER = re.compile(rf"({NAME}) is the safety officer of ({NAME})\.|The safety officer at ({NAME}) is ({NAME})\.")
OFFICER_CLAIM = re.compile(
    rf"^(?:({NAME}) is the safety officer of ({NAME})|The safety officer at ({NAME}) is ({NAME}))\.$"
)


@pytest.fixture(scope="module")
def pairs() -> list[TrainingPair]:
    return StatementBuilder(random.Random(4)).build(6_000)


def officers(match: re.Match[str]) -> tuple[str, str]:
    """The company and its safety officer."""
    person, company, other_company, other_person = match.groups()
    return (company, person) if company is not None else (other_company, other_person)


def test_the_same_generator_gives_the_same_pairs(pairs: list[TrainingPair]) -> None:
    assert len(pairs) == 6_000
    assert pairs[:200] == StatementBuilder(random.Random(4)).build(200)
    assert pairs[:200] != StatementBuilder(random.Random(5)).build(200)


def test_nothing_is_asked_and_all_outcomes_occur(pairs: list[TrainingPair]) -> None:
    assert not any("?" in pair.claim for pair in pairs)
    assert {pair.label for pair in pairs} == {SUPPORTED, CONTRADICTED, UNSUPPORTED}
    assert all(pair.claim.endswith(".") and pair.evidence for pair in pairs)


def test_another_name_than_the_evidence_tells_is_never_supported(pairs: list[TrainingPair]) -> None:
    outcomes = set()
    for pair in pairs:
        claim = OFFICER_CLAIM.match(pair.claim)
        if claim is None:
            continue
        company, person = officers(claim)
        told = dict(map(officers, OFFICER.finditer(pair.evidence)))
        if company not in told:
            assert (
                pair.label == UNSUPPORTED
                or "the company" in pair.evidence
                or "is the safety officer." in (pair.evidence)
            ), pair
            continue
        expected = SUPPORTED if told[company] == person else CONTRADICTED
        assert pair.label == expected, pair
        outcomes.add((pair.label, person in pair.evidence))
    assert {(SUPPORTED, True), (CONTRADICTED, True), (CONTRADICTED, False)} <= outcomes


def test_the_wrong_part_mostly_stands_in_the_evidence(pairs: list[TrainingPair]) -> None:
    years = [
        (pair, re.findall(r"\b(?:1[89]|20)\d\d\b", pair.claim))
        for pair in pairs
        if pair.label == CONTRADICTED and re.search(r"\b(?:founded|born|released) in \d{4}\.$", pair.claim)
    ]
    inside = sum(any(year in pair.evidence for year in found) for pair, found in years)
    assert len(years) > 50
    assert inside > len(years) / 2


def test_several_facts_of_one_thing_are_one_sentence(pairs: list[TrainingPair]) -> None:
    joined = [pair for pair in pairs if " and " in pair.claim]
    assert len(joined) > len(pairs) / 5
    assert {pair.label for pair in joined} == {SUPPORTED, CONTRADICTED, UNSUPPORTED}
    assert not any(re.search(r", and (?:The|There|Staff|During|Requests)\b", pair.claim) for pair in joined)


def test_a_thing_is_not_always_called_by_its_name(pairs: list[TrainingPair]) -> None:
    assert any(re.search(r"\. It (?:was|is|has) ", pair.evidence) for pair in pairs)
    assert any("the company" in pair.evidence for pair in pairs)
    assert any(pair.claim.endswith(" is the safety officer.") for pair in pairs)


def test_a_right_and_a_wrong_statement_share_their_evidence(pairs: list[TrainingPair]) -> None:
    for right, wrong in zip(pairs[::2], pairs[1::2], strict=True):
        assert right.evidence == wrong.evidence
        assert right.claim != wrong.claim
        assert (right.label, wrong.label) in {(SUPPORTED, CONTRADICTED), (UNSUPPORTED, UNSUPPORTED)}
