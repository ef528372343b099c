"""Ctrl-C while a model is trained: the step under way is finished and kept, and the run can go on from it."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class StopRequest:
    """Hears the first Ctrl-C inside a `with` block; a second one interrupts at once.

    Only the main thread of a process hears signals; elsewhere, and with `enabled=False`, everything stays as it is.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self.is_set = False
        self._enabled = enabled and threading.current_thread() is threading.main_thread()
        self._before: Any = None

    def __enter__(self) -> "StopRequest":
        if self._enabled:
            self._before = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._enabled:
            signal.signal(signal.SIGINT, self._before)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.is_set:
            raise KeyboardInterrupt
        self.is_set = True
