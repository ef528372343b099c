import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.evaluation.figures import FIGURES, all_figures, figure, names_for
from rag.evaluation.types import (
    Case,
    CaseFailure,
    CaseResult,
    CitationCounts,
    Figure,
    ScoredClaim,
)

# A machine that is busy with other things is no reason to fail.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

CASES = tuple(Case(case_id=str(n), question="?", reference_answers=("x",), answerable=n < 6) for n in range(8))
OUTCOMES = ("correct", "correct", "wrong", "abstained", "abstained", None, "right_abstention", "false_confidence")


def claims(*verdicts, shown=None) -> tuple[ScoredClaim, ...]:
    return tuple(
        ScoredClaim(text="x", start=None, end=None, verdict=one, shown_verdict=shown or one, decided_by="judge")
        for one in verdicts
    )


def result(case_id: str, outcome, **more) -> CaseResult:
    abstained = outcome in ("abstained", "right_abstention")
    return CaseResult(case_id=case_id, system="s", text="x", abstained=abstained, outcome=outcome, **more)


RESULTS = {
    case.case_id: result(
        case.case_id, outcome, failure=CaseFailure(code="timeout", message="too slow") if outcome is None else None
    )
    for case, outcome in zip(CASES, OUTCOMES, strict=True)
}


@pytest.mark.parametrize(
    ("name", "numerator", "denominator", "undefined", "n"),
    [
        ("accuracy", 2, 5, 1, 8),  # of 6 answerable cases one failed
        ("answer_rate", 4, 7, 1, 8),
        ("wrong_given_answered", 2, 4, 1, 8),
        ("wrong_rate", 2, 7, 1, 8),
        ("net_score", 0, 7, 1, 8),
        ("over_refusal", 2, 5, 1, 8),
        ("false_confidence", 1, 2, 0, 8),
        ("failure_rate", 1, 8, 0, 8),
        ("hallucination_rate", 0, 0, 5, 8),  # nothing was judged
    ],
)
def test_figures_by_hand(name: str, numerator: int, denominator: int, undefined: int, n: int) -> None:
    assert figure(name, CASES, RESULTS) == Figure(
        numerator=numerator, denominator=denominator, undefined=undefined, n=n
    )


def test_a_case_that_was_not_run_is_undefined() -> None:
    found = figure("accuracy", CASES, {})
    assert (found.denominator, found.undefined, found.value) == (0, 6, None)


def test_hallucination_and_faithfulness_by_hand() -> None:
    results = {
        "0": result("0", "correct", claims=claims("supported", "supported")),
        "1": result("1", "wrong", claims=claims("supported", "contradicted", shown="supported")),
        "2": result("2", "wrong", claims=claims("unsupported", "unsupported", "supported", "supported")),
        "3": result("3", "abstained", claims=()),
        "4": result("4", "correct", claims=()),  # states nothing that can be checked
        "5": result("5", "correct", claims=claims("supported", None)),  # one was not judged
    }
    cases = CASES[:6]
    assert figure("hallucination_rate", cases, results) == Figure(numerator=2, denominator=3, undefined=2, n=6)
    assert figure("contradiction_rate", cases, results) == Figure(numerator=1, denominator=3, undefined=2, n=6)
    assert figure("faithfulness", cases, results) == Figure(numerator=2.5, denominator=3, undefined=2, n=6)
    assert figure("unsupported_claim_rate", cases, results) == Figure(numerator=3, denominator=9, undefined=1, n=10)


def test_an_unjudged_claim_hides_no_hallucination() -> None:
    results = {"0": result("0", "correct", claims=claims(None, "unsupported"))}
    assert figure("hallucination_rate", CASES[:1], results).value == 1.0


def test_closed_book_answers_have_no_faithfulness() -> None:
    shown_nothing = tuple(replace(claim, shown_verdict=None) for claim in claims("supported"))
    found = figure("faithfulness", CASES[:1], {"0": result("0", "correct", claims=shown_nothing)})
    assert (found.value, found.undefined) == (None, 1)


def test_where_an_unsupported_claim_stands() -> None:
    elsewhere, absent, unknown = (
        replace(claims("unsupported")[0], where=where) for where in ("elsewhere", "absent", None)
    )
    results = {"0": result("0", "wrong", claims=(*claims("supported"), elsewhere, absent, unknown))}
    assert figure("absent_claim_rate", CASES[:1], results) == Figure(numerator=1, denominator=3, undefined=1, n=4)


def test_measures_against_references_count_an_abstention_as_no_match() -> None:
    results = {
        "0": result("0", "correct", exact_match=True, token_f1=1.0, contains_reference=True, judged_equivalent=True),
        "1": result("1", "wrong", exact_match=False, token_f1=0.5, contains_reference=False),
        "2": result("2", "abstained"),
    }
    cases = (*CASES[:3], Case(case_id="3", question="?"))
    assert figure("token_f1", cases, results) == Figure(numerator=1.5, denominator=3, undefined=1, n=4)
    assert figure("exact_match", cases, results) == Figure(numerator=1, denominator=3, undefined=1, n=4)
    assert figure("judged_equivalent", cases, results) == Figure(numerator=1, denominator=2, undefined=2, n=4)
    unjudged = {"2": results["2"]}
    assert figure("judged_equivalent", cases[:3], unjudged).value is None  # nobody asked a judge


