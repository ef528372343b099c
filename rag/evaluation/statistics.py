"""Tests and intervals in closed form: McNemar, Holm, equivalence, least effect, Wilson, Rogan–Gladen.

scipy (BSD-3-Clause) does what it has; it is imported where it is used.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]

ALPHA = 0.05  # two-sided; intervals hold 1 - ALPHA
POWER = 0.8  # of the minimum detectable effect: Cohen's convention


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value that both are right equally often; the counts are those where one alone is right.

    The binomial test of McNemar (1947) on the discordant pairs; 1 where there are none.
    """
    if only_first + only_second == 0:
        return 1.0
    from scipy.stats import binomtest  # type: ignore[import-untyped]

    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """P-values corrected for their number (Holm 1979), in the order given; None is no test and does not count."""
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(order):
        highest = min(1.0, max(highest, (len(order) - rank) * p))
        corrected[place] = highest
    return tuple(corrected)


def equivalence(differences: Float64Array, *, margin: float, n: int) -> float | None:
    """P-value that a difference lies outside ±`margin`: the larger of two one-sided tests (Schuirmann 1987).

    Args:
        differences: f64[B], bootstrap resamples of the difference.
        margin: above 0, in the units of the figure.
        n: cases behind it. Where none of them differs no resample does; a share `margin` of cases that differ stays
            unseen in `n` cases with probability (1 - margin)^n, and the p-value is never lower than that.

    Returns:
        None where there are no resamples.
    """
    if len(differences) == 0:
        return None
    below = (1 + int(np.sum(differences <= -margin))) / (1 + len(differences))
    above = (1 + int(np.sum(differences >= margin))) / (1 + len(differences))
    return min(1.0, max(below, above, (1 - min(margin, 1.0)) ** n))


def minimum_detectable_effect(standard_error: float) -> float | None:
    """The least true difference that a test at 5 % finds with power 80 %: (z₀.₉₇₅ + z₀.₈) · standard error.

    Normal approximation (Bloom 1995). None where the standard error is 0: nothing differed, so nothing is known of it.
    """
    if standard_error <= 0:
        return None
    from scipy.stats import norm  # type: ignore[import-untyped]

    return float((norm.ppf(1 - ALPHA / 2) + norm.ppf(POWER)) * standard_error)


def wilson(numerator: float, denominator: float) -> Interval | None:
    """A share and its Wilson score interval (1927); None without a denominator. The counts may be effective ones."""
    if denominator <= 0:
        return None
    z = _z()
    share = numerator / denominator
    spread = z * math.sqrt(share * (1 - share) / denominator + z * z / (4 * denominator**2))
    centre, scale = share + z * z / (2 * denominator), 1 + z * z / denominator
    return Interval(value=share, low=max(0.0, (centre - spread) / scale), high=min(1.0, (centre + spread) / scale))


def balanced_accuracy(caught: int, passed_over: int, cleared: int, accused: int) -> Interval | None:
    """Mean of sensitivity and specificity, with its interval; None where one class has no labels.

    The interval joins the two Wilson intervals by square-and-add (Newcombe 1998; MOVER).
    """
    sensitivity, specificity = wilson(caught, caught + passed_over), wilson(cleared, cleared + accused)
    if sensitivity is None or specificity is None:
        return None
    below = math.hypot(sensitivity.value - sensitivity.low, specificity.value - specificity.low) / 2
    above = math.hypot(sensitivity.high - sensitivity.value, specificity.high - specificity.value) / 2
    value = (sensitivity.value + specificity.value) / 2
    return Interval(value=value, low=max(0.0, value - below), high=min(1.0, value + above))


def rogan_gladen(
    rate: float, n: float, *, caught: int, passed_over: int, cleared: int, accused: int
) -> Interval | None:
    """A rate as a judge sees it, corrected for the judge's errors, clipped to 0..1.

    (rate + specificity - 1) / (sensitivity + specificity - 1) (Rogan and Gladen 1978), with the interval of Lang and
    Reiczigel (2014), which counts that sensitivity and specificity are estimates, too.

    Args:
        rate: share of what was judged that the judge calls positive.
        n: how many were judged; for clustered data the effective number.
        caught: true positives of the judge's trial.
        passed_over: false negatives.
        cleared: true negatives.
        accused: false positives.

    Returns:
        None where a class has no labels, nothing was judged, or the judge is no better than chance.
    """
    n_positive, n_negative = caught + passed_over, cleared + accused
    if min(n_positive, n_negative) == 0 or n <= 0:
        return None
    sensitivity, specificity = caught / n_positive, cleared / n_negative
    if sensitivity + specificity <= 1:
        return None
    value = (rate + specificity - 1) / (sensitivity + specificity - 1)
    z2 = _z() ** 2
    seen = (n * rate + z2 / 2) / (n + z2)  # Agresti–Coull
    sensitivity, specificity = (caught + 1) / (n_positive + 2), (cleared + 1) / (n_negative + 2)
    youden = sensitivity + specificity - 1
    middle = (seen + specificity - 1) / youden
    of_sensitivity = sensitivity * (1 - sensitivity) / (n_positive + 2)
    of_specificity = specificity * (1 - specificity) / (n_negative + 2)
    shift = 2 * z2 * (middle * of_sensitivity - (1 - middle) * of_specificity)
    variance = seen * (1 - seen) / (n + z2) + (1 - middle) ** 2 * of_specificity + middle**2 * of_sensitivity
    half = math.sqrt(z2 * variance) / youden
    return Interval(value=_clip(value), low=_clip(middle + shift - half), high=_clip(middle + shift + half))


def effective_n(rate: float, standard_error: float, n: int) -> float:
    """How many independent observations would give `standard_error`; `n` where that cannot be told."""
    variance = standard_error**2
    return rate * (1 - rate) / variance if variance > 0 and 0 < rate < 1 else float(n)


def unseen_bound(n: int) -> float:
    """Most that a share can be, at 97.5 %, where none of `n` has it (the rule of three, exactly); 1 where n is 0."""
    return 1.0 if n <= 0 else float(1 - (ALPHA / 2) ** (1 / n))


def _z() -> float:
    from scipy.stats import norm  # type: ignore[import-untyped]

    return float(norm.ppf(1 - ALPHA / 2))


def _clip(share: float) -> float:
    return min(1.0, max(0.0, share))
