"""Comparisons: start, watch, read, stop."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from api import comparison_reports
from api.bounded_route import LongBodyRoute
from api.deps import PartsDep, WithKey, WithKnownParameters, client_of
from api.routes import comparison_examples as examples
from api.routes.openapi import answers, body
from api.schemas.comparisons import (
    ComparisonDeletedOut,
    ComparisonIn,
    ComparisonOut,
    ComparisonQueuedOut,
    ComparisonsOut,
    DraftIn,
    DraftOut,
    case_to_json,
    comparison_to_json,
    row_to_json,
)
from api.schemas.fields import Identifier, Whole
from api.turn import in_turn, unless_hung_up
from llm.types import Cancel
from rag.evaluation.draft_cases import draft_cases
from rag.evaluation.plan import plan_json, read_plan
from rag.evaluation.records import case_line

router = APIRouter(
    prefix="/v1/comparisons",
    tags=["Comparisons"],
    dependencies=[WithKey, WithKnownParameters],
    route_class=LongBodyRoute,
)
_LINES = "application/x-ndjson"


@router.post(
    "",
    status_code=202,
    summary="Compare systems",
    responses=answers(ComparisonQueuedOut, examples.QUEUED, 400, 413, 415, 422, status=202),
    openapi_extra=body(examples.COMPARISON_BODY, examples.EXTERNAL_BODY),
)
def start_comparison(parts: PartsDep, wanted: ComparisonIn) -> JSONResponse:
    """Ask every case under every system, score the answers and check their claims, in the background.

    A system is a way of answering here (`mode`, `k`, `model`, …) or has `answers` made elsewhere, with people's labels
    where there are any. Every system of a case is judged against the same evidence: its gold passages and the eight
    best passages for question and claim. `judged` (left out: if a system answers here or a collection is named) has
    claims judged, `trace` reruns wrong answers to find their cause, `obedience` is the number of cases that are asked
    again with another answer in their evidence.
    """
    settings = parts.settings
    plan = wanted.plan(
        k=settings.k,
        prompt_tokens=settings.prompt_tokens,
        max_new_tokens=settings.max_new_tokens,
        rerankers=parts.reranking.names,
    )
    stored = parts.catalog.comparisons.create(
        plan.name, plan.collection, plan_json(plan), len(plan.cases) * len(plan.systems), parts.now()
    )
    parts.comparing.start(parts, stored.job_id)
    return JSONResponse({"comparison_id": stored.comparison_id, "job_id": stored.job_id}, status_code=202)


@router.post(
    "/draft",
    summary="Draft cases",
    responses=answers(DraftOut, examples.DRAFT, 400, 413, 415, 422, 429, 503),
    openapi_extra=body(examples.DRAFT_BODY),
)
async def draft_comparison_cases(request: Request, parts: PartsDep, wanted: DraftIn) -> Response:
    """Questions with answer and passage from the documents of a collection, for a person to edit.

    The decoder writes the questions; a service without one asks sentences with a gap. The same documents and seed draft
    the same cases. Fewer than `n` come where not enough passages state a fact.
    """
    parts.begin()
    cancel = Cancel()
    decoder = parts.decoder.get() if parts.decoder.is_wanted else None

    def work() -> dict[str, Any]:
        passages = parts.catalog.passages
        ids = [int(passage_id) for passage_id in passages.ids(wanted.collection)]
        cases = draft_cases(
            ids,
            lambda drawn: tuple(passages.get_many(drawn).values()),
            wanted.n,
            seed=wanted.seed,
            decoder=decoder,
            cancel=cancel,
        )
        return {"cases": [case_to_json(case) for case in cases]}

    client = client_of(request)
    async with parts.questions.place(client):
        return JSONResponse(
            await unless_hung_up(request, parts.closing, cancel.set, partial(in_turn, parts, client, cancel, work))
        )


@router.get("", summary="List comparisons", responses=answers(ComparisonsOut, examples.COMPARISONS, 422))
def list_comparisons(
    parts: PartsDep,
    limit: Annotated[int, Whole(1, 1000, from_text=True), Query(description="Rows.")] = 100,
) -> JSONResponse:
    """The newest comparisons first."""
    rows, count = parts.catalog.comparisons.list(limit)
    return JSONResponse({"data": [row_to_json(row) for row in rows], "count": count})


@router.get("/{comparison_id}", summary="Read a comparison", responses=answers(ComparisonOut, examples.COMPARISON, 404))
def get_comparison(parts: PartsDep, comparison_id: Identifier) -> JSONResponse:
    """Status (`queued`, `running`, `ready`, `failed`, `cancelled`), progress, time left, and the figures once ready."""
    return JSONResponse(comparison_to_json(parts.catalog.comparisons.get(comparison_id)))


@router.get(
    "/{comparison_id}/report.html",
    summary="Read the report",
    responses=answers(None, examples.PAGE, 404, 409, media_type="text/html"),
    response_class=HTMLResponse,
)
def get_report_page(parts: PartsDep, comparison_id: Identifier) -> HTMLResponse:
    """One page that needs nothing else; its own script is allowed by hash, in a sandbox without an origin."""
    page, policy = comparison_reports.report_html(parts, comparison_id)
    return HTMLResponse(page, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})


@router.get(
    "/{comparison_id}/report.json",
    summary="Read the report as data",
    responses=answers(None, examples.REPORT, 404, 409),
)
def get_report(parts: PartsDep, comparison_id: Identifier) -> Response:
    """Every figure with its parts, intervals and tests, and every case; the schema is `docs/report.schema.json`."""
    text = comparison_reports.report_json(parts, comparison_id)
    return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})


@router.get(
    "/{comparison_id}/results.jsonl",
    summary="Read the results",
    responses=answers(None, examples.RESULTS, 404, media_type=_LINES),
    response_class=StreamingResponse,
)
def get_results(parts: PartsDep, comparison_id: Identifier) -> StreamingResponse:
    """One line a case and system, as far as the comparison has come."""
    parts.catalog.comparisons.get(comparison_id)
    return _lines(map(_line, parts.catalog.comparisons.results(comparison_id)))


@router.get(
    "/{comparison_id}/probes.jsonl",
    summary="Read what reruns told",
    responses=answers(None, examples.PROBES, 404, media_type=_LINES),
    response_class=StreamingResponse,
)
def get_probes(parts: PartsDep, comparison_id: Identifier) -> StreamingResponse:
    """One line for each answer that was rerun: its cause, the reruns, and the answer over swapped evidence."""
    parts.catalog.comparisons.get(comparison_id)
    return _lines(map(_line, parts.catalog.comparisons.results(comparison_id, "probe")))


@router.get(
    "/{comparison_id}/cases.jsonl",
    summary="Read the cases",
    responses=answers(None, examples.CASES, 404, media_type=_LINES),
    response_class=StreamingResponse,
)
def get_cases(parts: PartsDep, comparison_id: Identifier) -> StreamingResponse:
    """One line a case, as it was asked."""
    plan = read_plan(parts.catalog.comparisons.request(comparison_id))
    return _lines(case_line(case) + "\n" for case in plan.cases)


@router.post(
    "/{comparison_id}/cancel",
    summary="Stop a comparison",
    responses=answers(ComparisonOut, examples.CANCELLED, 404, 409),
)
def cancel_comparison(parts: PartsDep, comparison_id: Identifier) -> JSONResponse:
    """Stop the work; results stay and can be read."""
    stored = parts.catalog.comparisons.cancel(comparison_id, parts.now())
    parts.comparing.stop_one(comparison_id)
    return JSONResponse(comparison_to_json(stored))


@router.post(
    "/{comparison_id}/resume",
    status_code=202,
    summary="Go on with a comparison",
    responses=answers(ComparisonQueuedOut, examples.QUEUED, 404, 409, status=202),
)
def resume_comparison(parts: PartsDep, comparison_id: Identifier) -> JSONResponse:
    """Queue a comparison again that failed, was cancelled or was interrupted; what is done is not done again."""
    stored = parts.catalog.comparisons.resume(comparison_id, parts.now())
    parts.comparing.start(parts, stored.job_id)
    return JSONResponse({"comparison_id": stored.comparison_id, "job_id": stored.job_id}, status_code=202)


@router.delete(
    "/{comparison_id}",
    summary="Delete a comparison",
    responses=answers(ComparisonDeletedOut, examples.DELETED, 404),
)
def delete_comparison(parts: PartsDep, comparison_id: Identifier) -> JSONResponse:
    """Delete a comparison with its cases, results and reports."""
    n_results = parts.catalog.comparisons.delete(comparison_id, parts.now())
    parts.comparing.stop_one(comparison_id)
    parts.reports.forget(comparison_id)
    return JSONResponse({"comparison_id": comparison_id, "deleted": {"results": n_results}})


def _line(payload: dict[str, Any]) -> str:
    return json.dumps(payload, ensure_ascii=False, allow_nan=False, sort_keys=True) + "\n"


def _lines(lines: Iterator[str]) -> StreamingResponse:
    return StreamingResponse(lines, media_type=f"{_LINES}; charset=utf-8", headers={"Cache-Control": "no-store"})