def test_citations_by_hand() -> None:
    counts = CitationCounts(
        n_sentences=4,
        n_recalled=3,
        n_citations=5,
        n_precise=2,
        n_out_of_range=1,
        n_missed=1,
        n_misplaced=1,
        n_quotes=5,
        n_literal=4,
    )
    results = {"0": result("0", "correct", citation_counts=counts), "1": result("1", "abstained")}
    values = {name: one.value for name, one in all_figures(CASES[:2], results).items()}
    assert values["citation_recall"] == 3 / 4
    assert values["citation_precision"] == 2 / 5
    assert values["citation_out_of_range"] == 1 / 6
    assert values["citation_missed"] == 1 / 4
    assert values["citation_misplaced"] == 1 / 5
    assert values["quotes_literal"] == 4 / 5


def test_cases_of_one_class_have_no_figures_of_abstention() -> None:
    assert "over_refusal" in names_for(CASES)
    assert {"over_refusal", "false_confidence"}.isdisjoint(names_for(CASES[:5]))
    assert {"over_refusal", "false_confidence"}.isdisjoint(all_figures(CASES[6:], RESULTS))


def test_figures_that_cannot_be_are_refused() -> None:
    for wrong in (
        {"numerator": 1.0, "denominator": 0, "undefined": 0, "n": 1},
        {"numerator": 1.0, "denominator": 2, "undefined": 0, "n": 1},
        {"numerator": float("nan"), "denominator": 1, "undefined": 0, "n": 1},
        {"numerator": 0.0, "denominator": 1, "undefined": -1, "n": 1},
    ):
        with pytest.raises(ValueError, match="no figure"):
            Figure(**wrong)


VERDICTS = st.sampled_from(["supported", "contradicted", "unsupported", None])


@st.composite
def runs(draw: st.DrawFn) -> tuple[tuple[Case, ...], dict[str, CaseResult]]:
    n = draw(st.integers(0, 8))
    cases, results = [], {}
    for number in range(n):
        answerable = draw(st.booleans())
        case = Case(
            case_id=str(number),
            question="?",
            answerable=answerable,
            reference_answers=("x",) if answerable and draw(st.booleans()) else (),
        )
        cases.append(case)
        known = ["correct", "wrong", "abstained", None] if answerable else ["right_abstention", "false_confidence"]
        outcome = draw(st.sampled_from(known))
        f1 = draw(st.one_of(st.none(), st.floats(0, 1)))
        split = draw(st.one_of(st.none(), st.lists(VERDICTS, max_size=4)))
        sentences, cited = draw(st.integers(0, 3)), draw(st.integers(0, 3))
        made = result(
            case.case_id,
            outcome,
            token_f1=f1,
            exact_match=draw(st.sampled_from([True, False, None])),
            judged_equivalent=draw(st.sampled_from([True, False, None])),
            claims=None if split is None else claims(*split),
            citation_counts=draw(
                st.sampled_from(
                    [
                        None,
                        CitationCounts(n_sentences=sentences, n_recalled=0, n_citations=cited, n_precise=cited),
                    ]
                )
            ),
            failure=CaseFailure(code="x", message="y") if outcome is None and draw(st.booleans()) else None,
        )
        if draw(st.integers(0, 5)):
            results[case.case_id] = made
    return tuple(cases), results


@settings(UNHURRIED)
@given(runs())
def test_figures_stay_in_their_bounds(run: tuple[tuple[Case, ...], dict[str, CaseResult]]) -> None:
    for name, found in all_figures(*run).items():
        assert found.denominator + found.undefined <= found.n
        if found.value is not None:
            assert (-1 if name == "net_score" else 0) <= found.value <= 1


@settings(UNHURRIED)
@given(runs(), st.randoms())
def test_figures_do_not_depend_on_the_order(
    run: tuple[tuple[Case, ...], dict[str, CaseResult]], shuffler: random.Random
) -> None:
    cases, results = run
    shuffled, keys = list(cases), list(results)
    shuffler.shuffle(shuffled)
    shuffler.shuffle(keys)
    assert all_figures(shuffled, {key: results[key] for key in keys}) == all_figures(cases, results)


@settings(UNHURRIED)
@given(n=st.integers(1, 6), answerable=st.booleans(), with_claims=st.booleans())
def test_refusing_everything_is_never_perfect(n: int, answerable: bool, with_claims: bool) -> None:
    cases = [
        Case(case_id=str(k), question="?", answerable=answerable, reference_answers=("x",) * answerable)
        for k in range(n)
    ]
    refusing = {
        case.case_id: result(
            case.case_id,
            "abstained" if answerable else "right_abstention",
            claims=() if with_claims else None,
            citation_counts=CitationCounts(n_sentences=0, n_recalled=0, n_citations=0, n_precise=0),
        )
        for case in cases
    }
    for name, found in all_figures(cases, refusing).items():
        if FIGURES[name].higher_is_better:
            assert found.value in (None, 0.0), name
        elif FIGURES[name].judged or name == "wrong_given_answered":
            assert found.value is None, name


@settings(UNHURRIED)
@given(runs())
def test_what_is_undefined_is_no_number(run: tuple[tuple[Case, ...], dict[str, CaseResult]]) -> None:
    cases, _ = run
    for name, found in all_figures(cases, {}).items():
        assert found.value is None, name
        assert found.numerator == 0
