"""Parsing and drawing in child processes that can take nothing with them but their reply.

A zygote (`ingest.zygote`) has the loaders imported and forks one caged child a request, in a few milliseconds. A
child that crashes, hangs or eats memory costs its own request and no other; a zygote that dies is started again.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from ingest import wire
from ingest.children import CANCEL_POLL_SECONDS, ParseCancelledError, Zygote, ZygoteDiedError, stop_if_cancelled
from ingest.limits import Limits
from ingest.postconditions import check_parsed
from ingest.shared_child import SharedChildren, may_share, parsed_reply
from rag.errors import CiteboundError, ConflictError, DocumentError, NoPagesError, NotFoundError
from rag.normalize import normalize
from rag.types import ParsedDocument

__all__ = ["ParseCancelledError", "Sandbox"]

_log = structlog.get_logger(__name__)

_MAX_MESSAGE_CHARS = 500
_DOCUMENT_CODES = frozenset(
    (
        "empty",
        "no_text",
        "unsupported_type",
        "too_large",
        "encrypted",
        "wrong_password",
        "corrupt",
        "bomb",
        "timeout",
        "out_of_memory",
    )
)


class Sandbox:
    """Parses files and draws pages in caged children. Thread-safe; starts its zygote with the first request.

    Args:
        limits: what one request may cost, and how many run at once.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._slots = threading.BoundedSemaphore(self.limits.max_parallel)
        self._lock = threading.Lock()
        self._zygote: Zygote | None = None
        self._shared: tuple[Zygote, SharedChildren] | None = None
        self._closed = False

    def parse(
        self,
        path: Path,
        *,
        name: str,
        media_type: str | None = None,
        password: str | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> ParsedDocument:
        """Parse a file; see `ingest.load.load`.

        Args:
            path: the file; only this one can be read by the parser.
            name: the name it was uploaded under.
            media_type: what the uploader says it is; its content decides.
            password: for encrypted files.
            cancel: asked several times a second; once true, the child is killed.

        Raises:
            DocumentError: the file cannot become passages, or its parser crashed or used too much.
            ParseCancelledError: `cancel` said so.
            FileNotFoundError: there is no such file.
        """
        shared = self._parse_shared(path, name, media_type, cancel) if may_share(path, name, password) else None
        if shared is not None:
            return shared
        request = {"op": "parse", "name": name, "media_type": media_type, "password": password, "path": str(path)}
        header, body = self._request(request, path, self.limits.wall_seconds, cancel)
        _expect(header, "parsed")
        parsed = wire.decode_parsed(header, body)
        check_parsed(parsed, self.limits)
        return parsed

    def render_page(
        self,
        path: Path,
        page_number: int,
        password: str | None = None,
        max_pixels: int | None = None,
        *,
        cancel: Callable[[], bool] | None = None,
    ) -> bytes:
        """A page (1-based) as PNG, 1,400 pixels wide unless that is more than `max_pixels`.

        Raises:
            NoPagesError: the format has no page images.
            NotFoundError: there is no such page.
            DocumentError: the file cannot be drawn.
        """
        pixels = min(max_pixels or self.limits.max_pixels, self.limits.max_pixels)
        request = {"op": "render", "page_number": page_number, "max_pixels": pixels}
        request |= {"password": password, "path": str(path)}
        header, body = self._request(request, path, self.limits.render_seconds, cancel)
        _expect(header, "png")
        return bytes(body)

    def layers(self) -> dict[str, bool]:
        """Which protections a child really has on this machine, by name."""
        header, _ = self._request({"op": "layers"}, None, self.limits.render_seconds, None)
        _expect(header, "layers")
        return {str(name): holds is True for name, holds in header["layers"].items()}

    def start(self) -> None:
        """Start the zygote now, so that the first request does not wait for it."""
        self._running_zygote()

    def close(self) -> None:
        """End the zygote and every child; requests under way fail."""
        with self._lock:
            self._closed = True
            if self._shared is not None:
                self._shared[1].close()
                self._shared = None
            if self._zygote is not None:
                self._zygote.end()
                self._zygote = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _parse_shared(
        self, path: Path, name: str, media_type: str | None, cancel: Callable[[], bool] | None
    ) -> ParsedDocument | None:
        """A small text file read in a child that it shares with others; None where it has to be read alone."""
        request = {"op": "parse_shared", "name": name, "media_type": media_type, "limits": asdict(self.limits)}
        content = path.read_bytes()
        with self._slot(cancel):
            zygote = self._running_zygote()
            with self._lock:
                if self._shared is None or self._shared[0] is not zygote:
                    self._shared = (zygote, SharedChildren(zygote))
                children = self._shared[1]
            try:
                reply = children.ask(
                    json.dumps(request).encode(), content, self.limits.wall_seconds, self.limits, cancel
                )
            except ZygoteDiedError:
                return None
        found = parsed_reply(reply)
        if found is None:
            return None
        try:
            parsed = wire.decode_parsed(*found)
            check_parsed(parsed, self.limits)
        except DocumentError:
            return None
        return parsed

    @contextmanager
    def _slot(self, cancel: Callable[[], bool] | None) -> Iterator[None]:
        """One of the places for requests that run at once."""
        while not self._slots.acquire(timeout=CANCEL_POLL_SECONDS if cancel else None):
            stop_if_cancelled(cancel)
        try:
            yield
        finally:
            self._slots.release()

    def _request(
        self, request: dict[str, Any], path: Path | None, wall_seconds: float, cancel: Callable[[], bool] | None
    ) -> tuple[dict[str, Any], memoryview]:
        started = time.monotonic()
        file = None if path is None else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            message = json.dumps({**request, "limits": asdict(self.limits)}).encode()
            with self._slot(cancel):
                header, body = self._exchange(message, file, wall_seconds, cancel)
            _raise_error(header)
            return header, body
        except DocumentError as error:
            seconds = round(time.monotonic() - started, 3)
            _log.warning("request_failed", operation=request["op"], code=error.code, seconds=seconds)
            raise
        finally:
            if file is not None:
                os.close(file)

    def _exchange(
        self, message: bytes, file: int | None, wall_seconds: float, cancel: Callable[[], bool] | None
    ) -> tuple[dict[str, Any], memoryview]:
        """One request and its reply; once more with a new zygote if the zygote, and not the child, died of it."""
        for _ in range(2):
            zygote = self._running_zygote()
            try:
                with zygote.fork() as child:
                    child.send(message, file)
                    reply = child.receive(wall_seconds, self.limits, cancel)
                return wire.split(reply)
            except ZygoteDiedError:
                _log.warning("zygote_died")
                self._forget(zygote)
        raise DocumentError("parser_crashed", "The parser process died twice over this file; check it and try again.")

    def _running_zygote(self) -> Zygote:
        with self._lock:
            if self._closed:
                raise ConflictError("The parser was shut down; start the service again.")
            if self._zygote is None:
                self._zygote = Zygote()
            return self._zygote

    def _forget(self, zygote: Zygote) -> None:
        with self._lock:
            if self._zygote is zygote:
                self._zygote = None
        zygote.end()


def _expect(header: dict[str, Any], kind: str) -> None:
    if header.get("kind") != kind:
        raise DocumentError("parser_crashed", "The parser's reply is of the wrong kind; try the file again.")


def _raise_error(header: dict[str, Any]) -> None:
    """Raise what a reply of kind `error` says, as far as it may say it."""
    if header.get("kind") != "error":
        return
    code, page = header.get("code"), header.get("page")
    message = normalize(str(header.get("message"))).replace("\n", " ")[:_MAX_MESSAGE_CHARS]
    if header.get("place") is not None:
        _log.info("parser_raised", code=str(code), place=normalize(str(header["place"]))[:200])
    others: dict[str, type[CiteboundError]] = {"no_pages": NoPagesError, "not_found": NotFoundError}
    if code in others:
        raise others[code](message)
    if code not in _DOCUMENT_CODES:
        code = "parser_crashed"
    raise DocumentError(code, message, page=page if type(page) is int and page > 0 else None)
