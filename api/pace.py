"""How fast a house of bounded room gets done with what is in it."""

import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_RECENT = 32  # pieces of work that the median is taken over


@dataclass(frozen=True, slots=True)
class Began:
    """When a piece of work began, and how much had been at work by then."""

    at: float  # seconds
    n_seconds: float  # numbers at work, summed over time


class Pace:
    """Seconds that one piece of work costs the house while it does nothing else.

    Eight that share two cores for ten seconds cost 1.25 seconds each, as one alone in 1.25 seconds does: what a piece
    took is divided by how many were at work meanwhile, in the mean. The median of the newest pieces counts.

    Args:
        usual_seconds: What one costs, until that is known.
        clock: Seconds that only grow.
    """

    def __init__(self, usual_seconds: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._costs: deque[float] = deque((usual_seconds,), maxlen=_RECENT)
        self._is_guess = True
        self._n_running = 0
        self._n_seconds = 0.0
        self._at = clock()

    @property
    def cost(self) -> float:
        """Seconds of the whole house for one."""
        return statistics.median(self._costs)

    def begin(self) -> Began:
        """A piece of work begins."""
        self._advance(+1)
        return Began(self._at, self._n_seconds)

    def end(self, began: Began, *, is_done: bool) -> None:
        """It ends; what was broken off says nothing of how long others take."""
        self._advance(-1)
        seconds, n_seconds = self._at - began.at, self._n_seconds - began.n_seconds
        if not is_done or seconds <= 0 or n_seconds <= 0:
            return
        if self._is_guess:
            self._costs.clear()
            self._is_guess = False
        self._costs.append(seconds * seconds / n_seconds)

    def _advance(self, change: int) -> None:
        now = self._clock()
        self._n_seconds += self._n_running * (now - self._at)
        self._n_running += change
        self._at = now
