"""Documents: accepted, listed, read, made searchable, deleted."""

import datetime
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from rag.catalog import listing, publishing, reading, registration
from rag.catalog.database import Database
from rag.catalog.deletion import Deleted, delete_rows, finish_deletion
from rag.catalog.document_rows import failure_to_json, set_failed, to_document
from rag.catalog.events import DocumentEvent, Events
from rag.catalog.files import FileStore, Staged
from rag.catalog.ids import NewId
from rag.catalog.jobs import cancel_jobs, running_job
from rag.catalog.labels import checked_collection, checked_metadata, checked_name
from rag.catalog.models import DocumentRow, JobRow, VersionRow
from rag.catalog.passages import vector_blobs
from rag.catalog.registration import ACTIVE, IN_PROGRESS
from rag.errors import ConflictError, DuplicateError, InvalidInputError
from rag.types import (
    Document,
    DocumentStatus,
    Failure,
    FloatArray,
    Metadata,
    NewPassage,
    OnDuplicate,
    Page,
    ParsedDocument,
    Receipt,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What became of an upload. `job_id` is None and `duplicate_of` the document where it was skipped."""

    document: Document
    job_id: str | None
    duplicate_of: str | None = None


class Documents:
    """The documents of every collection. All changes are atomic and announced on `events` once committed."""

    def __init__(
        self, database: Database, files: FileStore, events: Events, new_id: NewId, backup_gate: threading.Lock
    ) -> None:
        self._database = database
        self._files = files
        self._events = events
        self._new_id = new_id
        self._backup_gate = backup_gate

    # Accepting

    def register(
        self,
        staged: Staged,
        *,
        name: str,
        collection: str,
        media_type: str,
        metadata: Metadata,
        password: str | None,
        on_duplicate: OnDuplicate,
        now: datetime.datetime,
    ) -> Registration:
        """Accept an upload: file, row and queued job. The staged file is used up, whatever the outcome.

        A duplicate has the bytes of another document of the collection, in its newest or its searched version.
        `skip` returns that document, `error` raises, `replace` makes a new version of it. With `skip` and `error` a
        duplicate that failed or was cancelled is tried again instead, with the new name and password, so that an
        upload can be repeated after its cause was mended.

        Raises:
            DuplicateError: a duplicate under `error`.
            InvalidInputError: name, collection or metadata cannot be used.
            StorageError: the disk is full or failing; nothing was accepted.
        """
        try:
            name, collection = checked_name(name), checked_collection(collection)
            values = checked_metadata(metadata)
            with self._database.write() as session:
                row = registration.find_duplicate(session, collection, staged.sha256)
                if row is None:
                    row = registration.add_document(session, self._new_id("doc"), collection, values, now)
                    return self._add_version(session, row, staged, name, media_type, password, now)
                if on_duplicate == "replace":
                    row.document_metadata = values or row.document_metadata
                    return self._add_version(session, row, staged, name, media_type, password, now)
                if not registration.is_in_use(row, staged.sha256):
                    return self._try_again(session, row, staged, name, values, password, now)
                if on_duplicate == "error":
                    raise DuplicateError(
                        "the collection has these bytes already; send on_duplicate=skip or replace",
                        document_id=row.document_id,
                    )
                return Registration(document=to_document(row), job_id=None, duplicate_of=row.document_id)
        finally:
            staged.discard()

    def replace_content(
        self,
        document_id: str,
        staged: Staged,
        *,
        name: str | None,
        media_type: str,
        password: str | None,
        now: datetime.datetime,
    ) -> Registration:
        """Accept a new version under the same id; the old one is searched until the new one is ready.

        Work on an earlier version that still goes on is cancelled. `name` None keeps the name.

        Raises:
            NotFoundError: no such document.
            StorageError: the disk is full or failing; nothing was accepted.
        """
        try:
            with self._database.write() as session:
                row = reading.document_row(session, document_id)
                new_name = row.name if name is None else checked_name(name)
                return self._add_version(session, row, staged, new_name, media_type, password, now)
        finally:
            staged.discard()

    def retry(self, document_id: str, now: datetime.datetime) -> Registration:
        """Queue a failed or cancelled document again.

        Raises:
            NotFoundError: no such document.
            ConflictError: it neither failed nor was cancelled.
        """
        with self._database.write() as session:
            row = reading.document_row(session, document_id)
            if row.status in ACTIVE:
                raise ConflictError(f"the document is {row.status}; only a failed or cancelled one can be retried")
            job_id = registration.queue(session, row, self._new_id("job"), now)
            return Registration(document=self._announce(row), job_id=job_id)

    def cancel(self, document_id: str, now: datetime.datetime) -> Document:
        """Stop the work on a document; a version that is searched stays searched.

        Raises:
            NotFoundError: no such document.
            ConflictError: no work goes on.
        """
        with self._database.write() as session:
            row = reading.document_row(session, document_id)
            if row.status not in IN_PROGRESS:
                raise ConflictError(f"the document is {row.status}; there is nothing to cancel")
            cancel_jobs(session, document_id, now)
            row.status, row.updated_at = "cancelled", now
            return self._announce(row)

    # Reading

    def get(self, document_id: str) -> Document:
        """A document as it stands.

        Raises:
            NotFoundError: no such document.
        """
        with self._database.read() as session:
            return to_document(reading.document_row(session, document_id))

    def list(
        self,
        *,
        collection: str | None = None,
        status: str | None = None,
        q: str | None = None,
        sort: str = "-created_at",
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[tuple[Document, ...], str | None, int]:
        """One page of documents, the cursor of the next page, and how many match in all.

        `q` is part of the name, whatever its case; `sort` is created_at, updated_at, name, n_bytes or status, with -
        before it for descending; `limit` is 1 to 1000; `cursor` comes from the page before, with the same sort.

        Raises:
            InvalidInputError: one of them cannot be used.
        """
        with self._database.read() as session:
            return listing.list_documents(
                session, collection=collection, status=status, q=q, sort=sort, limit=limit, cursor=cursor
            )

    def collections(self) -> tuple[listing.Collection, ...]:
        """Every collection with a document, by name."""
        with self._database.read() as session:
            return listing.list_collections(session)

    def metadata(self, collection: str) -> Mapping[str, Metadata]:
        """The metadata of each searched document of a collection, by its id: what filters look at."""
        query = select(DocumentRow.document_id, DocumentRow.document_metadata).where(
            DocumentRow.collection == collection, DocumentRow.live_version.is_not(None)
        )
        with self._database.read() as session:
            return {document_id: values for document_id, values in session.execute(query)}

    def versions(self) -> set[tuple[str, int]]:
        """Every (document_id, version) there is: what `FileStore.sweep` must keep."""
        with self._database.read() as session:
            return {(row[0], row[1]) for row in session.execute(select(VersionRow.document_id, VersionRow.version))}

    def text(self, document_id: str, version: int | None = None) -> str:
        """The normalized text of a version, by default the searched one.

        Raises:
            NotFoundError: no such document or version, or it has no text.
        """
        with self._database.read() as session:
            return reading.version_text(session, document_id, version)

    def pages(self, document_id: str, version: int | None = None) -> tuple[Page, ...]:
        """The pages of a version without their boxes; () for formats without pages.

        Raises:
            NotFoundError: no such document or version.
        """
        with self._database.read() as session:
            return reading.version_pages(session, document_id, version)

    def page(self, document_id: str, n: int, version: int | None = None) -> tuple[Page, str]:
        """Page `n` (1 = first) and its text.

        Raises:
            NotFoundError: no such document, version or page.
            NoPagesError: the format has no pages.
        """
        with self._database.read() as session:
            return reading.version_page(session, document_id, n, version)

    def char_boxes(self, document_id: str, version: int, page: int) -> npt.NDArray[np.uint16] | None:
        """uint16[n_chars, 4] of a page as in `Page.char_boxes`; None where it has none."""
        with self._database.read() as session:
            return reading.page_boxes(session, document_id, version, page)

    # Working

    def set_status(self, document_id: str, status: DocumentStatus, progress: float, now: datetime.datetime) -> bool:
        """Move a document on among `queued`, `parsing` and `embedding`; a power cut may undo it.

        Returns:
            False, with nothing written, once the document is deleted or no longer in progress.
        """
        if status not in IN_PROGRESS or not 0 <= progress <= 1:
            raise InvalidInputError(f"a document in progress is one of {', '.join(IN_PROGRESS)} at 0 to 1")
        with self._database.write(durable=False) as session:
            row = session.get(DocumentRow, document_id)
            if row is None or row.status not in IN_PROGRESS:
                return False
            row.status, row.progress, row.updated_at = status, progress, now
            session.execute(
                update(JobRow)
                .where(JobRow.document_id == document_id, JobRow.status == "running")
                .values(progress=progress, updated_at=now)
            )
            self._announce(row)
            return True

    def publish(
        self,
        job_id: str,
        document_id: str,
        version: int,
        parsed: ParsedDocument,
        passages: Sequence[NewPassage],
        vectors: FloatArray,
        embedder: str,
        now: datetime.datetime,
    ) -> None:
        """Make a version searchable in place of the one before: text, pages, passages, vectors, log, `ready`, job.

        `vectors` is float32[len(passages), d], made by `embedder`.

        Raises:
            ConflictError: the document was deleted, cancelled or replaced meanwhile; nothing was written.
            IndexMismatchError: the catalog's vectors are of another embedder.
            InvalidInputError: no passages, or passages and vectors do not fit the text.
            StorageError: the disk is full or failing; nothing was written.
        """
        page_rows = publishing.page_values(parsed.pages)
        passage_rows = publishing.passage_values(parsed.text, passages, vector_blobs(vectors, len(passages)))
        with self._database.write() as session:
            row = publishing.publish_version(
                session, job_id, document_id, version, parsed, page_rows, passage_rows, embedder, now
            )
            self._announce(row)

    def fail(
        self, job_id: str, document_id: str, failure: Failure, receipt: Receipt | None, now: datetime.datetime
    ) -> bool:
        """Give up on a job and say why; a version that was searched before stays searched.

        Returns:
            False, with nothing written, where the document was deleted, cancelled or replaced meanwhile.
        """
        with self._database.write() as session:
            row = session.get(DocumentRow, document_id)
            job = running_job(session, job_id, document_id)
            if row is None or job is None or row.version != job.version:
                return False
            set_failed(row, failure, receipt, now)
            job.status, job.progress, job.updated_at = "failed", 1.0, now
            job.error = failure_to_json(failure)
            self._announce(row)
            return True

    def delete(self, document_id: str, now: datetime.datetime) -> Deleted:
        """Delete a document with everything derived from it, and count what is left.

        Waits for a running backup, which may still hold a copy.

        Raises:
            NotFoundError: no such document, also after a first delete.
            StorageError: the disk is full or failing. The document may be gone already; files that were left are
                removed at the next start.
        """
        if self._database.in_write:
            raise RuntimeError("a deletion cannot be part of another write; it is complete only after its commit")
        with self._database.write() as session:
            document, n_passages = delete_rows(session, document_id, now)
            event = DocumentEvent(document=document, deleted=True)
            self._database.on_commit(lambda: self._events.publish(event))
        return finish_deletion(self._database, self._files, self._backup_gate, document_id, n_passages)

    def _add_version(
        self,
        session: Session,
        row: DocumentRow,
        staged: Staged,
        name: str,
        media_type: str,
        password: str | None,
        now: datetime.datetime,
    ) -> Registration:
        job_id = self._new_id("job")
        registration.add_version(session, row, staged, name, media_type, job_id, now)
        # The last step before the commit. Should that fail, the next start sweeps the file away.
        self._files.publish(staged, row.document_id, row.version, password)
        return Registration(document=self._announce(row), job_id=job_id)

    def _try_again(
        self,
        session: Session,
        row: DocumentRow,
        staged: Staged,
        name: str,
        metadata: Metadata,
        password: str | None,
        now: datetime.datetime,
    ) -> Registration:
        registration.rename(row, name)
        row.document_metadata = metadata or row.document_metadata
        if password is None:
            password = self._files.password(row.document_id, row.version)
        self._files.publish(staged, row.document_id, row.version, password)
        job_id = registration.queue(session, row, self._new_id("job"), now)
        return Registration(document=self._announce(row), job_id=job_id)

    def _announce(self, row: DocumentRow) -> Document:
        document = to_document(row)
        self._database.on_commit(lambda: self._events.publish(DocumentEvent(document=document)))
        return document
