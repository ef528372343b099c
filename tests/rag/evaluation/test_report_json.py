import csv
import io
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

import rag.evaluation
from rag.errors import InvalidInputError
from rag.evaluation.figures import FIGURES
from rag.evaluation.records import (
    case_line,
    manifest_json,
    read_case,
    read_manifest,
    read_result,
    result_line,
)
from rag.evaluation.report_json import build_report, report_csv, report_schema, report_text
from rag.evaluation.report_types import Report
from rag.evaluation.types import (
    Case,
    CaseFailure,
    CaseResult,
    CitationCounts,
    ExternalAnswer,
    JudgeTrial,
    Manifest,
    Quote,
    RunRecord,
    ScoredCitation,
    ScoredClaim,
    System,
)
from rag.types import Span
from rag.verify.types import VerifierInfo

GOOD = JudgeTrial(
    name="judge", measured_on="hand-made", caught=90, passed_over=10, cleared=90, accused=10, ece=0.02, brier=0.1
)
WEAK = replace(GOOD, caught=55, passed_over=45, cleared=55, accused=45)


def claim(verdict, **more) -> ScoredClaim:
    return ScoredClaim(text="It is 1890.", start=0, end=11, verdict=verdict, score=0.7, decided_by="judge", **more)


def record(n: int = 24, **manifest: Any) -> RunRecord:
    """Closed book is wrong everywhere; grounded is right, abstains where it should, and fails once."""
    cases = tuple(
        Case(
            case_id=f"{number:03}",
            question="When was it?" if number % 2 else "Who was it?",
            reference_answers=("1890",) if number % 4 else (),
            answerable=bool(number % 4),
            document=f"d{number % 8}.md",
            slices={"topic": "mills"},
        )
        for number in range(n)
    )
    quote = Quote(text="in 1890", document_id="d", document_name="d.md", first_page=3, char_range=Span(start=5, end=12))
    results = []
    for number, case in enumerate(cases):
        results.append(
            CaseResult(
                case_id=case.case_id,
                system="closed",
                text="It is 1891.",
                abstained=False,
                outcome="wrong" if case.answerable else "false_confidence",
                claims=(claim("unsupported", where="absent"),),
                confidence=number / n,
                total_seconds=1.0 + number,
            )
        )
        failed = number == 1
        outcome = None if failed else ("correct" if case.answerable else "right_abstention")
        results.append(
            CaseResult(
                case_id=case.case_id,
                system="grounded",
                text=None if failed else "It is 1890. [1]",
                abstained=outcome == "right_abstention",
                outcome=outcome,
                token_f1=1.0,
                claims=(claim("supported", shown_verdict="supported", quote=quote),) if outcome == "correct" else None,
                citations=(
                    ScoredCitation(
                        marker=1, quote=quote, answer_span=Span(start=0, end=11), label="supported", literal=True
                    ),
                ),
                citation_counts=CitationCounts(n_sentences=1, n_recalled=1, n_citations=1, n_precise=1)
                if outcome == "correct"
                else None,
                confidence=0.5,
                cause=None,
                failure=CaseFailure(code="timeout", message="too slow") if failed else None,
            )
        )
    described: dict[str, Any] = {
        "verifier": VerifierInfo(name="judge", version="1", threshold=0.5),
        "judge_trial": GOOD,
        **manifest,
    }
    return RunRecord(
        manifest=Manifest(
            name="mills",
            collection="default",
            seed=7,
            created_at="2026-01-02T03:04:05Z",
            cases_sha256="0",
            systems=(System(name="closed", mode="closed_book"), System(name="grounded", mode="grounded", k=4)),
            **described,
        ),
        cases=cases,
        results=tuple(results),
    )


def build(run: RunRecord) -> dict[str, Any]:
    return build_report(run, n_resamples=300)


def test_the_published_schema_is_the_one_of_the_code() -> None:
    path = Path(rag.evaluation.__path__[0]) / "report.schema.json"
    assert json.loads(path.read_text(encoding="utf-8")) == report_schema()


