"""Server-sent events (WHATWG HTML, section 9.2): one response class for answers and for news of documents."""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from typing import Any, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HEARTBEAT = b": still here\n\n"
_MAX_CHUNK_BYTES = 64 * 1024  # of events that are sent together

T = TypeVar("T")
Outbox = MemoryObjectSendStream[bytes]
Produce = Callable[[Outbox], Awaitable[None]]


def encode(event: str, data: Any) -> bytes:
    """One event with JSON data on one line; NaN and infinities raise ValueError."""
    body = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f"event: {event}\ndata: {body}\n\n".encode()


def put(outbox: Outbox, body: bytes) -> None:
    """Put an event into an outbox without limit; what nobody reads any more is dropped."""
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        outbox.send_nowait(body)


def from_thread(call: Callable[[T], object]) -> Callable[[T], None]:
    """`call` for threads: it runs on the event loop that this is called on, and nobody waits for it.

    A thread that tells of a token is the one that makes the next one. Calls keep their order, and all have been made
    when the loop hears that the thread has ended.
    """
    loop = asyncio.get_running_loop()

    def hand_over(what: T) -> None:
        loop.call_soon_threadsafe(call, what)

    return hand_over


async def until_hang_up(receive: Receive) -> None:
    """Return once the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream(Response):
    """Sends what `produce` puts into its outbox, with a comment line whenever nothing was sent for a while.

    Args:
        produce: Fills the outbox; the stream ends when it returns. It tells its own errors as events.
        heartbeat_seconds: Longest silence.
        around: Entered before the head of the answer is sent; what it raises becomes an ordinary error.
        on_hang_up: Called once the client is gone or the service stops, before `produce` is cancelled.
        closing: When set, the service is stopping: the stream ends within `grace_seconds`.
        max_waiting: Events that may wait for a slow reader before `await outbox.send` does.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        produce: Produce,
        *,
        heartbeat_seconds: float,
        closing: anyio.Event,
        around: Callable[[], AbstractAsyncContextManager[Any]] = nullcontext,
        on_hang_up: Callable[[], None] = lambda: None,
        grace_seconds: float = 0.0,
        max_waiting: float = math.inf,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._produce = produce
        self._heartbeat_seconds = heartbeat_seconds
        self._closing = closing
        self._around = around
        self._on_hang_up = on_hang_up
        self._grace_seconds = grace_seconds
        self._max_waiting = max_waiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream until it ends or somebody hangs up."""
        async with self._around():
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._serve(receive, send)

    async def _serve(self, receive: Receive, send: Send) -> None:
        outbox, inbox = anyio.create_memory_object_stream[bytes](self._max_waiting)
        producing = anyio.CancelScope()

        async def produce() -> None:
            async with outbox:
                with producing:
                    await self._produce(outbox)

        async def watch() -> None:
            await until_hang_up(receive)
            self._on_hang_up()
            tasks.cancel_scope.cancel()

        async def close() -> None:
            await self._closing.wait()
            self._on_hang_up()
            await anyio.sleep(self._grace_seconds)
            producing.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(produce)
            tasks.start_soon(watch)
            tasks.start_soon(close)
            await self._send_all(inbox, send)
            tasks.cancel_scope.cancel()

    async def _send_all(self, inbox: MemoryObjectReceiveStream[bytes], send: Send) -> None:
        async with inbox:
            while True:
                body = HEARTBEAT
                with anyio.move_on_after(self._heartbeat_seconds):
                    try:
                        body = _with_waiting(await inbox.receive(), inbox)
                    except anyio.EndOfStream:
                        break
                await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _with_waiting(body: bytes, inbox: MemoryObjectReceiveStream[bytes]) -> bytes:
    """An event and those that wait behind it: while the loop was busy, several have come, and one sending does."""
    bodies, n_bytes = [body], len(body)
    with suppress(anyio.WouldBlock, anyio.EndOfStream):  # the end is met again by the next one who waits
        while n_bytes < _MAX_CHUNK_BYTES:
            bodies.append(inbox.receive_nowait())
            n_bytes += len(bodies[-1])
    return b"".join(bodies)
