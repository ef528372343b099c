"""From signals to a probability, and how good a probability is: logistic fit, ECE, Brier score, thresholds.

scipy is imported when something is fitted; the measures need numpy alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rag.errors import InvalidInputError

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Logistic:
    """log-odds = weights @ signals + bias."""

    weights: Array  # (n_features,)
    bias: float

    def log_odds(self, signals: Array) -> Array:
        """(n,) from (n, n_features)."""
        return signals @ self.weights + self.bias


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """One bin of a reliability plot."""

    mean_score: float
    share_right: float
    n: int


def fit_logistic(
    signals: Array, labels: Array, signs: Sequence[int], *, weights: Array | None = None, penalty: float = 1.0
) -> Logistic:
    """Logistic regression with an L2 penalty on standardized signals, each weight kept to a side of 0.

    A sign that is known beforehand (a missing number never speaks for a claim) keeps the fit from turning it round on
    evidence of another kind.

    Args:
        signals: (n, n_features).
        labels: (n,) of 0 and 1.
        signs: for each feature 1 (weight at least 0), -1 (at most 0), 0 (either).
        weights: (n,), of the examples; 1 each without.
        penalty: half the L2 penalty of a standardized weight, over the sum of the examples' weights n.

    Raises:
        InvalidInputError: one label is missing.
    """
    from scipy.optimize import minimize  # type: ignore[import-untyped]

    if not 0 < labels.mean() < 1:
        raise InvalidInputError("Both outcomes must be among the examples.")
    mean, spread = signals.mean(axis=0), signals.std(axis=0)
    spread[spread < 1e-6] = 1.0
    standard = (signals - mean) / spread
    share = np.ones(len(labels)) if weights is None else weights

    def loss(parameters: Array) -> tuple[float, Array]:
        log_odds = standard @ parameters[:-1] + parameters[-1]
        value = share @ (np.logaddexp(0.0, log_odds) - labels * log_odds)
        error = share * (sigmoid(log_odds) - labels)
        gradient = np.append(standard.T @ error + 2 * penalty * parameters[:-1], error.sum())
        return float(value + penalty * (parameters[:-1] @ parameters[:-1])), gradient

    bounds = [(0, None) if sign > 0 else (None, 0) if sign < 0 else (None, None) for sign in signs]
    found = minimize(
        loss, np.zeros(signals.shape[1] + 1), jac=True, method="L-BFGS-B", bounds=[*bounds, (None, None)]
    ).x
    plain = found[:-1] / spread
    return Logistic(weights=plain, bias=float(found[-1] - plain @ mean))


def sigmoid(log_odds: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -log_odds)), dtype=np.float64)


def brier(scores: Array, labels: Array) -> float:
    """Mean squared difference of probability and outcome (Brier 1950); lower is better, the base rate has p(1 - p)."""
    return float(((scores - labels) ** 2).mean())


def reliability(scores: Array, labels: Array, n_bins: int = 10) -> tuple[Reliability, ...]:
    """The bins of equal width that hold anything, from low scores to high ones."""
    bins = np.minimum((scores * n_bins).astype(int), n_bins - 1)
    return tuple(
        Reliability(
            mean_score=float(scores[bins == index].mean()),
            share_right=float(labels[bins == index].mean()),
            n=int((bins == index).sum()),
        )
        for index in range(n_bins)
        if (bins == index).any()
    )


def expected_calibration_error(scores: Array, labels: Array, n_bins: int = 10) -> float:
    """Mean |score - share right| over bins of equal width, weighted by their size (Naeini et al., AAAI 2015)."""
    rows = reliability(scores, labels, n_bins)
    return sum(row.n * abs(row.mean_score - row.share_right) for row in rows) / len(scores)


def balanced_accuracy(said: Flags, labels: Array) -> float:
    """Mean of the shares of positives and of negatives that were told right."""
    positive = labels == 1
    return float((said[positive].mean() + (~said[~positive]).mean()) / 2)


def area_under_roc(scores: Array, labels: Array) -> float:
    """The chance that a positive scores higher than a negative, equal scores counting half (Mann–Whitney U)."""
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.bincount(inverse, weights=ranks, minlength=len(values)) / counts)[inverse]
    n_positive = float(labels.sum())
    n_negative = len(labels) - n_positive
    return float((ranks[labels == 1].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def best_threshold(scores: Array, labels: Array, measure: Callable[[Flags, Array], float] = balanced_accuracy) -> float:
    """The threshold (least score that counts as positive) with the best measure; of equals the lowest."""
    candidates = np.unique(scores)
    if len(candidates) > 500:
        candidates = np.unique(np.quantile(scores, np.linspace(0, 1, 501)))
    return float(max(candidates, key=lambda at: (measure(scores >= at, labels), -at)))


def f1(said: Flags, labels: Array) -> float:
    """Harmonic mean of precision and recall of the positives; 0 where nothing is found."""
    right = float((said & (labels == 1)).sum())
    return 2 * right / (float(said.sum()) + float(labels.sum())) if right else 0.0
