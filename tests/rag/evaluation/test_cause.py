import pytest

from rag.evaluation.cause import Rerun, find_cause, find_holders, needs_cause, partner
from rag.evaluation.types import Case, CaseFailure, CaseResult, ScoredClaim, System

CASE = Case(
    case_id="lunch",
    question="What does lunch cost?",
    reference_answers=("six euros",),
    gold_passages=("Prices. The canteen serves lunch for six euros.",),
)


def result(**changes) -> CaseResult:
    values = {
        "case_id": "lunch",
        "system": "grounded",
        "text": "Lunch costs nine euros.",
        "abstained": False,
        "outcome": "wrong",
        "retrieved_passage_ids": (1, 2),
    }
    return CaseResult(**(values | changes))


@pytest.mark.parametrize(
    ("holders", "cut", "closed", "cause"),
    [
        ((), (), None, "not_in_corpus"),
        ((9,), (), None, "not_retrieved"),
        ((2, 9), (2,), None, "cut_by_budget"),
        ((2, 1), (2,), None, "present_but_unread"),
        ((2,), (), Rerun(text="Lunch costs nine euros!", abstained=False, outcome="wrong"), "memory_over_evidence"),
        ((2,), (), Rerun(text="Ten.", abstained=False, outcome="wrong"), "present_but_unread"),
        ((2,), (), Rerun(text="I do not know.", abstained=True, outcome="abstained"), "present_but_unread"),
    ],
)
def test_the_first_step_that_failed_is_the_cause(holders, cut, closed, cause) -> None:
    assert find_cause(CASE, result(), holder_ids=holders, cut_ids=cut, closed_book=closed) == cause


def test_what_is_right_or_unknown_has_no_cause() -> None:
    right = result(outcome="correct")
    assert find_cause(CASE, right, holder_ids=(), cut_ids=(), closed_book=None) is None
    bare = Case(case_id="lunch", question="?")
    assert find_cause(bare, result(), holder_ids=(), cut_ids=(), closed_book=None) is None


def test_an_answer_to_what_nothing_answers() -> None:
    case = Case(case_id="king", question="Who is king?", answerable=False, gold_passages=("It looks like an answer.",))
    wrong = result(outcome="false_confidence", text="Olaf.")
    memory = Rerun(text="Olaf", abstained=False, outcome="false_confidence")
    assert find_cause(case, wrong, holder_ids=(2,), cut_ids=(), closed_book=None) == "not_in_corpus"
    assert find_cause(case, wrong, holder_ids=(), cut_ids=(), closed_book=memory) == "memory_over_evidence"


def test_which_answers_need_one() -> None:
    claim = ScoredClaim(text="x", start=0, end=1, verdict="unsupported")
    assert needs_cause(result()) and needs_cause(result(outcome="correct", claims=(claim,)))
    assert not needs_cause(result(outcome="abstained", abstained=True))
    assert not needs_cause(result(failure=CaseFailure(code="x", message="y")))


def test_the_passages_that_hold_an_answer_are_found_in_the_corpus(lab) -> None:
    (holder,) = find_holders(CASE, lab.retriever, "default")
    assert "six euros" in holder.text
    assert find_holders(CASE, lab.retriever, "empty") == ()
    other = Case(
        case_id="x", question="?", reference_answers=("six euros",), gold_passages=("Quite other words here.",)
    )
    assert find_holders(other, lab.retriever, "default") == ()
    without = Case(case_id="x", question="What does lunch cost?", reference_answers=("six euros",))
    assert find_holders(without, lab.retriever, "default") == (holder,)


def test_a_partner_answers_with_the_same_model() -> None:
    grounded = System(name="g", mode="grounded", model="big")
    small, big = System(name="c", mode="closed_book"), System(name="d", mode="closed_book", model="big")
    assert partner((grounded, small, big), grounded, "closed_book") is big
    assert partner((grounded, small), grounded, "closed_book") is None
