"""Word search with SQLite's FTS5 in a file of its own (docs/adr/0002-lexical-index.md).

Each collection has its own full-text table, so that BM25 counts words within the collection. What is removed leaves no
byte in the file: rows and entries are overwritten, keys of inner pages that spell a removed word cause a rewrite of the
table, and the write-ahead log is emptied.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import structlog

from rag.errors import InvalidInputError
from rag.index.fts5 import FtsReader, FtsTable, FtsWriter
from rag.index.fts5_file import apsw_faults, open_database, truncate_log
from rag.index.index_text import to_index_text
from rag.index.protocol import ScoredId
from rag.types import IdArray

_log = structlog.get_logger(__name__)

MAX_QUERY_CHARS = 20_000  # of a longer query only the beginning is searched
MAX_QUERY_TERMS = 64  # the rarest of its words
# In a large collection words of more than a tenth of the passages, and more than a thousand, are left out of a query:
# they cost nearly all of its time and moved recall at 8 by less than 0.01 (docs/adr/0002-lexical-index.md).
COMMON_SHARE = 0.1
COMMON_AT_LEAST = 1000


class LexicalIndex:
    """A `StampedTextIndex` in one SQLite file, made where it is missing and begun again where it is damaged.

    Writers take turns; each reader has a connection of its own and waits for nobody.

    Raises:
        StorageError: the file cannot be made or opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._writer = open_database(path)
        self._readers: list[FtsReader] = []  # those not in use
        self._counts: dict[tuple[int, str | None], int] = {}  # of passages with a term, as of the last commit
        self._changing: FtsWriter | None = None
        self._log_holds_removed = False

    def seq(self) -> int:
        """The last catalog change held, 0 before the first."""
        with self._lock, apsw_faults():
            return int(self._writer.execute("SELECT value FROM stamp").get)

    @contextmanager
    def batch(self, seq: int) -> Iterator[None]:
        """All additions and removals inside are kept together with the stamp `seq`, or none of them.

        Raises:
            StorageError: the disk is full or failing; nothing was kept.
        """
        with self._lock, self._transaction() as changing:
            yield
            changing.finish()
            self._writer.execute("UPDATE stamp SET value = ?", (seq,))

    def add(self, collection: str, passages: Sequence[tuple[int, str]]) -> None:
        """Add (passage_id, text) pairs; an id that is there already is replaced."""
        with self._within_batch() as changing:
            changing.add(collection, [(passage_id, to_index_text(text)) for passage_id, text in passages])

    def remove(self, passage_ids: IdArray) -> int:
        """Remove what is there of `passage_ids`, from the disk as well; returns how many were."""
        with self._within_batch() as changing:
            return changing.remove(np.unique(np.asarray(passage_ids, dtype=np.int64)))

    def clear(self) -> None:
        """Remove everything."""
        with self._within_batch() as changing:
            changing.clear()

    def search(self, collection: str, query: str, k: int, *, allowed: IdArray | None = None) -> tuple[ScoredId, ...]:
        """The `k` best by BM25, best first, equal ones by id. `query` is plain text: no query syntax in it is obeyed.

        Raises:
            InvalidInputError: k is below 1.
            StorageError: the file cannot be read.
        """
        if k < 1:
            raise InvalidInputError(f"k must be at least 1, got {k}")
        text = to_index_text(query[:MAX_QUERY_CHARS])
        wanted = None if allowed is None else frozenset(np.asarray(allowed).tolist())
        counts = self._counts  # replaced, never emptied, by the next commit
        with self._reader() as reader, reader.snapshot():
            table = reader.table(collection)
            if table is None:
                return ()
            terms = _telling(reader.terms(text), table, counts)
            return tuple(ScoredId(passage_id, score) for passage_id, score in table.match(terms, k, wanted))

    def passage_ids(self) -> IdArray:
        """Every id held, ascending."""
        with self._reader() as reader, reader.snapshot():
            parts = [table.ids() for table in reader.tables()]
        return np.sort(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.int64)

    def verify(self) -> tuple[str, ...]:
        """One sentence for each inconsistency inside the file; () means sound."""
        problems: list[str] = []
        with self._lock, apsw_faults():
            for line in self._writer.execute("PRAGMA integrity_check").fetchall():
                if line[0] != "ok":
                    problems.append(f"the lexical index is damaged: {line[0]}; run citebound reindex")
            for table in FtsReader(self._writer).tables():
                if not table.is_sound():
                    problems.append("the words of a collection disagree with its passages; run citebound reindex")
        return tuple(problems)

    def close(self) -> None:
        """Give up the file; no search may be running."""
        with self._lock, apsw_faults():
            self._empty_log()
            while self._readers:
                self._readers.pop().close()
            self._writer.close()

    @contextmanager
    def _within_batch(self) -> Iterator[FtsWriter]:
        with self._lock:
            if self._changing is not None:
                yield self._changing
                return
            with self._transaction() as changing:
                yield changing
                changing.finish()

    @contextmanager
    def _transaction(self) -> Iterator[FtsWriter]:
        if self._changing is not None:
            raise RuntimeError("a batch is open already")
        with apsw_faults():
            changing = self._changing = FtsWriter(self._writer)
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield changing
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            finally:
                self._changing = None
                self._counts = {}
            self._log_holds_removed |= changing.has_removed
            self._empty_log()

    @contextmanager
    def _reader(self) -> Iterator[FtsReader]:
        with apsw_faults():
            try:
                reader = self._readers.pop()
            except IndexError:
                reader = FtsReader(open_database(self._path, read_only=True))
            try:
                yield reader
            except BaseException:
                reader.close()
                raise
            self._readers.append(reader)

    def _empty_log(self) -> None:
        if self._log_holds_removed:
            self._log_holds_removed = not truncate_log(self._writer)
            if self._log_holds_removed:
                _log.warning("removed_words_in_log", path=self._path.name)


def _telling(words: Mapping[str, str], table: FtsTable, counts: dict[tuple[int, str | None], int]) -> tuple[str, ...]:
    """The words to search by: those that are there at all, without the commonest, the rarest first."""

    def count(term: str | None) -> int:
        key = (table.number, term)
        if key not in counts:
            counts[key] = table.count() if term is None else table.count_with(term)
        return counts[key]

    there = sorted((term for term in words if count(term)), key=count)
    limit = max(COMMON_SHARE * count(None), COMMON_AT_LEAST)
    telling = [term for term in there if count(term) <= limit] or there[:1]
    return tuple(words[term] for term in telling[:MAX_QUERY_TERMS])
