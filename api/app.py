"""The ASGI application over the parts of one service."""

from importlib.metadata import version

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from api import errors
from api.head import HeadAsGet
from api.observe import Observe
from api.openai import errors as openai_errors
from api.parts import Parts
from api.routes import (
    answers,
    comparisons,
    content,
    documents,
    events,
    health,
    inspect,
    openai,
    owner,
    pages,
    search,
    verify,
)

_DESCRIPTION = """Upload documents, ask, and get an answer in which every sentence carries a citation that was checked.

Offsets are half-open ranges of Unicode code points; pages, ranks and markers count from 1; times are UTC; durations
are seconds and sizes bytes. Errors are `application/problem+json` with a stable `code`.
"""


class Service:
    """The application inside its outermost layer; what a server runs."""

    def __init__(self, app: FastAPI, parts: Parts) -> None:
        self.app = app
        self.parts = parts
        self._layered = Observe(HeadAsGet(app), parts.metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await self._layered(scope, receive, send)


def build_app(parts: Parts) -> Service:
    """Every route over `parts`. Starting and stopping the parts is the caller's."""
    app = FastAPI(
        title="Citebound",
        version=version("citebound"),
        description=_DESCRIPTION,
        openapi_url=None,  # served by api.routes.pages, behind its gate
        redirect_slashes=False,  # a redirect would repeat the Host header
        generate_unique_id_function=_operation_id,
    )
    app.state.parts = parts
    errors.install(app)
    openai_errors.install(app)
    for module in (
        documents,
        content,
        events,
        search,
        answers,
        verify,
        comparisons,
        inspect,
        openai,
        health,
        owner,
        pages,
    ):
        app.include_router(module.router)
    return Service(app, parts)


def _operation_id(route: APIRoute) -> str:
    return route.name
