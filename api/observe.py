"""The outermost layer: a request id, security headers, one log line, one count, and a 500 that gives nothing away."""

import re
import secrets
import time
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import CLIENT_CLOSED_REQUEST, ProblemResponse, problem_of
from api.logs import frames
from api.metrics import Metrics

_log = structlog.get_logger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.\-]{1,64}")

# What every answer carries unless its route says otherwise. The default policy lets nothing load.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cache-Control": "no-store",
}


class Observe:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        began, status, is_whole = time.perf_counter(), 0, False

        async def send_marked(message: Message) -> None:
            nonlocal status, is_whole
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            elif message["type"] == "http.response.body":
                is_whole = not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, send_marked)
        except Exception as error:
            _log.error("request_failed", error=type(error).__name__, frames=frames(error))
            if not status:
                await ProblemResponse(problem_of(error))(scope, receive, send_marked)
            elif not is_whole:  # the server cuts the connection, and logs this in place of an error that quotes
                raise RuntimeError("an answer broke off; the log has the reason under its request id") from None
        finally:
            seconds = time.perf_counter() - began
            route = _template(scope)
            self._metrics.request(scope["method"], route, status or CLIENT_CLOSED_REQUEST, seconds)
            _log.info("request", method=scope["method"], route=route, status=status, seconds=round(seconds, 4))


def _template(scope: Scope) -> str:
    """The route's pattern; the path itself may hold anything and stays out of logs and metrics."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", None) or "unmatched")
