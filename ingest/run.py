"""One stretch of work on the queue: parse ahead, embed in slices, publish one document at a time.

Three kinds of thread share it. Readers claim jobs in order and parse them, as far ahead as the bounds allow; the thread
that called `work` embeds slices of what is parsed; the publisher commits each finished document and brings the indexes
up to it while the next slice is embedded. What fails for a reason that is not a document's own stops the run.
"""

import datetime
import threading
import time
from collections import deque
from collections.abc import Callable

from ingest.bounds import Bounds
from ingest.children import ParseCancelledError
from ingest.publisher import Publisher, SearchIndexes
from ingest.reading import HOLD_ERRORS, PARSED_PROGRESS, Reader, fail_unexpectedly
from ingest.slices import OpenDocument, Slice, choose_slices, embedded_texts
from rag.catalog.catalog import Catalog
from rag.catalog.events import DocumentEvent
from rag.catalog.jobs import Job
from rag.embed import Embedder

_REPORT_SECONDS = 0.5  # between two written states of progress of one document
_MAX_A_COMMIT = 16  # documents; others that write wait for it
_MAX_UNPUBLISHED = 64  # documents; the embedder waits for a disk that is slower than that


class IngestRun:
    """Works until the queue is empty, `stop` is called, or something fails that is not a document's own fault."""

    def __init__(
        self,
        catalog: Catalog,
        reader: Reader,
        indexes: SearchIndexes,
        embedder: Embedder,
        clock: Callable[[], datetime.datetime],
        bounds: Bounds,
    ) -> None:
        self._catalog = catalog
        self._reader = reader
        self._publisher = Publisher(catalog, indexes, embedder.name, clock, bounds.snapshot_documents)
        self._embedder = embedder
        self._clock = clock
        self._bounds = bounds
        self._state = threading.Condition()
        self._claim_lock = threading.Lock()
        # All below is guarded by `_state`.
        self._stopping = False
        self._error: BaseException | None = None
        self._claimed: dict[str, tuple[Job, threading.Event]] = {}  # by job id: claimed and neither done nor dropped
        self._n_reading = 0
        self._parsed: deque[OpenDocument] = deque()
        self._embedded: deque[OpenDocument] = deque()
        self._n_publishing = 0
        self._n_chars = 0
        self._news = 0  # grows whenever something may have been queued
        self._news_at_empty = -1  # its value when the queue was last seen empty
        # Each of these is touched by one thread only.
        self._open: list[OpenDocument] = []  # begun by the embedder
        self._n_published = 0

    def hear(self, event: DocumentEvent) -> None:
        """Take note of a document that was queued, cancelled, replaced or deleted meanwhile."""
        document = event.document
        with self._state:
            if document.status == "queued":
                self._news += 1
                self._state.notify_all()
            for job, cancelled in self._claimed.values():
                gone = event.deleted or document.status == "cancelled" or document.version != job.version
                if job.document_id == document.document_id and gone:
                    cancelled.set()

    def stop(self) -> None:
        """End after the present slice; what was claimed is given back."""
        with self._state:
            self._stopping = True
            self._state.notify_all()

    def work(self) -> int:
        """Do the work; returns the number of documents that became ready.

        Raises:
            StorageError, NotReadyError, IndexMismatchError, ConflictError: the work cannot go on at present.
        """
        threads = [threading.Thread(target=self._guard, args=(self._publish_all,), name="ingest-publish", daemon=True)]
        for number in range(self._bounds.n_readers):
            name = f"ingest-read-{number}"
            threads.append(threading.Thread(target=self._guard, args=(self._read_all,), name=name, daemon=True))
        for thread in threads:
            thread.start()
        try:
            self._embed_all()
        except HOLD_ERRORS as error:
            self._give_up(error)
        finally:
            self.stop()
            for thread in threads:
                thread.join()
        if self._error is not None:
            raise self._error
        return self._n_published

    def unfinished(self) -> tuple[str, ...]:
        """Ids of jobs that were claimed and not brought to an end, for the caller to release after `work`."""
        with self._state:
            return tuple(self._claimed)

    # Threads

    def _guard(self, loop: Callable[[], None]) -> None:
        """Let no thread die unheard: whatever it raises ends the run."""
        try:
            loop()
        except BaseException as error:
            self._give_up(error)

    def _give_up(self, error: BaseException) -> None:
        with self._state:
            self._error = self._error or error
            self._stopping = True
            self._state.notify_all()

    def _read_all(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._stopping or self._may_claim())
                if self._stopping:
                    return
                self._n_reading += 1
                news = self._news
            try:
                self._read_next(news)
            finally:
                with self._state:
                    self._n_reading -= 1
                    self._state.notify_all()

    def _read_next(self, news: int) -> None:
        with self._claim_lock:
            job = self._reader.claim()
            if job is None:
                with self._state:
                    self._news_at_empty = max(self._news_at_empty, news)
                return
            cancelled = threading.Event()
            with self._state:
                self._claimed[job.job_id] = (job, cancelled)
            if job.attempts > 1:
                self._read_alone(job, cancelled)
                return
        self._read(job, cancelled)

    def _read_alone(self, job: Job, cancelled: threading.Event) -> None:
        """Bring one document to its end with no other in work.

        The process died when this one was in work, perhaps one of many. Should it die again, then it is known of which,
        and documents that were only read ahead are not blamed. The caller holds the claim lock.
        """
        with self._state:
            self._state.wait_for(lambda: self._stopping or len(self._claimed) == 1)
            if self._stopping:
                return
        self._read(job, cancelled)
        with self._state:
            self._state.wait_for(lambda: self._stopping or job.job_id not in self._claimed)

    def _read(self, job: Job, cancelled: threading.Event) -> None:
        try:
            document = self._reader.read(job, cancelled, lambda: self._stopping)
        except ParseCancelledError:
            return  # by `stop`: the job stays claimed and is released by the caller
        with self._state:
            if document is None:
                self._claimed.pop(job.job_id, None)
            else:
                self._n_chars += document.n_chars
                self._parsed.append(document)
            self._state.notify_all()

    def _embed_all(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._stopping or self._open or self._parsed or self._is_done())
                if self._stopping or not (self._open or self._parsed):
                    return
                self._open.extend(self._parsed)
                self._parsed.clear()
            for document in [document for document in self._open if document.cancelled.is_set()]:
                self._drop(document)
            self._embed(choose_slices(self._open, self._bounds.slice_tokens))
            self._hand_over()

    def _publish_all(self) -> None:
        while True:
            with self._state:
                # What is embedded is published even when stopping: it is done in milliseconds and was costly to make.
                self._state.wait_for(lambda: self._stopping or self._embedded)
                if not self._embedded or self._error is not None:
                    return
                # Small documents share a commit, which costs more than they do.
                n_documents = min(len(self._embedded), _MAX_A_COMMIT, self._bounds.snapshot_documents)
                documents = [self._embedded.popleft() for _ in range(n_documents)]
                self._n_publishing += 1
            try:
                self._n_published += self._publisher.publish(documents)
                for document in documents:
                    self._drop(document)
            finally:
                with self._state:
                    self._n_publishing -= 1
                    self._state.notify_all()

    # Steps

    def _embed(self, slices: list[Slice]) -> None:
        if not slices:
            return
        try:
            vectors = self._embedder.embed_passages(embedded_texts(slices))
        except HOLD_ERRORS:
            raise
        except Exception as error:
            if len(slices) > 1:  # the others need not suffer for the one that cannot be embedded
                for chosen in slices:
                    self._embed([chosen])
                return
            document = slices[0].document
            now = self._clock()
            receipt = document.parsed.receipt
            fail_unexpectedly(self._catalog, document.job.job_id, document.document_id, error, receipt, now)
            self._drop(document)
            return
        start = 0
        for chosen in slices:
            n_passages = chosen.end - chosen.document.n_embedded
            chosen.document.store(vectors[start : start + n_passages])
            start += n_passages

    def _hand_over(self) -> None:
        """Pass on what is embedded, and report how far the rest is."""
        now = time.monotonic()
        for document in tuple(self._open):
            if document.is_embedded:
                self._open.remove(document)
                with self._state:
                    self._state.wait_for(lambda: self._stopping or len(self._embedded) < _MAX_UNPUBLISHED)
                    self._embedded.append(document)
                    self._state.notify_all()
            elif now - document.reported_at >= _REPORT_SECONDS:
                document.reported_at = now
                progress = PARSED_PROGRESS + (1 - PARSED_PROGRESS) * document.share_done
                if not self._catalog.documents.set_status(document.document_id, "embedding", progress, self._clock()):
                    self._drop(document)

    def _drop(self, document: OpenDocument) -> None:
        """Hold this document no longer: it is published, failed or not wanted."""
        if document in self._open:
            self._open.remove(document)
        with self._state:
            self._n_chars -= document.n_chars
            self._claimed.pop(document.job.job_id, None)
            self._state.notify_all()

    # Conditions, asked with `_state` held

    def _may_claim(self) -> bool:
        return (
            self._news_at_empty < self._news
            and len(self._claimed) < self._bounds.max_documents
            and self._n_chars < self._bounds.max_chars
        )

    def _is_done(self) -> bool:
        waiting = self._parsed or self._open or self._embedded
        return self._news_at_empty >= self._news and not (self._n_reading or self._n_publishing or waiting)
