"""Bootstrap and randomization of ratios over clustered, paired cases.

Cases about the same document stand or fall together, so whole documents are drawn. All figures of all systems are
resampled with the same draws: a block of draws is a matrix of weights, and its product with the sums per cluster gives
every figure's numerator and denominator at once. Sums over clusters in a fixed order, seeded: same input, same numbers.
"""

from collections.abc import Sequence

import numpy as np

from rag.evaluation.statistics import ALPHA, Float64Array, Interval
from rag.types import IdArray

_BLOCK = 2_000_000  # weights held at a time: 16 MB
_LEAST_DEFINED = 0.95  # share of resamples that must have a denominator


def number_clusters(names: Sequence[str | None]) -> tuple[IdArray, int]:
    """For each case the number of its cluster, and how many there are; a case without a name is its own cluster.

    Numbers follow the order of the names, not of the cases.
    """
    order = {name: number for number, name in enumerate(sorted({name for name in names if name is not None}))}
    following = len(order)
    numbers = np.empty(len(names), dtype=np.int64)
    for place, name in enumerate(names):
        if name is None:
            numbers[place] = following
            following += 1
        else:
            numbers[place] = order[name]
    return numbers, following


def sum_by_cluster(values: Float64Array, clusters: IdArray, n_clusters: int) -> Float64Array:
    """f64[n, K] by case to f64[C, K] by cluster."""
    sums = np.zeros((n_clusters, values.shape[1]))
    np.add.at(sums, clusters, values)
    return sums


def bootstrap(sums: Float64Array, *, n_resamples: int, seed: int) -> Float64Array:
    """Sums over clusters drawn with replacement (Efron 1979): f64[C, K] to f64[B, K]."""
    n_clusters = len(sums)
    rng = np.random.default_rng([seed, 1])
    resampled = np.empty((n_resamples, sums.shape[1]))
    step = max(1, _BLOCK // max(1, n_clusters))
    for start in range(0, n_resamples, step):
        n = min(step, n_resamples - start)
        drawn = rng.integers(0, n_clusters, size=(n, n_clusters))
        drawn += np.arange(n)[:, None] * n_clusters
        weights = np.bincount(drawn.ravel(), minlength=n * n_clusters).reshape(n, n_clusters)
        resampled[start : start + n] = weights.astype(np.float64) @ sums
    return resampled


def randomize(first: Float64Array, second: Float64Array, *, n_resamples: int, seed: int) -> tuple[Float64Array, ...]:
    """Sums of two systems after each cluster's answers changed hands with probability ½: f64[C, K] each to f64[B, K].

    Under the hypothesis that the systems do not differ nobody could tell (Fisher 1935; Noreen 1989).
    """
    half = (second - first) / 2  # (C, K)
    middle = (second + first).sum(axis=0) / 2  # (K,)
    rng = np.random.default_rng([seed, 2])
    moved = np.empty((n_resamples, half.shape[1]))
    step = max(1, _BLOCK // max(1, len(half)))
    for start in range(0, n_resamples, step):
        n = min(step, n_resamples - start)
        signs = 2.0 * rng.integers(0, 2, size=(n, len(half))) - 1.0
        moved[start : start + n] = signs @ half
    return middle - moved, middle + moved


def ratios(numerators: Float64Array, denominators: Float64Array) -> Float64Array:
    """Numerator ÷ denominator; NaN where nothing counts."""
    defined = denominators > 0
    return np.where(defined, numerators / np.where(defined, denominators, 1.0), np.nan)


def percentile_interval(value: float, resamples: Float64Array) -> Interval | None:
    """The middle 95 % of f64[B]; None where too many resamples are NaN."""
    defined = resamples[~np.isnan(resamples)]
    if len(defined) < max(2, _LEAST_DEFINED * len(resamples)):
        return None
    low, high = np.quantile(defined, [ALPHA / 2, 1 - ALPHA / 2])
    return Interval(value=value, low=float(low), high=float(high))


def randomization_p(difference: float, randomized: Float64Array) -> float:
    """Two-sided p-value of a difference among f64[B] randomized ones, itself counted (Davison and Hinkley 1997, 4.11).

    One that has no value counts as large.
    """
    as_large = ~(np.abs(randomized) < abs(difference) - 1e-12)
    return (1 + int(as_large.sum())) / (1 + len(randomized))
