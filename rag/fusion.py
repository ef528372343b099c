"""Weighted reciprocal rank fusion: one ranking out of several whose scores cannot be compared."""

from collections.abc import Mapping, Sequence

from rag.index.protocol import ScoredId

C = 60  # Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet …", SIGIR 2009, chose 60


def fuse(rankings: Mapping[str, Sequence[int]], weights: Mapping[str, float], *, c: float = C) -> tuple[ScoredId, ...]:
    """Score each passage by the sum over rankings of weight / (c + rank), best first, equal ones by id.

    Args:
        rankings: passage ids of each source, best first; a passage that a source lacks gets nothing from it.
        weights: of each source, 0 or more; with 0 a source adds no passage either.
        c: what is added to a rank (1 = best); the larger, the less the first places stand out.

    Raises:
        ValueError: a weight is missing, negative or not finite, or a ranking names a passage twice.
    """
    scores: dict[int, float] = {}
    for source in sorted(rankings):  # so that sums do not depend on the order of the mapping
        ranking = rankings[source]
        weight = weights.get(source)
        if weight is None or not 0 <= weight < float("inf"):
            raise ValueError(f"the source {source} needs a weight of 0 or more, got {weight}")
        if len(set(ranking)) != len(ranking):
            raise ValueError(f"the ranking of {source} names a passage twice")
        if weight > 0:
            for rank, passage_id in enumerate(ranking, start=1):
                scores[passage_id] = scores.get(passage_id, 0.0) + weight / (c + rank)
    ordered = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return tuple(ScoredId(passage_id, score) for passage_id, score in ordered)
