"""News of documents, from the writer to whoever listens in this process."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from rag.types import Document

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentEvent:
    """A document as it stands after a committed change; `deleted` once it is gone."""

    document: Document
    deleted: bool = False


class Events:
    """Thread-safe publish and subscribe. Callbacks run in the publishing thread and must return at once.

    Events of two threads may overtake each other; `updated_at` of their documents tells which is newer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[DocumentEvent], None]] = {}
        self._next = 0

    def subscribe(self, callback: Callable[[DocumentEvent], None]) -> Callable[[], None]:
        """Call `callback` with every event from now on, until the returned function is called."""
        with self._lock:
            number = self._next
            self._next += 1
            self._callbacks[number] = callback

        def unsubscribe() -> None:
            with self._lock:
                self._callbacks.pop(number, None)

        return unsubscribe

    def publish(self, event: DocumentEvent) -> None:
        """Tell everybody; one that raises is logged and harms neither the others nor the publisher."""
        with self._lock:
            callbacks = tuple(self._callbacks.values())
        for callback in callbacks:
            try:
                callback(event)
            except Exception as error:
                _log.error("event_callback_failed", error=type(error).__name__)
