import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.attribution import Attributed
from rag.citations import DraftSentence, Finding, Verdict
from rag.confidence import ConfidenceModel, Signals, Weight, load_confidence, log_odds, signals_of
from rag.errors import InvalidInputError
from rag.verify.types import StatedClaim


def test_log_odds_by_hand() -> None:
    assert log_odds(0.5) == 0
    assert log_odds(0.8) == pytest.approx(math.log(4))
    assert log_odds(0.0) == pytest.approx(math.log(1e-6), abs=1e-5)
    assert log_odds(1.0) == pytest.approx(-math.log(1e-6), abs=1e-5)


def test_an_estimate_by_hand_and_missing_signals_count_nothing() -> None:
    weights = {
        "judge": Weight(weight=2.0, centre=math.log(4), scale=1.0),
        "n_words": Weight(weight=-1.0, centre=0.0, scale=math.log(2)),
    }
    model = ConfidenceModel(version="t", bias=math.log(3), weights=weights, thresholds={})
    assert model.estimate(Signals()) == 0.75
    assert model.estimate(Signals(judge=0.8)) == 0.75
    assert model.estimate(Signals(n_words=1.0)) == pytest.approx(3 / (3 + math.e), abs=1e-6)
    assert model.estimate(Signals(judge=0.5)) == pytest.approx(3 / (3 + 16), abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.floats(0, 1), st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1e6))
def test_shipped_parameters_give_a_probability(score: float, dense: float, probability: float, words: float) -> None:
    signals = Signals(
        attribution=score, judge=score, dense_top=dense, dense_margin=0.0, token_probability=probability, n_words=words
    )
    assert 0 <= load_confidence().estimate(signals) <= 1


def test_thresholds_hold_only_for_measured_risks(tmp_path) -> None:
    path = tmp_path / "confidence.json"
    raw = {"version": "1", "fitted_on": "here", "bias": 0.5, "weights": {}, "thresholds": {"0.1": 0.7}}
    path.write_text(json.dumps(raw))
    model = load_confidence(path)
    assert (model.threshold(0.1), model.fitted_on) == (0.7, "here")
    with pytest.raises(InvalidInputError, match=r"risk 0\.2; measured are: 0\.1"):
        model.threshold(0.2)


def test_signals_are_those_of_the_weakest_sentence() -> None:
    def finding(score: float, judged: float | None) -> Finding:
        claim = StatedClaim(text="It is.", start=0, end=6)
        return Finding(
            sentence=DraftSentence(lead="", text="It is.", written=()),
            attributed=Attributed(quotes=(), score=score),
            verdict=None if judged is None else Verdict(label="supported", score=judged, claim=claim),
        )

    signals = signals_of(
        [finding(0.9, 0.8), finding(0.7, None), finding(0.8, 0.6)],
        (),
        token_probability=0.5,
        abstention_probability=0.25,
        text="a b",
    )
    assert signals.values()["abstention"] == pytest.approx(log_odds(0.25))
    assert (signals.attribution, signals.judge, signals.judge_mean) == (0.7, 0.6, pytest.approx(0.7))
    assert (signals.dense_top, signals.token_probability, signals.n_words) == (None, 0.5, 2.0)
    assert signals_of([], (), token_probability=None, text="").values() == {"n_words": 0.0}
