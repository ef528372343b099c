"""Makes a parsed version searchable: everything it consists of in one transaction, or nothing."""

import datetime
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from rag.catalog.changes import log_change
from rag.catalog.document_rows import receipt_to_json
from rag.catalog.jobs import running_job
from rag.catalog.models import DocumentRow, PageRow, PassageRow, VersionRow
from rag.catalog.passages import store_embedder, stored_embedder
from rag.catalog.reading import pack_boxes
from rag.errors import ConflictError, IndexMismatchError, InvalidInputError
from rag.types import NewPassage, Page, ParsedDocument


def page_values(pages: Sequence[Page]) -> list[dict[str, Any]]:
    """Rows of pages, boxes packed; made before the write lock is taken, since packing takes time.

    Raises:
        InvalidInputError: the boxes of a page are not one for each of its characters.
    """
    for page in pages:
        if page.char_boxes is not None and page.char_boxes.shape != (page.end - page.start, 4):
            raise InvalidInputError(f"page {page.number} needs a box for each of its characters")
    return [
        {
            "number": page.number,
            "start": page.start,
            "end": page.end,
            "width": page.width,
            "height": page.height,
            "char_boxes": pack_boxes(page.char_boxes),
        }
        for page in pages
        if page.number is not None
    ]


def passage_values(text: str, passages: Sequence[NewPassage], blobs: Sequence[bytes]) -> list[dict[str, Any]]:
    """Rows of passages with their vectors.

    Raises:
        InvalidInputError: there are none, or one is not what the text has at its offsets.
    """
    if not passages:
        raise InvalidInputError("a version without passages cannot be searched; fail it with no_text instead")
    for passage in passages:
        if passage.text != text[passage.start : passage.end]:
            raise InvalidInputError(f"passage {passage.ordinal} is not the text at its offsets")
    return [
        {
            "ordinal": passage.ordinal,
            "text": passage.text,
            "start": passage.start,
            "end": passage.end,
            "heading": passage.heading,
            "table_header": passage.table_header,
            "first_page": passage.first_page,
            "last_page": passage.last_page,
            "n_tokens": passage.n_tokens,
            "continues": passage.continues,
            "vector": blob,
        }
        for passage, blob in zip(passages, blobs, strict=True)
    ]


def publish_version(
    session: Session,
    job_id: str,
    document_id: str,
    version: int,
    parsed: ParsedDocument,
    page_rows: list[dict[str, Any]],
    passage_rows: list[dict[str, Any]],
    embedder: str,
    now: datetime.datetime,
) -> DocumentRow:
    """Write it all in the caller's transaction; see `Documents.publish`."""
    document = session.get(DocumentRow, document_id)
    job = running_job(session, job_id, document_id)
    if document is None or job is None or document.version != version or job.version != version:
        raise ConflictError("the document was deleted, cancelled or replaced meanwhile; nothing was written")
    _check_embedder(session, embedder)
    remove_passages(session, document)

    row = session.get_one(VersionRow, (document_id, version))
    receipt = receipt_to_json(parsed.receipt)
    row.text, row.title, row.media_type, row.receipt = parsed.text, parsed.title, parsed.media_type, receipt
    session.flush()
    key = {"document_id": document_id, "version": version}
    session.execute(delete(PageRow).where(PageRow.document_id == document_id, PageRow.version == version))
    if page_rows:
        session.execute(insert(PageRow), [key | values for values in page_rows])
    session.execute(insert(PassageRow), [key | values for values in passage_rows])
    first_id, last_id = _id_range(session, document_id, version, len(passage_rows))
    log_change(
        session,
        "add",
        collection=document.collection,
        document_id=document_id,
        version=version,
        first_passage_id=first_id,
        last_passage_id=last_id,
    )

    document.live_version, document.media_type = version, parsed.media_type
    document.n_pages, document.n_passages = len(page_rows) or None, len(passage_rows)
    document.receipt, document.error = receipt, None
    document.status, document.progress, document.updated_at = "ready", 1.0, now
    job.status, job.progress, job.error, job.updated_at = "done", 1.0, None, now
    return document


def remove_passages(session: Session, document: DocumentRow) -> int:
    """Remove the passages of the live version and log that; returns how many there were."""
    if document.live_version is None:
        return 0
    mine = PassageRow.document_id == document.document_id
    first_id, last_id, n = session.execute(
        select(func.min(PassageRow.passage_id), func.max(PassageRow.passage_id), func.count()).where(mine)
    ).one()
    if not n:
        return 0
    session.execute(delete(PassageRow).where(mine))
    log_change(
        session,
        "remove",
        collection=document.collection,
        document_id=document.document_id,
        version=document.live_version,
        first_passage_id=first_id,
        last_passage_id=last_id,
    )
    return int(n)


def _check_embedder(session: Session, embedder: str) -> None:
    stored = stored_embedder(session)
    if stored == embedder:
        return
    if stored is not None and session.scalar(select(PassageRow.passage_id).limit(1)) is not None:
        raise IndexMismatchError(
            f"the catalog was embedded with {stored}, the settings ask for {embedder}; run citebound reindex"
        )
    store_embedder(session, embedder)


def _id_range(session: Session, document_id: str, version: int, n: int) -> tuple[int, int]:
    """First and last id of the passages just inserted, which no other writer can have interleaved."""
    first_id, last_id, last_ordinal_id = session.execute(
        select(
            func.min(PassageRow.passage_id),
            func.max(PassageRow.passage_id),
            select(PassageRow.passage_id)
            .where(PassageRow.document_id == document_id, PassageRow.version == version)
            .order_by(PassageRow.ordinal.desc())
            .limit(1)
            .scalar_subquery(),
        ).where(PassageRow.document_id == document_id, PassageRow.version == version)
    ).one()
    if last_id - first_id + 1 != n or last_ordinal_id != last_id:
        raise ConflictError("another process writes to this catalog; stop it and try again")
    return first_id, last_id
