"""How each operation is described: its answer's schema, an example of it, and the problems it can return."""

from typing import Any

from pydantic import BaseModel

from api.errors import PROBLEM_TYPE
from api.schemas.answers import ProblemOut

_WORDS = {
    400: ("malformed", "The body is not JSON."),
    401: ("unauthorized", "send a key as Authorization: Bearer KEY; make one with citebound keys add"),
    403: ("forbidden", "another site's page may not use this service"),
    404: ("not_found", "no document has that id; see GET /v1/documents"),
    409: ("conflict", "the document is being ingested; cancel it first"),
    410: ("gone", "what the decoder read for this answer went with a deleted document; ask again"),
    413: ("too_large", "the file is larger than the limit of 209715200 bytes; send a smaller one"),
    415: ("unsupported_type", "this file is not of a type that can be read"),
    422: ("invalid", "K must be a whole number from 1 to 100."),
    429: ("overloaded", "9 questions are being answered or waiting; ask again in 4 s"),
    503: ("not_ready", "the decoder is still loading; ask again in a moment"),
}


_NULL = "\0null"  # FastAPI drops null out of examples; this stands in for it until `restore_nulls`


def _mark_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _mark_nulls(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_mark_nulls(inner) for inner in value]
    return _NULL if value is None else value


def restore_nulls(value: Any) -> Any:
    """The OpenAPI document with null where an example has it."""
    if isinstance(value, dict):
        return {name: restore_nulls(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [restore_nulls(inner) for inner in value]
    return None if value == _NULL else value


def answers(
    model: type[BaseModel] | None, example: Any, *problems: int, status: int = 200, media_type: str = "application/json"
) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: success with `model` and `example`, and each of `problems` with its own example."""
    success: dict[str, Any] = {"description": "Success", "content": {media_type: {"example": _mark_nulls(example)}}}
    if model is not None:
        success["model"] = model
    described: dict[int | str, dict[str, Any]] = {status: success}
    for number in (401, 403, *problems):
        code, detail = _WORDS[number]
        example_problem = {"type": "about:blank", "title": "…", "status": number, "code": code, "detail": detail}
        described[number] = {
            "description": code.replace("_", " "),
            "content": {PROBLEM_TYPE: {"schema": ProblemOut.model_json_schema(), "example": example_problem}},
        }
    return described


def body(*examples: dict[str, Any]) -> dict[str, Any]:
    """The `openapi_extra` that puts examples on a JSON request body."""
    named = {f"example {n}": {"value": _mark_nulls(example)} for n, example in enumerate(examples, 1)}
    return {"requestBody": {"content": {"application/json": {"examples": named}}}}
