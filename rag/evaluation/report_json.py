"""From a stored run to `report.json`, its schema, and a table for spreadsheets.

Deterministic: the same record and settings give the same bytes. Floats are rounded to six decimals, so that the last
bits of a matrix product, which differ between machines, are not in the report.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from pydantic import TypeAdapter

from rag.evaluation.case_types import AnswerView, CaseView, CitationView, ClaimView, QuoteView
from rag.evaluation.comparison import compare, transition
from rag.evaluation.counts import answer_faithfulness
from rag.evaluation.decisions import decide
from rag.evaluation.differences import Settings
from rag.evaluation.judge_trial import judge_view, shipped_trials, trial_in_run
from rag.evaluation.judge_types import JudgeView
from rag.evaluation.records import manifest_json
from rag.evaluation.report_types import SCHEMA_VERSION, CasesView, Report
from rag.evaluation.sentences import headline_alone, headline_of
from rag.evaluation.slices import worst_slices
from rag.evaluation.system_view import view_system
from rag.evaluation.types import Case, CaseResult, Quote, RunRecord, ScoredCitation, ScoredClaim
from rag.evaluation.warnings import warnings_of

_DECIMALS = 6
_CSV_COLUMNS = (
    "case_id",
    "system",
    "question",
    "document",
    "answerable",
    "answer",
    "outcome",
    "transition",
    "exact_match",
    "token_f1",
    "contains_reference",
    "judged_equivalent",
    "hallucinates",
    "faithfulness",
    "n_claims",
    "n_supported",
    "n_contradicted",
    "n_unsupported",
    "confidence",
    "total_seconds",
    "prompt_tokens",
    "completion_tokens",
    "cause",
    "failure",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run a cell that opens with one of these


def build_report(record: RunRecord, *, n_resamples: int = 10_000, margin: float = 0.05) -> dict[str, Any]:
    """`report.json` of a stored run, as JSON values that follow `report.schema.json`.

    Args:
        record: the run; results of cases that were not run may be missing.
        n_resamples: of the bootstrap and of the randomization.
        margin: of equivalence, in the units of the figures.
    """
    settings = Settings(seed=record.manifest.seed, n_resamples=n_resamples, margin=margin)
    report = TypeAdapter(Report).dump_python(_report(record, settings), mode="json")
    return cast("dict[str, Any]", _rounded(report))


def report_text(report: Mapping[str, Any]) -> str:
    """The bytes of `report.json`, as text."""
    return json.dumps(report, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def report_schema() -> dict[str, Any]:
    """The JSON schema that is published as `report.schema.json`."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **TypeAdapter(Report).json_schema()}


