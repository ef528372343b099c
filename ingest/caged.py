"""What a caged child does: read its request, enter the cage, parse or draw, reply. Runs only in forks of the zygote."""

import importlib
import json
import os
import socket
import struct
import sys
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ingest import cage, wire
from ingest.limits import Limits
from rag.errors import CiteboundError, DocumentError

LENGTH = struct.Struct("<I")

_PRELOADED = (
    "ingest.load",
    "ingest.render",
    *(f"ingest.loaders.{name}" for name in ("pdf", "docx", "pptx", "xlsx", "html", "epub", "markdown", "plain", "csv")),
)


def preload() -> None:
    """Import every loader, so that a child imports nothing."""
    for module in _PRELOADED:
        importlib.import_module(module)


def answer(link: socket.socket, namespaces: Mapping[str, bool]) -> None:
    """Serve the one request that waits on `link`: a length-prefixed JSON object and, with it, the file."""
    request, file = _receive(link)
    limits = Limits(**request["limits"])
    seconds = limits.render_seconds if request["op"] == "render" else limits.cpu_seconds
    layers = cage.apply(
        memory_bytes=limits.memory_bytes,
        cpu_seconds=seconds,
        readable_files=[] if file is None else [file],
        readable_folders=cage.library_folders(),
        parent_pid=os.getppid(),
    )
    try:
        pieces = _work(request, file, limits, {**namespaces, **layers})
        _send(link, pieces, limits.max_reply_bytes)
    except MemoryError:
        _send(
            link, [wire.frame(_error("out_of_memory", "The file needs more memory than a parse may take; split it."))]
        )
    except DocumentError as error:
        _send(link, [wire.frame(_error(error.code, str(error), error.page, _place(error.__cause__)))])
    except CiteboundError as error:
        _send(link, [wire.frame(_error(error.code, str(error)))])


def _work(request: Mapping[str, Any], file: int | None, limits: Limits, layers: Mapping[str, bool]) -> Iterable[bytes]:
    from ingest.load import load
    from ingest.render import render_page

    if request["op"] == "layers":
        return [wire.frame({"kind": "layers", "layers": dict(layers)})]
    # The descriptor can be opened again by name, as often as a parser likes; by its path the cage forbids it.
    path = Path(f"/proc/self/fd/{file}") if sys.platform == "linux" else Path(request["path"])
    if request["op"] == "render":
        png = render_page(path, request["page_number"], request["password"], request["max_pixels"])
        return [wire.frame({"kind": "png"}), png]
    parsed = load(
        path, name=request["name"], media_type=request["media_type"], password=request["password"], limits=limits
    )
    return wire.encode_parsed(parsed)


def _receive(link: socket.socket) -> tuple[dict[str, Any], int | None]:
    head, descriptors, _, _ = socket.recv_fds(link, LENGTH.size, 1)
    while len(head) < LENGTH.size:
        head += link.recv(LENGTH.size - len(head)) or _hung_up()
    (length,) = LENGTH.unpack(head)
    body = b""
    while len(body) < length:
        body += link.recv(length - len(body)) or _hung_up()
    request: dict[str, Any] = json.loads(body)
    return request, descriptors[0] if descriptors else None


def _hung_up() -> bytes:
    raise EOFError("the request is cut short")


def _send(link: socket.socket, pieces: Iterable[bytes], max_bytes: int | None = None) -> None:
    sent = 0
    for piece in pieces:
        sent += len(piece)
        if max_bytes is not None and sent > max_bytes:
            return  # the reader has stopped reading there, too
        view = memoryview(piece)
        while view:
            view = view[os.write(link.fileno(), view) :]


def _error(code: str, message: str, page: int | None = None, place: str | None = None) -> dict[str, Any]:
    return {"kind": "error", "code": code, "message": message, "page": page, "place": place}


def _place(cause: BaseException | None) -> str | None:
    """Class and innermost line of an exception, for the log; never its message, which may quote the document."""
    if cause is None:
        return None
    frames = traceback.extract_tb(cause.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(cause).__name__}{where}"
