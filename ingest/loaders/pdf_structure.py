"""What a PDF says about itself, read with pypdf: title, outline, attachments, comments. All of it is optional."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pypdf
import pypdfium2
import structlog
from pypdf.generic import Destination

from ingest.loaders.pdf_headings import OutlineEntry
from rag.normalize import normalize

_log = structlog.get_logger(__name__)

_MAX_ENTRIES = 20_000
_MAX_TITLE_CHARS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """Title, outline, attachments."""

    title: str | None = None
    outline: tuple[OutlineEntry, ...] = ()
    n_attachments: int = 0


def read_structure(path: Path, password: str | None, document: pypdfium2.PdfDocument) -> Structure:
    """The structure by pypdf; by PDFium, which `document` is open in, where pypdf cannot read the file."""
    try:
        with pypdf.PdfReader(path, strict=False) as reader:
            if reader.is_encrypted:
                reader.decrypt(password or "")
            info = reader.metadata
            return Structure(
                title=_one_line(info.title) if info is not None and isinstance(info.title, str) else None,
                outline=tuple(_entries(reader)),
                n_attachments=sum(1 for _ in reader.attachment_list),
            )
    except MemoryError:
        raise
    except Exception as error:  # pypdf raises anything at all over damaged files
        _log.info("outline_by_pdfium", cause=type(error).__name__)
        return _by_pdfium(document)


def _entries(reader: pypdf.PdfReader) -> Iterator[OutlineEntry]:
    pages = {page.indirect_reference.idnum: index for index, page in enumerate(reader.pages) if page.indirect_reference}
    n_entries = 0
    open_lists: list[tuple[int, Iterator[Any]]] = [(1, iter(reader.outline))]
    while open_lists and n_entries < _MAX_ENTRIES:
        level, items = open_lists[-1]
        item = next(items, None)
        if item is None:
            open_lists.pop()
        elif isinstance(item, list):
            open_lists.append((level + 1, iter(item)))
        elif isinstance(item, Destination) and isinstance(item.title, str):
            n_entries += 1
            page = pages.get(getattr(item.page, "idnum", -1))
            title = _one_line(item.title)
            if page is not None and title:
                yield OutlineEntry(title=title, level=level, page=page)


def _by_pdfium(document: pypdfium2.PdfDocument) -> Structure:
    outline: list[OutlineEntry] = []
    for bookmark in document.get_toc():
        if len(outline) >= _MAX_ENTRIES:
            break
        destination = bookmark.get_dest()
        page = None if destination is None else destination.get_index()
        title = _one_line(bookmark.get_title())
        if page is not None and title:
            outline.append(OutlineEntry(title=title, level=bookmark.level + 1, page=page))
    title = document.get_metadata_value("Title")
    return Structure(title=_one_line(title), outline=tuple(outline), n_attachments=document.count_attachments())


def _one_line(text: str) -> str:
    return " ".join(normalize(text).split())[:_MAX_TITLE_CHARS]
