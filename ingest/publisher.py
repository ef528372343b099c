"""Makes embedded documents searchable, each in one transaction, and brings the indexes up to them."""

import datetime
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from ingest.reading import HOLD_ERRORS, fail_unexpectedly
from ingest.slices import OpenDocument
from rag.catalog.catalog import Catalog
from rag.errors import ConflictError

_log = structlog.get_logger(__name__)


class SearchIndexes(Protocol):
    """What `rag.index.sync.Indexes` does for the pipeline."""

    def catch_up(self) -> int:
        """Bring the indexes up to the catalog."""
        ...

    def snapshot(self) -> object:
        """Write the indexes to disk."""
        ...


class Publisher:
    """Commits documents in the order in which they are given; for one thread.

    Args:
        catalog: where documents go.
        indexes: brought up to the catalog after each document.
        embedder_name: the name that the vectors carry.
        clock: the present time, UTC.
        snapshot_documents: documents between two snapshots of the indexes.
    """

    def __init__(
        self,
        catalog: Catalog,
        indexes: SearchIndexes,
        embedder_name: str,
        clock: Callable[[], datetime.datetime],
        snapshot_documents: int,
    ) -> None:
        self._catalog = catalog
        self._indexes = indexes
        self._embedder_name = embedder_name
        self._clock = clock
        self._snapshot_documents = snapshot_documents
        self._n_published = 0

    def publish(self, documents: Sequence[OpenDocument]) -> int:
        """Make documents searchable in one transaction, each of them whole or not at all.

        One that is no longer wanted, or that is refused for a fault of its own (which is recorded), is left out.

        Returns:
            How many became ready.

        Raises:
            StorageError, IndexMismatchError: nothing to do with a document, and none of them was published; or all
                were, with the indexes behind, which the next catch-up mends.
            ValueError: a passage of a document has no vector.
        """
        with self._catalog.database.write():
            ready = [document for document in documents if self._commit(document)]
        for document in ready:
            _log.info("document_ready", document_id=document.document_id, n_passages=len(document.passages))
        self._indexes.catch_up()
        before, self._n_published = self._n_published, self._n_published + len(ready)
        if before // self._snapshot_documents != self._n_published // self._snapshot_documents:
            self._indexes.snapshot()
        return len(ready)

    def _commit(self, document: OpenDocument) -> bool:
        if document.vectors is None or not document.is_embedded:
            raise ValueError("a document can be published only once every passage has its vector")
        job_id, document_id, parsed = document.job.job_id, document.document_id, document.parsed
        try:
            self._catalog.documents.publish(
                job_id,
                document_id,
                document.version,
                parsed,
                document.passages,
                document.vectors,
                self._embedder_name,
                self._clock(),
            )
        except ConflictError:
            _log.info("document_gone", document_id=document_id)
            return False
        except HOLD_ERRORS:
            raise
        except Exception as error:
            fail_unexpectedly(self._catalog, job_id, document_id, error, parsed.receipt, self._clock())
            return False
        return True
