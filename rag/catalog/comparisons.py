"""Stored comparisons: what was asked, every result as soon as there is one, and the documents they stand on."""

import dataclasses
import datetime
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from rag.catalog.changes import was_here
from rag.catalog.comparison_redact import redact_case
from rag.catalog.database import Database
from rag.catalog.document_rows import failure_from_json, failure_to_json
from rag.catalog.ids import NewId
from rag.catalog.jobs import COMPARISON, queue_job
from rag.catalog.models import (
    ComparisonInputRow,
    ComparisonResultRow,
    ComparisonRow,
    ComparisonSourceRow,
    DocumentRow,
    JobRow,
)
from rag.errors import ConflictError, NotFoundError
from rag.types import Failure

ComparisonStatus = Literal["queued", "running", "ready", "failed", "cancelled"]
ResultKind = Literal["result", "probe"]

_RESULTS_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredComparison:
    """A comparison without its cases and results."""

    comparison_id: str
    job_id: str
    name: str
    collection: str
    status: ComparisonStatus
    n_results: int
    n_expected: int  # cases times systems
    n_failures: int  # results without an answer
    seconds_left: float | None  # None while nobody knows
    redacted: bool  # a document behind it was deleted
    error: Failure | None
    manifest: Mapping[str, Any] | None  # None until the work begins
    figures: Mapping[str, Any] | None  # None until it is ready
    created_at: datetime.datetime
    updated_at: datetime.datetime

    @property
    def progress(self) -> float:
        """The share of results that are there, 0..1; 1 only once the comparison is ready."""
        if self.status == "ready":
            return 1.0
        return min(0.99, self.n_results / self.n_expected) if self.n_expected else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewResult:
    """One line to store. `document_ids` are those whose words it may hold."""

    kind: ResultKind
    case_number: int
    system_number: int
    payload: Mapping[str, Any]
    document_ids: Collection[str] = ()
    failed: bool = False


