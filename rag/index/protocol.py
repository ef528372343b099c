"""What an index of passages can do, whatever library stands behind it."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rag.types import FloatArray, IdArray


@dataclass(frozen=True, slots=True)
class ScoredId:
    """A passage id and the index's own score, larger is better."""

    passage_id: int
    score: float


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """Some vectors of one collection."""

    collection: str
    passage_ids: IdArray  # (n,)
    vectors: FloatArray  # float32[n, d]


class PassageIndex(Protocol):
    """A dense index. One writer at a time (the caller holds the lock); readers never wait."""

    def add(self, collection: str, passage_ids: IdArray, vectors: FloatArray) -> None:
        """Add vectors float32[n, d]; an id that is there already is replaced."""
        ...

    def remove(self, passage_ids: IdArray) -> int:
        """Remove what is there of `passage_ids`; returns how many were."""
        ...

    def search(
        self, collection: str, query: FloatArray, k: int, *, allowed: IdArray | None = None
    ) -> tuple[ScoredId, ...]:
        """The `k` nearest by cosine, best first; only among `allowed` where that is given."""
        ...

    def passage_ids(self) -> IdArray:
        """Every id held, ascending."""
        ...


class TextIndex(Protocol):
    """A lexical index that takes additions and deletions."""

    def add(self, collection: str, passages: Sequence[tuple[int, str]]) -> None:
        """Add (passage_id, text) pairs; an id that is there already is replaced."""
        ...

    def remove(self, passage_ids: IdArray) -> int:
        """Remove what is there of `passage_ids`; returns how many were."""
        ...

    def search(self, collection: str, query: str, k: int, *, allowed: IdArray | None = None) -> tuple[ScoredId, ...]:
        """The `k` best by BM25, best first. `query` is plain text: no query syntax in it is obeyed."""
        ...

    def passage_ids(self) -> IdArray:
        """Every id held, ascending."""
        ...


class SnapshotIndex(PassageIndex, Protocol):
    """A dense index in memory that can be filled at once and kept in a file; what `sync` needs beyond searching."""

    def replace_all(self, parts: Iterable[StoredVectors]) -> None:
        """Hold exactly `parts`; readers see the old vectors until all are there."""
        ...

    def write_snapshot(self, path: Path) -> str:
        """Write everything to `path`; returns the file's SHA-256 in hexadecimal."""
        ...

    def read_snapshot(self, path: Path) -> None:
        """Hold exactly what `path` has; on an error the index stays as it was.

        Raises:
            IndexMismatchError: the file's vectors have another length.
            InvalidInputError: the file is damaged.
        """
        ...


class StampedTextIndex(TextIndex, Protocol):
    """A lexical index on disk that knows the last catalog change it holds; what `sync` needs beyond searching."""

    def seq(self) -> int:
        """The last catalog change held, 0 before the first."""
        ...

    def batch(self, seq: int) -> AbstractContextManager[None]:
        """All additions and removals inside are kept together with the stamp `seq`, or none of them."""
        ...

    def clear(self) -> None:
        """Remove everything."""
        ...

    def verify(self) -> tuple[str, ...]:
        """One sentence for each inconsistency inside the index; () means sound."""
        ...

    def close(self) -> None:
        """Give up the file; the index cannot be used any more."""
        ...
