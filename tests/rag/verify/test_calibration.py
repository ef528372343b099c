import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from rag.errors import InvalidInputError
from rag.verify.calibration import (
    area_under_roc,
    balanced_accuracy,
    best_threshold,
    brier,
    expected_calibration_error,
    f1,
    fit_logistic,
    reliability,
    sigmoid,
)

SCORES = np.array([0.1, 0.4, 0.35, 0.8])
LABELS = np.array([0.0, 0.0, 1.0, 1.0])


def test_measures_by_hand() -> None:
    assert area_under_roc(SCORES, LABELS) == 0.75  # of four pairs one is the wrong way round
    assert brier(SCORES, LABELS) == pytest.approx((0.01 + 0.16 + 0.4225 + 0.04) / 4)
    assert balanced_accuracy(SCORES >= 0.35, LABELS) == 0.75
    assert best_threshold(SCORES, LABELS) == 0.35
    assert f1(SCORES >= 0.35, LABELS) == pytest.approx(0.8)
    assert expected_calibration_error(np.array([0.05, 0.95, 0.95]), np.array([0.0, 1.0, 0.0])) == pytest.approx(
        (0.05 + 2 * 0.45) / 3
    )


def test_equal_scores_count_half() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 5, 200) / 5, rng.integers(0, 2, 200).astype(float)
    assert area_under_roc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))


def test_a_score_of_one_has_a_bin() -> None:
    (row,) = reliability(np.array([1.0]), np.array([1.0]))
    assert (row.mean_score, row.share_right, row.n) == (1.0, 1.0, 1)


def test_the_logistic_fit_finds_what_made_the_labels() -> None:
    rng = np.random.default_rng(1)
    signals = rng.normal(size=(4_000, 2))
    labels = (rng.random(4_000) < sigmoid(2 * signals[:, 0] - 0.5)).astype(float)
    found = fit_logistic(signals, labels, [0, 0], penalty=0.1)
    assert found.weights == pytest.approx([2.0, 0.0], abs=0.15)
    assert found.bias == pytest.approx(-0.5, abs=0.15)


def test_a_weight_stays_on_its_side() -> None:
    rng = np.random.default_rng(2)
    signals = rng.normal(size=(500, 1))
    labels = (rng.random(500) < sigmoid(signals[:, 0])).astype(float)
    assert fit_logistic(signals, labels, [-1]).weights == pytest.approx([0.0])


def test_one_outcome_alone_cannot_be_fitted() -> None:
    with pytest.raises(InvalidInputError, match="Both outcomes"):
        fit_logistic(np.zeros((3, 1)), np.ones(3), [0])


def test_no_overflow() -> None:
    assert sigmoid(np.array([-1e4, 1e4])).tolist() == [0.0, 1.0]
    assert not math.isnan(brier(sigmoid(np.array([-1e4])), np.array([0.0])))
