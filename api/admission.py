"""Who may come in now: a bounded number at work, a short queue, then a refusal that says when to return."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from api.errors import OverloadedError

MAX_RETRY_AFTER_SECONDS = 60
_WEIGHT = 0.2  # of the newest duration in the moving average


class Admission:
    """First come, first served. For use on one event loop, which it never blocks.

    Args:
        what: What is admitted, in the plural, for messages.
        max_running: How many work at once.
        max_waiting: How many may wait for their turn beyond those.
        usual_seconds: How long one takes, until that is known from `took`.
    """

    def __init__(self, what: str, *, max_running: int, max_waiting: int, usual_seconds: float) -> None:
        self._what = what
        self._room = max_running + max_waiting
        self._max_running = max_running
        self._n_inside = 0
        self._mean_seconds = usual_seconds
        self.turn = anyio.Semaphore(max_running)  # held while at work

    @property
    def n_inside(self) -> int:
        """How many work or wait."""
        return self._n_inside

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place inside, at work or waiting.

        Raises:
            OverloadedError: there is none; raised at once.
        """
        if self._n_inside >= self._room:
            seconds = self._mean_seconds * self._n_inside / self._max_running / 2
            wait = min(MAX_RETRY_AFTER_SECONDS, max(1, round(seconds)))
            raise OverloadedError(
                f"{self._n_inside} {self._what} are open or waiting, which is the limit; try again in {wait} s",
                retry_after_seconds=wait,
            )
        self._n_inside += 1
        try:
            yield
        finally:
            self._n_inside -= 1

    def took(self, seconds: float) -> None:
        """Note how long one was at work."""
        self._mean_seconds += _WEIGHT * (seconds - self._mean_seconds)
