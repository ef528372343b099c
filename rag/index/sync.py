"""Keeps the two indexes in step with the catalog, which is the source of truth.

Every index carries the number of the last catalog change it holds: the lexical one in its file, in the transaction of
the rows; the dense one in memory, and in the catalog beside the hash of its snapshot. Catching up replays the changes
after that number. Replaying the same change twice does no harm: passage ids are never reused, and an addition reads
what the catalog has now.
"""

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

import structlog

from rag.catalog.catalog import Catalog
from rag.catalog.changes import Change
from rag.catalog.faults import file_faults
from rag.catalog.files import publish_path, sync_folder
from rag.errors import CiteboundError, IndexMismatchError
from rag.index.check import IndexCheck, compare
from rag.index.protocol import PassageIndex, SnapshotIndex, StampedTextIndex, TextIndex
from rag.index.source import added_texts, added_vectors, removed_ids, stored_texts, stored_vectors

_log = structlog.get_logger(__name__)

SNAPSHOT_KIND = "dense"
SNAPSHOT_NAME = "dense.safetensors"
_CHANGES_AT_ONCE = 64


class Indexes:
    """The dense and the lexical index of one catalog.

    `open` comes first. After that `dense` and `lexical` may be searched from any thread at any time; all changes go
    through here, one at a time.

    Args:
        catalog: the source of truth.
        dense: an index in memory for vectors of the embedder.
        lexical: an index with a file of its own.
        folder: where the snapshot of the dense index is kept; it must exist.
        embedder_name: of the embedder that will make the vectors of queries.
    """

    def __init__(
        self, catalog: Catalog, dense: SnapshotIndex, lexical: StampedTextIndex, folder: Path, embedder_name: str
    ) -> None:
        self._catalog = catalog
        self._dense = dense
        self._lexical = lexical
        self._folder = folder
        self._embedder_name = embedder_name
        self._snapshot_path = folder / SNAPSHOT_NAME
        self._lock = threading.Lock()
        self._dense_seq = 0
        self._held_seq = 0  # the last change that both hold; read without the lock
        self._snapshot_seq: int | None = None  # of the file that the catalog names

    @property
    def dense(self) -> PassageIndex:
        """The dense index, to be searched."""
        return self._dense

    @property
    def lexical(self) -> TextIndex:
        """The lexical index, to be searched."""
        return self._lexical

    def open(self) -> None:
        """Bring both indexes to the catalog's state, from what is on disk where that can be trusted.

        Raises:
            IndexMismatchError: the stored vectors are of another embedder, or of another length.
            StorageError: the disk is full or failing.
        """
        with self._lock:
            self._refuse_other_embedder()
            self._sweep()
            last_seq = self._catalog.changes.last_seq()
            if not self._load_snapshot(last_seq):
                self._fill_dense()
            if self._lexical.seq() > last_seq:
                _log.warning("lexical_index_rebuilt", reason="it holds changes that the catalog does not know")
                self._fill_lexical()
            self._catch_up()
            check = compare(self._catalog, self._dense, self._lexical)
            if check.dense_missing or check.dense_extra:
                _log.warning("dense_index_rebuilt", missing=len(check.dense_missing), extra=len(check.dense_extra))
                self._forget_snapshot()
                self._fill_dense()
            if check.lexical_missing or check.lexical_extra:
                _log.warning(
                    "lexical_index_rebuilt", missing=len(check.lexical_missing), extra=len(check.lexical_extra)
                )
                self._fill_lexical()

    def catch_up(self) -> int:
        """Replay what the catalog has changed since; returns how many changes that were.

        Called by whoever committed a change of passages, after the commit, and before a deletion is answered: then
        nothing of what was removed is left in the indexes, in memory or on disk.

        Raises:
            StorageError: the disk is full or failing; call again.
        """
        with self._lock:
            return self._catch_up()

    def await_changes(self, seconds: float) -> bool:
        """Whether both indexes hold everything that is committed now; waits that long for who is at it, or does it.

        A search that begins after a document became ready calls this, so that it finds the document in both indexes
        or, where something keeps them for longer, in what they hold.
        """
        if self._catalog.changes.last_seq() <= self._held_seq:
            return True
        if not self._lock.acquire(timeout=seconds):
            return False
        try:
            self._catch_up()
        except CiteboundError as error:
            _log.warning("search_of_older_indexes", error=type(error).__name__)
            return False
        finally:
            self._lock.release()
        return True

    def snapshot(self) -> bool:
        """Write the dense index to disk, so that the next start need not read all vectors from the catalog.

        Returns whether a file was written; none is while the present one holds every change.
        """
        with self._lock:
            self._catch_up()
            if self._snapshot_seq == self._dense_seq:
                return False
            with publish_path(self._snapshot_path) as temporary:
                digest = self._dense.write_snapshot(temporary)
            self._catalog.changes.record_snapshot(
                SNAPSHOT_KIND, SNAPSHOT_NAME, digest, self._dense_seq, self._embedder_name
            )
            self._snapshot_seq = self._dense_seq
            return True

    def rebuild(self) -> None:
        """Build both indexes anew from the catalog's texts and vectors; searches see the old ones until then.

        Raises:
            IndexMismatchError: the stored vectors are of another embedder, or of another length.
        """
        with self._lock:
            self._refuse_other_embedder()
            self._forget_snapshot()
            self._fill_dense()
            self._fill_lexical()

    def check(self) -> IndexCheck:
        """Compare the ids of both indexes with the catalog's, one by one, and look into the lexical file."""
        with self._lock:
            problems = self._lexical.verify()
            with self._catalog.database.exclusive():  # nothing is committed meanwhile
                self._catch_up()
                return compare(self._catalog, self._dense, self._lexical, problems)

    def close(self) -> None:
        """Write a last snapshot and give up the lexical file."""
        try:
            self.snapshot()
        finally:
            self._lexical.close()

    def _refuse_other_embedder(self) -> None:
        stored = self._catalog.passages.embedder()
        if stored not in (None, self._embedder_name) and self._catalog.passages.count():
            raise IndexMismatchError(
                f"the stored vectors were made by {stored}, the settings ask for {self._embedder_name}; "
                "run citebound reindex"
            )

    def _sweep(self) -> None:
        """Remove snapshots that a crash left half-written; they hold vectors of documents that may be gone."""
        with file_faults():
            for path in self._folder.glob(f".{SNAPSHOT_NAME}.*.tmp"):
                path.unlink()

    def _load_snapshot(self, last_seq: int) -> bool:
        """Whether the dense index now holds a snapshot; its hash is checked before any of it is parsed."""
        recorded = self._catalog.changes.snapshot(SNAPSHOT_KIND)
        if recorded is None:
            self._forget_snapshot()
            return False
        reason = None
        if recorded.embedder != self._embedder_name:
            reason = "it was made with another embedder"
        elif recorded.seq > last_seq:
            reason = "it holds changes that the catalog does not know"
        elif recorded.file_name != SNAPSHOT_NAME or not self._snapshot_path.is_file():
            reason = "the file is missing"
        elif _sha256(self._snapshot_path) != recorded.sha256:
            reason = "the file is not the one that was written"
        else:
            try:
                self._dense.read_snapshot(self._snapshot_path)
            except CiteboundError as error:
                reason = str(error)
        if reason is not None:
            _log.warning("dense_snapshot_not_used", reason=reason)
            self._forget_snapshot()
            return False
        self._dense_seq = self._snapshot_seq = recorded.seq
        return True

    def _forget_snapshot(self) -> None:
        self._snapshot_seq = None
        self._catalog.changes.forget_snapshot(SNAPSHOT_KIND)
        if self._snapshot_path.exists():
            with file_faults():
                self._snapshot_path.unlink()
                sync_folder(self._folder)

    def _catch_up(self) -> int:
        if self._catalog.database.in_write:
            raise RuntimeError("indexes follow commits; catch up after the write, not inside it")
        seq = start = min(self._dense_seq, self._lexical.seq())
        n_changes = 0
        while changes := self._catalog.changes.since(seq, _CHANGES_AT_ONCE):
            seq = changes[-1].seq
            self._apply_to_dense(changes)
            self._apply_to_lexical(changes)
            n_changes += len(changes)
        self._held_seq = seq
        if n_changes:
            _log.debug("indexes_caught_up", first_seq=start + 1, last_seq=seq)
        return n_changes

    def _apply_to_dense(self, changes: Sequence[Change]) -> None:
        """All removals, then all additions: what was removed later is not in the catalog any more, so is not added."""
        if changes[-1].seq <= self._dense_seq:
            return
        removed = removed_ids(changes)
        if len(removed):
            if self._snapshot_seq is not None or self._snapshot_path.exists():
                self._forget_snapshot()
            self._dense.remove(removed)
        for part in added_vectors(self._catalog, changes):
            self._dense.add(part.collection, part.passage_ids, part.vectors)
        self._dense_seq = changes[-1].seq

    def _apply_to_lexical(self, changes: Sequence[Change]) -> None:
        if changes[-1].seq <= self._lexical.seq():
            return
        with self._lexical.batch(changes[-1].seq):
            self._lexical.remove(removed_ids(changes))
            for collection, texts in added_texts(self._catalog, changes):
                self._lexical.add(collection, texts)

    def _fill_dense(self) -> None:
        seq = self._catalog.changes.last_seq()  # before the passages are read: what comes between is replayed
        self._dense.replace_all(stored_vectors(self._catalog))
        self._dense_seq = seq

    def _fill_lexical(self) -> None:
        seq = self._catalog.changes.last_seq()
        with self._lexical.batch(seq):
            self._lexical.clear()
            for collection, texts in stored_texts(self._catalog):
                self._lexical.add(collection, texts)


def _sha256(path: Path) -> str:
    with file_faults(), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
