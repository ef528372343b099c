import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.evaluation.abstention import match_coverage, one_class, risk_coverage
from rag.evaluation.types import Case, CaseResult

# A machine that is busy with other things is no reason to fail.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def case(number: int, answerable: bool = True) -> Case:
    return Case(case_id=str(number), question="?", answerable=answerable)


def result(number: int, outcome, confidence: float | None = None) -> CaseResult:
    return CaseResult(
        case_id=str(number),
        system="s",
        text="x",
        abstained=outcome in ("abstained", "right_abstention"),
        outcome=outcome,
        confidence=confidence,
    )


def curve(*pairs: tuple[str | None, float | None]):
    cases = [case(number) for number in range(len(pairs))]
    return risk_coverage(cases, {str(n): result(n, outcome, sure) for n, (outcome, sure) in enumerate(pairs)})


def test_risk_and_coverage_by_hand() -> None:
    found = curve(("correct", 0.9), ("wrong", 0.8), ("correct", 0.7), ("abstained", None), (None, None))
    assert found is not None
    assert found.n_cases == 4  # the last is not known
    assert found.risks() == pytest.approx((0, 1 / 2, 1 / 3))
    assert found.aurc == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)
    assert found.coverage_at(0.05) == 1 / 4
    assert found.coverage_at(0.10) == 1 / 4
    assert found.coverage_at(0.34) == 3 / 4


def test_ties_are_taken_at_their_expected_risk() -> None:
    found = curve(("wrong", 0.5), ("correct", 0.5), ("correct", 0.9))
    assert found is not None
    assert found.risks() == pytest.approx((0, 0.5 / 2, 1 / 3))
    assert found.coverage_at(0.25) == 1 / 3  # no threshold cuts between the two


def test_no_coverage_has_so_little_risk() -> None:
    found = curve(("wrong", 0.9), ("correct", 0.2))
    assert found is not None
    assert found.coverage_at(0.05) == 0.0


def test_refusing_everything_has_no_area() -> None:
    found = curve(("abstained", None), ("abstained", 0.1))
    assert found is not None
    assert (found.aurc, found.n_answers, found.coverage_at(0.05)) == (None, 0, 0.0)


def test_an_answer_without_confidence_leaves_no_curve() -> None:
    assert curve(("correct", 0.9), ("wrong", None)) is None


def test_false_confidence_is_a_risk() -> None:
    found = risk_coverage([case(0, False)], {"0": result(0, "false_confidence", 0.9)})
    assert found is not None
    assert found.risks() == (1.0,)


def test_matched_coverage_by_hand() -> None:
    quiet = curve(("correct", 0.9), ("abstained", None), ("abstained", None))
    talkative = curve(("wrong", 0.4), ("correct", 0.9), ("wrong", 0.2))
    assert quiet is not None and talkative is not None
    found = match_coverage(quiet, talkative)
    assert found is not None
    assert (found.coverage, found.first_risk, found.second_risk) == (1 / 3, 0.0, 0.0)
    silent = curve(("abstained", None), ("abstained", None), ("abstained", None))
    assert silent is not None and match_coverage(silent, talkative) is None


def test_cases_of_one_class_are_refused_in_one_sentence() -> None:
    assert one_class([case(0), case(1, False)]) is None
    assert one_class([case(0)]) == (
        "the cases are all answerable; abstention is only measured on cases of both classes: "
        "add cases that are unanswerable"
    )
    unanswerable = one_class([case(0, False)])
    assert unanswerable is not None and "add cases that are answerable" in unanswerable


@settings(UNHURRIED)
@given(
    st.lists(
        st.tuples(st.sampled_from(["correct", "wrong", "abstained"]), st.sampled_from([0.1, 0.5, 0.9])), max_size=20
    )
)
def test_the_curve_ends_at_the_answer_rate_and_the_overall_risk(pairs: list[tuple[str, float]]) -> None:
    found = curve(*pairs)
    assert found is not None
    answers = [outcome for outcome, _ in pairs if outcome != "abstained"]
    assert found.n_answers == len(answers)
    if answers:
        assert found.risks()[-1] == pytest.approx(answers.count("wrong") / len(answers))
        assert found.aurc is not None and 0 <= found.aurc <= 1
