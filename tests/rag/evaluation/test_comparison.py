import dataclasses
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.evaluation.comparison import COSTS, compare, transition
from rag.evaluation.decisions import decide
from rag.evaluation.differences import Settings
from rag.evaluation.report_types import ComparisonView, DifferenceView
from rag.evaluation.types import Case, CaseFailure, CaseResult, ScoredClaim

# A machine that is busy with other things is no reason to fail.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

QUICK = Settings(seed=0, n_resamples=500)


def result(case_id: str, outcome, confidence=None, verdicts=None) -> CaseResult:
    claims = None
    if verdicts is not None:
        claims = tuple(ScoredClaim(text="x", start=None, end=None, verdict=one) for one in verdicts)
    return CaseResult(
        case_id=case_id,
        system="s",
        text="x",
        abstained=outcome in ("abstained", "right_abstention"),
        outcome=outcome,
        confidence=confidence,
        claims=claims,
    )


def run(*outcomes, **more) -> dict[str, CaseResult]:
    return {f"{number:04}": result(f"{number:04}", one, **more) for number, one in enumerate(outcomes)}


def cases_for(results: dict[str, CaseResult], *, per_document: int = 1) -> list[Case]:
    return [
        Case(
            case_id=case_id,
            question="?",
            reference_answers=("x",) if one.outcome not in ("right_abstention", "false_confidence") else (),
            answerable=one.outcome not in ("right_abstention", "false_confidence"),
            document=f"d{number // per_document}",
        )
        for number, (case_id, one) in enumerate(results.items())
    ]


def view(comparison: ComparisonView, name: str) -> DifferenceView:
    return next(one for one in comparison.differences if one.figure == name)


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        ("wrong", "correct", "rescued"),
        ("abstained", "correct", "rescued"),
        ("correct", "wrong", "broken_by_context"),
        ("correct", "abstained", "newly_abstained"),
        ("wrong", "abstained", "newly_abstained"),
        ("abstained", "wrong", "newly_wrong"),
        ("wrong", "wrong", "still_wrong"),
        ("correct", "correct", "still_right"),
        ("abstained", "abstained", "still_abstained"),
        ("right_abstention", "false_confidence", None),
        (None, "correct", None),
    ],
)
def test_transitions_have_names(before, after, name) -> None:
    assert transition(result("1", before), result("1", after)) == name
    assert transition(None, result("1", after)) is None


def test_the_tables_count_every_pair_of_outcomes() -> None:
    before = run("correct", "wrong", "abstained", "wrong", "right_abstention", "false_confidence", None)
    after = run("correct", "correct", "wrong", "wrong", "false_confidence", "false_confidence", "correct")
    found = compare(cases_for(before), ("a", "b"), before, after, QUICK)
    assert found.transitions == {
        "correct": {"correct": 1, "wrong": 0, "abstained": 0},
        "wrong": {"correct": 1, "wrong": 1, "abstained": 0},
        "abstained": {"correct": 0, "wrong": 1, "abstained": 0},
    }
    assert found.unanswerable_transitions == {
        "right_abstention": {"right_abstention": 0, "false_confidence": 1},
        "false_confidence": {"right_abstention": 0, "false_confidence": 1},
    }
    assert found.named == {
        "still_right": 1,
        "broken_by_context": 0,
        "newly_abstained": 0,
        "rescued": 1,
        "still_wrong": 1,
        "newly_wrong": 1,
        "still_abstained": 0,
    }
    assert (found.mcnemar.only_baseline, found.mcnemar.only_system, found.mcnemar.n) == (0, 1, 4)
    assert found.mcnemar.p_value == 1.0


def test_a_case_that_one_side_does_not_know_counts_for_neither() -> None:
    before = run("correct", "correct", "wrong", "wrong")
    after = {
        **run("correct", "correct", "correct"),
        "0003": dataclasses.replace(result("0003", None), failure=CaseFailure(code="timeout", message="slow")),
    }
    found = view(compare(cases_for(before), ("a", "b"), before, after, QUICK), "accuracy")
    assert (found.n, found.baseline, found.system) == (3, pytest.approx(2 / 3), 1.0)


