"""First come, first served: who may use the model for its next step."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llm.errors import CancelledError

_POLL_SECONDS = 0.05  # how soon a waiting request notices its cancellation


class Turns:
    """A lock that is fair, so that requests which take it once a token advance together."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._queue: deque[object] = deque()

    @contextmanager
    def take(self, give_up: Callable[[], bool]) -> Iterator[None]:
        """Wait for the turn and hold it.

        Raises:
            CancelledError: `give_up()` became true while waiting.
        """
        ticket = object()
        with self._condition:
            self._queue.append(ticket)
            while self._queue[0] is not ticket:
                self._condition.wait(_POLL_SECONDS)
                if give_up():
                    self._queue.remove(ticket)
                    raise CancelledError("the request was cancelled while it waited")
        try:
            yield
        finally:
            with self._condition:
                self._queue.popleft()
                self._condition.notify_all()
