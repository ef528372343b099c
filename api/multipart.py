"""multipart/form-data read as a stream: a file part is never whole in memory and touches no folder of its own."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.errors import MalformedError, MediaTypeError, TooLargeError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_FIELD_BYTES = 65_536
MAX_FIELD_PARTS = 32

_Event = tuple[Literal["part", "data", "part_end", "end"], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part. Read `chunks` before asking for the next part; what is left of it is skipped then."""

    name: str
    file_name: str | None  # None for a plain field
    media_type: str | None  # as the client declares it
    chunks: Iterator[bytes]

    def text(self) -> str:
        """The whole value of a plain field.

        Raises:
            TooLargeError: it is longer than a field may be.
            MalformedError: it is not UTF-8.
        """
        value = bytearray()
        for chunk in self.chunks:
            value += chunk
            if len(value) > MAX_FIELD_BYTES:
                raise TooLargeError(f"field {self.name[:64]!r} must have at most {MAX_FIELD_BYTES:,} bytes")
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedError(f"field {self.name[:64]!r} must be UTF-8") from error


class _Events:
    """The parser's callbacks, turned into events that can be pulled."""

    def __init__(self, boundary: bytes, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._waiting: deque[_Event] = deque()
        self._header_name = self._header_value = b""
        self.headers: dict[bytes, bytes] = {}  # of the part that begins at the last "part" event
        self._open_headers: deque[dict[bytes, bytes]] = deque()
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._name,
            "on_header_value": self._value,
            "on_header_end": self._header,
            "on_headers_finished": lambda: self._waiting.append(("part", b"")),
            "on_part_data": lambda data, start, end: self._waiting.append(("data", data[start:end])),
            "on_part_end": lambda: self._waiting.append(("part_end", b"")),
            "on_end": lambda: self._waiting.append(("end", b"")),
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as error:
            raise MalformedError("the multipart boundary is too long") from error

    def _begin(self) -> None:
        self._open_headers.append({})

    def _name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header(self) -> None:
        self._open_headers[-1][self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def next(self) -> _Event:
        while not self._waiting:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise MalformedError("the multipart body ends before its closing boundary")
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise MalformedError("the body is not multipart/form-data that can be read") from error
        event = self._waiting.popleft()
        if event[0] == "part":
            self.headers = self._open_headers.popleft()
        return event


def read_parts(chunks: Iterable[bytes], content_type: str, *, max_files: int) -> Iterator[Part]:
    """The parts of a body, in order, as its chunks come in.

    Raises:
        MediaTypeError: `content_type` is not multipart/form-data with a boundary.
        MalformedError: the body breaks the format or ends early.
        TooLargeError: it has too many parts.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise MediaTypeError("send the files as multipart/form-data, each in a part named file")
    events = _Events(boundary, chunks)
    n_files = n_fields = 0
    while True:
        kind_of_event, _ = events.next()
        if kind_of_event == "end":
            return
        if kind_of_event != "part":
            continue  # what the reader left of the part before
        part = _part(events)
        if part.file_name is None:
            n_fields += 1
        else:
            n_files += 1
        if n_files > max_files or n_fields > MAX_FIELD_PARTS:
            raise TooLargeError(f"send at most {max_files:,} files and {MAX_FIELD_PARTS} fields in one request")
        yield part
        for _ in part.chunks:
            pass


def _part(events: _Events) -> Part:
    disposition, options = parse_options_header(events.headers.get(b"content-disposition", b""))
    name = options.get(b"name")
    if disposition != b"form-data" or name is None:
        raise MalformedError("each part needs a Content-Disposition: form-data with a name")
    file_name = options.get(b"filename")
    declared = events.headers.get(b"content-type")
    return Part(
        name=name.decode("utf-8", "replace"),
        file_name=None if file_name is None else file_name.decode("utf-8", "replace"),
        media_type=None if declared is None else parse_options_header(declared)[0].decode("latin-1"),
        chunks=_chunks(events),
    )


def _chunks(events: _Events) -> Iterator[bytes]:
    while True:
        kind, data = events.next()
        if kind == "part_end":
            return
        if kind == "data":
            yield data