def report_csv(report: Mapping[str, Any]) -> str:
    """One row a case and system. A cell that a spreadsheet would take for a formula is quoted with an apostrophe."""
    written = io.StringIO()
    writer = csv.DictWriter(written, _CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for case in report["case_rows"]:
        for answer in case["answers"]:
            verdicts = [claim["verdict"] for claim in answer["claims"]]
            row = {name: answer.get(name) for name in _CSV_COLUMNS}
            row.update({name: case[name] for name in ("case_id", "question", "document", "answerable")})
            row.update(
                answer=answer["text"],
                transition=case["transitions"].get(answer["system"]),
                n_claims=len(verdicts),
                n_supported=verdicts.count("supported"),
                n_contradicted=verdicts.count("contradicted"),
                n_unsupported=verdicts.count("unsupported"),
            )
            writer.writerow({name: _cell(value) for name, value in row.items()})
    return written.getvalue()


def _report(record: RunRecord, settings: Settings) -> Report:
    manifest = record.manifest
    cases = sorted(record.cases, key=lambda case: case.case_id)
    known = {case.case_id for case in cases}
    results: dict[str, dict[str, CaseResult]] = {system.name: {} for system in manifest.systems}
    for result in record.results:
        if result.system in results and result.case_id in known:
            results[result.system][result.case_id] = result
    every = [result for answers in results.values() for result in answers.values()]
    own = manifest.judge_trial or trial_in_run(every, manifest.verifier)
    trials = ((own,) if own else ()) + shipped_trials(manifest.verifier)
    trial = trials[0] if trials else None
    judge = judge_view(manifest.verifier, trial, trials[1:])
    systems = tuple(
        view_system(system, cases, results[system.name], settings=settings, trial=trial) for system in manifest.systems
    )
    names = [system.name for system in manifest.systems]
    compared = [compare(cases, (names[0], name), results[names[0]], results[name], settings) for name in names[1:]]
    figures = {system.name: system.figures for system in systems}
    decided = decide(compared, judge_decides=_judge_decides(judge, every))
    headlines = [headline_of(comparison, figures) for comparison in decided]
    n_missing = len(cases) * len(names) - len(every)
    report = Report(
        schema_version=SCHEMA_VERSION,
        name=manifest.name,
        created_at=manifest.created_at,
        collection=manifest.collection,
        seed=manifest.seed,
        n_resamples=settings.n_resamples,
        complete=n_missing == 0,
        n_missing=n_missing,
        headline=headlines[0] if headlines else headline_alone(systems[0] if systems else None),
        cases=_view_cases(cases),
        systems=systems,
        comparisons=tuple(
            replace(comparison, sentence=headline.sentence)
            for comparison, headline in zip(decided, headlines, strict=True)
        ),
        slices=worst_slices(cases, results),
        judge=judge,
        case_rows=tuple(_view_case(case, names, results) for case in record.cases),
        warnings=(),
        manifest=_view_manifest(record),
    )
    return replace(report, warnings=warnings_of(report))


def _judge_decides(judge: JudgeView, results: Sequence[CaseResult]) -> bool:
    """Whether figures that rest on verdicts may be called better or worse: a good judge, or people's verdicts only."""
    claims = [claim for result in results for claim in result.claims or ()]
    by_machine = any(claim.decided_by == "judge" for claim in claims)
    return judge.decidable or not (by_machine or any(result.citation_counts is not None for result in results))


def _view_manifest(record: RunRecord) -> dict[str, Any]:
    written = manifest_json(record.manifest)
    for system in written["systems"]:
        if system["answers"] is not None:
            system["answers"] = []  # they are in the cases
    return written


def _view_cases(cases: Sequence[Case]) -> CasesView:
    documents = {case.document for case in cases if case.document is not None}
    return CasesView(
        n=len(cases),
        n_answerable=sum(case.answerable for case in cases),
        n_unanswerable=sum(not case.answerable for case in cases),
        n_with_references=sum(bool(case.reference_answers) for case in cases),
        n_documents=len(documents) + sum(case.document is None for case in cases),
        n_drafted=sum(case.drafted for case in cases),
    )


def _view_case(case: Case, names: Sequence[str], results: Mapping[str, Mapping[str, CaseResult]]) -> CaseView:
    first = results[names[0]].get(case.case_id)
    return CaseView(
        case_id=case.case_id,
        question=case.question,
        answerable=case.answerable,
        reference_answers=case.reference_answers,
        document=case.document,
        slices=dict(sorted(case.slices.items())),
        drafted=case.drafted,
        transitions={
            name: transition(first, results[name].get(case.case_id)) if place else None
            for place, name in enumerate(names)
        },
        answers=tuple(_view_answer(results[name][case.case_id]) for name in names if case.case_id in results[name]),
    )


def _view_answer(result: CaseResult) -> AnswerView:
    return AnswerView(
        system=result.system,
        text=result.text,
        abstained=result.abstained,
        outcome=result.outcome,
        decided_by=result.decided_by,
        label=result.label,
        exact_match=result.exact_match,
        token_f1=result.token_f1,
        contains_reference=result.contains_reference,
        judged_equivalent=result.judged_equivalent,
        hallucinates=result.hallucinates,
        faithfulness=answer_faithfulness(result),
        confidence=result.confidence,
        claims=tuple(_view_claim(claim) for claim in result.claims or ()),
        citations=tuple(_view_citation(citation) for citation in result.citations),
        invalid_markers=result.invalid_markers,
        total_seconds=result.total_seconds,
        prompt_tokens=result.prompt_tokens,
        completion_tokens=result.completion_tokens,
        cause=result.cause,
        failure=f"{result.failure.code}: {result.failure.message}" if result.failure else None,
        redacted=result.redacted,
    )


def _view_claim(claim: ScoredClaim) -> ClaimView:
    return ClaimView(
        text=claim.text,
        start=claim.start,
        end=claim.end,
        verdict=claim.verdict,
        shown_verdict=claim.shown_verdict,
        score=claim.score,
        decided_by=claim.decided_by,
        where=claim.where,
        quote=_view_quote(claim.quote) if claim.quote else None,
        reasons=claim.reasons,
    )


def _view_citation(citation: ScoredCitation) -> CitationView:
    return CitationView(
        marker=citation.marker,
        answer_span=(citation.answer_span.start, citation.answer_span.end),
        label=citation.label,
        literal=citation.literal,
        quote=_view_quote(citation.quote),
    )


def _view_quote(quote: Quote) -> QuoteView:
    return QuoteView(
        text=quote.text,
        document_id=quote.document_id,
        document_name=quote.document_name,
        document_version=quote.document_version,
        passage_id=quote.passage_id,
        first_page=quote.first_page,
        last_page=quote.last_page,
        char_range=(quote.char_range.start, quote.char_range.end) if quote.char_range else None,
        redacted=quote.redacted,
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DECIMALS) + 0.0  # + 0.0 makes -0.0 a plain 0
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
