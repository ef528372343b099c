"""Questions about made-up things: the labels are checked by reading the evidence again, not by what built it."""

import random
import re

import pytest

from rag.verify.fact_pairs import FactBuilder
from rag.verify.pairs import CONTRADICTED, SUPPORTED, UNSUPPORTED, TrainingPair

NAME = r"[A-Z][\w' ]+?"
BORN = re.compile(
    rf"(?:^|[.] )(?:Born in (\d{{4}}), ({NAME}) grew|({NAME}) was born in (\d{{4}})|({NAME}) \(born (\d{{4}})\))"
)


@pytest.fixture(scope="module")
def pairs() -> list[TrainingPair]:
    return FactBuilder(random.Random(4)).build(6_000)


def born(evidence: str) -> dict[str, int]:
    """Who was born when, as a text tells it."""
    found = {}
    for match in BORN.finditer(evidence):
        year, name = (group for group in match.groups() if group is not None)
        if not year.isdecimal():
            year, name = name, year
        found[name] = int(year)
    return found


def test_the_same_generator_gives_the_same_pairs(pairs: list[TrainingPair]) -> None:
    assert len(pairs) == 6_000
    assert pairs[:200] == FactBuilder(random.Random(4)).build(200)
    assert pairs[:200] != FactBuilder(random.Random(5)).build(200)


def test_all_ways_and_outcomes_occur(pairs: list[TrainingPair]) -> None:
    found = {(pair.source, pair.label) for pair in pairs}
    assert found == {
        (f"made_up_{way}", label)
        for way in ("direct", "compared", "two_steps")
        for label in (SUPPORTED, CONTRADICTED, UNSUPPORTED)
    }


def test_of_two_people_the_one_born_first_is_supported(pairs: list[TrainingPair]) -> None:
    asked = re.compile(rf"^Who (?:is older|was born first|was born earlier), ({NAME}) or ({NAME})\? (.+)$")
    n_checked = 0
    for pair in pairs:
        match, years = asked.match(pair.claim), born(pair.evidence)
        if match is None:
            continue
        one, other, said = match.groups()
        if one in years and other in years:
            first = min((one, other), key=years.__getitem__)
            assert (pair.label == SUPPORTED) == said.startswith(first), pair
            n_checked += 1
        else:
            assert pair.label == UNSUPPORTED, pair
    assert n_checked >= 10


def test_what_is_not_told_is_never_supported(pairs: list[TrainingPair]) -> None:
    asked = re.compile(rf"^(?:When|In what year) was ({NAME}) born\? (?:.* )?(\d{{4}})\.?$")
    outcomes = set()
    for pair in pairs:
        match = asked.match(pair.claim)
        if match is None or match[1].startswith("the "):
            continue
        year = born(pair.evidence).get(match[1])
        expected = UNSUPPORTED if year is None else SUPPORTED if year == int(match[2]) else CONTRADICTED
        assert pair.label == expected, pair
        outcomes.add(pair.label)
    assert outcomes == {SUPPORTED, CONTRADICTED, UNSUPPORTED}


def test_a_right_and_a_wrong_answer_share_their_evidence(pairs: list[TrainingPair]) -> None:
    for right, wrong in zip(pairs[::2], pairs[1::2], strict=True):
        assert right.evidence == wrong.evidence
        assert right.claim.partition("? ")[0] == wrong.claim.partition("? ")[0]
        assert (right.label, wrong.label) in ((SUPPORTED, CONTRADICTED), (UNSUPPORTED, UNSUPPORTED))


def test_articles_fit_what_follows_them(pairs: list[TrainingPair]) -> None:
    assert not any(re.search(r"\b[Aa] [AEIOaeio]", f"{pair.evidence} {pair.claim}") for pair in pairs)
