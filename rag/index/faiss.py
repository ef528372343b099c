"""Exact dense search with FAISS; the only file that imports it.

The vectors of a collection lie in a few flat segments that never change once they can be seen. A writer builds new
segments and puts them in place with one assignment, so readers take no lock, never wait, and never see half a change;
FAISS itself forbids a search during an addition. Segments are merged so that each is more than twice as long as the
next (Bentley and Saxe's logarithmic method, 1980): a vector is copied at most log2(n) times, and a search visits at
most log2(n) segments.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from rag.errors import IndexMismatchError, InvalidInputError
from rag.index.protocol import ScoredId, StoredVectors
from rag.index.vector_file import read_vectors, write_vectors
from rag.types import FloatArray, IdArray


@dataclass(frozen=True, slots=True)
class _Segment:
    """Vectors in the order of their ids; neither is ever changed."""

    ids: IdArray  # (n,), strictly ascending
    flat: Any  # faiss.IndexFlatIP of n vectors

    @property
    def vectors(self) -> FloatArray:
        """float32[n, d], a view that is valid as long as the segment."""
        n, dimension = self.flat.ntotal, self.flat.d
        view: FloatArray = faiss.rev_swig_ptr(self.flat.get_xb(), n * dimension).reshape(n, dimension)
        return view


_Collections = Mapping[str, tuple[_Segment, ...]]  # no collection without a segment, no segment without a vector


class FaissIndex:
    """A `SnapshotIndex` of vectors of length 1, searched exactly by inner product.

    One writer at a time, which the caller sees to; any number of readers beside it.

    Args:
        dimension: length of a vector.
        threads: OpenMP threads of one search. One query has no work for more, and with more the searches of
            several requests fight for the cores.
    """

    def __init__(self, dimension: int, *, threads: int = 1) -> None:
        if dimension < 1 or threads < 1:
            raise ValueError("dimension and threads must be at least 1")
        self.dimension = dimension
        self._threads = threads
        self._collections: _Collections = {}

    def add(self, collection: str, passage_ids: IdArray, vectors: FloatArray) -> None:
        """Add vectors float32[n, dimension]; an id that is there already is replaced, of one given twice the last wins.

        Raises:
            IndexMismatchError: the vectors have another length.
            InvalidInputError: not one vector an id, or a number is not finite.
        """
        segment = self._segment(passage_ids, vectors)
        if segment is None:
            return
        collections, _ = _without(self._collections, segment.ids)
        collections[collection] = _merged((*collections.get(collection, ()), segment))
        self._collections = collections

    def remove(self, passage_ids: IdArray) -> int:
        """Remove what is there of `passage_ids`, from memory as well; returns how many were."""
        collections, n_removed = _without(self._collections, np.unique(np.asarray(passage_ids, dtype=np.int64)))
        self._collections = collections
        return n_removed

    def replace_all(self, parts: Iterable[StoredVectors]) -> None:
        """Hold exactly `parts`; readers see the old vectors until all are there. Raises as `add` does."""
        fresh = FaissIndex(self.dimension)
        for part in parts:
            fresh.add(part.collection, part.passage_ids, part.vectors)
        self._collections = fresh._collections

    def search(
        self, collection: str, query: FloatArray, k: int, *, allowed: IdArray | None = None
    ) -> tuple[ScoredId, ...]:
        """The `k` nearest by cosine, best first, equal ones by id; fewer where there are fewer.

        Raises:
            IndexMismatchError: the query has another length.
            InvalidInputError: a number is not finite, or k is below 1.
        """
        if k < 1:
            raise InvalidInputError(f"k must be at least 1, got {k}")
        queries = self._checked(np.asarray(query).reshape(1, -1))
        wanted = None if allowed is None else np.unique(np.asarray(allowed, dtype=np.int64))
        faiss.omp_set_num_threads(self._threads)  # OpenMP keeps this number for each thread that calls
        found = [_search(segment, queries, k, wanted) for segment in self._collections.get(collection, ())]
        if not found:
            return ()
        ids = np.concatenate([part[0] for part in found])
        scores = np.concatenate([part[1] for part in found])
        best = np.lexsort((ids, -scores))[:k]
        return tuple(ScoredId(int(ids[place]), float(scores[place])) for place in best)

    def passage_ids(self) -> IdArray:
        """Every id held, ascending."""
        parts = [segment.ids for segments in self._collections.values() for segment in segments]
        return np.sort(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.int64)

    def write_snapshot(self, path: Path) -> str:
        """Write everything to `path`; returns the file's SHA-256."""
        return write_vectors(
            path,
            self.dimension,
            (
                StoredVectors(collection, segment.ids, segment.vectors)
                for collection, segments in self._collections.items()
                for segment in segments
            ),
        )

    def read_snapshot(self, path: Path) -> None:
        """Hold exactly what `path` has; on an error the index stays as it was.

        Raises:
            IndexMismatchError: the file's vectors have another length.
            InvalidInputError: the file is not a whole file of vectors.
        """
        self.replace_all(read_vectors(path, self.dimension))

    def _segment(self, passage_ids: IdArray, vectors: FloatArray) -> _Segment | None:
        array = self._checked(vectors)
        ids = np.asarray(passage_ids, dtype=np.int64)
        if ids.shape != (len(array),):
            raise InvalidInputError(f"{len(array)} vectors need as many ids, got {len(ids)}")
        unique, last_from_end = np.unique(ids[::-1], return_index=True)
        if not len(unique):
            return None
        places = len(ids) - 1 - last_from_end
        return _build(unique, (array if np.array_equal(unique, ids) else array[places],), self.dimension)

    def _checked(self, vectors: FloatArray) -> FloatArray:
        array = np.ascontiguousarray(vectors, dtype=np.float32)
        if array.ndim != 2 or (len(array) and array.shape[1] != self.dimension):
            raise IndexMismatchError(
                f"the index holds vectors of length {self.dimension}, got {array.shape[-1]}; run citebound reindex"
            )
        if not np.isfinite(array).all():
            raise InvalidInputError("a vector has a number that is not finite; check the embedder")
        return array