class Comparisons:
    """Makes, reads and changes comparisons. One worker at a time writes results, under the job it claimed."""

    def __init__(self, database: Database, new_id: NewId) -> None:
        self._database = database
        self._new_id = new_id

    def create(
        self, name: str, collection: str, request: Mapping[str, Any], n_expected: int, now: datetime.datetime
    ) -> StoredComparison:
        """Store a comparison and queue the work on it."""
        job_id = self._new_id("job")
        with self._database.write() as session:
            row = ComparisonRow(
                comparison_id=self._new_id("cmp"),
                job_id=job_id,
                name=name,
                collection=collection,
                status="queued",
                n_results=0,
                n_expected=n_expected,
                n_failures=0,
                seconds_left=None,
                redacted=False,
                error=None,
                manifest=None,
                figures=None,
                created_at=now,
                updated_at=now,
            )
            session.add(row)
            session.flush()  # its input refers to it
            session.add(ComparisonInputRow(comparison_id=row.comparison_id, payload=dict(request)))
            queue_job(session, job_id, COMPARISON, None, None, now, payload={"comparison_id": row.comparison_id})
            return _view(row)

    def get(self, comparison_id: str) -> StoredComparison:
        """A comparison as it stands.

        Raises:
            NotFoundError: no such comparison.
        """
        with self._database.read() as session:
            return _view(_row(session, comparison_id))

    def list(self, limit: int = 100) -> tuple[tuple[StoredComparison, ...], int]:
        """The newest comparisons, and how many there are."""
        query = select(ComparisonRow).order_by(ComparisonRow.created_at.desc(), ComparisonRow.comparison_id.desc())
        with self._database.read() as session:
            rows = session.scalars(query.limit(limit)).all()
            count = session.scalar(select(func.count()).select_from(ComparisonRow)) or 0
            return tuple(_view(row) for row in rows), count

    def request(self, comparison_id: str) -> dict[str, Any]:
        """What the comparison was asked to do, less what a deleted document said.

        Raises:
            NotFoundError: no such comparison.
        """
        with self._database.read() as session:
            row = session.get(ComparisonInputRow, comparison_id)
            if row is None:
                raise NotFoundError(_UNKNOWN)
            return dict(row.payload)

    def results(self, comparison_id: str, kind: ResultKind = "result") -> Iterator[dict[str, Any]]:
        """The stored lines of one kind, by case and then by system."""
        last = (-1, -1)
        while True:
            with self._database.read() as session:
                query = (
                    select(ComparisonResultRow)
                    .where(ComparisonResultRow.comparison_id == comparison_id, ComparisonResultRow.kind == kind)
                    .where(
                        (ComparisonResultRow.case_number > last[0])
                        | ((ComparisonResultRow.case_number == last[0]) & (ComparisonResultRow.system_number > last[1]))
                    )
                    .order_by(ComparisonResultRow.case_number, ComparisonResultRow.system_number)
                    .limit(_RESULTS_AT_ONCE)
                )
                rows = session.scalars(query).all()
                session.expunge_all()
            for row in rows:
                yield dict(row.payload)
            if len(rows) < _RESULTS_AT_ONCE:
                return
            last = (rows[-1].case_number, rows[-1].system_number)

    def done(self, comparison_id: str) -> frozenset[tuple[int, int]]:
        """(case number, system number) of every result that is there."""
        query = select(ComparisonResultRow.case_number, ComparisonResultRow.system_number).where(
            ComparisonResultRow.comparison_id == comparison_id, ComparisonResultRow.kind == "result"
        )
        with self._database.read() as session:
            return frozenset((row[0], row[1]) for row in session.execute(query))

    def begin(self, comparison_id: str, job_id: str, manifest: Mapping[str, Any], now: datetime.datetime) -> bool:
        """Note that the work goes on, with what it depends on; False where nobody wants it any more."""
        with self._database.write() as session:
            row = _working_row(session, comparison_id, job_id)
            if row is None:
                return False
            row.status, row.error, row.updated_at = "running", None, now
            row.manifest = row.manifest or dict(manifest)
            return True

    def append(
        self,
        comparison_id: str,
        job_id: str,
        results: Sequence[NewResult],
        *,
        seconds_left: float | None,
        now: datetime.datetime,
    ) -> bool:
        """Store lines; they survive a power cut when this returns. A line that is there already is replaced.

        What they hold of a document that was deleted meanwhile is left out.

        Returns:
            False, with nothing written, where the comparison was cancelled or deleted meanwhile.
        """
        with self._database.write() as session:
            row = _working_row(session, comparison_id, job_id)
            if row is None:
                return False
            gone = _gone(session, {document_id for result in results for document_id in result.document_ids})
            for result in results:
                payload = dict(result.payload)
                for document_id in sorted(gone.intersection(result.document_ids)):
                    payload = redact_case(payload, document_id, repeats=None)
                    row.redacted = True
                key = (comparison_id, result.kind, result.case_number, result.system_number)
                stored = session.get(ComparisonResultRow, key)
                if stored is not None:
                    stored.payload = payload
                else:
                    names = ("comparison_id", "kind", "case_number", "system_number")
                    session.add(ComparisonResultRow(**dict(zip(names, key, strict=True)), payload=payload))
                    row.n_results += result.kind == "result"
                    row.n_failures += result.failed
                for document_id in sorted(set(result.document_ids) - gone):
                    source = (comparison_id, result.case_number, document_id)
                    if session.get(ComparisonSourceRow, source) is None:
                        session.add(
                            ComparisonSourceRow(
                                comparison_id=comparison_id, case_number=result.case_number, document_id=document_id
                            )
                        )
            row.seconds_left, row.updated_at = seconds_left, now
            job = session.scalar(select(JobRow).where(JobRow.job_id == job_id))
            if job is not None:
                job.attempts, job.updated_at = 1, now  # it moves on: only deaths in one place are counted
                job.progress = _view(row).progress
            return True

    def finish(self, comparison_id: str, job_id: str, figures: Mapping[str, Any], now: datetime.datetime) -> bool:
        """Every result is there; False where nobody wants it any more."""
        with self._database.write() as session:
            row = _working_row(session, comparison_id, job_id)
            if row is None:
                return False
            row.status, row.figures, row.seconds_left, row.updated_at = "ready", dict(figures), 0.0, now
            _end_job(session, job_id, "done", None, now)
            return True

    def fail(self, comparison_id: str, job_id: str, failure: Failure, now: datetime.datetime) -> bool:
        """Give up and say why; the results stay, and `resume` goes on from them."""
        with self._database.write() as session:
            row = _working_row(session, comparison_id, job_id)
            if row is None:
                return False
            row.status, row.error, row.seconds_left, row.updated_at = "failed", failure_to_json(failure), None, now
            _end_job(session, job_id, "failed", failure, now)
            return True

    def cancel(self, comparison_id: str, now: datetime.datetime) -> StoredComparison:
        """Stop the work; the results stay. Does nothing to what has ended.

        Raises:
            NotFoundError: no such comparison.
            ConflictError: it is ready or failed already.
        """
        with self._database.write() as session:
            row = _row(session, comparison_id)
            if row.status in ("ready", "failed"):
                raise ConflictError(f"the comparison is {row.status} and cannot be cancelled; delete it instead")
            if row.status != "cancelled":
                row.status, row.seconds_left, row.updated_at = "cancelled", None, now
                _end_job(session, row.job_id, "cancelled", None, now)
            return _view(row)

    def resume(self, comparison_id: str, now: datetime.datetime) -> StoredComparison:
        """Queue a comparison again that failed or was cancelled; what is queued or running is left alone.

        Raises:
            NotFoundError: no such comparison.
            ConflictError: it is ready.
        """
        with self._database.write() as session:
            row = _row(session, comparison_id)
            if row.status == "ready":
                raise ConflictError("the comparison is ready; start a new one to run it again")
            if row.status in ("failed", "cancelled"):
                row.job_id = self._new_id("job")
                row.status, row.error, row.updated_at = "queued", None, now
                queue_job(session, row.job_id, COMPARISON, None, None, now, payload={"comparison_id": comparison_id})
            return _view(row)

    def delete(self, comparison_id: str, now: datetime.datetime) -> int:
        """Delete a comparison with its results; returns how many there were.

        Raises:
            NotFoundError: no such comparison.
        """
        with self._database.write() as session:
            row = _row(session, comparison_id)
            n_results = row.n_results
            if row.status in ("queued", "running"):
                _end_job(session, row.job_id, "cancelled", None, now)
            session.execute(delete(ComparisonRow).where(ComparisonRow.comparison_id == comparison_id))
            return n_results


