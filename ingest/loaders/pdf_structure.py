"""What a PDF says about itself: title, outline, attachments. All of it is optional.

Read with PDFium, which has the file open already: pypdf would parse it a second time, in Python, and most of its
advisories concern structure made to exhaust it. It is left for repair (`pdf_open`).
"""

from dataclasses import dataclass

import pypdfium2

from ingest.loaders.pdf_headings import OutlineEntry
from rag.normalize import normalize

_MAX_ENTRIES = 20_000
_MAX_DEPTH = 15
_MAX_TITLE_CHARS = 500
_NO_TITLES = frozenset(("", "untitled", "(anonymous)", "unspecified"))  # what programs write when nobody named it


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """Title, outline, attachments."""

    title: str | None
    outline: tuple[OutlineEntry, ...]
    n_attachments: int


def read_structure(document: pypdfium2.PdfDocument) -> Structure:
    """The structure of an open PDF; entries of the outline that lead nowhere are left out."""
    outline: list[OutlineEntry] = []
    for bookmark in document.get_toc(max_depth=_MAX_DEPTH):
        if len(outline) >= _MAX_ENTRIES:
            break
        destination = bookmark.get_dest()
        page = None if destination is None else destination.get_index()
        title = _one_line(bookmark.get_title())
        if page is not None and page >= 0 and title:
            outline.append(OutlineEntry(title=title, level=bookmark.level + 1, page=page))
    title = _one_line(document.get_metadata_value("Title"))
    return Structure(
        title=None if title.casefold() in _NO_TITLES else title,
        outline=tuple(outline),
        n_attachments=max(document.count_attachments(), 0),
    )


def _one_line(text: str) -> str:
    return " ".join(normalize(text).split())[:_MAX_TITLE_CHARS]
