"""The zygote and its children, seen from the process that uses them: start, ask, wait, judge, end."""

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from ingest.caged import LENGTH
from ingest.limits import MIB, Limits
from ingest.zygote import STATUS
from rag.errors import ConflictError, DocumentError

_log = structlog.get_logger(__name__)

CANCEL_POLL_SECONDS = 0.02
_STATUS_GRACE_SECONDS = 5.0


class ParseCancelledError(ConflictError):
    """The parse was cancelled by its caller; nothing came of it."""


class ZygoteDiedError(Exception):
    """The zygote is gone; the request was not answered."""


class Zygote:
    """The running zygote and the socket on which it is asked to fork."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the zygote
        root = str(Path(__file__).resolve().parent.parent)
        code = f"import sys; sys.path.insert(0, {root!r}); from ingest.zygote import main; main({theirs.fileno()})"
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # an interrupt from the keyboard is for its parent to act on
            cwd="/",
            # One thread each: a process with more cannot enter a user namespace, and must not fork.
            env={"LC_ALL": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
        )
        theirs.close()

    def fork(self) -> "Child":
        """Ask for a child."""
        link, their_link = socket.socketpair()
        status, their_status = socket.socketpair()
        try:
            with self._lock:
                socket.send_fds(self._control, [b"\0"], [their_link.fileno(), their_status.fileno()])
        except OSError as error:
            link.close()
            status.close()
            raise ZygoteDiedError from error
        finally:
            their_link.close()
            their_status.close()
        return Child(link, status)

    def end(self) -> None:
        """End the zygote and with it every child."""
        self._control.close()
        try:
            self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.seek(0)
        last = self._errors.read()[-2000:].decode(errors="replace").strip()
        if last:
            _log.error("zygote_failed", last_line=last.splitlines()[-1])
        self._errors.close()


class Child:
    """One caged child: its request, its reply, its end. Leaving the context kills it if it still runs."""

    def __init__(self, link: socket.socket, status: socket.socket) -> None:
        self._link = link
        self._status = status

    @property
    def link(self) -> socket.socket:
        """Where it answers."""
        return self._link

    def close(self) -> None:
        """Hang up; a child that still runs is killed."""
        self._link.close()
        self._status.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, message: bytes, file: int | None) -> None:
        """Send the request and the open file."""
        head = LENGTH.pack(len(message))
        try:
            if file is None:
                self._link.sendall(head)
            else:
                socket.send_fds(self._link, [head], [file])
            self._link.sendall(message)
        except OSError as error:
            raise ZygoteDiedError from error

    def receive(self, wall_seconds: float, limits: Limits, cancel: Callable[[], bool] | None) -> bytearray:
        """Everything the child writes until it closes its end."""
        deadline = time.monotonic() + wall_seconds
        reply = bytearray()
        while readable(self._link, deadline, cancel):
            try:
                piece = self._link.recv(MIB)
            except ConnectionResetError:  # it ended without reading its whole request
                piece = b""
            if not piece:
                self._judge_end(limits)
                return reply
            reply += piece
            if len(reply) > limits.max_reply_bytes:
                raise DocumentError(
                    "too_large", "The file holds more than can be taken in; split it and upload the parts."
                )
        raise DocumentError("timeout", f"Reading the file took longer than {wall_seconds:g} seconds; split it.")

    def _judge_end(self, limits: Limits) -> None:
        """Raise what the way the child ended means."""
        if not readable(self._status, time.monotonic() + _STATUS_GRACE_SECONDS, None):
            raise DocumentError("parser_crashed", "The parser did not end; try the file again.")
        record = self._status.recv(STATUS.size)
        if len(record) < STATUS.size:
            raise ZygoteDiedError
        _, wait_status, peak = STATUS.unpack(record)
        code = os.waitstatus_to_exitcode(wait_status)
        peak_bytes = peak * (1 if sys.platform == "darwin" else 1024)
        if code == 0:
            return
        if code == -signal.SIGXCPU:
            raise DocumentError(
                "timeout", f"Reading the file took more than {limits.cpu_seconds:g} CPU seconds; split it."
            )
        # The kernel kills with SIGKILL when memory runs out; native code aborts when it gets no more.
        if code == -signal.SIGKILL or peak_bytes > 0.6 * limits.memory_bytes:
            raise DocumentError("out_of_memory", "The file needs more memory than one parse may take; split it.")
        raise DocumentError("parser_crashed", "The parser crashed over this file; open it elsewhere and save it again.")


def readable(channel: socket.socket, deadline: float, cancel: Callable[[], bool] | None) -> bool:
    """Wait until `channel` has something; False once the deadline has passed."""
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    while True:
        stop_if_cancelled(cancel)
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return False
        if poll.poll(1000 * (min(remaining, CANCEL_POLL_SECONDS) if cancel else remaining)):
            return True


def stop_if_cancelled(cancel: Callable[[], bool] | None) -> None:
    """Raise `ParseCancelledError` if the caller wants no more."""
    if cancel is not None and cancel():
        raise ParseCancelledError("The parse was cancelled; retry the document to parse it again.")
