"""HEAD wherever GET is: the same head without the body (RFC 9110, section 9.3.2)."""

from typing import Any

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """ASGI middleware that runs a GET for a HEAD and ends it where its body would begin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        as_get: dict[str, Any] = {**scope, "method": "GET"}
        with anyio.CancelScope() as running:

            async def send_head(message: Message) -> None:
                if message["type"] == "http.response.start":
                    await send(message)
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    running.cancel()  # the body, which may be long or endless, is not made

            try:
                await self._app(as_get, receive, send_head)
            finally:
                if "route" in as_get:
                    scope["route"] = as_get["route"]  # for the log and the count
