import numpy as np
import pytest

from rag.verify.signals import FEATURES, log_odds
from rag.verify.types import VerifierInfo
from rag.verify.weighing import LONG_WORDS, SHORT_WORDS, Parameters, Weighing, share_long, support_scores

PARAMETERS = Parameters(
    info=VerifierInfo(name="test", version="1", threshold=0.5),
    short=Weighing(weights={"support": 1.0}, bias=0.0),
    asked=Weighing(weights={"found_other": 1.0}, bias=2.0),
    words=Weighing(weights={"own_words": 4.0}, bias=0.0),
    model=Weighing(weights={"support": 1.0}, bias=0.0),
    slope=2.0,
    intercept=1.0,
    contradiction=Weighing(weights={}, bias=0.0),
)


def signals(**values: float) -> np.ndarray:
    return np.array([[values.get(name, 0.0) for name in FEATURES]])


def test_a_short_claim_is_weighed_by_its_own_function() -> None:
    values = signals(support=2.0, own_words=0.0, length=np.log1p(SHORT_WORDS))
    assert support_scores(PARAMETERS, values, [False])[0] == pytest.approx(1 / (1 + np.exp(-2.0)))


def test_an_answer_is_weighed_by_what_the_evidence_answers() -> None:
    values = signals(asked=1.0, support=2.0, found_other=-6.0, length=np.log1p(SHORT_WORDS))
    assert support_scores(PARAMETERS, values, [False])[0] == pytest.approx(1 / (1 + np.exp(4.0)))
    both = np.concatenate((values, signals(support=2.0)))
    assert support_scores(PARAMETERS, both, [False, False]) == pytest.approx(
        [1 / (1 + np.exp(4)), 1 / (1 + np.exp(-2))]
    )


def test_a_long_claim_must_pass_words_and_model() -> None:
    def score(support: float, own_words: float) -> float:
        values = signals(support=support, own_words=own_words, length=np.log1p(LONG_WORDS))
        return float(support_scores(PARAMETERS, values, [False])[0])

    by_hand = 2.0 * (np.log(1 / (1 + np.exp(-4.0))) + 0.5 * np.log(1 / (1 + np.exp(-3.0)))) + 1.0
    assert score(3.0, 1.0) == pytest.approx(1 / (1 + np.exp(-by_hand)))
    assert score(3.0, 0.0) < score(3.0, 1.0)
    assert score(-3.0, 1.0) < score(3.0, 1.0)


def test_between_short_and_long_the_two_are_mixed() -> None:
    lengths = np.array([[np.log1p(n) if name == "length" else 0.0 for name in FEATURES] for n in (1, 6, 9, 12, 50)])
    assert share_long(lengths) == pytest.approx([0, 0, 0.5, 1, 1])


def test_a_missing_number_rules_supported_out() -> None:
    values = signals(support=20.0)
    assert support_scores(PARAMETERS, values, [True])[0] == pytest.approx(0.45)


def test_log_odds_by_hand() -> None:
    logits = np.log(np.array([[0.5, 0.3, 0.2]], dtype=np.float32))
    assert log_odds(logits, 0) == pytest.approx([0.0], abs=1e-6)
    assert log_odds(logits, 1) == pytest.approx([np.log(0.3 / 0.7)])
    assert log_odds(np.array([[900.0, -900.0, 0.0]], dtype=np.float32), 0) == pytest.approx([20.0])
