"""One table from every error to its HTTP status and stable code, and the RFC 9457 answers made from it."""

import http
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from llm import errors as llm_errors
from rag import errors as rag_errors

PROBLEM_TYPE = "application/problem+json"
CLIENT_CLOSED_REQUEST = 499  # nobody reads it; it keeps logs and metrics true


class UnauthorizedError(rag_errors.CiteboundError):
    """No key, or a wrong one."""

    code = "unauthorized"


class ForbiddenError(rag_errors.CiteboundError):
    """The peer, the Host or the Origin may not ask."""

    code = "forbidden"


class GoneError(rag_errors.CiteboundError):
    """What is asked for was there and was deleted for good."""

    code = "gone"


class OverloadedError(rag_errors.CiteboundError):
    """The queue is full; ask again after `retry_after_seconds`."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class TooLargeError(rag_errors.CiteboundError):
    """The request's body is larger than the service takes."""

    code = "too_large"


class MalformedError(rag_errors.CiteboundError):
    """The request's body cannot be taken apart."""

    code = "malformed"


class MediaTypeError(rag_errors.CiteboundError):
    """The request's body is of a kind the route does not take."""

    code = "unsupported_media_type"


# The nearest class in an error's MRO decides. A code of None means the error carries its own.
STATUSES: Mapping[type[Exception], tuple[int, str | None]] = {
    rag_errors.NotFoundError: (404, None),
    rag_errors.ConflictError: (409, None),
    rag_errors.InvalidInputError: (422, None),
    rag_errors.DocumentError: (422, None),  # see DOCUMENT_STATUSES
    rag_errors.FolderOwnedError: (503, None),
    rag_errors.IndexMismatchError: (503, None),
    rag_errors.StorageError: (507, None),
    rag_errors.NotReadyError: (503, None),
    rag_errors.CiteboundError: (500, "internal"),
    UnauthorizedError: (401, None),
    ForbiddenError: (403, None),
    GoneError: (410, None),
    OverloadedError: (429, None),
    TooLargeError: (413, None),
    MalformedError: (400, None),
    MediaTypeError: (415, None),
    llm_errors.ModelNotFoundError: (404, "model_not_found"),
    llm_errors.ModelIntegrityError: (503, "model_integrity"),
    llm_errors.UnsafeModelError: (422, "unsafe_model"),
    llm_errors.DownloadError: (503, "download"),
    llm_errors.PromptTooLongError: (422, "prompt_too_long"),
    llm_errors.UnsupportedError: (422, "unsupported"),
    llm_errors.RemoteError: (502, "remote_decoder"),
    llm_errors.RemoteUnavailableError: (503, "remote_decoder_unavailable"),
    llm_errors.CancelledError: (CLIENT_CLOSED_REQUEST, "cancelled"),
    llm_errors.LlmError: (500, "internal"),
}
DOCUMENT_STATUSES: Mapping[str, int] = {"too_large": 413, "unsupported_type": 415}

# Codes of what the framework itself refuses.
HTTP_CODES: Mapping[int, str] = {
    400: "malformed",
    404: "not_found",
    408: "timeout",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}


def status_and_code(error: Exception) -> tuple[int, str]:
    """The HTTP status and the stable code of an error; 500 `internal` for what no table row names."""
    for kind in type(error).__mro__:
        row = STATUSES.get(kind)
        if row is not None:
            code = row[1] or str(getattr(error, "code", "internal"))
            if isinstance(error, rag_errors.DocumentError):
                return DOCUMENT_STATUSES.get(error.code, row[0]), code
            return row[0], code
    return 500, "internal"


def problem(status: int, code: str, detail: str, **more: Any) -> dict[str, Any]:
    """The body of an RFC 9457 answer."""
    title = "Client Closed Request" if status == CLIENT_CLOSED_REQUEST else http.HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail, **more}


def problem_of(error: Exception) -> dict[str, Any]:
    """The problem an error becomes. An unforeseen error says nothing of its inside."""
    status, code = status_and_code(error)
    if code == "internal":
        return problem(status, code, "The service failed on this request; its log has the reason under the request id.")
    page = getattr(error, "page", None)
    extra: dict[str, Any] = {}
    if page is not None:
        extra["page"] = page
    if isinstance(error, rag_errors.DuplicateError):
        extra["document_id"] = error.document_id
    return problem(status, code, str(error), **extra)


