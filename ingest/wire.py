"""What a caged child answers, as bytes: a length-limited JSON header followed by raw sections. Never pickle.

The reader trusts nothing: every field is checked, because the writer may have been taken over by the file it read.
A reply is `magic, header length (uint32), header, sections`; the header's `kind` is `parsed`, `png`, `layers` or
`error`.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, TypeVar, get_args

import numpy as np

from rag.errors import DocumentError
from rag.types import Block, Page, PageReceipt, ParsedDocument, Receipt

_MAGIC = b"CBW1"
_PREFIX = struct.Struct("<4sI")
_MAX_HEADER_BYTES = 256 * 1024 * 1024
_BLOCK_KINDS = frozenset(get_args(Block.__annotations__["kind"]))
_BOX_BYTES = 8  # four uint16
_T = TypeVar("_T")


def frame(header: Mapping[str, Any]) -> bytes:
    """The head of a reply: magic, length and JSON."""
    encoded = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    return _PREFIX.pack(_MAGIC, len(encoded)) + encoded


def encode_parsed(parsed: ParsedDocument) -> Iterator[bytes]:
    """The reply that carries a parsed document, piece by piece: header, text, then the boxes of each page."""
    text = parsed.text.encode()
    headings = {heading: index for index, heading in enumerate(dict.fromkeys(block.heading for block in parsed.blocks))}
    yield frame(
        {
            "kind": "parsed",
            "media_type": parsed.media_type,
            "title": parsed.title,
            "n_text_bytes": len(text),
            "pages": [
                [page.number, page.start, page.end, page.width, page.height, page.char_boxes is not None]
                for page in parsed.pages
            ],
            "headings": list(headings),
            "blocks": [
                [block.kind, block.start, block.end, headings[block.heading], block.table_header]
                for block in parsed.blocks
            ],
            "receipt": {
                "pages": [[page.page, page.n_chars, page.ocr, list(page.flags)] for page in parsed.receipt.pages],
                "n_truncated_passages": parsed.receipt.n_truncated_passages,
                "encoding": parsed.receipt.encoding,
                "warnings": list(parsed.receipt.warnings),
            },
        }
    )
    yield text
    for page in parsed.pages:
        if page.char_boxes is not None and page.char_boxes.size:
            yield page.char_boxes.astype("<u2", copy=False).tobytes()


def split(reply: bytes | bytearray | memoryview) -> tuple[dict[str, Any], memoryview]:
    """The header of a reply and what follows it.

    Raises:
        DocumentError: `parser_crashed`, the reply is cut short or not a reply.
    """
    view = memoryview(reply)
    if len(view) < _PREFIX.size:
        _refuse("is cut short")
    magic, length = _PREFIX.unpack_from(view)
    if magic != _MAGIC or length > _MAX_HEADER_BYTES or len(view) < _PREFIX.size + length:
        _refuse("is cut short")
    try:
        header = json.loads(bytes(view[_PREFIX.size : _PREFIX.size + length]))
    except (ValueError, RecursionError):
        _refuse("has no readable header")
    if not isinstance(header, dict):
        _refuse("has no readable header")
    return header, view[_PREFIX.size + length :]


def decode_parsed(header: Mapping[str, Any], body: memoryview) -> ParsedDocument:
    """The document of a reply of kind `parsed`; its types are right, its offsets are for `check_parsed` to judge.

    Raises:
        DocumentError: `parser_crashed`, the reply is not what `encode_parsed` writes.
    """
    try:
        n_text_bytes = _integer(header["n_text_bytes"])
        text = str(body[:n_text_bytes], "utf-8")
        headings = [_optional(heading, str) for heading in header["headings"]]
        receipt = header["receipt"]
        return ParsedDocument(
            text=text,
            pages=tuple(_pages(header["pages"], body[n_text_bytes:])),
            blocks=tuple(_block(row, headings) for row in header["blocks"]),
            media_type=_typed(header["media_type"], str),
            title=_optional(header["title"], str),
            receipt=Receipt(
                pages=tuple(_page_receipt(row) for row in receipt["pages"]),
                n_truncated_passages=_integer(receipt["n_truncated_passages"]),
                encoding=_optional(receipt["encoding"], str),
                warnings=tuple(_typed(warning, str) for warning in receipt["warnings"]),
            ),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DocumentError("parser_crashed", "The parser's reply is not a document; try the file again.") from error


def _pages(rows: Any, boxes: memoryview) -> Iterator[Page]:
    done = 0
    for number, start, end, width, height, has_boxes in _typed(rows, list):
        start, end = _integer(start), _integer(end)
        char_boxes = None
        if _typed(has_boxes, bool):
            size = (end - start) * _BOX_BYTES
            section = boxes[done : done + size]
            if size < 0 or len(section) != size:
                raise ValueError("boxes are cut short")
            char_boxes = np.frombuffer(section, dtype="<u2").reshape(-1, 4).astype(np.uint16, copy=False)
            done += size
        yield Page(
            number=None if number is None else _integer(number),
            start=start,
            end=end,
            width=_size(width),
            height=_size(height),
            char_boxes=char_boxes,
        )
    if done != len(boxes):
        raise ValueError("bytes are left over")


def _block(row: Any, headings: list[str | None]) -> Block:
    kind, start, end, heading, table_header = row
    if kind not in _BLOCK_KINDS:
        raise ValueError("unknown kind of block")
    return Block(
        kind=kind,
        start=_integer(start),
        end=_integer(end),
        heading=headings[_integer(heading)],
        table_header=_optional(table_header, str),
    )


def _page_receipt(row: Any) -> PageReceipt:
    page, n_chars, ocr, flags = row
    return PageReceipt(
        page=None if page is None else _integer(page),
        n_chars=_integer(n_chars),
        ocr=_typed(ocr, bool),
        flags=tuple(_typed(flag, str) for flag in flags),
    )


def _integer(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("not a count")
    return value


def _size(value: Any) -> float | None:
    if value is None:
        return None
    number = float(_typed(value, (int, float)))
    if not 0 <= number < float("inf"):
        raise ValueError("not a size")
    return number


def _typed(value: Any, kind: type[_T] | tuple[type[_T], ...]) -> _T:
    if not isinstance(value, kind):
        raise TypeError("a field has the wrong type")
    return value


def _optional(value: Any, kind: type[_T]) -> _T | None:
    return None if value is None else _typed(value, kind)


def _refuse(what: str) -> NoReturn:
    raise DocumentError("parser_crashed", f"The parser's reply {what}; try the file again.")
