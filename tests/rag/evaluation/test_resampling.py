import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.evaluation.resampling import (
    bootstrap,
    number_clusters,
    percentile_interval,
    randomization_p,
    randomize,
    ratios,
    sum_by_cluster,
)

# A machine that is busy with other things is no reason to fail.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_cases_of_one_document_are_one_cluster_whatever_their_order() -> None:
    numbers, n = number_clusters(["b", None, "a", "b", None])
    assert (numbers.tolist(), n) == ([1, 2, 0, 1, 3], 4)
    sums = sum_by_cluster(np.asarray([[1.0], [2.0], [4.0], [8.0], [16.0]]), numbers, n)
    assert sums.tolist() == [[4.0], [9.0], [2.0], [16.0]]


def test_every_draw_has_as_many_clusters_as_there_are() -> None:
    sums = np.asarray([[1.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
    drawn = bootstrap(sums, n_resamples=500, seed=3)
    assert drawn.shape == (500, 2)
    assert (drawn[:, 1] == 3).all()
    assert set(drawn[:, 0]) == {0.0, 1.0, 2.0, 3.0}
    assert (drawn == bootstrap(sums, n_resamples=500, seed=3)).all()
    assert (drawn != bootstrap(sums, n_resamples=500, seed=4)).any()


def test_the_bootstrap_of_a_mean_agrees_with_scipy() -> None:
    from scipy.stats import bootstrap as reference

    values = np.random.default_rng(1).normal(size=60)
    drawn = bootstrap(np.stack([values, np.ones(60)], axis=1), n_resamples=10_000, seed=1)
    own = percentile_interval(float(values.mean()), ratios(drawn[:, 0], drawn[:, 1]))
    theirs = reference((values,), np.mean, n_resamples=10_000, method="percentile", rng=2).confidence_interval
    assert own is not None
    assert (own.low, own.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_whole_clusters_make_wider_intervals_than_their_cases() -> None:
    values = np.repeat([[0.0, 1.0], [1.0, 1.0]], 50, axis=0)  # two documents, all cases of one alike
    clustered = bootstrap(sum_by_cluster(values, np.repeat([0, 1], 50), 2), n_resamples=2000, seed=0)
    alone = bootstrap(values, n_resamples=2000, seed=0)
    widths = []
    for drawn in (clustered, alone):
        interval = percentile_interval(0.5, ratios(drawn[:, 0], drawn[:, 1]))
        assert interval is not None
        widths.append(interval.high - interval.low)
    assert widths[0] == pytest.approx(1.0)
    assert widths[1] < 0.3


def test_randomization_agrees_with_scipys_paired_permutation_test() -> None:
    from scipy.stats import permutation_test

    rng = np.random.default_rng(3)
    first, second = rng.normal(size=25), rng.normal(0.4, size=25)
    columns = [np.stack([values, np.ones(25)], axis=1) for values in (first, second)]
    moved, other = randomize(columns[0], columns[1], n_resamples=20_000, seed=1)
    differences = ratios(other[:, 0], other[:, 1]) - ratios(moved[:, 0], moved[:, 1])
    theirs = permutation_test(
        (first, second),
        lambda x, y, axis: y.mean(axis=axis) - x.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        rng=5,
    )
    assert randomization_p(float(second.mean() - first.mean()), differences) == pytest.approx(theirs.pvalue, abs=0.01)


def test_three_discordant_pairs_by_hand() -> None:
    # Three clusters in which the second is better by 1: all signs alike in 2 of 8 exchanges, so p is about 1/4.
    first, second = np.asarray([[0.0, 1.0]] * 3), np.asarray([[1.0, 1.0]] * 3)
    moved, other = randomize(first, second, n_resamples=20_000, seed=0)
    differences = ratios(other[:, 0], other[:, 1]) - ratios(moved[:, 0], moved[:, 1])
    assert randomization_p(1.0, differences) == pytest.approx(0.25, abs=0.01)


def test_what_has_no_denominator_has_no_value() -> None:
    found = ratios(np.asarray([1.0, 0.0]), np.asarray([2.0, 0.0]))
    assert found[0] == 0.5
    assert np.isnan(found[1])
    assert percentile_interval(0.5, np.asarray([0.5] * 90 + [np.nan] * 10)) is None
    assert randomization_p(0.5, np.asarray([np.nan, 0.0, 0.0])) == 0.5  # what has no value counts as large


@settings(UNHURRIED)
@given(
    counts=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=20),
    seed=st.integers(0, 1000),
)
def test_resampled_shares_stay_shares(counts: list[tuple[int, int]], seed: int) -> None:
    sums = np.asarray([[float(min(pair)), float(max(pair))] for pair in counts])
    drawn = bootstrap(sums, n_resamples=50, seed=seed)
    values = ratios(drawn[:, 0], drawn[:, 1])
    defined = values[~np.isnan(values)]
    assert ((defined >= 0) & (defined <= 1)).all()
