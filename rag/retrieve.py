"""From a query to hits: both indexes are asked, their rankings fused, and the passages read from the catalog."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rag.catalog.catalog import Catalog
from rag.embed import Embedder
from rag.errors import InvalidInputError
from rag.filters import Filter, parse_filter
from rag.fusion import fuse
from rag.index.protocol import ScoredId
from rag.index.sync import Indexes
from rag.types import Hit, IdArray, Passage, Scores

MAX_K = 1000
MAX_QUERY_CHARS = 20_000
_MIN_DEPTH = 50
_WAIT_SECONDS = 0.5  # at most, for the indexes to hold what was committed before the search
_DOCUMENTS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What each source counts for in the fusion; with 0 it is not asked.

    The defaults were chosen by `benchmarks/retrieval_weights.py` on 5,400 questions of SQuAD train. Beside the
    published c = 60, c = 10 found one question in a hundred more among the first five; on Cranfield they are equal.
    """

    dense: float = 1.0
    lexical: float = 1.0
    c: float = 10.0  # see `rag.fusion.fuse`

    def __post_init__(self) -> None:
        """Refuse weights that rank nothing."""
        weights = (self.dense, self.lexical)
        if not all(0 <= number < float("inf") for number in (*weights, self.c)) or not any(weights):
            raise ValueError("weights and c must be 0 or more, finite, and the weights not all 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """The hits of one query, best first."""

    hits: tuple[Hit, ...]
    seconds: float


class Retriever:
    """Searches one catalog; safe to use from several threads where the embedder is."""

    def __init__(self, catalog: Catalog, indexes: Indexes, embedder: Embedder, weights: Weights) -> None:
        self._catalog = catalog
        self._indexes = indexes
        self._embedder = embedder
        self._weights = weights

    def weighted(self, weights: Weights) -> "Retriever":
        """The same search with other weights."""
        return Retriever(self._catalog, self._indexes, self._embedder, weights)

    def search(
        self, query: str, *, k: int, collection: str, metadata_filter: Mapping[str, Any] | None = None
    ) -> Retrieved:
        """At most `k` passages of the collection, best first; () where it has none or was never named before.

        Args:
            query: plain text; no query syntax in it is obeyed.
            k: 1 to 1000.
            collection: where to search.
            metadata_filter: see `rag.filters`; only passages of documents for which it holds.

        Raises:
            InvalidInputError: the query is empty or too long, or k is out of range.
            InvalidFilterError: the filter does not parse.
        """
        started = time.perf_counter()
        check_search(query, k)
        self._indexes.await_changes(_WAIT_SECONDS)
        allowed = None
        if metadata_filter:
            allowed = self._passages_where(parse_filter(metadata_filter), collection)
        hits = () if allowed is not None and not len(allowed) else self._hits(query, k, collection, allowed)
        return Retrieved(hits=hits, seconds=time.perf_counter() - started)

    def _hits(self, query: str, k: int, collection: str, allowed: IdArray | None) -> tuple[Hit, ...]:
        vector = self._embedder.embed_query(query) if self._weights.dense else None
        depth = max(4 * k, _MIN_DEPTH)
        while True:
            found: dict[str, tuple[ScoredId, ...]] = {}
            if vector is not None:
                found["dense"] = self._indexes.dense.search(collection, vector, depth, allowed=allowed)
            if self._weights.lexical:
                found["lexical"] = self._indexes.lexical.search(collection, query, depth, allowed=allowed)
            hits, n_gone = self._read(found, k, collection)
            exhausted = all(len(ranking) < depth for ranking in found.values())
            if len(hits) == k or not n_gone or exhausted:
                return hits
            depth *= 4  # too much of it was deleted or replaced since the indexes last caught up

    def _read(self, found: Mapping[str, tuple[ScoredId, ...]], k: int, collection: str) -> tuple[tuple[Hit, ...], int]:
        """The best `k` that the catalog has now, and how many better ones it has not."""
        fused = fuse(
            {source: [scored.passage_id for scored in ranking] for source, ranking in found.items()},
            {"dense": self._weights.dense, "lexical": self._weights.lexical},
            c=self._weights.c,
        )
        by_source = {
            source: {scored.passage_id: scored.score for scored in ranking} for source, ranking in found.items()
        }
        live: list[tuple[Passage, float]] = []
        n_gone = 0
        for start in range(0, len(fused), k):
            part = fused[start : start + k]
            passages = self._catalog.passages.get_many(scored.passage_id for scored in part)
            for scored in part:
                passage = passages.get(scored.passage_id)
                if passage is None or passage.collection != collection:
                    n_gone += 1
                elif len(live) < k:
                    live.append((passage, scored.score))
            if len(live) == k:
                break
        hits = tuple(
            Hit(
                rank=rank,
                passage=passage,
                score=score,
                scores=Scores(
                    dense=by_source.get("dense", {}).get(passage.passage_id),
                    lexical=by_source.get("lexical", {}).get(passage.passage_id),
                    fused=score,
                ),
            )
            for rank, (passage, score) in enumerate(live, start=1)
        )
        return hits, n_gone

    def _passages_where(self, metadata_filter: Filter, collection: str) -> IdArray:
        """The ids of all passages whose documents the filter lets through, ascending."""
        chosen: list[str] = []
        cursor: str | None = None
        while True:
            documents, cursor, _ = self._catalog.documents.list(
                collection=collection, limit=_DOCUMENTS_AT_ONCE, cursor=cursor
            )
            chosen.extend(
                document.document_id
                for document in documents
                if document.live_version is not None and metadata_filter.matches_document(document)
            )
            if cursor is None:
                break
        return self._catalog.passages.ids_of_documents(chosen) if chosen else np.zeros(0, dtype=np.int64)


def check_search(query: str, k: int) -> None:
    """Refuse what cannot be searched for.

    Raises:
        InvalidInputError: the query is empty or too long, or k is out of range.
    """
    if not query.strip():
        raise InvalidInputError("the query is empty; ask something")
    if len(query) > MAX_QUERY_CHARS:
        raise InvalidInputError(f"the query has {len(query)} characters; at most {MAX_QUERY_CHARS} are read")
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= MAX_K:
        raise InvalidInputError(f"k must be a whole number from 1 to {MAX_K}")