def test_a_figure_that_one_side_has_not_is_undefined() -> None:
    before, after = run("correct", "wrong"), run("correct", "wrong", verdicts=["supported"])
    found = decide([compare(cases_for(before), ("a", "b"), before, after, QUICK)], judge_decides=True)[0]
    undefined = view(found, "hallucination_rate")
    assert (undefined.word, undefined.difference, undefined.p_value, undefined.low) == ("undefined",) + (None,) * 3


def test_words() -> None:
    good, bad = run(*["correct"] * 60), run(*["wrong"] * 60)
    few_good, few_bad = run(*["correct"] * 4), run(*["wrong"] * 4)

    def word(before: dict[str, CaseResult], after: dict[str, CaseResult], name: str) -> str:
        return view(
            decide([compare(cases_for(before), ("a", "b"), before, after, QUICK)], judge_decides=True)[0], name
        ).word

    assert word(bad, good, "accuracy") == "better"
    assert word(good, bad, "accuracy") == "worse"
    assert word(bad, good, "wrong_rate") == "better"  # less of what is bad
    assert word(good, good, "accuracy") == "equivalent"
    assert word(few_good, few_good, "accuracy") == "undecided"  # four cases show nothing
    assert word(few_bad, few_good, "accuracy") == "undecided"  # 1 of 16 exchanges is as extreme on each side
    refusing = run(*["abstained"] * 60)
    assert word(good, refusing, "answer_rate") == "undecided"  # less answering is neither better nor worse


def test_what_rests_on_a_weak_judge_is_not_decidable() -> None:
    before = run(*["correct"] * 60, verdicts=["unsupported"])
    after = run(*["correct"] * 60, verdicts=["supported"])
    comparison = compare(cases_for(before), ("a", "b"), before, after, QUICK)
    weak, good = (decide([comparison], judge_decides=one)[0] for one in (False, True))
    assert view(weak, "hallucination_rate").word == "not_decidable"
    assert view(weak, "hallucination_rate").p_holm is None
    assert view(weak, "accuracy").word == "equivalent"
    assert view(good, "hallucination_rate").word == "better"


def test_more_comparisons_ask_for_more_evidence() -> None:
    before = run(*["wrong"] * 100)
    after = run(*["correct"] * 7, *["wrong"] * 93)
    comparison = compare(cases_for(before), ("a", "b"), before, after, Settings(seed=0, n_resamples=2000))
    alone = decide([comparison], judge_decides=True)
    among = decide([comparison] * 10, judge_decides=True)
    assert alone[0].mcnemar.p_value == among[0].mcnemar.p_value == 2 / 2**7
    assert (alone[0].mcnemar.p_holm, alone[0].mcnemar.word) == (2 / 2**7, "better")
    assert (among[0].mcnemar.p_holm, among[0].mcnemar.word) == (pytest.approx(20 / 2**7), "undecided")
    first, last = view(alone[0], "accuracy"), view(among[0], "accuracy")
    assert first.p_holm is not None and last.p_holm is not None
    assert first.p_holm < last.p_holm


def test_documents_widen_the_interval() -> None:
    outcomes = ["wrong"] * 40 + ["correct"] * 40
    before, after = run(*["wrong"] * 80), run(*outcomes)
    found = view(compare(cases_for(before, per_document=20), ("a", "b"), before, after, QUICK), "accuracy")
    assert found.n_clusters == 4
    assert found.low is not None and found.low_unclustered is not None
    assert found.low < found.low_unclustered - 0.1


def test_one_document_gives_no_interval() -> None:
    before, after = run(*["wrong"] * 10), run(*["correct"] * 10)
    found = view(compare(cases_for(before, per_document=10), ("a", "b"), before, after, QUICK), "accuracy")
    assert (found.difference, found.n_clusters, found.low, found.p_equivalence) == (1.0, 1, None, None)
    assert found.low_unclustered is not None


def test_equal_answers_leave_room_for_what_was_not_seen() -> None:
    same = run(*["correct"] * 30)
    found = view(compare(cases_for(same), ("a", "b"), same, same, QUICK), "accuracy")
    assert found.difference == 0
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 30))
    assert found.low == pytest.approx(-(1 - 0.025 ** (1 / 30)))


