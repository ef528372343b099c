"""Plain text: paragraphs between empty lines, lines as they are."""

import re
from pathlib import Path

from ingest.builder import TextBuilder
from ingest.limits import Limits
from ingest.loaders.encoding import decode
from rag.errors import DocumentError
from rag.types import ParsedDocument

MEDIA_TYPE = "text/plain"

_LINE_ENDS = re.compile(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")
_EMPTY_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")


def load_plain(path: Path, *, name: str, password: str | None, limits: Limits) -> ParsedDocument:
    """Parse a text file of any common encoding.

    Bytes that fit no encoding stand as U+FFFD, flagged `badly_encoded` in the receipt.

    Raises:
        DocumentError: `empty`, `no_text`, `too_large`.
    """
    data = path.read_bytes()
    if not data:
        raise DocumentError("empty", "The file is empty; upload one with content.")
    decoded = decode(data)
    builder = TextBuilder(limits)
    decoded.report(builder)
    add_paragraphs(builder, decoded.text)
    return builder.build(media_type=MEDIA_TYPE, encoding=decoded.encoding)


def add_paragraphs(builder: TextBuilder, text: str) -> None:
    """Add the stretches of `text` between empty lines."""
    for paragraph in _EMPTY_LINES.split(_LINE_ENDS.sub("\n", text)):
        builder.add_paragraph(paragraph)
