"""How sure an answer is: one probability that it is right and grounded, from what retrieval, judge and decoder say.

A logistic model over a few signals. Its parameters stand in `confidence.json`; `benchmarks/confidence.py` fits them.
Parameters whose version begins with `prior` were not fitted: confidence is then the attribution score of the weakest
sentence, that is how much of it the evidence accounts for, word by word, and no threshold is known to hold a risk.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.citations import Finding
from rag.errors import InvalidInputError
from rag.types import Hit

PARAMETERS = Path(__file__).with_name("confidence.json")
_EPSILON = 1e-6  # scores are kept that far from 0 and 1 before their log-odds are taken
_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What is known of an answer before anybody has checked it; None where a signal does not exist.

    Scores that are probabilities or shares enter as log-odds, lengths as logarithms.
    """

    attribution: float | None = None  # 0..1: of the weakest sentence
    judge: float | None = None  # 0..1: of the least supported claim
    judge_mean: float | None = None  # 0..1: over all claims
    dense_top: float | None = None  # cosine of the best hit
    dense_margin: float | None = None  # cosine of the best hit minus that of the second
    lexical_top: float | None = None  # BM25 of the best hit
    token_probability: float | None = None  # 0..1: geometric mean over the draft, under the decoder's own softmax
    n_words: float | None = None  # of the answer
    abstention: float | None = None  # 0..1: probability of the abstention that the decoder did not write

    def values(self) -> dict[str, float]:
        """Each signal that exists, as it enters the model."""
        odds = {
            "attribution": self.attribution,
            "judge": self.judge,
            "judge_mean": self.judge_mean,
            "token_probability": self.token_probability,
            "abstention": self.abstention,
        }
        plain = {"dense_top": self.dense_top, "dense_margin": self.dense_margin}
        counts = {"n_words": self.n_words, "lexical_top": self.lexical_top}
        return {
            **{name: log_odds(value) for name, value in odds.items() if value is not None},
            **{name: value for name, value in plain.items() if value is not None},
            **{name: math.log1p(max(value, 0.0)) for name, value in counts.items() if value is not None},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What one signal counts for: weight · (value − centre) ÷ scale. A signal that is missing counts nothing."""

    weight: float
    centre: float
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceModel:
    """Logistic regression over `Signals.values`."""

    version: str
    bias: float
    weights: Mapping[str, Weight]
    thresholds: Mapping[float, float]  # risk → least confidence at which no more than that share was wrong
    fitted_on: str | None = None

    def estimate(self, signals: Signals) -> float:
        """Probability that the answer is right and grounded, to six digits."""
        values = signals.values()
        total = self.bias + sum(
            one.weight * (values[name] - one.centre) / one.scale for name, one in self.weights.items() if name in values
        )
        return round(_logistic(total), _DIGITS)

    def threshold(self, risk: float) -> float:
        """Least confidence at which answers were wrong no more often than `risk`.

        Raises:
            InvalidInputError: no threshold was measured for that risk.
        """
        found = next((value for measured, value in self.thresholds.items() if math.isclose(measured, risk)), None)
        if found is None:
            known = ", ".join(f"{measured:g}" for measured in sorted(self.thresholds)) or "none"
            raise InvalidInputError(f"no confidence threshold is known for risk {risk:g}; measured are: {known}")
        return found


def load_confidence(path: Path = PARAMETERS) -> ConfidenceModel:
    """The parameters of a file that `benchmarks/confidence.py` wrote, by default the shipped ones."""
    raw = json.loads(path.read_text("utf-8"))
    return ConfidenceModel(
        version=raw["version"],
        fitted_on=raw["fitted_on"],
        bias=raw["bias"],
        weights={name: Weight(**row) for name, row in raw["weights"].items()},
        thresholds={float(risk): value for risk, value in raw["thresholds"].items()},
    )


def signals_of(
    findings: Sequence[Finding],
    hits: Sequence[Hit],
    *,
    token_probability: float | None,
    abstention_probability: float | None = None,
    text: str,
) -> Signals:
    """The signals of an answer made of `findings`."""
    judged = [finding.verdict.score for finding in findings if finding.verdict is not None]
    dense = sorted((hit.scores.dense for hit in hits if hit.scores.dense is not None), reverse=True)
    lexical = [hit.scores.lexical for hit in hits if hit.scores.lexical is not None]
    return Signals(
        attribution=min((finding.attributed.score for finding in findings), default=None),
        judge=min(judged, default=None),
        judge_mean=sum(judged) / len(judged) if judged else None,
        dense_top=dense[0] if dense else None,
        dense_margin=dense[0] - dense[1] if len(dense) > 1 else None,
        lexical_top=max(lexical, default=None),
        token_probability=token_probability,
        n_words=float(len(text.split())),
        abstention=abstention_probability,
    )


def log_odds(probability: float, epsilon: float = _EPSILON) -> float:
    """ln(p ÷ (1 − p)), p kept `epsilon` away from 0 and 1."""
    kept = min(max(probability, epsilon), 1 - epsilon)
    return math.log(kept / (1 - kept))


def _logistic(value: float) -> float:
    if value >= 0:
        return 1 / (1 + math.exp(-value))
    grown = math.exp(value)
    return grown / (1 + grown)
