"""A route whose body is read whole and therefore must be small."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive

from api.deps import parts_of

_IDLE_SECONDS = 30.0  # that a sender may be silent in the middle of a body


class BoundedRoute(APIRoute):
    """Refuses a body beyond `settings.max_json_bytes` with 413 before it is in memory, and one that stops with 408."""

    setting: ClassVar[str] = "max_json_bytes"

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler behind a receive that counts."""
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            max_bytes = int(getattr(parts_of(request).settings, self.setting))
            declared = request.headers.get("content-length", "")
            if declared.isdecimal() and int(declared) > max_bytes:
                raise _too_large(max_bytes)
            return await handle(Request(request.scope, _counting(request.receive, max_bytes), request._send))

        return bounded


class LongBodyRoute(BoundedRoute):
    """The same for bodies that hold many cases: `settings.max_comparison_bytes`."""

    setting: ClassVar[str] = "max_comparison_bytes"


def _counting(receive: Receive, max_bytes: int) -> Receive:
    n_bytes = 0
    more = True  # after the body, `receive` waits for the client to go, which may take as long as it likes

    async def counted() -> Message:
        nonlocal n_bytes, more
        try:
            message = await asyncio.wait_for(receive(), _IDLE_SECONDS if more else None)
        except TimeoutError:
            raise HTTPException(408, f"The body stopped for {_IDLE_SECONDS:.0f} seconds; send it again.") from None
        more = bool(message.get("more_body"))
        n_bytes += len(message.get("body", b""))
        if n_bytes > max_bytes:
            raise _too_large(max_bytes)
        return message

    return counted


def _too_large(max_bytes: int) -> HTTPException:
    return HTTPException(413, f"The body must have at most {max_bytes:,} bytes.")