def test_a_report_follows_its_schema() -> None:
    text = report_text(build(record()))
    TypeAdapter(Report).validate_json(text)
    assert "NaN" not in text and "Infinity" not in text


def test_the_same_run_gives_the_same_bytes_whatever_the_order_of_its_results() -> None:
    run = record()
    shuffled = list(run.results)
    random.Random(3).shuffle(shuffled)
    text = report_text(build(run))
    assert report_text(build(run)) == text
    assert report_text(build(replace(run, results=tuple(shuffled)))) == text
    other = replace(run, manifest=replace(run.manifest, seed=8))
    assert report_text(build(other)) != text


def test_figures_and_outcomes_are_those_of_the_results() -> None:
    report = build(record())
    closed, grounded = report["systems"]
    assert closed["outcomes"]["wrong"] == 18 and closed["outcomes"]["false_confidence"] == 6
    assert grounded["outcomes"] == {
        "correct": 17,
        "wrong": 0,
        "abstained": 0,
        "right_abstention": 6,
        "false_confidence": 0,
        "undefined": 0,
        "failed": 1,
        "missing": 0,
    }
    accuracy = grounded["figures"]["accuracy"]
    assert (accuracy["value"], accuracy["numerator"], accuracy["denominator"], accuracy["undefined"]) == (
        1.0,
        17,
        17,
        1,
    )
    assert 0 < accuracy["low"] < 1  # 17 of 17 is no proof of certainty
    assert closed["figures"]["faithfulness"]["value"] is None
    assert closed["claims"]["absent"] == 24
    assert closed["seconds"] == {"n": 24, "mean": 12.5, "p50": 12.5, "p95": 22.85, "total": 300.0}
    assert grounded["seconds"]["mean"] is None
    assert set(grounded["figures"]) == set(FIGURES)


def test_the_headline_says_both_rates_and_both_answer_rates() -> None:
    headline = build(record())["headline"]
    assert headline["figure"] == "hallucination_rate"
    assert (headline["baseline"], headline["system"], headline["difference"]) == ("closed", "grounded", -1.0)
    assert headline["word"] == "better"
    assert "of its answers, closed 100.0 %: −100.0 points" in headline["sentence"]
    assert "It answers 73.9 % of the questions, closed 100.0 %." in headline["sentence"]


def test_a_weak_judge_decides_nothing() -> None:
    report = build(record(judge_trial=WEAK))
    assert not report["judge"]["decidable"]
    assert report["headline"]["word"] == "not_decidable"
    words = {one["figure"]: one["word"] for one in report["comparisons"][0]["differences"]}
    assert words["hallucination_rate"] == words["unsupported_claim_rate"] == "not_decidable"
    assert words["accuracy"] == "better"
    assert report["judge"]["sentence"] in report["warnings"]


def test_a_judge_that_nobody_tried_decides_nothing() -> None:
    report = build(record(judge_trial=None))
    assert (report["judge"]["balanced_accuracy"], report["judge"]["decidable"]) == (None, False)
    assert report["systems"][0]["corrected"]["unsupported_claim_rate"]["value"] is None


def test_peoples_verdicts_need_no_judge() -> None:
    run = record(verifier=None, judge_trial=None)
    by_people = tuple(
        replace(
            one,
            citation_counts=None,
            claims=tuple(replace(claim, decided_by="person") for claim in one.claims or ()) or None,
        )
        for one in run.results
    )
    report = build(replace(run, results=by_people))
    assert report["headline"]["word"] == "better"
    assert report["systems"][0]["corrected"]["unsupported_claim_rate"]["note"].startswith("verdicts are people's")


def test_rates_are_corrected_for_the_judges_errors() -> None:
    corrected = build(record())["systems"][0]["corrected"]["unsupported_claim_rate"]
    assert corrected["value"] == 1.0
    assert corrected["low"] < 1.0


