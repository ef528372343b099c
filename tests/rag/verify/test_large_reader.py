"""What is read again, and what becomes of it."""

from collections.abc import Sequence

import numpy as np
import pytest

from llm.types import Cancel
from rag.types import FloatArray
from rag.verify.large_reader import (
    LargeParameters,
    LargeReader,
    Mix,
    found_log_odds,
    is_doubted,
    mixed,
    standing,
    unsure,
)
from rag.verify.readings import Reading, read_claims
from rag.verify.signals import FEATURES, LEXICAL_FEATURES
from rag.verify.types import StatedClaim, VerifierInfo
from rag.verify.weighing import LONG_WORDS
from rag.verify.windows import WordCounts

BRIDGE = "The bridge was opened in 1883. Cats sleep all day."
INFO = VerifierInfo(name="large", version="1", threshold=0.4)
PARAMETERS = LargeParameters(
    info=INFO,
    short=Mix(first=0.0, again=1.0, bias=0.0),
    asked=Mix(first=0.0, again=0.0, bias=3.0),
    long=Mix(first=1.0, again=0.0, bias=0.0),
)


class Model:
    """Says that what holds the year is supported, and the rest is not; keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, str]] = []

    def logits(self, pairs: Sequence[tuple[str, str]], *, cancel: Cancel | None = None) -> FloatArray:
        self.shown += pairs
        return np.array([[4.0 if "1883" in text else -4.0, 0.0, 0.0] for text, _ in pairs], dtype=np.float32)


def readings(*claims: str, evidence: str = BRIDGE) -> list[Reading]:
    stated = [StatedClaim(text=text, start=0, end=len(text)) for text in claims]
    return read_claims(stated, [evidence], WordCounts())


def values(found: Sequence[Reading]) -> np.ndarray:
    rest = np.zeros(len(FEATURES) - len(LEXICAL_FEATURES))
    return np.array([np.concatenate((reading.lexical.values, rest)) for reading in found], dtype=np.float64)


def test_only_what_is_unsure_and_not_ruled_out_is_read_again() -> None:
    scores = np.array([0.004, 0.5, 0.996, 0.5])
    assert unsure(scores, np.arange(len(scores)) == 3).tolist() == [False, True, False, False]


def test_where_the_evidence_gives_another_answer_the_large_encoder_must_be_sure() -> None:
    scores = np.array([0.3, 0.3, 0.5, 0.3])
    values = np.zeros((len(scores), len(FEATURES)))
    values[:3, FEATURES.index("found_gap")] = -4.0
    values[3, FEATURES.index("found_gap")] = -2.0
    doubted = is_doubted(scores, values, 0.4)
    assert doubted.tolist() == [True, True, False, False]
    again = np.array([0.4, 0.7, 0.4, 0.4])  # log-odds: .60 and .67, on either side of SURE
    found = np.column_stack((np.zeros(4), again))
    stand = standing(PARAMETERS, found, values, scores, doubted)
    believed = 1 / (1 + np.exp(-again))
    assert stand.tolist() == pytest.approx([0.3, believed[1], believed[2], believed[3]])


def test_a_digest_is_shown_and_the_mix_stands() -> None:
    found = readings("The bridge was opened in 1883.", "Cats sleep all day.")
    model = Model()
    scores = LargeReader(model, PARAMETERS, 0.4).scores(found, values(found), np.array([0.5, 0.995]))
    assert model.shown == [(BRIDGE, found[0].wording.text)]
    assert scores[0] == pytest.approx(1 / (1 + np.exp(-4.0) * 2))
    assert scores[1] == 0.995


def test_nothing_is_read_where_the_verifier_is_sure() -> None:
    found = readings("Cats sleep all day.")
    model = Model()
    assert LargeReader(model, PARAMETERS, 0.4).scores(found, values(found), np.array([0.995])).tolist() == [0.995]
    assert model.shown == []


def test_what_a_comparison_rules_out_stays_below_the_new_threshold() -> None:
    found = readings("The bridge was opened in 1884.")
    assert found[0].lexical.vetoed
    model = Model()
    (score,) = LargeReader(model, PARAMETERS, 0.4).scores(found, values(found), np.array([0.9]))
    assert score == pytest.approx(0.9 * INFO.threshold)
    assert model.shown == []


def test_answers_and_long_claims_have_mixes_of_their_own() -> None:
    def row(**named: float) -> np.ndarray:
        return np.array([[named.get(name, 0.0) for name in FEATURES]])

    found = np.array([[1.0, 2.0]])
    long = np.log1p(LONG_WORDS)
    for signals, log_odds in ((row(), 2.0), (row(asked=1.0), 3.0), (row(length=long), 1.0)):
        assert mixed(PARAMETERS, found, signals)[0] == pytest.approx(1 / (1 + np.exp(-log_odds)))


def test_log_odds_are_finite_for_any_score() -> None:
    logits = np.array([[30.0, -30.0, -30.0]] * 2, dtype=np.float32)
    found = found_log_odds(np.array([0.0, 1.0]), logits)
    assert found.shape == (2, 2)
    assert np.isfinite(found).all()
