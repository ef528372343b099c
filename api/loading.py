"""Values that another thread makes while the service already serves what does not need them."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from api.logs import frames
from llm.errors import LlmError
from rag.errors import CiteboundError, NotReadyError

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class Pending(Generic[T]):
    """A value that is not there yet.

    Args:
        what: A noun for messages, e.g. "the decoder".
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._done = threading.Event()
        self._value: T | None = None
        self._reason = f"{what} is still loading; ask again in a moment"
        self._wanted = True

    def make(self, build: Callable[[], T]) -> T | None:
        """Build the value here and now; a failure is logged and becomes the reason that `get` gives."""
        try:
            self._value = build()
        except (CiteboundError, LlmError) as error:
            self._reason = f"{self._what} could not be loaded: {error}"
            _log.error("loading_failed", what=self._what, error=type(error).__name__, message=str(error))
        except Exception as error:
            self._reason = f"{self._what} could not be loaded ({type(error).__name__}); the log has the reason"
            _log.error("loading_failed", what=self._what, error=type(error).__name__, frames=frames(error))
        finally:
            self._done.set()
        return self._value

    def give_up(self, reason: str) -> None:
        """There will be no value, because of `reason`."""
        self._reason = reason
        self._done.set()

    def leave_out(self, reason: str) -> None:
        """There will be no value, because of `reason`, and nobody waits for it."""
        self._wanted = False
        self.give_up(reason)

    @property
    def is_wanted(self) -> bool:
        """Whether there is a value, or there is to be one."""
        return self._wanted

    @property
    def missing(self) -> str | None:
        """Why a value that is wanted is not there; None once it is."""
        return self._reason if self._wanted and self._value is None else None

    def get(self) -> T:
        """The value.

        Raises:
            NotReadyError: it is not there; the message says why.
        """
        if self._value is None:
            raise NotReadyError(self._reason)
        return self._value

    def peek(self) -> T | None:
        """The value, if it is there."""
        return self._value

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until the value is there or will never be; False when the time is up first."""
        return self._done.wait(timeout_seconds)
