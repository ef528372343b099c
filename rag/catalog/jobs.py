"""The table of jobs: what is to be done, what runs, and what came of it. The worker itself is `ingest`'s."""

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from rag.catalog.database import Database
from rag.catalog.document_rows import failure_from_json, failure_to_json, set_failed, to_document
from rag.catalog.events import DocumentEvent, Events
from rag.catalog.ids import NewId
from rag.catalog.models import ComparisonRow, DocumentRow, JobRow
from rag.errors import NotFoundError
from rag.types import Failure, JobStatus

INGEST = "ingest"
COMPARISON = "comparison"
MAX_ATTEMPTS = 3  # a job that took the whole process down this often is given up
_CRASHED = Failure(
    code="parser_crashed",
    message=f"the process died {MAX_ATTEMPTS} times while it read this file; check the file, then retry it",
)
_COMPARISON_CRASHED = Failure(
    code="crashed",
    message=f"the process died {MAX_ATTEMPTS} times at the same case; take that case out, or resume the comparison",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job that was claimed and is now the caller's to do."""

    job_id: str
    kind: str
    document_id: str | None
    version: int | None
    attempts: int  # 1 = the first try
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as `GET /v1/jobs/{id}` shows it."""

    job_id: str
    kind: str
    status: JobStatus
    progress: float  # 0..1
    document_id: str | None
    error: Failure | None
    created_at: datetime.datetime
    updated_at: datetime.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a start found left over from the process before it."""

    requeued: tuple[str, ...]  # job ids
    failed: tuple[str, ...]  # document ids


class Jobs:
    """The queue, oldest first. A job is queued in the transaction that makes its document."""

    def __init__(self, database: Database, events: Events, new_id: NewId) -> None:
        self._database = database
        self._events = events
        self._new_id = new_id

    def claim(
        self,
        now: datetime.datetime,
        kind: str = INGEST,
        *,
        first: str | None = None,
        without: Collection[str] = (),
    ) -> Job | None:
        """Take the oldest queued job of a kind; None where nothing waits. No two callers get the same.

        The job `first` goes before all others; those of `without` are left alone. A power cut may undo it, and the job
        is queued again; a crash counts as an attempt.
        """
        query = select(JobRow).where(JobRow.status == "queued", JobRow.kind == kind).limit(1)
        if without:
            query = query.where(JobRow.job_id.not_in(without))
        if first is not None:
            query = query.order_by((JobRow.job_id == first).desc())
        query = query.order_by(JobRow.number)
        with self._database.read() as session:
            if session.scalar(query.with_only_columns(JobRow.number)) is None:
                return None
        with self._database.write(durable=False) as session:
            row = session.scalar(query)
            if row is None:
                return None
            row.status, row.attempts, row.updated_at = "running", row.attempts + 1, now
            return Job(
                job_id=row.job_id,
                kind=row.kind,
                document_id=row.document_id,
                version=row.version,
                attempts=row.attempts,
                payload=row.payload,
            )

    def get(self, job_id: str) -> JobView:
        """A job as it stands.

        Raises:
            NotFoundError: no such job.
        """
        with self._database.read() as session:
            return _view(_row(session, job_id))

    def release(self, job_id: str, now: datetime.datetime) -> None:
        """Put a running job back as if it had not been tried: for an orderly stop."""
        with self._database.write() as session:
            row = _row(session, job_id)
            if row.status != "running":
                return
            row.status, row.progress, row.attempts, row.updated_at = "queued", 0.0, row.attempts - 1, now
            self._requeue_subject(session, row, now)

    def recover(self, now: datetime.datetime) -> Recovered:
        """At start: queue again what ran when the process died; give up on what died three times."""
        requeued: list[str] = []
        failed: list[str] = []
        with self._database.write() as session:
            for row in session.scalars(select(JobRow).where(JobRow.status == "running").order_by(JobRow.number)):
                row.updated_at = now
                if row.attempts < MAX_ATTEMPTS:
                    row.status, row.progress = "queued", 0.0
                    self._requeue_subject(session, row, now)
                    requeued.append(row.job_id)
                    continue
                if row.kind == COMPARISON:
                    row.status, row.error = "failed", failure_to_json(_COMPARISON_CRASHED)
                    _set_comparison(session, row, "failed", _COMPARISON_CRASHED, now)
                    continue
                row.status, row.error = "failed", failure_to_json(_CRASHED)
                document = _document(session, row)
                if document is not None:
                    set_failed(document, _CRASHED, None, now)
                    self._announce(document)
                    failed.append(document.document_id)
        return Recovered(requeued=tuple(requeued), failed=tuple(failed))

    def cancelled(self, job_id: str) -> bool:
        """Whether the work should stop: the job was cancelled, or nobody knows it any more."""
        with self._database.read() as session:
            status = session.scalar(select(JobRow.status).where(JobRow.job_id == job_id))
        return status is None or status == "cancelled"

    def n_queued(self, kind: str | None = None) -> int:
        """How many jobs wait or run, of one kind or of all."""
        query = select(func.count()).select_from(JobRow).where(JobRow.status.in_(("queued", "running")))
        if kind is not None:
            query = query.where(JobRow.kind == kind)
        with self._database.read() as session:
            return session.scalar(query) or 0

    def _requeue_subject(self, session: Session, job: JobRow, now: datetime.datetime) -> None:
        if job.kind == COMPARISON:
            _set_comparison(session, job, "queued", None, now)
        document = _document(session, job)
        if document is not None and document.status in ("parsing", "embedding"):
            document.status, document.progress, document.updated_at = "queued", 0.0, now
            self._announce(document)

    def _announce(self, row: DocumentRow) -> None:
        document = to_document(row)
        self._database.on_commit(lambda: self._events.publish(DocumentEvent(document=document)))


def queue_job(
    session: Session,
    job_id: str,
    kind: str,
    document_id: str | None,
    version: int | None,
    now: datetime.datetime,
    *,
    payload: Mapping[str, Any] | None = None,
) -> None:
    """Queue a job in the caller's transaction."""
    session.add(
        JobRow(
            job_id=job_id,
            kind=kind,
            document_id=document_id,
            version=version,
            status="queued",
            progress=0.0,
            attempts=0,
            payload=dict(payload or {}),
            error=None,
            created_at=now,
            updated_at=now,
        )
    )


def cancel_jobs(session: Session, document_id: str, now: datetime.datetime) -> None:
    """Cancel whatever waits or runs for a document, in the caller's transaction."""
    session.execute(
        update(JobRow)
        .where(JobRow.document_id == document_id, JobRow.status.in_(("queued", "running")))
        .values(status="cancelled", updated_at=now)
    )


def running_job(session: Session, job_id: str, document_id: str) -> JobRow | None:
    """The job if it still runs for that document."""
    row = session.scalar(select(JobRow).where(JobRow.job_id == job_id))
    return row if row is not None and row.status == "running" and row.document_id == document_id else None


def _set_comparison(
    session: Session, job: JobRow, status: str, failure: Failure | None, now: datetime.datetime
) -> None:
    """Show the comparison that a job works on as queued again, or as failed."""
    row = session.get(ComparisonRow, job.payload["comparison_id"])
    if row is not None and row.job_id == job.job_id and row.status in ("queued", "running"):
        row.status, row.seconds_left, row.updated_at = status, None, now
        row.error = None if failure is None else failure_to_json(failure)


def _document(session: Session, job: JobRow) -> DocumentRow | None:
    """The document that a job is about, if it still waits for that very version."""
    document = session.get(DocumentRow, job.document_id) if job.document_id else None
    return document if document is not None and document.version == job.version else None


def _row(session: Session, job_id: str) -> JobRow:
    row = session.scalar(select(JobRow).where(JobRow.job_id == job_id))
    if row is None:
        raise NotFoundError("no job has that id; an upload returns the ids of its jobs")
    return row


def _view(row: JobRow) -> JobView:
    return JobView(
        job_id=row.job_id,
        kind=row.kind,
        status=cast(JobStatus, row.status),
        progress=row.progress,
        document_id=row.document_id,
        error=failure_from_json(row.error),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
