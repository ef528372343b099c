"""Differences between two systems on the same cases, with intervals and p-values.

A difference is between two ratios of sums over the cases where both are known. Its interval comes from drawing whole
documents with replacement, its p-value from exchanging the two systems' answers document by document.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rag.evaluation.figures import FIGURES, count_for, counts_by_case, names_for
from rag.evaluation.report_types import DifferenceView
from rag.evaluation.resampling import (
    bootstrap,
    number_clusters,
    percentile_interval,
    randomization_p,
    randomize,
    ratios,
    sum_by_cluster,
)
from rag.evaluation.statistics import Float64Array, Interval, equivalence, minimum_detectable_effect, unseen_bound
from rag.evaluation.types import Case, CaseResult
from rag.types import IdArray

Results = Mapping[str, CaseResult]  # of one system, by case id


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How comparisons are tested."""

    seed: int
    n_resamples: int = 10_000
    margin: float = 0.05  # of equivalence: differences below five points are of no consequence

    def __post_init__(self) -> None:
        """Refuse what no test can be made of."""
        if self.n_resamples < 1 or not 0 < self.margin < 1 or self.seed < 0:
            raise ValueError("n_resamples must be at least 1, margin between 0 and 1, seed at least 0")


def tested_differences(
    cases: Sequence[Case], baseline: Results, system: Results, settings: Settings
) -> tuple[DifferenceView, ...]:
    """System minus baseline on every figure that `cases` allow, still without correction and word.

    Args:
        cases: ordered by id.
        baseline: results by case id.
        system: results by case id.
        settings: seed, number of resamples, margin of equivalence.
    """
    names = names_for(cases)
    first, second = paired_counts(
        *(
            counts_by_case([count_for(name, results) for name in names], cases, results)
            for results in (baseline, system)
        )
    )
    clusters, n_clusters = number_clusters([case.document for case in cases])
    resampled = resample(first, second, clusters, n_clusters, settings)
    alone = resampled
    if n_clusters < len(cases):
        alone = resample(first, second, np.arange(len(cases), dtype=np.int64), len(cases), settings)
    swapped = _randomize(first, second, clusters, n_clusters, settings)
    views = []
    for place, name in enumerate(names):
        counted = (first[:, place, 1] > 0) | (second[:, place, 1] > 0)
        views.append(
            _difference(
                name,
                (first[:, place], second[:, place]),
                n=int(counted.sum()),
                n_clusters=len(np.unique(clusters[counted])),
                resampled=resampled[:, place],
                alone=alone[:, place],
                swapped=swapped[:, place],
                margin=settings.margin,
            )
        )
    return tuple(views)


def paired_counts(first: Float64Array, second: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Both f64[n, F, 3] with a case taken out of both for a figure of which either does not know its value."""
    unknown = ((first[..., 1] == 0) & (first[..., 2] > 0)) | ((second[..., 1] == 0) & (second[..., 2] > 0))
    return np.where(unknown[..., None], 0.0, first), np.where(unknown[..., None], 0.0, second)


def _columns(counts: Float64Array) -> Float64Array:
    """f64[n, F, 3] to f64[n, 2F]: all numerators, then all denominators."""
    return np.concatenate([counts[..., 0], counts[..., 1]], axis=1)


def resample(
    first: Float64Array, second: Float64Array, clusters: IdArray, n_clusters: int, settings: Settings
) -> Float64Array:
    """f64[B, F]: bootstrapped differences, NaN where one has no denominator."""
    both = np.concatenate([_columns(first), _columns(second)], axis=1)
    sums = bootstrap(sum_by_cluster(both, clusters, n_clusters), n_resamples=settings.n_resamples, seed=settings.seed)
    top, bottom, second_top, second_bottom = np.split(sums, 4, axis=1)
    return ratios(second_top, second_bottom) - ratios(top, bottom)


def _randomize(
    first: Float64Array, second: Float64Array, clusters: IdArray, n_clusters: int, settings: Settings
) -> Float64Array:
    """f64[B, F]: differences after answers changed hands."""
    sums = [sum_by_cluster(_columns(counts), clusters, n_clusters) for counts in (first, second)]
    moved, other = randomize(sums[0], sums[1], n_resamples=settings.n_resamples, seed=settings.seed)
    half = moved.shape[1] // 2
    return ratios(other[:, :half], other[:, half:]) - ratios(moved[:, :half], moved[:, half:])


def _difference(
    name: str,
    counts: tuple[Float64Array, Float64Array],
    *,
    n: int,
    n_clusters: int,
    resampled: Float64Array,
    alone: Float64Array,
    swapped: Float64Array,
    margin: float,
) -> DifferenceView:
    values = [float(one[:, 0].sum() / one[:, 1].sum()) if one[:, 1].sum() else None for one in counts]
    before, after = values
    empty = DifferenceView(
        figure=name,
        higher_is_better=FIGURES[name].higher_is_better,
        n=n,
        n_clusters=n_clusters,
        baseline=before,
        system=after,
        difference=None,
        low=None,
        high=None,
        low_unclustered=None,
        high_unclustered=None,
        p_value=None,
        p_holm=None,
        margin=margin,
        p_equivalence=None,
        minimum_detectable_effect=None,
        word="undefined",
    )
    if before is None or after is None:
        return empty
    difference = after - before
    least = int(min(one[:, 1].sum() for one in counts))
    clustered = _interval(difference, resampled, least, name) if n_clusters > 1 else None
    unclustered = _interval(difference, alone, least, name) if n > 1 else None
    defined = resampled[~np.isnan(resampled)]
    error = float(defined.std(ddof=1)) if len(defined) > 1 and n_clusters > 1 else 0.0
    return replace(
        empty,
        difference=difference,
        low=clustered.low if clustered else None,
        high=clustered.high if clustered else None,
        low_unclustered=unclustered.low if unclustered else None,
        high_unclustered=unclustered.high if unclustered else None,
        p_value=randomization_p(difference, swapped),
        p_equivalence=equivalence(defined, margin=margin, n=least) if clustered else None,
        minimum_detectable_effect=minimum_detectable_effect(error),
        word="undecided",
    )


def _interval(difference: float, resampled: Float64Array, n: int, name: str) -> Interval | None:
    """The percentile interval; where no resample differs, what `n` cases can have left unseen."""
    interval = percentile_interval(difference, resampled)
    if interval is None or interval.high - interval.low > 1e-12:
        return interval
    reach = 2.0 if name == "net_score" else 1.0
    half = reach * unseen_bound(n)
    return Interval(value=difference, low=max(-reach, difference - half), high=min(reach, difference + half))
