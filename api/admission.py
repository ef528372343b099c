"""Who may come in now: a bounded number at work, a short queue, then a refusal that says when to return.

The queue is fair between clients: each time a turn is free it goes to the next client in the round, and within one
client to whoever came first. What will take long holds only a part of the turns, so that something short never waits
for all of them to end.
"""

import math
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from api.errors import OverloadedError
from api.pace import Began, Pace

MAX_RETRY_AFTER_SECONDS = 120


@dataclass(slots=True, eq=False)
class _Waiting:
    """Somebody in the queue."""

    is_long: bool
    called: anyio.Event = field(default_factory=anyio.Event)
    began: Began | None = None  # with the call


class Admission:
    """For use on one event loop, which it never blocks.

    Args:
        what: What is admitted, in the plural, for messages.
        max_running: How many work at once.
        max_waiting: How many may wait for their turn beyond those.
        usual_seconds: How long one takes, until that is known.
        max_per_client: How many of one client may be inside; None = all.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        what: str,
        *,
        max_running: int,
        max_waiting: int,
        usual_seconds: float,
        max_per_client: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._what = what
        self._max_running = max_running
        self._max_long = max(1, max_running - max_running // 4)  # a quarter of the turns is kept for short work
        self._room = max_running + max_waiting
        self._max_per_client = self._room if max_per_client is None else max_per_client
        self._pace = Pace(usual_seconds, clock)
        self._inside: dict[str, int] = {}  # places by client
        self._queues: OrderedDict[str, deque[_Waiting]] = OrderedDict()  # clients with somebody waiting, next one first
        self._n_running = 0
        self._n_long = 0

    @property
    def n_inside(self) -> int:
        """How many work or wait."""
        return sum(self._inside.values())

    @asynccontextmanager
    async def place(self, client: str = "") -> AsyncIterator[None]:
        """A place inside, at work or waiting.

        Raises:
            OverloadedError: there is none for this client; raised at once.
        """
        n_own = self._inside.get(client, 0)
        if self.n_inside >= self._room:
            raise self._full(f"{self.n_inside} {self._what} are open or waiting, which is the limit", self.n_inside)
        if n_own >= self._max_per_client:
            n_before = min(n_own * len(self._inside), self.n_inside)  # clients take turns
            raise self._full(f"{n_own} {self._what} of this key are open or waiting, which is its limit", n_before)
        self._inside[client] = n_own + 1
        try:
            yield
        finally:
            self._inside[client] -= 1
            if not self._inside[client]:
                del self._inside[client]

    @asynccontextmanager
    async def turn(self, client: str = "", *, is_long: bool = False) -> AsyncIterator[None]:
        """Wait for the turn, and hold it while at work. The caller has a place."""
        waiting = _Waiting(is_long)
        self._queues.setdefault(client, deque()).append(waiting)
        self._call_next()
        is_done = False
        try:
            await waiting.called.wait()
            yield
            is_done = True
        finally:
            if waiting.began is not None:
                self._pace.end(waiting.began, is_done=is_done)
                self._n_running -= 1
                self._n_long -= is_long
            else:
                self._leave_queue(client, waiting)
            self._call_next()

    def _call_next(self) -> None:
        """Give away the turns that are free."""
        while self._n_running < self._max_running:
            found = next(((client, one) for client in self._queues if (one := self._first(client)) is not None), None)
            if found is None:
                return
            client, waiting = found
            self._leave_queue(client, waiting)
            if client in self._queues:
                self._queues.move_to_end(client)
            self._n_running += 1
            self._n_long += waiting.is_long
            waiting.began = self._pace.begin()
            waiting.called.set()

    def _first(self, client: str) -> _Waiting | None:
        """The first of a client that may have a turn now."""
        long_too = self._n_long < self._max_long
        return next((one for one in self._queues[client] if long_too or not one.is_long), None)

    def _leave_queue(self, client: str, waiting: _Waiting) -> None:
        self._queues[client].remove(waiting)
        if not self._queues[client]:
            del self._queues[client]

    def _full(self, why: str, n_before: int) -> OverloadedError:
        """The refusal, which names the time by which those before will be done as the newest were."""
        wait = min(MAX_RETRY_AFTER_SECONDS, max(1, math.ceil(self._pace.cost * n_before)))
        return OverloadedError(f"{why}; try again in {wait} s", retry_after_seconds=wait)