def test_an_unfinished_run_says_so_and_counts_what_is_missing_as_undefined() -> None:
    run = record()
    report = build(replace(run, results=run.results[:20]))
    assert (report["complete"], report["n_missing"]) == (False, 28)
    assert report["warnings"][0].startswith("The run is not complete: 28 answers are missing")
    assert report["systems"][1]["outcomes"]["missing"] == 14
    empty = build(replace(run, results=()))
    assert empty["systems"][0]["figures"]["accuracy"]["value"] is None
    assert empty["headline"]["difference"] is None


def test_cases_of_one_class_are_refused_for_abstention_and_nothing_else() -> None:
    run = record()
    report = build(replace(run, cases=tuple(case for case in run.cases if case.answerable)))
    abstention = report["systems"][0]["abstention"]
    assert "add cases that are unanswerable" in abstention["refused"]
    assert (abstention["over_refusal"], abstention["aurc"], abstention["risk_coverage"]) == (None, None, [])
    assert "over_refusal" not in report["systems"][0]["figures"]
    assert report["systems"][0]["figures"]["accuracy"]["value"] == 0.0


def test_one_system_alone_has_a_report() -> None:
    run = record()
    alone = replace(run, manifest=replace(run.manifest, systems=run.manifest.systems[1:]))
    report = build(alone)
    assert report["comparisons"] == []
    assert report["headline"]["sentence"].startswith("grounded states what the evidence does not support in 0.0 %")


def test_risk_and_coverage_are_in_the_report() -> None:
    abstention = build(record())["systems"][0]["abstention"]
    assert len(abstention["risk_coverage"]) == 24
    assert abstention["aurc"] == 1.0
    assert abstention["coverage_at_5_percent_risk"] == 0.0


def test_a_weak_slice_is_found() -> None:
    run = record(80)
    worse = tuple(
        replace(one, outcome="wrong") if one.system == "grounded" and int(one.case_id) % 8 == 3 else one
        for one in run.results
    )
    found = build(replace(run, results=worse))["slices"]
    assert (found[0]["property"], found[0]["value"], found[0]["system"]) == ("document", "d3.md", "grounded")
    assert (found[0]["inside"], found[0]["outside"], found[0]["n"]) == (0.0, 1.0, 10)


def test_redacted_words_are_null_and_ids_stay() -> None:
    run = record()
    gone = tuple(
        replace(
            one,
            text=None,
            redacted=True,
            claims=tuple(
                replace(item, text=None, quote=replace(item.quote, text=None, redacted=True) if item.quote else None)
                for item in one.claims or ()
            ),
        )
        for one in run.results
    )
    row = build(replace(run, results=gone))["case_rows"][2]["answers"][1]
    assert (row["text"], row["redacted"]) == (None, True)
    assert (row["claims"][0]["text"], row["claims"][0]["quote"]["text"]) == (None, None)
    assert row["claims"][0]["quote"]["document_id"] == "d"


def test_the_table_has_a_row_an_answer_and_no_formulas() -> None:
    run = record()
    hostile = tuple(replace(one, text='=HYPERLINK("http://x")') if one.case_id == "002" else one for one in run.results)
    rows = list(csv.DictReader(io.StringIO(report_csv(build(replace(run, results=hostile))))))
    assert len(rows) == 48
    assert rows[4]["answer"] == '\'=HYPERLINK("http://x")'
    assert (rows[5]["transition"], rows[5]["answerable"], rows[5]["n_supported"]) == ("rescued", "true", "1")
    assert rows[3]["failure"] == "timeout: too slow"
    assert rows[3]["outcome"] == ""


def test_what_is_stored_comes_back() -> None:
    run = record()
    assert tuple(read_result(result_line(one)) for one in run.results) == run.results
    assert tuple(read_case(case_line(one)) for one in run.cases) == run.cases
    external = System(name="e", answers=(ExternalAnswer(case_id="1", text="a", label="wrong"),))
    manifest = replace(run.manifest, systems=(*run.manifest.systems, external))
    assert read_manifest(json.dumps(manifest_json(manifest))) == manifest


def test_a_torn_line_is_an_error_of_one_line() -> None:
    line = result_line(record().results[0])
    with pytest.raises(InvalidInputError, match="run the comparison again") as caught:
        read_result(line[:-5])
    assert "\n" not in str(caught.value)
