import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.evaluation.statistics import (
    balanced_accuracy,
    effective_n,
    equivalence,
    holm,
    mcnemar,
    minimum_detectable_effect,
    rogan_gladen,
    unseen_bound,
    wilson,
)

# A machine that is busy with other things is no reason to fail.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_mcnemar_by_hand() -> None:
    # 1 of 5 discordant pairs: two-sided 2 · (C(5,0) + C(5,1)) / 2^5
    assert mcnemar(1, 4) == pytest.approx(2 * (1 + 5) / 32)
    assert mcnemar(8, 8) == 1.0
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(4, 1) == mcnemar(1, 4)


@pytest.mark.parametrize(("first", "second", "p"), [(7, 22, 0.008130058646202087), (3, 9, 0.14599609375)])
def test_mcnemar_agrees_with_statsmodels_0_15(first: int, second: int, p: float) -> None:
    assert mcnemar(first, second) == pytest.approx(p, rel=1e-12)


def test_holm_agrees_with_statsmodels_0_15_and_leaves_out_what_was_not_tested() -> None:
    assert holm([0.01, 0.04, None, 0.03, 0.005, 0.5]) == pytest.approx((0.04, 0.09, None, 0.09, 0.025, 0.5))
    assert holm([]) == ()
    assert holm([None]) == (None,)


@settings(UNHURRIED)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_keeps_the_order_and_never_lowers(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(c is not None and p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))
    ordered = [c for _, c in sorted(zip(p_values, corrected, strict=True))]
    assert ordered == sorted(ordered)
    assert min(corrected) == min(1.0, min(p_values) * len(p_values))


@pytest.mark.parametrize(
    ("numerator", "denominator", "low", "high"),
    [(29, 150, 0.13811889170191843, 0.2638628581771686), (0, 20, 0.0, 0.1611251580528194)],
)
def test_wilson_agrees_with_statsmodels_0_15(numerator: int, denominator: int, low: float, high: float) -> None:
    interval = wilson(numerator, denominator)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12)
    assert wilson(0, 0) is None


def test_equivalence_is_the_larger_of_two_one_sided_tests() -> None:
    resamples = np.asarray([-0.06, -0.04, -0.02, 0.0, 0.0, 0.01, 0.02, 0.03, 0.04])
    # one of nine at or below -0.05, none at or above: (1 + 1) / 10, and 0.95^1000 is far below
    assert equivalence(resamples, margin=0.05, n=1000) == pytest.approx(0.2)
    assert equivalence(np.asarray([]), margin=0.05, n=1000) is None


def test_few_equal_answers_are_no_proof_of_equivalence() -> None:
    never = np.zeros(10_000)
    assert equivalence(never, margin=0.05, n=10) == pytest.approx(0.95**10)
    few, many = (equivalence(never, margin=0.05, n=n) for n in (58, 59))
    assert few is not None and many is not None
    assert few > 0.05 > many  # the rule of three: 3 / 0.05 = 60 cases


def test_equivalence_agrees_with_a_paired_t_test_where_that_holds() -> None:
    rng = np.random.default_rng(5)
    first = rng.integers(0, 2, 400).astype(float)
    second = np.where(rng.random(400) < 0.05, 1 - first, first)
    difference = second - first
    drawn = difference[rng.integers(0, 400, size=(10_000, 400))].mean(axis=1)
    assert equivalence(drawn, margin=0.02, n=400) == pytest.approx(_ttost(difference, 0.02), abs=0.02)


def _ttost(difference: np.ndarray, margin: float) -> float:
    from scipy.stats import ttest_1samp

    above = ttest_1samp(difference, -margin, alternative="greater").pvalue
    below = ttest_1samp(difference, margin, alternative="less").pvalue
    return float(max(above, below))


def test_minimum_detectable_effect_by_hand() -> None:
    assert minimum_detectable_effect(0.1) == pytest.approx((1.959963985 + 0.841621234) * 0.1)
    assert minimum_detectable_effect(0.0) is None


def test_balanced_accuracy_has_an_interval_and_needs_both_classes() -> None:
    found = balanced_accuracy(80, 20, 60, 40)
    assert found is not None
    assert found.value == pytest.approx(0.7)
    sensitivity, specificity = wilson(80, 100), wilson(60, 100)
    assert sensitivity is not None and specificity is not None
    assert found.low == pytest.approx(0.7 - math.sqrt((0.8 - sensitivity.low) ** 2 + (0.6 - specificity.low) ** 2) / 2)
    assert balanced_accuracy(0, 0, 5, 5) is None


def test_rogan_gladen_by_hand() -> None:
    found = rogan_gladen(0.4, 1000, caught=80, passed_over=20, cleared=90, accused=10)
    assert found is not None
    assert found.value == pytest.approx((0.4 + 0.9 - 1) / (0.8 + 0.9 - 1))
    assert found.low < found.value < found.high
    perfect = rogan_gladen(0.4, 1000, caught=10_000, passed_over=0, cleared=10_000, accused=0)
    simple = wilson(400, 1000)
    assert perfect is not None and simple is not None
    assert (perfect.value, perfect.low, perfect.high) == pytest.approx((0.4, simple.low, simple.high), abs=0.002)


def test_rogan_gladen_has_no_value_for_a_judge_of_chance() -> None:
    assert rogan_gladen(0.4, 100, caught=50, passed_over=50, cleared=50, accused=50) is None
    assert rogan_gladen(0.4, 100, caught=0, passed_over=0, cleared=50, accused=50) is None
    assert rogan_gladen(0.4, 0, caught=9, passed_over=1, cleared=9, accused=1) is None


@pytest.mark.parametrize(("prevalence", "sensitivity", "specificity"), [(0.3, 0.7, 0.8), (0.05, 0.8, 0.8)])
def test_rogan_gladen_covers_the_truth_as_often_as_it_says(
    prevalence: float, sensitivity: float, specificity: float
) -> None:
    rng = np.random.default_rng(0)
    seen = prevalence * sensitivity + (1 - prevalence) * (1 - specificity)
    held = 0
    for _ in range(400):
        caught, cleared = int(rng.binomial(100, sensitivity)), int(rng.binomial(100, specificity))
        found = rogan_gladen(
            rng.binomial(300, seen) / 300,
            300,
            caught=caught,
            passed_over=100 - caught,
            cleared=cleared,
            accused=100 - cleared,
        )
        held += found is not None and found.low <= prevalence <= found.high
    assert 0.92 <= held / 400 <= 0.99


def test_clustered_observations_are_worth_fewer() -> None:
    assert effective_n(0.5, math.sqrt(0.25 / 40), 100) == pytest.approx(40)
    assert effective_n(0.5, 0.0, 100) == 100
    assert effective_n(0.0, 0.1, 100) == 100


def test_what_was_never_seen_may_still_be_there() -> None:
    assert unseen_bound(100) == pytest.approx(1 - 0.025 ** (1 / 100))
    assert unseen_bound(0) == 1.0