def test_the_cost_of_a_wrong_answer_by_hand() -> None:
    # baseline: 2 right, 1 wrong, 1 abstained; system: 3 right, 1 wrong and one false confidence of 5
    before = run("correct", "correct", "wrong", "abstained", "right_abstention")
    after = run("correct", "correct", "correct", "wrong", "false_confidence")
    points = compare(cases_for(before), ("a", "b"), before, after, QUICK).cost_curve
    assert [point.cost for point in points] == list(COSTS)
    at_two = next(point for point in points if point.cost == 2)
    assert at_two.baseline == pytest.approx((2 - 2 * 1) / 5)
    assert at_two.system == pytest.approx((3 - 2 * 2) / 5)
    assert at_two.difference == pytest.approx(-1 / 5)


def test_matched_coverage_keeps_the_surest_answers_of_the_more_talkative() -> None:
    before = run("correct", "abstained", "abstained", "right_abstention", confidence=0.5)
    after = {
        "0000": result("0000", "wrong", confidence=0.2),
        "0001": result("0001", "correct", confidence=0.9),
        "0002": result("0002", "wrong", confidence=0.3),
        "0003": result("0003", "false_confidence", confidence=0.1),
    }
    found = compare(cases_for(before), ("a", "b"), before, after, QUICK).matched
    assert (found.coverage, found.baseline_risk, found.system_risk) == (0.25, 0.0, 0.0)
    one_class = compare(cases_for(before)[:3], ("a", "b"), before, after, QUICK).matched
    assert one_class.coverage is None and "all answerable" in one_class.note
    silent = {key: dataclasses.replace(one, confidence=None) for key, one in after.items()}
    assert compare(cases_for(before), ("a", "b"), before, silent, QUICK).matched.coverage is None


OUTCOMES = st.sampled_from(["correct", "wrong", "abstained", None])


@settings(UNHURRIED, max_examples=25)
@given(st.lists(st.tuples(OUTCOMES, OUTCOMES), max_size=12))
def test_exchanging_the_systems_turns_every_sign(pairs) -> None:
    before, after = run(*(pair[0] for pair in pairs)), run(*(pair[1] for pair in pairs))
    quick = Settings(seed=1, n_resamples=50)
    cases = cases_for(before, per_document=2)
    one, other = compare(cases, ("a", "b"), before, after, quick), compare(cases, ("b", "a"), after, before, quick)
    for there, back in zip(one.differences, other.differences, strict=True):
        if there.difference is None:
            assert back.difference is None
            continue
        assert back.difference == pytest.approx(-there.difference)
        assert (back.p_value, back.n) == (there.p_value, there.n)
        if there.low is not None:
            assert (back.low, back.high) == pytest.approx((-there.high, -there.low))


@settings(UNHURRIED, max_examples=15)
@given(st.lists(st.tuples(OUTCOMES, OUTCOMES), min_size=1, max_size=12), st.randoms())
def test_the_order_of_the_cases_changes_nothing(pairs, shuffler) -> None:
    before, after = run(*(pair[0] for pair in pairs)), run(*(pair[1] for pair in pairs))
    cases = cases_for(before, per_document=3)
    quick = Settings(seed=1, n_resamples=50)
    shuffled = list(cases)
    shuffler.shuffle(shuffled)
    assert compare(shuffled, ("a", "b"), before, after, quick) == compare(cases, ("a", "b"), before, after, quick)


def test_a_system_is_seldom_called_better_than_itself() -> None:
    alarms = 0
    for seed in range(20):
        rng = random.Random(seed)
        ease = [rng.random() for _ in range(12)]
        both = [
            run(*(rng.choices(["correct", "wrong"], [ease[n // 10], 1 - ease[n // 10]])[0] for n in range(120)))
            for _ in range(2)
        ]
        view_of = decide([compare(cases_for(both[0], per_document=10), ("a", "b"), *both, QUICK)], judge_decides=True)
        alarms += any(one.word in ("better", "worse") for one in view_of[0].differences)
    assert alarms <= 2
