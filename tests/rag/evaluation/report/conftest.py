"""A run of made-up answers, with everything in it that a page could stumble over."""

from collections.abc import Callable
from typing import Any

import pytest

from rag.evaluation.cause import Probe, Rerun, Swapped, waterfall_json, waterfalls
from rag.evaluation.obedience import count_obedience
from rag.evaluation.report_json import build_report
from rag.evaluation.types import (
    Case,
    CaseFailure,
    CaseResult,
    ExternalAnswer,
    JudgeTrial,
    Manifest,
    Outcome,
    Quote,
    ReliabilityBin,
    RunRecord,
    ScoredCitation,
    ScoredClaim,
    System,
)
from rag.types import Span, VerdictLabel
from rag.verify.types import VerifierInfo

HOSTILE = """</script><script>document.title = "taken"</script><img src=x onerror=alert(1)>'"&amp;<!--<script>\u2028"""
ANSWER = "𝒳 The bottle holds 3 litres [1]. It is blue. It stands in Colmar [9]."
CLAIMS: tuple[tuple[str, VerdictLabel], ...] = (
    ("𝒳 The bottle holds 3 litres", "supported"),
    ("It is blue", "contradicted"),
    ("It stands in Colmar", "unsupported"),
)
NAMES = ("closed_book", "grounded <b>", "oracle_with_a_very_long_unbroken_name", "elsewhere & more")


def _quote(text: str | None, page: int | None = 4) -> Quote:
    return Quote(
        text=text,
        document_id="doc/1",
        document_name="handbook <i>.pdf",
        document_version=2,
        passage_id=17,
        first_page=page,
        last_page=page,
        char_range=Span(start=0, end=9),
        redacted=text is None,
    )


def _claims(n: int) -> tuple[ScoredClaim, ...]:
    """The first `n` claims of the answer."""
    return tuple(
        ScoredClaim(
            text=text,
            start=ANSWER.index(text),
            end=ANSWER.index(text) + len(text),
            verdict=verdict,
            score=0.9 if verdict == "supported" else 0.1,
            decided_by="judge",
            quote=None if verdict == "unsupported" else _quote("It holds 3 litres and is green." + HOSTILE),
            where="absent" if verdict == "unsupported" else None,
            reasons=("blue is not in the evidence",) if verdict == "contradicted" else (),
        )
        for text, verdict in CLAIMS[:n]
    )


def _result(case: Case, place: int, system: int) -> CaseResult:
    """What comes out is a made-up function of the two numbers, so that every outcome occurs."""
    turn = (place // 5 + place * (system + 1) + system) % 5
    shared: dict[str, Any] = {"case_id": case.case_id, "system": NAMES[system]}
    if place == 1 and system == 1:
        return CaseResult(
            **shared, text=None, abstained=False, outcome=None, failure=CaseFailure(code="timeout", message=HOSTILE)
        )
    if turn == 0:
        outcome: Outcome = "abstained" if case.answerable else "right_abstention"
        return CaseResult(
            **shared, text="I do not know.", abstained=True, outcome=outcome, decided_by="abstention", claims=()
        )
    outcome = ("correct" if turn > 2 else "wrong") if case.answerable else "false_confidence"
    cited = ScoredCitation(marker=1, quote=_quote("It holds 3 litres", None), answer_span=Span(start=0, end=27))
    return CaseResult(
        **shared,
        text=ANSWER + (HOSTILE if place == 0 else ""),
        abstained=False,
        outcome=outcome,
        decided_by="references",
        claims=_claims(1 if turn > 2 else 3) if system < 3 else None,
        citations=(cited,) if system == 1 else (),
        invalid_markers=(9,) if system == 1 else (),
        confidence=turn / 5,
        retrieved_passage_ids=(17, 4) if system == 1 else (),
        total_seconds=1.25 if system < 3 else None,
        cause="not_retrieved" if system == 1 and outcome == "wrong" else None,
    )


def make_record(n: int) -> RunRecord:
    """`n` cases, a fifth of them unanswerable, under four systems; one of them never had a claim judged."""
    cases = tuple(
        Case(
            case_id=f"q{place:04d}",
            question=f"How much does bottle {place} hold?" + (HOSTILE if place == 0 else ""),
            reference_answers=("3 litres",) if place % 5 else (),
            answerable=bool(place % 5),
            document=f"document {place % 7}" + (HOSTILE if place % 7 == 0 else ""),
        )
        for place in range(n)
    )
    answers = (ExternalAnswer(case_id="q0000", text="3"),)
    return RunRecord(
        manifest=Manifest(
            name="Bottles " + HOSTILE,
            collection="default",
            seed=3,
            created_at="2025-03-01T12:30:00Z",
            cases_sha256="ab" * 32,
            systems=(
                System(name=NAMES[0], mode="closed_book", model=HOSTILE),
                System(name=NAMES[1], mode="grounded", model=HOSTILE),
                System(name=NAMES[2], mode="oracle", model=HOSTILE),
                System(name=NAMES[3], answers=answers),
            ),
            verifier=VerifierInfo(name="overlap", version="1", threshold=0.5, measured_on="sixty labels"),
            judge_trial=JudgeTrial(
                name="overlap",
                measured_on="sixty labels",
                caught=12,
                passed_over=18,
                cleared=20,
                accused=10,
                ece=0.12,
                brier=0.25,
                bins=(
                    ReliabilityBin(low=0.0, high=0.5, n=40, mean_score=0.2, share_supported=0.4),
                    ReliabilityBin(low=0.5, high=1.0, n=20, mean_score=0.8, share_supported=0.6),
                ),
            ),
            version="0",
        ),
        cases=cases,
        results=tuple(_result(case, place, system) for place, case in enumerate(cases) for system in range(len(NAMES))),
    )


@pytest.fixture(scope="session")
def report_of() -> Callable[[int], dict[str, Any]]:
    """The report of a run with so many cases."""

    def report_of(n: int) -> dict[str, Any]:
        record = make_record(n)
        swapped = Swapped(text="4 litres", reference="3 litres", stand_in="4 litres", obeyed="evidence")
        again = Rerun(text="3 litres", abstained=False, outcome="correct")
        probes = [Probe(case_id=f"q{place:04d}", system=NAMES[1], oracle=again, swapped=swapped) for place in range(9)]
        return {
            **build_report(record, n_resamples=40),
            "waterfalls": [waterfall_json(fall) for fall in waterfalls(record, probes)],
            "obedience": {NAMES[1]: count_obedience(probes)},
        }

    return report_of


@pytest.fixture(scope="session")
def report(report_of: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    """The report of a run with sixty cases."""
    return report_of(60)


@pytest.fixture(scope="session")
def record() -> RunRecord:
    """A run with ten cases."""
    return make_record(10)
