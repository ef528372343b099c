"""The parts of one running service, and what concerns several of them at once."""

import dataclasses
import datetime
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
import numpy as np
import structlog

from api.admission import Admission
from api.auth import Gate
from api.comparing import Comparing
from api.conversations import Conversations
from api.loading import Pending
from api.metrics import Metrics
from api.page_images import PageImages
from api.report_cache import ReportCache
from api.reranking import Reranking
from api.settings import Settings
from api.thread_names import LOADING_THREAD
from api.uploads import Receiver
from ingest.pipeline import Ingestor
from ingest.sandbox import Sandbox
from llm.types import Decoder
from rag.answer_types import AnswerSettings
from rag.answer_types import Search as AnySearch
from rag.catalog.catalog import Catalog
from rag.catalog.check import check_catalog
from rag.catalog.deletion import Deleted
from rag.catalog.folder import DataFolder
from rag.confidence import ConfidenceModel
from rag.embed import Embedder, TokenCounter
from rag.index.sync import Indexes
from rag.rerank.reorder import RerankedSearch
from rag.retrieve import Retriever
from rag.second_look import SecondLook, load_choice
from rag.verify.cached_judge import CachedJudge
from rag.verify.types import Judge

_log = structlog.get_logger(__name__)

BACKUP_PREFIX = "backup-"  # of archives in the cache folder that are just being sent
_PATIENCE_SECONDS = 30.0  # that a deletion waits for the indexes at start
_LAST_PATIENCE_SECONDS = 10.0  # that a stop waits for a model that is just being loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What there is once the indexes are open and the embedder is loaded."""

    retriever: Retriever
    ingestor: Ingestor
    counter: TokenCounter  # of the embedder's tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything routes use. The catalog is there from the start, the rest once it is loaded."""

    settings: Settings
    folder: DataFolder
    catalog: Catalog
    sandbox: Sandbox
    page_images: PageImages
    receiver: Receiver
    gate: Gate
    token: str  # of the owner of the data folder
    metrics: Metrics
    conversations: Conversations
    questions: Admission
    verifications: Admission
    event_streams: Admission
    upload_slots: anyio.CapacityLimiter
    generation_slots: anyio.CapacityLimiter
    verification_slots: anyio.CapacityLimiter
    answer_settings: AnswerSettings
    confidence: ConfidenceModel
    closing: anyio.Event  # set on the event loop: streams end
    stopping: threading.Event  # nothing more is loaded
    embedder: Pending[Embedder]
    indexes: Pending[Indexes]
    search: Pending[Search]
    decoder: Pending[Decoder]
    judge: Pending[CachedJudge]
    reranking: Reranking
    comparing: Comparing
    reports: ReportCache
    load: Callable[["Parts"], None]  # fills the five above; called once, by `begin`
    begun: threading.Lock  # locked once loading has begun
    reindex: Callable[["Parts"], int]  # see `Loader.reindex`
    now: Callable[[], datetime.datetime]

    def begin(self) -> None:
        """Load what is loaded later, in a thread of its own, if that has not begun yet; ingest starts with it."""
        if self.begun.acquire(blocking=False):
            threading.Thread(target=self.load, args=(self,), name=LOADING_THREAD, daemon=True).start()

    def not_ready(self) -> str | None:
        """Why questions cannot be taken yet; None once they can."""
        self.begin()
        pending = (self.indexes, self.embedder, self.search, self.decoder, self.judge)
        return next((one.missing for one in pending if one.missing is not None), None)

    def retriever(self) -> Retriever:
        """The retriever.

        Raises:
            NotReadyError: it is not there yet.
        """
        self.begin()
        return self.search.get().retriever

    def second_look(self, judge: Judge | None) -> SecondLook | None:
        """What looks twice at short answers; None where the settings or the judge do without."""
        reader = judge.reader if isinstance(judge, CachedJudge) else None
        if reader is None or self.settings.second_look == "none":
            return None
        return SecondLook(reader=reader, choice=load_choice())

    def question_search(self) -> AnySearch:
        """The search for what a person asks: the retriever, its first hits reordered where there is a reranker.

        Raises:
            NotReadyError: it is not there yet.
        """
        retriever, reranker = self.retriever(), self.reranking.usual()
        return retriever if reranker is None else RerankedSearch(retriever, reranker)

    def wake(self) -> None:
        """Tell the worker that the queue of jobs has changed."""
        self.begin()
        search = self.search.peek()
        if search is not None:
            search.ingestor.wake()

    def delete(self, document_id: str) -> tuple[Deleted, int]:
        """Delete a document everywhere; returns what went and how much of it could still be found.

        Raises:
            NotFoundError: no such document.
            NotReadyError: the indexes, which hold it too, are not open yet.
            StorageError: the disk is failing; call again.
        """
        self.catalog.documents.get(document_id)
        self.begin()
        self.indexes.wait(_PATIENCE_SECONDS)
        indexes = self.indexes.get()
        passage_ids = self.catalog.passages.ids_of_documents([document_id])
        deleted = self.catalog.documents.delete(document_id, self.now())
        indexes.catch_up()
        self.page_images.remove(document_id)
        self.reports.forget()
        self.conversations.forget()
        judge = self.judge.peek()
        if judge is not None:
            judge.forget()
        n_indexed = sum(
            int(np.isin(passage_ids, index.passage_ids()).sum()) for index in (indexes.dense, indexes.lexical)
        )
        return deleted, deleted.remaining + n_indexed + self.page_images.count(document_id)

    def check(self) -> dict[str, Any]:
        """Whether files, rows, vectors and index entries agree, with the counts behind it.

        Raises:
            NotReadyError: the indexes cannot be opened.
        """
        self.begin()
        self.indexes.wait()
        indexes = self.indexes.get().check()
        catalog = dataclasses.asdict(check_catalog(self.catalog))
        problems = [*catalog.pop("problems"), *indexes.problems]
        counts = {**catalog, "n_dense": indexes.n_dense, "n_lexical": indexes.n_lexical}
        return {"ok": not problems, **counts, "problems": problems}

    def stop(self) -> None:
        """Stop in good order: comparisons, loading, ingest, indexes with a snapshot. Catalog and folder close later."""
        self.stopping.set()
        self.comparing.stop()
        if not self.begun.locked():
            return
        if not self.search.wait(_LAST_PATIENCE_SECONDS):
            _log.info("stopped_while_loading")
        search, indexes = self.search.peek(), self.indexes.peek()
        if search is not None:
            search.ingestor.stop()
        if indexes is not None:
            indexes.close()
