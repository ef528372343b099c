"""Reads what was parsed: texts, pages, places of characters."""

import zlib

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from rag.catalog.models import DocumentRow, PageRow, VersionRow
from rag.errors import NoPagesError, NotFoundError
from rag.types import Page

_BOX_TYPE = np.dtype("<u2")


def document_row(session: Session, document_id: str) -> DocumentRow:
    """The row of a document.

    Raises:
        NotFoundError: no such document.
    """
    row = session.get(DocumentRow, document_id)
    if row is None:
        raise NotFoundError("no document has that id; see GET /v1/documents")
    return row


def resolve_version(session: Session, document_id: str, version: int | None) -> int:
    """`version` if the document has it; without one the searched version, or the newest before any is searched.

    Raises:
        NotFoundError: no such document or version.
    """
    row = document_row(session, document_id)
    if version is None:
        return row.version if row.live_version is None else row.live_version
    if not 1 <= version <= row.version:
        raise NotFoundError(f"the document has versions 1 to {row.version}")
    return version


def version_text(session: Session, document_id: str, version: int | None) -> str:
    """See `Documents.text`."""
    version = resolve_version(session, document_id, version)
    text = session.scalar(select(VersionRow.text).where(_is_version(document_id, version)))
    if text is None:
        raise NotFoundError(f"version {version} of the document has no text; see its status and error")
    return text


def _has_text(session: Session, document_id: str, version: int) -> bool:
    return session.scalar(select(VersionRow.text.is_not(None)).where(_is_version(document_id, version))) or False


def version_pages(session: Session, document_id: str, version: int | None) -> tuple[Page, ...]:
    """See `Documents.pages`."""
    version = resolve_version(session, document_id, version)
    query = (
        select(PageRow.number, PageRow.start, PageRow.end, PageRow.width, PageRow.height)
        .where(PageRow.document_id == document_id, PageRow.version == version)
        .order_by(PageRow.number)
    )
    return tuple(Page(**row._mapping) for row in session.execute(query))


def version_page(session: Session, document_id: str, number: int, version: int | None) -> tuple[Page, str]:
    """See `Documents.page`."""
    version = resolve_version(session, document_id, version)
    pages = version_pages(session, document_id, version)
    if not pages:
        if _has_text(session, document_id, version):
            raise NoPagesError("this document has no pages; read its text instead")
        raise NoPagesError("nothing was read of this document; its error says why")
    page = next((page for page in pages if page.number == number), None)
    if page is None:
        raise NotFoundError(f"the document has pages 1 to {len(pages)}")
    text = session.scalar(
        select(func.substr(VersionRow.text, page.start + 1, page.end - page.start)).where(
            _is_version(document_id, version)
        )
    )
    return page, text or ""


def page_boxes(session: Session, document_id: str, version: int, number: int) -> npt.NDArray[np.uint16] | None:
    """See `Documents.char_boxes`."""
    row = session.execute(
        select(PageRow.char_boxes, PageRow.start, PageRow.end).where(
            PageRow.document_id == document_id, PageRow.version == version, PageRow.number == number
        )
    ).one_or_none()
    if row is None or row.char_boxes is None:
        return None
    n_bytes = (row.end - row.start) * 4 * _BOX_TYPE.itemsize  # what it unpacks to, and never more
    unpacked = zlib.decompressobj().decompress(row.char_boxes, n_bytes or 1)
    boxes: npt.NDArray[np.uint16] = np.frombuffer(unpacked, dtype=_BOX_TYPE).reshape(-1, 4)
    return boxes.astype(np.uint16)


def pack_boxes(boxes: npt.NDArray[np.uint16] | None) -> bytes | None:
    """Character boxes as they are stored; the inverse of what `page_boxes` does."""
    return None if boxes is None else zlib.compress(np.ascontiguousarray(boxes, dtype=_BOX_TYPE).tobytes(), 6)


def _is_version(document_id: str, version: int) -> ColumnElement[bool]:
    return and_(VersionRow.document_id == document_id, VersionRow.version == version)
