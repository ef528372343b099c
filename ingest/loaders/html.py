"""HTML: what a reader of the page would see."""

from pathlib import Path

from ingest.builder import TextBuilder
from ingest.limits import Limits
from ingest.loaders.encoding import decode_markup
from ingest.loaders.markup import find_title, parse_html, parse_xhtml
from ingest.loaders.markup_blocks import add_markup
from rag.errors import DocumentError
from rag.types import ParsedDocument

MEDIA_TYPE = "text/html"


def load_html(path: Path, *, name: str, password: str | None, limits: Limits) -> ParsedDocument:
    """Parse a page; its encoding comes from a byte order mark, its own declaration, or its bytes.

    Raises:
        DocumentError: `empty`, `no_text`, `too_large`.
    """
    data = path.read_bytes()
    if not data:
        raise DocumentError("empty", "The file is empty; upload one with content.")
    decoded = decode_markup(data)
    builder = TextBuilder(limits)
    decoded.report(builder)
    root = (parse_xhtml if decoded.text.lstrip()[:5] == "<?xml" else parse_html)(decoded.text)
    if root is not None:
        add_markup(root, builder)
    title = find_title(root) if root is not None else None
    return builder.build(media_type=MEDIA_TYPE, title=title, encoding=decoded.encoding)
