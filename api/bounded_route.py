"""A route whose body is read whole and therefore must be small."""

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive

from api.deps import parts_of


class BoundedRoute(APIRoute):
    """Refuses a body beyond `settings.max_json_bytes` with 413 before it is in memory."""

    setting: ClassVar[str] = "max_json_bytes"

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler behind a receive that counts."""
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            max_bytes = int(getattr(parts_of(request).settings, self.setting))
            return await handle(Request(request.scope, _counting(request.receive, max_bytes), request._send))

        return bounded


class LongBodyRoute(BoundedRoute):
    """The same for bodies that hold many cases: `settings.max_comparison_bytes`."""

    setting: ClassVar[str] = "max_comparison_bytes"


def _counting(receive: Receive, max_bytes: int) -> Receive:
    n_bytes = 0

    async def counted() -> Message:
        nonlocal n_bytes
        message = await receive()
        n_bytes += len(message.get("body", b""))
        if n_bytes > max_bytes:
            raise HTTPException(413, f"The body must have at most {max_bytes:,} bytes.")
        return message

    return counted
