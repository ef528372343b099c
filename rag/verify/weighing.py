"""From the signals of a claim to one probability that it is supported.

Short statements are weighed by one logistic function over all signals, answers that are read after their question by
another: of these the evidence was also asked. Of long ones, which state several facts, the
cross-encoder takes a part for the whole, and what says most is whether anything of the claim is missing from the
evidence. So two functions are asked, one of words and one of the model, and a long claim must pass both:

    ln p(long) ~ ln p(words) + MODEL_SHARE * ln p(model)

scaled to a probability on held-back claims. In between the two log-odds are mixed, so that no word more or less turns a
verdict by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rag.verify.calibration import Array, Flags, sigmoid
from rag.verify.signals import FEATURES
from rag.verify.types import VerifierInfo

MODEL_SHARE = 0.5  # of the model in the verdict on a long claim
SHORT_WORDS, LONG_WORDS = 6, 12  # content words, the question's left out, up to which a claim is short; from which long
VERBATIM = 0.995  # the least score of a claim that the evidence says word for word
VETOED = 0.9  # of the threshold: the highest score where an explicit comparison speaks against the claim
_LENGTH, _ASKED = FEATURES.index("length"), FEATURES.index("asked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """A logistic function of some signals: log-odds = sum of weight times signal, plus bias."""

    weights: Mapping[str, float]  # by name of FEATURES; what is not named does not count
    bias: float

    def log_odds(self, values: Array) -> Array:
        """(n,) from (n, len(FEATURES))."""
        weights = np.array([self.weights.get(name, 0.0) for name in FEATURES])
        return np.asarray(values @ weights + self.bias, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The figures that belong to trained weights."""

    info: VerifierInfo
    short: Weighing  # all signals, of short claims without a question
    asked: Weighing  # of short claims read after their question
    words: Weighing  # what words alone say
    model: Weighing  # what the model alone says
    slope: float  # of the log-odds of long claims in ln p(words) + MODEL_SHARE * ln p(model)
    intercept: float
    contradiction: Weighing  # log-odds of "contradicted" among what is not supported
    veto: bool = True  # a number that no evidence holds, or another measure than was asked, rules "supported" out
    base_sha256: str | None = None  # of the base encoder's model.safetensors
    measured: Mapping[str, Any] = field(default_factory=dict)  # for people


def long_evidence(words: Weighing, model: Weighing, values: Array) -> Array:
    """How far both words and model support long claims: ln p(words) + MODEL_SHARE * ln p(model), (n,), at most 0."""
    return _log_sigmoid(words.log_odds(values)) + MODEL_SHARE * _log_sigmoid(model.log_odds(values))


def share_long(values: Array) -> Array:
    """How long the claims are: 0 up to SHORT_WORDS content words, 1 from LONG_WORDS on, (n,)."""
    n_words = np.expm1(values[:, _LENGTH].astype(np.float64))
    return np.clip((n_words - SHORT_WORDS) / (LONG_WORDS - SHORT_WORDS), 0.0, 1.0)


def is_asked(values: Array) -> Flags:
    """Which claims are answers read after their question, (n,)."""
    return np.asarray(values[:, _ASKED] > 0, dtype=np.bool_)


def support_scores(parameters: Parameters, values: Array, vetoed: Sequence[bool]) -> Array:
    """The probability that each claim is supported, (n,), from its FEATURES (n, len(FEATURES)).

    Args:
        parameters: Of the verifier.
        values: The FEATURES of the claims.
        vetoed: Whether an explicit comparison rules each claim out.
    """
    long = parameters.slope * long_evidence(parameters.words, parameters.model, values) + parameters.intercept
    share = share_long(values)
    short = np.where(is_asked(values), parameters.asked.log_odds(values), parameters.short.log_odds(values))
    scores = sigmoid((1 - share) * short + share * long)
    if parameters.veto:
        most = VETOED * parameters.info.threshold
        scores = np.where(np.asarray(vetoed, dtype=bool), np.minimum(scores, most), scores)
    return scores


def _log_sigmoid(log_odds: Array) -> Array:
    return np.asarray(-np.logaddexp(0.0, -log_odds), dtype=np.float64)
