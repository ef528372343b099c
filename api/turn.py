"""Work on the decoder: a few pieces side by side, off the event loop, and none of it for a client that is gone."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request

from api.parts import Parts
from api.sse import until_hang_up
from llm.errors import CancelledError
from llm.types import Cancel

STOP_SECONDS = 2.0  # within which work that was told to stop has stopped

LONG_TOKENS = 512  # several times a usual answer

T = TypeVar("T")


async def in_turn(
    parts: Parts, client: str, cancel: Cancel, work: Callable[[], T], *, max_new_tokens: int = LONG_TOKENS
) -> T:
    """Wait for the turn, then run `work` in a worker thread. The caller holds a place in `parts.questions`.

    Args:
        parts: Where.
        client: Who asks.
        cancel: Set when nobody waits for the result any more.
        work: What to do.
        max_new_tokens: What the decoder may write for it; from `LONG_TOKENS` on it counts as long.

    Raises:
        CancelledError: `cancel` was set.
    """
    async with parts.questions.turn(client, is_long=max_new_tokens >= LONG_TOKENS):
        cancel.raise_if_set()
        # The thread is waited for even when this task is cancelled: its turn ends when its work has ended.
        return await anyio.to_thread.run_sync(work, limiter=parts.generation_slots)


async def unless_hung_up(
    request: Request, closing: anyio.Event, hang_up: Callable[[], None], work: Callable[[], Awaitable[T]]
) -> T:
    """What `work` returns; `hang_up` is called once the client is gone or the service stops.

    Raises:
        CancelledError: the client is gone.
    """
    done: list[T] = []
    failure: Exception | None = None

    async def watch() -> None:
        await until_hang_up(request.receive)
        hang_up()
        tasks.cancel_scope.cancel()

    async def close() -> None:
        await closing.wait()
        hang_up()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        tasks.start_soon(close)
        try:
            done.append(await work())
        except Exception as error:  # raised below: a task group would wrap it
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if not done:
        raise CancelledError("the client hung up")
    return done[0]
