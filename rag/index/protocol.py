"""What an index of passages can do, whatever library stands behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rag.types import FloatArray, IdArray


@dataclass(frozen=True, slots=True)
class ScoredId:
    """A passage id and the index's own score, larger is better."""

    passage_id: int
    score: float


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
