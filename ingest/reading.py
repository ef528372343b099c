"""One claimed job from its file to passages that wait for the embedder."""

import dataclasses
import datetime
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from ingest.children import ParseCancelledError
from ingest.chunk import cut_passages
from ingest.slices import OpenDocument
from rag.catalog.catalog import Catalog
from rag.catalog.faults import file_faults
from rag.catalog.jobs import Job
from rag.embed import TokenCounter
from rag.errors import ConflictError, DocumentError, IndexMismatchError, NotFoundError, NotReadyError, StorageError
from rag.types import Failure, NewPassage, ParsedDocument, Receipt

_log = structlog.get_logger(__name__)

# Errors that say nothing about the document: the work stops, the job waits.
HOLD_ERRORS = (StorageError, NotReadyError, IndexMismatchError)
PARSED_PROGRESS = 0.1  # share of the whole work that is done once a document is parsed


class Parser(Protocol):
    """What `ingest.sandbox.Sandbox` does for the pipeline."""

    def parse(
        self,
        path: Path,
        *,
        name: str,
        media_type: str | None = None,
        password: str | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> ParsedDocument:
        """Parse a file, or raise `DocumentError`."""
        ...

    def layers(self) -> dict[str, bool]:
        """Which protections hold; answers once files can be parsed."""
        ...


class Reader:
    """Parses the files of claimed jobs and cuts them into passages."""

    def __init__(
        self, catalog: Catalog, parser: Parser, counter: TokenCounter, clock: Callable[[], datetime.datetime]
    ) -> None:
        self._catalog = catalog
        self._parser = parser
        self._counter = counter
        self._clock = clock

    def claim(self) -> Job | None:
        """The oldest queued job, its document shown as `parsing`; None where nothing waits."""
        now = self._clock()
        with self._catalog.database.write(durable=False):
            job = self._catalog.jobs.claim(now)
            if job is not None and job.document_id is not None:
                self._catalog.documents.set_status(job.document_id, "parsing", 0.0, now)
        return job

    def read(self, job: Job, cancelled: threading.Event, is_stopping: Callable[[], bool]) -> OpenDocument | None:
        """The document of a job, ready for the embedder.

        Returns:
            None where there is nothing to embed: the document failed, which is recorded, or is no longer wanted.

        Raises:
            ParseCancelledError: `is_stopping` said so; the job is untouched.
            StorageError, NotReadyError, IndexMismatchError, ConflictError: nothing to do with the document; the job
                is untouched.
        """
        if job.document_id is None or job.version is None:
            _log.error("job_without_document", job_id=job.job_id, kind=job.kind)
            return None
        receipt: Receipt | None = None
        try:
            parsed = self._parse(job, job.document_id, job.version, cancelled, is_stopping)
            if parsed is None:
                return None
            receipt = parsed.receipt
            passages = cut_passages(parsed, self._counter, max_tokens=self._counter.max_tokens)
            if not passages:
                raise DocumentError("no_text", "no text came out of this file; upload one that has text")
            parsed = dataclasses.replace(parsed, receipt=self._count_truncated(receipt, passages))
            return OpenDocument(
                job=job,
                document_id=job.document_id,
                version=job.version,
                parsed=parsed,
                passages=passages,
                cancelled=cancelled,
            )
        except ParseCancelledError:
            if not cancelled.is_set():
                raise
        except (*HOLD_ERRORS, ConflictError):  # a conflict: the parser was shut down
            raise
        except NotFoundError:
            _log.info("document_gone", document_id=job.document_id)
        except DocumentError as error:
            failure = Failure(code=error.code, message=str(error), page=error.page)
            self._catalog.documents.fail(job.job_id, job.document_id, failure, receipt, self._clock())
        except Exception as error:
            fail_unexpectedly(self._catalog, job.job_id, job.document_id, error, receipt, self._clock())
        return None

    def _parse(
        self,
        job: Job,
        document_id: str,
        version: int,
        cancelled: threading.Event,
        is_stopping: Callable[[], bool],
    ) -> ParsedDocument | None:
        """The parsed file; None where nobody wants that version any more."""
        document = self._catalog.documents.get(document_id)
        if document.version != version or document.status not in ("queued", "parsing", "embedding"):
            return None
        with file_faults():
            return self._parser.parse(
                self._catalog.files.path(document_id, version),
                name=document.name,
                media_type=document.media_type,
                password=self._catalog.files.password(document_id, version),
                cancel=lambda: cancelled.is_set() or is_stopping(),
            )

    def _count_truncated(self, receipt: Receipt, passages: tuple[NewPassage, ...]) -> Receipt:
        n_truncated = sum(passage.n_tokens > self._counter.max_tokens for passage in passages)
        return dataclasses.replace(receipt, n_truncated_passages=n_truncated)


def fail_unexpectedly(
    catalog: Catalog,
    job_id: str,
    document_id: str,
    error: BaseException,
    receipt: Receipt | None,
    now: datetime.datetime,
) -> None:
    """Record that a document met a fault of ours, and log where. Its words stay out: they may quote the text."""
    _log.error(
        "document_failed_unexpectedly",
        document_id=document_id,
        error=type(error).__name__,
        trace="".join(traceback.format_tb(error.__traceback__)),
    )
    message = f"this document met a fault of the program ({type(error).__name__}); see the log, then retry it"
    catalog.documents.fail(job_id, document_id, Failure(code="internal", message=message), receipt, now)
