"""What a caged child does: read its request, enter the cage, parse or draw, reply. Runs only in forks of the zygote."""

import importlib
import json
import os
import socket
import struct
import sys
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest import cage, wire
from ingest.detect import CSV, MARKDOWN, PLAIN, detect_media_type
from ingest.limits import Limits
from rag.errors import CiteboundError, DocumentError

LENGTH = struct.Struct("<I")
REPLY_LENGTH = struct.Struct("<Q")  # before each reply of a child that reads several files

_SHARED_TYPES = frozenset((MARKDOWN, CSV, PLAIN))

# The loaders, and what they or their libraries import only on first use.
_PRELOADED = (
    "ingest.load",
    "ingest.render",
    *(f"ingest.loaders.{name}" for name in ("pdf", "docx", "pptx", "xlsx", "html", "epub", "markdown", "plain", "csv")),
    *(f"encodings.{name}" for name in ("cp437", "latin_1", "utf_16", "utf_16_be", "utf_16_le", "idna")),
    *(f"encodings.cp125{number}" for number in (0, 1, 2, 3, 5, 6)),
    *(f"encodings.{name}" for name in ("big5", "cp932", "cp949", "euc_jp", "gb18030", "iso2022_jp", "koi8_r")),
    "numpy.ma",
    "openpyxl.packaging.extended",
    "PIL.PngImagePlugin",
    "pypdf._codecs._codecs",
    "pypdf._crypt_providers",
    "pypdf.filters",
)


def preload() -> None:
    """Import every loader, so that a child imports nothing."""
    for module in _PRELOADED:
        importlib.import_module(module)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the zygote knows for all its children."""

    pid: int  # of the zygote
    namespaces: Mapping[str, bool]  # see `cage.isolate`
    libraries: tuple[Path, ...]  # see `cage.library_folders`


def answer(link: socket.socket, surroundings: Surroundings) -> None:
    """Serve the one request that waits on `link`: a length-prefixed JSON object and, with it, the file."""
    request, file = _receive(link)
    limits = Limits(**request["limits"])
    if request["op"] == "parse_shared":
        _answer_many(link, request, file, limits, surroundings)
        return
    seconds = limits.render_seconds if request["op"] == "render" else limits.cpu_seconds
    layers = cage.apply(
        memory_bytes=limits.memory_bytes,
        cpu_seconds=seconds,
        readable_files=[] if file is None else [file],
        readable_folders=surroundings.libraries,
        parent_pid=surroundings.pid,
    )
    try:
        pieces = _work(request, file, limits, {**surroundings.namespaces, **layers})
    except MemoryError:
        message = "The file needs more memory than one parse may take; split it and upload the parts."
        pieces = [wire.frame(_error("out_of_memory", message))]
    except DocumentError as error:
        pieces = [wire.frame(_error(error.code, str(error), error.page, _place(error.__cause__)))]
    except CiteboundError as error:
        pieces = [wire.frame(_error(error.code, str(error)))]
    for piece in pieces:
        _write(link, piece)


def _answer_many(
    link: socket.socket, request: dict[str, Any], file: int | None, limits: Limits, surroundings: Surroundings
) -> None:
    """Serve requests for small text files until the other side hangs up; see `ingest.shared_child`.

    The files are in memory and need no permission of the file system; there is none beside Python's own libraries.
    """
    cage.apply(
        memory_bytes=limits.memory_bytes,
        cpu_seconds=limits.cpu_seconds,
        readable_folders=surroundings.libraries,
        parent_pid=surroundings.pid,
    )
    while file is not None:
        reply = b"".join(_parse_text(request, Path(f"/proc/self/fd/{file}"), limits))
        _write(link, REPLY_LENGTH.pack(len(reply)))
        _write(link, reply)
        os.close(file)
        try:
            request, file = _receive(link)
        except EOFError:
            return


def _parse_text(request: Mapping[str, Any], path: Path, limits: Limits) -> Iterable[bytes]:
    """The parsed file, or a reply of kind `alone`: then it is read again in a child of its own."""
    from ingest.load import load

    name, media_type = request["name"], request["media_type"]
    try:
        if detect_media_type(path, name, media_type) in _SHARED_TYPES:
            return list(wire.encode_parsed(load(path, name=name, media_type=media_type, password=None, limits=limits)))
    except (CiteboundError, MemoryError):
        pass
    return [wire.frame({"kind": "alone"})]


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
    head += _read(link, LENGTH.size - len(head))
    request: dict[str, Any] = json.loads(_read(link, LENGTH.unpack(head)[0]))
    return request, descriptors[0] if descriptors else None


def _read(link: socket.socket, n_bytes: int) -> bytes:
    received = b""
    while len(received) < n_bytes:
        piece = link.recv(n_bytes - len(received))
        if not piece:
            raise EOFError("the request is cut short")
        received += piece
    return received


def _write(link: socket.socket, piece: bytes) -> None:
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
