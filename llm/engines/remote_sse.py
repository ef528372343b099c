"""Server-sent events as a client reads them (WHATWG HTML, section 9.2.6), with a bound on what it will hold."""

from collections.abc import AsyncIterator, Iterator

from llm.errors import RemoteError

MAX_LINE_BYTES = 1 << 20
MAX_STREAM_BYTES = 64 << 20  # 8192 tokens with their log-probabilities are a tenth of it


class EventLines:
    """Bytes as they come → the data of each event. Only `data` fields matter in OpenAI's dialect.

    Raises:
        RemoteError: a line, or the whole, is longer than anything a decoder sends.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []
        self._n_bytes = 0

    def feed(self, piece: bytes) -> Iterator[str]:
        """The data of every event that `piece` completes."""
        self._n_bytes += len(piece)
        if self._n_bytes > MAX_STREAM_BYTES:
            raise RemoteError("the remote decoder sent more than any answer can have; it is not read on")
        lines = (self._rest + piece).replace(b"\r\n", b"\n").split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_LINE_BYTES:
            raise RemoteError("the remote decoder sent a line without end; it is not read on")
        for line in lines:
            found = self._line(line)
            if found is not None:
                yield found

    def _line(self, line: bytes) -> str | None:
        if not line:
            data, self._data = self._data, []
            return "\n".join(data) if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
        return None


async def events(pieces: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """The data of each event of a body."""
    lines = EventLines()
    async for piece in pieces:
        for found in lines.feed(piece):
            yield found
    for found in lines.feed(b"\n\n"):  # some servers leave out the last blank line
        yield found
