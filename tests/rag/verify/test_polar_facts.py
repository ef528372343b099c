"""What is so and what is not: the labels are checked by reading the evidence again, not by what built it."""

import random
import re

import pytest

from rag.verify.pairs import CONTRADICTED, SUPPORTED, UNSUPPORTED, TrainingPair
from rag.verify.polar_facts import PolarBuilder

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@pytest.fixture(scope="module")
def pairs() -> list[TrainingPair]:
    return PolarBuilder(random.Random(4)).build(4_000)


def number(word: str) -> int:
    return int(word) if word.isdecimal() else WORDS.index(word.casefold()) + 1


def test_the_same_generator_gives_the_same_pairs(pairs: list[TrainingPair]) -> None:
    assert len(pairs) == 4_000
    assert pairs[:200] == PolarBuilder(random.Random(4)).build(200)
    assert pairs[:200] != PolarBuilder(random.Random(5)).build(200)
    assert {pair.label for pair in pairs} == {SUPPORTED, CONTRADICTED, UNSUPPORTED}


def test_with_and_without_are_told_apart(pairs: list[TrainingPair]) -> None:
    claim = re.compile(r"^(Parcels are sent) (with|without) ([a-z ]+)\.$")
    outcomes = set()
    for pair in pairs:
        said = claim.match(pair.claim)
        if said is None:
            continue
        what, way, thing = said.groups()
        told = " ".join(text for text in pair.evidence.split(". ") if text.startswith(what))
        ways = set(re.findall(rf"\b(with|without) {re.escape(thing)}\b", told))
        expected = UNSUPPORTED if not ways else SUPPORTED if ways == {way} else CONTRADICTED
        assert len(ways) < 2 and pair.label == expected, pair
        outcomes.add((way, expected))
    assert {(way, label) for way in ("with", "without") for label in (SUPPORTED, CONTRADICTED)} <= outcomes


def test_fewer_than_the_most_is_within_a_rule(pairs: list[TrainingPair]) -> None:
    told = re.compile(r"(?:up to|at most) (\w+) books", re.IGNORECASE)
    said = re.compile(r"borrow (\w+) books(?: at once)?\.$")
    outcomes = set()
    for pair in pairs:
        limit, asked = told.search(pair.evidence), said.search(pair.claim)
        if limit is None or asked is None:
            continue
        assert (pair.label == SUPPORTED) == (number(asked[1]) <= number(limit[1])), pair
        outcomes.add(pair.label)
    assert outcomes == {SUPPORTED, CONTRADICTED}


def test_a_statement_and_its_contrary_share_their_evidence(pairs: list[TrainingPair]) -> None:
    for one, other in zip(pairs[::2], pairs[1::2], strict=True):
        assert one.evidence == other.evidence
        assert one.claim != other.claim
        assert {one.label, other.label} in ({SUPPORTED, CONTRADICTED}, {UNSUPPORTED})
