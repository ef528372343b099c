"""Retrieval alone."""

import time

from fastapi import APIRouter
from starlette.responses import JSONResponse

from api.bounded_route import BoundedRoute
from api.deps import PartsDep, WithKey, WithKnownParameters
from api.routes import examples
from api.routes.openapi import answers, body
from api.schemas.answers import SearchOut
from api.schemas.requests import SearchIn
from rag.catalog.answer_json import hit_to_json

router = APIRouter(
    prefix="/v1", tags=["Search and answers"], dependencies=[WithKey, WithKnownParameters], route_class=BoundedRoute
)


@router.post(
    "/search",
    summary="Search passages",
    responses=answers(SearchOut, examples.SEARCH, 400, 413, 415, 422, 503),
    openapi_extra=body(examples.SEARCH_BODY, examples.SEARCH_FILTER_BODY),
)
def search(parts: PartsDep, wanted: SearchIn) -> JSONResponse:
    """The `k` passages that fit the query best, by meaning and by words. An unknown collection has no hits."""
    began = time.perf_counter()
    k = wanted.k if "k" in wanted.model_fields_set else parts.settings.k
    found = parts.question_search().search(
        wanted.query, k=k, collection=wanted.collection, metadata_filter=wanted.filter or None
    )
    timings = {"retrieve_seconds": found.seconds, "total_seconds": time.perf_counter() - began}
    return JSONResponse({"hits": [hit_to_json(hit) for hit in found.hits], "timings": timings})
