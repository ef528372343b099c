"""Caged children that read one small text file after another.

Forking a child costs more than reading a page of Markdown in it, most of it for memory that the fork has to copy. Small
Markdown, CSV and plain-text files therefore share a child: their loaders are Python alone, where no damaged file can
write over the memory of the next one's. The child is told by the content, not by the name, what it may read; whatever
it does not answer with a parsed document is read again in a child of its own, so that an error always is that file's.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ingest import wire
from ingest.caged import REPLY_LENGTH
from ingest.children import Child, ParseCancelledError, Zygote, ZygoteDiedError, readable
from ingest.limits import KIB, Limits
from rag.errors import DocumentError

MAX_SHARED_BYTES = 256 * KIB
_SUFFIXES = frozenset((".md", ".markdown", ".txt", ".text", ".csv", ".tsv"))
_FILES_A_CHILD = 200  # then a fresh one: what a child's memory has grown by is given back
_PIECE_BYTES = 1 << 20


class SharedChildren:
    """The idle children of one zygote. Thread-safe; a child serves one caller at a time."""

    def __init__(self, zygote: Zygote) -> None:
        self._zygote = zygote
        self._lock = threading.Lock()
        self._idle: list[tuple[Child, int]] = []

    def ask(
        self, message: bytes, content: bytes, wall_seconds: float, limits: Limits, cancel: Callable[[], bool] | None
    ) -> bytes | None:
        """The child's whole reply; None where it gave none, and the file is to be read alone.

        Raises:
            ParseCancelledError: `cancel` said so.
        """
        child, n_read = self._take()
        keep = False
        try:
            with contextlib.closing(_memory_file(content)) as file:
                child.send(message, file.fileno())
            reply = _receive(child, time.monotonic() + wall_seconds, limits, cancel)
            keep = reply is not None and n_read + 1 < _FILES_A_CHILD
            return reply
        except ParseCancelledError:
            raise
        except (OSError, ZygoteDiedError, DocumentError):
            return None
        finally:
            if keep:
                with self._lock:
                    self._idle.append((child, n_read + 1))
            else:
                child.close()

    def close(self) -> None:
        """End the idle children."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child, _ in idle:
            child.close()

    def _take(self) -> tuple[Child, int]:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._zygote.fork(), 0


def may_share(path: Path, name: str, password: str | None) -> bool:
    """Whether a file looks small and plain enough; its content is judged in the child."""
    suffix = Path(name).suffix.lower()
    return (
        hasattr(os, "memfd_create")
        and password is None
        and suffix in _SUFFIXES
        and 0 < path.stat().st_size <= MAX_SHARED_BYTES
    )


class _MemoryFile:
    """An open file without a name, which the cage lets its holder open again."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        os.close(self._descriptor)


def _memory_file(content: bytes) -> _MemoryFile:
    file = _MemoryFile(os.memfd_create("document", os.MFD_CLOEXEC))
    view = memoryview(content)
    while view:
        view = view[os.write(file.fileno(), view) :]
    return file


def _receive(child: Child, deadline: float, limits: Limits, cancel: Callable[[], bool] | None) -> bytes | None:
    reply = bytearray()
    wanted = REPLY_LENGTH.size
    while len(reply) < wanted:
        if not readable(child.link, deadline, cancel):
            return None
        piece = child.link.recv(min(_PIECE_BYTES, wanted - len(reply)))
        if not piece:
            return None
        reply += piece
        if wanted == len(reply) == REPLY_LENGTH.size:
            (n_bytes,) = REPLY_LENGTH.unpack(reply)
            if not 0 < n_bytes <= limits.max_reply_bytes:
                return None
            wanted += n_bytes
    return bytes(reply[REPLY_LENGTH.size :])


def parsed_reply(reply: bytes | None) -> tuple[dict[str, object], memoryview] | None:
    """Header and body of a reply of kind `parsed`; None for any other."""
    if reply is None:
        return None
    try:
        header, body = wire.split(reply)
    except DocumentError:
        return None
    return (header, body) if header.get("kind") == "parsed" else None
