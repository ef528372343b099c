"""Turns accepted bytes into rows: a new document, a new version, a job."""

import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from rag.catalog.files import Staged
from rag.catalog.jobs import INGEST, cancel_jobs, queue_job
from rag.catalog.labels import name_key
from rag.catalog.models import DocumentRow, VersionRow
from rag.types import Metadata

IN_PROGRESS = ("queued", "parsing", "embedding")
ACTIVE = (*IN_PROGRESS, "ready")


def find_duplicate(session: Session, collection: str, sha256: str) -> DocumentRow | None:
    """The document with these bytes in its newest or its searched version; one in use before one that failed."""
    query = (
        select(DocumentRow)
        .join(VersionRow, VersionRow.document_id == DocumentRow.document_id)
        .where(
            DocumentRow.collection == collection,
            VersionRow.sha256 == sha256,
            (VersionRow.version == DocumentRow.version) | (VersionRow.version == DocumentRow.live_version),
        )
        .order_by(DocumentRow.status.in_(ACTIVE).desc(), DocumentRow.created_at, DocumentRow.document_id)
        .limit(1)
    )
    return session.scalar(query)


def is_in_use(row: DocumentRow, sha256: str) -> bool:
    """Whether a duplicate is searched or on its way there, and not one to try again."""
    return row.status in ACTIVE or row.sha256 != sha256


def add_document(
    session: Session, document_id: str, collection: str, metadata: Metadata, now: datetime.datetime
) -> DocumentRow:
    """A document that has no version yet; `add_version` gives it its first."""
    row = DocumentRow(
        document_id=document_id,
        collection=collection,
        version=0,
        live_version=None,
        n_pages=None,
        n_passages=0,
        document_metadata=metadata,
        created_at=now,
    )
    session.add(row)
    return row


def add_version(
    session: Session, row: DocumentRow, staged: Staged, name: str, media_type: str, job_id: str, now: datetime.datetime
) -> None:
    """The next version of a document and the job that reads it."""
    row.version += 1
    row.media_type, row.n_bytes, row.sha256 = media_type, staged.n_bytes, staged.sha256
    rename(row, name)
    queue(session, row, job_id, now)
    session.flush()  # the version refers to it
    session.add(
        VersionRow(
            document_id=row.document_id,
            version=row.version,
            name=name,
            media_type=media_type,
            n_bytes=staged.n_bytes,
            sha256=staged.sha256,
            created_at=now,
        )
    )
    session.flush()


def rename(row: DocumentRow, name: str) -> None:
    """Give a document another name."""
    row.name, row.name_key = name, name_key(name)


def queue(session: Session, row: DocumentRow, job_id: str, now: datetime.datetime) -> str:
    """Queue the newest version in place of any work that goes on; returns the job's id."""
    with session.no_autoflush:  # a new row is not complete before this
        cancel_jobs(session, row.document_id, now)
    queue_job(session, job_id, INGEST, row.document_id, row.version, now)
    row.status, row.progress, row.error, row.receipt, row.updated_at = "queued", 0.0, None, None, now
    return job_id
