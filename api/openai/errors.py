"""Errors in OpenAI's shape. Their statuses are OpenAI's as well: what cannot be taken is 400, not 422."""

import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from api.admission import Admission
from api.bounded_route import BoundedRoute
from api.errors import OverloadedError, answer_to
from api.logs import frames

_log = structlog.get_logger(__name__)

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}
_CODES: Mapping[str, str] = {
    "prompt_too_long": "context_length_exceeded",
    "unauthorized": "invalid_api_key",
    "overloaded": "rate_limit_exceeded",
}

_KEPT = ("allow", "retry-after", "www-authenticate")  # headers


class OpenAiError(Exception):
    """An error that is told in OpenAI's shape wherever it is raised."""

    def __init__(self, status: int, body: dict[str, Any], headers: Mapping[str, str]) -> None:
        super().__init__(body["error"]["message"])
        self.status = status
        self.body = body
        self.headers = headers


def in_dialect(request: Request, error: Exception) -> OpenAiError:
    """An error of ours, of the validation or of the framework as OpenAI would tell it."""
    if isinstance(error, OpenAiError):
        return error
    answer = answer_to(request, error)
    problem = json.loads(bytes(answer.body))
    status = 400 if problem["status"] == 422 else problem["status"]
    rows = problem.get("errors") or [{}]
    body = {
        "error": {
            "message": rows[0].get("message", problem["detail"]),
            "type": _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error"),
            "param": rows[0].get("field") or None,
            "code": _CODES.get(problem["code"], problem["code"]),
        }
    }
    kept = {name: value for name, value in answer.headers.items() if name in _KEPT}
    return OpenAiError(status, body, kept)


def respond(error: OpenAiError) -> JSONResponse:
    """The whole answer to an error."""
    return JSONResponse(error.body, status_code=error.status, headers=dict(error.headers))


class OpenAiRoute(BoundedRoute):
    """A route whose every error has OpenAI's shape, that of the gate and of another method included."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Called where the path fits."""
        known = self.methods or {scope["method"]}
        if scope["method"] in known:
            await super().handle(scope, receive, send)
            return
        refused = HTTPException(405, headers={"Allow": ", ".join(sorted(known))})
        await respond(in_dialect(Request(scope, receive), refused))(scope, receive, send)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler behind the translation."""
        handle = super().get_route_handler()

        async def translated(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:
                told = in_dialect(request, error)
                if told.status == 500:  # nobody above sees it any more
                    _log.error("request_failed", error=type(error).__name__, frames=frames(error))
                return respond(told)

        return translated


@asynccontextmanager
async def place_in(admission: Admission, request: Request, client: str) -> AsyncIterator[None]:
    """A place at work or waiting, for a stream that has not sent its head yet.

    Raises:
        OpenAiError: there is none.
    """
    place = admission.place(client)
    try:
        await place.__aenter__()
    except OverloadedError as error:
        raise in_dialect(request, error) from error
    try:
        yield
    finally:
        await place.__aexit__(None, None, None)


def _handle(request: Request, error: Exception) -> Response:
    assert isinstance(error, OpenAiError)
    return respond(error)


def install(app: FastAPI) -> None:
    """Give `app` the handler for what is raised after a route has returned."""
    app.add_exception_handler(OpenAiError, _handle)
