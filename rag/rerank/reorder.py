"""The first hits of a search in a better order."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from rag.answer_types import Search
from rag.retrieve import Retrieved, check_search
from rag.types import Hit


@runtime_checkable
class Reranker(Protocol):
    """Says of each of a few hits how probable it is that it holds what a query asks for."""

    @property
    def name(self) -> str:
        """What settings, comparisons and reports call it."""
        ...

    @property
    def depth(self) -> int:
        """How many hits it reads."""
        ...

    def score(self, query: str, hits: Sequence[Hit]) -> tuple[float, ...]:
        """One probability a hit, in the order of `hits`; the same hits, the same figures.

        Args:
            query: what is asked.
            hits: of one search, best first, at most `depth`.
        """
        ...


class RerankedSearch:
    """A `rag.answer_types.Search` whose first hits are reordered. Thread-safe where search and reranker are."""

    def __init__(self, search: Search, reranker: Reranker) -> None:
        self._search = search
        self._reranker = reranker

    def search(
        self, query: str, *, k: int, collection: str, metadata_filter: Mapping[str, Any] | None = None
    ) -> Retrieved:
        """At most `k` passages, best first; a passage up to the reranker's depth can rise into them.

        Raises:
            InvalidInputError: the query is empty or too long, or k is out of range.
        """
        check_search(query, k)
        started = time.perf_counter()
        deep = max(k, self._reranker.depth)
        found = self._search.search(query, k=deep, collection=collection, metadata_filter=metadata_filter)
        hits = reorder(self._reranker, query, found.hits)[:k]
        return Retrieved(hits=hits, seconds=time.perf_counter() - started)


def reorder(reranker: Reranker, query: str, hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """`hits` with the first `reranker.depth` of them by falling probability; of equal ones the former order stays.

    `score` and `scores.rerank` of those that were read are the probability. The others follow in their order without
    `scores.rerank`; their `score` is the least of these probabilities times the share that the one they had is of the
    first of theirs, so that scores still fall from hit to hit.
    """
    read, rest = hits[: reranker.depth], hits[reranker.depth :]
    if not read:
        return ()
    probabilities = reranker.score(query, read)
    order = sorted(range(len(read)), key=lambda place: (-probabilities[place], place))
    best = [_scored(read[place], probabilities[place]) for place in order]
    least = best[-1].score
    after = [replace(hit, score=least * (hit.score / rest[0].score)) for hit in rest]
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate([*best, *after], start=1))


def _scored(hit: Hit, probability: float) -> Hit:
    return replace(hit, score=probability, scores=replace(hit.scores, rerank=probability))
