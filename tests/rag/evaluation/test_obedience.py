import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.evaluation.obedience import Swap, draw_swaps, kind_of, obeyed
from rag.evaluation.scoring import contains_reference
from rag.evaluation.types import Case


def case(case_id: str, reference: str, text: str, **more) -> Case:
    return Case(case_id=case_id, question="?", reference_answers=(reference,), gold_passages=(text,), **more)


CASES = (
    case("a", "1987", "Founded in 1987. In 1987 it had 19870 parts."),
    case("b", "2001", "It closed in 2001."),
    case("c", "Marta Lindner", "Marta Lindner led it."),
    case("d", "Osman Yildiz", "Osman Yildiz sold it."),
    case("e", "because it rained", "They left because it rained."),
)


def test_answers_of_one_kind_stand_in_for_each_other() -> None:
    assert [kind_of(one.reference_answers[0]) for one in CASES] == ["number", "number", "name", "name", "phrase"]
    swaps = {swap.case_id: swap for swap in draw_swaps(CASES, 10, 0)}
    assert swaps.keys() == {"a", "b", "c", "d"}  # no other phrase could stand in
    assert swaps["a"].evidence == ("Founded in 2001. In 2001 it had 19870 parts.",)
    assert swaps["c"].evidence == ("Osman Yildiz led it.",)


@given(st.integers(0, 5), st.integers(0, 1000))
def test_a_draw_is_the_same_for_a_seed_and_leaves_no_right_answer(n: int, seed: int) -> None:
    swaps = draw_swaps(CASES, n, seed)
    assert swaps == draw_swaps(CASES, n, seed) and len(swaps) <= n
    references = {one.case_id: one.reference_answers for one in CASES}
    for swap in swaps:
        assert not any(contains_reference(text, references[swap.case_id]) for text in swap.evidence)
        assert any(contains_reference(text, [swap.stand_in]) for text in swap.evidence)


def test_what_cannot_be_swapped_is_left_out() -> None:
    twice = Case(case_id="t", question="?", reference_answers=("1990", "ninety"), gold_passages=("1990, or ninety.",))
    swaps = draw_swaps((twice, CASES[1]), 5, 0)
    assert [swap.case_id for swap in swaps] == ["b"]  # in the other, another spelling of the right answer would be left
    assert draw_swaps((Case(case_id="u", question="?", answerable=False),), 5, 0) == ()


@pytest.mark.parametrize(
    ("text", "abstained", "did"),
    [
        ("It was 2001.", False, "evidence"),
        ("It was 1987.", False, "memory"),
        ("2001, though others say 1987.", False, "flagged"),
        ("No idea at all.", False, "other"),
        ("It was 2001.", True, "abstained"),
    ],
)
def test_what_an_answer_did(text: str, abstained: bool, did: str) -> None:
    swap = Swap(case_id="a", reference="1987", stand_in="2001", evidence=("x",))
    assert obeyed(swap, ("1987",), text, abstained=abstained) == did
