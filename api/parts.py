"""The parts of one running service, and what concerns several of them at once."""

import datetime
import threading
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from api.admission import Admission
from api.auth import Gate
from api.loading import Pending
from api.metrics import Metrics
from api.page_images import PageImages
from api.settings import Settings
from api.uploads import Receiver
from ingest.pipeline import Ingestor
from ingest.sandbox import Sandbox
from llm.types import Decoder
from rag.catalog.catalog import Catalog
from rag.catalog.deletion import Deleted
from rag.catalog.folder import DataFolder
from rag.embed import Embedder
from rag.index.sync import Indexes
from rag.retrieve import Retriever


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What there is once the embedder is loaded."""

    embedder: Embedder
    indexes: Indexes
    retriever: Retriever
    ingestor: Ingestor


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything routes use. The catalog is there from the start, search and the decoder once they are loaded."""

    settings: Settings
    folder: DataFolder
    catalog: Catalog
    sandbox: Sandbox
    page_images: PageImages
    receiver: Receiver
    gate: Gate
    token: str  # of the owner of the data folder
    metrics: Metrics
    questions: Admission
    event_streams: Admission
    upload_slots: anyio.CapacityLimiter
    generation_slots: anyio.CapacityLimiter
    closing: anyio.Event
    search: Pending[Search]
    decoder: Pending[Decoder]
    load: Callable[["Parts", bool], None]  # fills `search` and, if asked to, `decoder`
    now: Callable[[], datetime.datetime]
    stop_loading: threading.Event

    def start(self, *, decoder: bool = True) -> None:
        """Load the models in a thread of their own; the ingest of what is queued begins once it can."""
        threading.Thread(target=self.load, args=(self, decoder), name="loading", daemon=True).start()

    def not_ready(self) -> str | None:
        """Why questions cannot be taken yet; None once they can."""
        return self.search.reason or self.decoder.reason

    def retriever(self) -> Retriever:
        """The retriever.

        Raises:
            NotReadyError: it is not there yet.
        """
        return self.search.get().retriever

    def wake(self) -> None:
        """Tell the worker that the queue of jobs has changed."""
        search = self.search.peek()
        if search is not None:
            search.ingestor.wake()

    def delete(self, document_id: str) -> tuple[Deleted, int]:
        """Delete a document everywhere; returns what went and how much of it could still be found.

        Raises:
            NotFoundError: no such document.
            NotReadyError: the indexes are still being opened and might be written with it.
            StorageError: the disk is failing; call again.
        """
        self.catalog.documents.get(document_id)
        indexes = self.search.get().indexes
        passage_ids = self.catalog.passages.ids_of_documents([document_id])
        deleted = self.catalog.documents.delete(document_id, self.now())
        indexes.catch_up()
        self.page_images.remove(document_id)
        remaining = deleted.remaining + indexes.count(passage_ids) + self.page_images.count(document_id)
        return deleted, remaining

    def close(self) -> None:
        """Stop work in good order: ingest, indexes (snapshot), sandbox, catalog. The folder is the caller's."""
        self.stop_loading.set()
        self.search.wait()
        search = self.search.peek()
        if search is not None:
            search.ingestor.stop()
        self.sandbox.close()
        if search is not None:
            search.indexes.snapshot()
            search.indexes.close()
        self.catalog.close()
