"""Turns queued documents into searchable passages, in one worker that outlives every bad file."""

import datetime
import threading
import traceback
from collections.abc import Callable

import structlog

from ingest.bounds import Bounds
from ingest.publisher import SearchIndexes
from ingest.reading import HOLD_ERRORS, Parser, Reader
from ingest.run import IngestRun
from llm.errors import LlmError
from rag.catalog.catalog import Catalog
from rag.catalog.events import DocumentEvent
from rag.catalog.jobs import INGEST
from rag.embed import Embedder, TokenCounter
from rag.errors import CiteboundError, NotReadyError, StorageError

_log = structlog.get_logger(__name__)

_FIRST_RETRY_SECONDS = 1.0
_LAST_RETRY_SECONDS = 30.0


class Ingestor:
    """Works through the queue of the catalog; one a data folder. `Catalog.start` has requeued what a crash left.

    Args:
        catalog: where jobs come from and documents go.
        sandbox: parses the files.
        indexes: brought up to the catalog after each document.
        embedder: makes the embedder; called once, when the first document waits.
        counter: makes the token counter of that embedder; called with it.
        clock: the present time, UTC.
        bounds: how far ahead the work may run.
        snapshot_when_idle: documents that must have become ready since the last snapshot of the indexes before another
            is written at the end of a stretch of work.
    """

    def __init__(
        self,
        catalog: Catalog,
        sandbox: Parser,
        indexes: SearchIndexes,
        embedder: Callable[[], Embedder],
        counter: Callable[[], TokenCounter],
        clock: Callable[[], datetime.datetime],
        *,
        bounds: Bounds | None = None,
        snapshot_when_idle: int = 100,
    ) -> None:
        self._catalog = catalog
        self._sandbox = sandbox
        self._indexes = indexes
        self._make_embedder = embedder
        self._make_counter = counter
        self._clock = clock
        self._bounds = bounds or Bounds()
        self._snapshot_when_idle = snapshot_when_idle
        self._model: tuple[Embedder, TokenCounter] | None = None
        self._problem: str | None = None
        self._working = threading.Lock()
        self._state = threading.Condition()
        # All below is guarded by `_state`.
        self._thread: threading.Thread | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._run: IngestRun | None = None
        self._stopping = False
        self._awake = True
        # Touched by the working thread only.
        self._unreleased: tuple[str, ...] = ()
        self._n_since_snapshot = 0

    @property
    def problem(self) -> str | None:
        """Why nothing is ingested at present, as a sentence; None while all is well."""
        return self._problem

    def start(self) -> None:
        """Start the worker; it works whenever a document is queued."""
        with self._state:
            if self._thread is not None:
                return
            self._stopping = False
            self._unsubscribe = self._catalog.events.subscribe(self._hear)
            self._thread = threading.Thread(target=self._work_forever, name="ingest", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop after the present slice and wait for that. Unfinished documents are queued again."""
        with self._state:
            self._stopping = True
            if self._run is not None:
                self._run.stop()
            self._state.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()
        with self._state:
            self._thread = None
            unsubscribe, self._unsubscribe = self._unsubscribe, None
        if unsubscribe is not None:
            unsubscribe()

    def wake(self) -> None:
        """Look at the queue now, also where a problem made the worker pause."""
        with self._state:
            self._awake = True
            self._state.notify_all()

    def run_until_idle(self) -> int:
        """Work in this thread until nothing is queued; returns the number of documents that became ready.

        Raises:
            StorageError, NotReadyError, IndexMismatchError, ConflictError: the work cannot go on at present; what is
                unfinished is queued again.
        """
        with self._working:
            unsubscribe = self._catalog.events.subscribe(self._hear_in_run)
            try:
                return self._work()
            finally:
                unsubscribe()

    def _work_forever(self) -> None:
        """Work whenever there is something to do, until stopped."""
        pause = _FIRST_RETRY_SECONDS
        while True:
            with self._state:
                self._state.wait_for(lambda: self._stopping or self._awake)
                if self._stopping:
                    return
                self._awake = False
            try:
                self.run_until_idle()
            except Exception as error:
                self._report(error, pause)
                with self._state:
                    # What was released has woken us; only a call of `wake` from outside shortens the pause.
                    self._awake = False
                    self._state.wait_for(lambda: self._stopping or self._awake, timeout=pause)
                    self._awake = True
                pause = min(2 * pause, _LAST_RETRY_SECONDS)
            else:
                pause = _FIRST_RETRY_SECONDS

    def _report(self, error: Exception, pause: float) -> None:
        known = isinstance(error, (*HOLD_ERRORS, CiteboundError, LlmError))
        self._problem = str(error) if known else f"ingest met a fault ({type(error).__name__}); see the log"
        trace = None if known else "".join(traceback.format_tb(error.__traceback__))
        _log.error("ingest_paused", error=type(error).__name__, problem=self._problem, seconds=pause, trace=trace)

    def _work(self) -> int:
        self._release(self._unreleased)
        self._indexes.catch_up()
        if self._catalog.jobs.n_queued(INGEST) == 0:
            self._problem = None
            return 0
        embedder, counter = self._load_model()
        reader = Reader(self._catalog, self._sandbox, counter, self._clock)
        run = IngestRun(self._catalog, reader, self._indexes, embedder, self._clock, self._bounds)
        with self._state:
            if self._stopping:
                return 0
            self._run = run
        try:
            n_ready = run.work()
        finally:
            with self._state:
                self._run = None
            self._release(run.unfinished())
        self._problem = None
        self._n_since_snapshot += n_ready
        if self._n_since_snapshot >= self._snapshot_when_idle:
            self._indexes.snapshot()
            self._n_since_snapshot = 0
        return n_ready

    def _load_model(self) -> tuple[Embedder, TokenCounter]:
        if self._model is None:
            try:
                self._model = (self._make_embedder(), self._make_counter())
            except LlmError as error:
                raise NotReadyError(str(error)) from error
            # Asked before a document is claimed, so that none is in work while the parser starts.
            _log.info("parser_ready", **self._sandbox.layers())
        return self._model

    def _release(self, job_ids: tuple[str, ...]) -> None:
        """Queue jobs again; those that the disk refuses now are tried again with the next stretch of work."""
        self._unreleased = job_ids
        for job_id in job_ids:
            try:
                self._catalog.jobs.release(job_id, self._clock())
            except StorageError as error:
                _log.error("jobs_not_released", n_jobs=len(self._unreleased), problem=str(error))
                return
            self._unreleased = tuple(other for other in self._unreleased if other != job_id)

    def _hear(self, event: DocumentEvent) -> None:
        if event.document.status == "queued":
            self.wake()

    def _hear_in_run(self, event: DocumentEvent) -> None:
        with self._state:
            run = self._run
        if run is not None:
            run.hear(event)