def headers_of(error: Exception) -> dict[str, str]:
    """Headers that belong to an error's answer."""
    if isinstance(error, OverloadedError):
        return {"Retry-After": str(error.retry_after_seconds)}
    if isinstance(error, rag_errors.NotReadyError):
        return {"Retry-After": "2"}
    if isinstance(error, llm_errors.RemoteUnavailableError) and error.retry_after_seconds is not None:
        return {"Retry-After": str(error.retry_after_seconds)}
    if isinstance(error, UnauthorizedError):
        return {"WWW-Authenticate": 'Bearer realm="citebound"'}
    return {}


class ProblemResponse(JSONResponse):
    """A problem as an answer."""

    media_type = PROBLEM_TYPE

    def __init__(self, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(body, status_code=int(body["status"]), headers=headers)


def respond(error: Exception) -> ProblemResponse:
    """The whole answer to an error."""
    return ProblemResponse(problem_of(error), headers_of(error))


def describe(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Each validation error as the field's name and one sentence; values are never repeated.

    A place begins with where the value came from (body, query, path), as FastAPI gives it.
    """
    rows = []
    for error in errors:
        field = ".".join(str(part) for part in error["loc"][1:])
        kind = error["type"]
        name = field or "the body"
        if kind == "missing" and not field:
            message = "the request needs a JSON body"
        elif kind == "missing":
            message = f"{name} is required"
        elif kind == "extra_forbidden":
            message = f"{name} is not a field of this request"
        elif kind in ("model_attributes_type", "model_type", "dict_type"):
            message = f"{name} must be a JSON object"
        elif kind == "literal_error":
            message = f"{name} must be {error['ctx']['expected']}"
        elif kind == "allowed":
            message = f"{field} {error['msg']}".strip()
        elif kind == "bool_type":
            message = f"{name} must be true or false"
        elif kind in ("too_long", "too_short"):
            bound = "max_length" if kind == "too_long" else "min_length"
            n_items = error["ctx"][bound]
            items = "item" if n_items == 1 else "items"
            message = f"{name} must have at {'most' if kind == 'too_long' else 'least'} {n_items} {items}"
        else:
            message = f"{name}: {error['msg'][:1].lower()}{error['msg'][1:]}"
        rows.append({"field": field, "message": message})
    return rows


def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(row["type"] == "json_invalid" for row in found):
        return ProblemResponse(problem(400, "malformed", "The body is not JSON."))
    kind = request.headers.get("content-type", "")
    if any(tuple(row["loc"]) == ("body",) for row in found) and "json" not in kind.lower():
        body_there = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
        if body_there:
            return ProblemResponse(
                problem(415, "unsupported_media_type", "Send the body with Content-Type: application/json.")
            )
    rows = describe(found)
    message = rows[0]["message"]
    named = rows[0]["field"] and message.startswith(rows[0]["field"])  # a field's name is written as it was sent
    detail = f"{message if named else message[:1].upper() + message[1:]}."
    return ProblemResponse(problem(422, "invalid", detail, errors=rows))


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = HTTP_CODES.get(error.status_code, "error")
    detail = {
        400: "The body is not JSON that can be read: it is broken, or nested too deeply.",
        404: "There is nothing at this address; /docs lists the routes.",
        405: "This address does not take that method; /docs lists the routes.",
    }.get(error.status_code, str(error.detail))
    return ProblemResponse(problem(error.status_code, code, detail), error.headers)


def _ours(request: Request, error: Exception) -> Response:
    return respond(error)


def answer_to(request: Request, error: Exception) -> Response:
    """The answer to any error: of ours, of the validation, of the framework, or unforeseen."""
    if isinstance(error, RequestValidationError):
        return _validation(request, error)
    return _http(request, error) if isinstance(error, HTTPException) else respond(error)


def install(app: FastAPI) -> None:
    """Give `app` the handlers that turn every foreseen error into a problem."""
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(rag_errors.CiteboundError, _ours)
    app.add_exception_handler(llm_errors.LlmError, _ours)
    app.add_exception_handler(Exception, _ours)  # and is raised on: `api.observe` logs it