def _build(ids: IdArray, blocks: tuple[FloatArray, ...], dimension: int) -> _Segment:
    """A segment of ascending `ids` whose vectors are `blocks`, one after the other."""
    flat = faiss.IndexFlatIP(dimension)
    flat.codes.resize(len(ids) * dimension * 4)  # room for exactly all: add() would keep up to twice as much
    flat.ntotal = len(ids)
    segment = _Segment(ids, flat)
    np.concatenate(blocks, out=segment.vectors)
    return segment


def _merged(segments: tuple[_Segment, ...]) -> tuple[_Segment, ...]:
    """The same vectors in segments of which each is more than twice as long as the next."""
    merged = list(segments)
    while len(merged) > 1 and len(merged[-2].ids) <= 2 * len(merged[-1].ids):
        last = merged.pop()
        merged[-1] = _joined(merged[-1], last)
    return tuple(merged)


def _joined(first: _Segment, second: _Segment) -> _Segment:
    ids = np.concatenate((first.ids, second.ids))
    if first.ids[-1] < second.ids[0]:
        return _build(ids, (first.vectors, second.vectors), first.flat.d)
    order = np.argsort(ids)
    vectors = np.concatenate((first.vectors, second.vectors))
    return _build(ids[order], (vectors[order],), first.flat.d)


def _without(collections: _Collections, ids: IdArray) -> tuple[dict[str, tuple[_Segment, ...]], int]:
    """The collections without the ascending `ids`, and how many of those there were."""
    kept: dict[str, tuple[_Segment, ...]] = {}
    n_removed = 0
    for collection, segments in collections.items():
        left: list[_Segment] = []
        for segment in segments:
            gone = _contained(segment.ids, ids)
            n_gone = int(gone.sum())
            if n_gone == 0:
                left.append(segment)
            elif n_gone < len(segment.ids):
                left.append(_build(segment.ids[~gone], (segment.vectors[~gone],), segment.flat.d))
            n_removed += n_gone
        if left:
            left.sort(key=lambda segment: -len(segment.ids))
            kept[collection] = _merged(tuple(left))
    return kept, n_removed


def _contained(ids: IdArray, wanted: IdArray) -> Any:
    """bool[n]: which of the ascending `ids` are in the ascending `wanted`."""
    if not len(wanted) or wanted[-1] < ids[0] or ids[-1] < wanted[0]:
        return np.zeros(len(ids), dtype=bool)
    places = np.minimum(np.searchsorted(wanted, ids), len(wanted) - 1)
    return wanted[places] == ids


def _search(segment: _Segment, queries: FloatArray, k: int, wanted: IdArray | None) -> tuple[IdArray, FloatArray]:
    n = len(segment.ids)
    parameters = None
    if wanted is not None:
        mask = _contained(segment.ids, wanted)
        n = int(mask.sum())
        if n == 0:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        if n < len(segment.ids):
            selector = faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))  # type: ignore[call-arg,arg-type]
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
    scores, places = segment.flat.search(queries, min(k, n), params=parameters)
    return segment.ids[places[0]], scores[0]