_UNKNOWN = "no comparison has that id; see GET /v1/comparisons"


def _row(session: Session, comparison_id: str) -> ComparisonRow:
    row = session.get(ComparisonRow, comparison_id)
    if row is None:
        raise NotFoundError(_UNKNOWN)
    return row


def _working_row(session: Session, comparison_id: str, job_id: str) -> ComparisonRow | None:
    """The comparison if that very job still works on it."""
    row = session.get(ComparisonRow, comparison_id)
    wanted = row is not None and row.job_id == job_id and row.status in ("queued", "running")
    return row if wanted else None


def _gone(session: Session, document_ids: set[str]) -> set[str]:
    """Those that were here and are deleted."""
    found = {document_id for document_id in document_ids if session.get(DocumentRow, document_id) is not None}
    return {document_id for document_id in document_ids - found if was_here(session, document_id)}


def _end_job(session: Session, job_id: str, status: str, failure: Failure | None, now: datetime.datetime) -> None:
    job = session.scalar(select(JobRow).where(JobRow.job_id == job_id))
    if job is not None:
        job.status, job.updated_at = status, now
        job.error = None if failure is None else failure_to_json(failure)
        job.progress = 1.0 if status == "done" else job.progress


def _view(row: ComparisonRow) -> StoredComparison:
    names = [field.name for field in dataclasses.fields(StoredComparison)]
    values = {name: getattr(row, name) for name in names if name not in ("status", "error")}
    return StoredComparison(**values, status=cast(ComparisonStatus, row.status), error=failure_from_json(row.error))
