"""Deletes a document so that no byte of it can be read again, and proves it by counting."""

import datetime
import threading
from dataclasses import dataclass

import structlog
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from rag.catalog.answers import redact_answers
from rag.catalog.comparison_redact import redact_comparisons
from rag.catalog.database import Database
from rag.catalog.document_rows import to_document
from rag.catalog.files import FileStore
from rag.catalog.jobs import cancel_jobs
from rag.catalog.models import DocumentRow, JobRow, PageRow, PassageRow, VersionRow
from rag.catalog.publishing import remove_passages
from rag.catalog.reading import document_row
from rag.types import Document

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What went with a document, and what of it was still found afterwards (0, or the deletion is not complete)."""

    document_id: str
    passages: int
    vectors: int
    files: int
    remaining: int = 0


def delete_rows(session: Session, document_id: str, now: datetime.datetime) -> tuple[Document, int]:
    """Delete and redact in the caller's transaction; returns the document as it was and its number of passages.

    Raises:
        NotFoundError: no such document.
    """
    row = document_row(session, document_id)
    document = to_document(row)
    n_passages = remove_passages(session, row)
    cancel_jobs(session, document_id, now)
    session.execute(update(JobRow).where(JobRow.document_id == document_id).values(error=None, payload={}))
    redact_answers(session, document_id)
    redact_comparisons(session, document_id, now)
    session.execute(delete(DocumentRow).where(DocumentRow.document_id == document_id))  # versions and pages follow
    return document, n_passages


def finish_deletion(
    database: Database, files: FileStore, gate: threading.Lock, document_id: str, n_passages: int
) -> Deleted:
    """After the commit: empty the log, remove the files, and count what is left.

    `gate` is held by a running backup, which reads an older snapshot; the deletion waits for its end.
    """
    with gate:
        log_is_empty = database.truncate_log()
        n_files = files.delete(document_id)
    if not log_is_empty:
        _log.warning("deleted_rows_in_log", document_id=document_id)
    remaining = _count_rows(database, document_id) + len(files.versions(document_id)) + (not log_is_empty)
    return Deleted(document_id=document_id, passages=n_passages, vectors=n_passages, files=n_files, remaining=remaining)


def _count_rows(database: Database, document_id: str) -> int:
    with database.read() as session:
        return sum(
            session.scalar(select(func.count()).select_from(table).where(table.document_id == document_id)) or 0
            for table in (DocumentRow, VersionRow, PageRow, PassageRow)
        )
