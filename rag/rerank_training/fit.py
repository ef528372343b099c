"""The logistic function of the reranker, fitted on searched questions, and what an order of hits is worth."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rag.cross_encoder import PairModel
from rag.errors import InvalidInputError
from rag.rerank.fused import read_hits
from rag.rerank.signals import FEATURES, Array, signals
from rag.rerank_training.lists import RankedQuestion
from rag.types import FloatArray
from rag.verify.calibration import Logistic, brier, expected_calibration_error, fit_logistic, sigmoid

KS = (1, 2, 3, 5)
_SEARCH_ALONE = tuple(name for name in FEATURES if name != "model")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadQuestion:
    """A searched question with what the model, if there is one, makes of each hit."""

    ranked: RankedQuestion
    logits: FloatArray | None  # (n_hits,)

    def signals(self, depth: int) -> Array:
        """`rag.rerank.signals.signals` of the first `depth` hits."""
        logits = None if self.logits is None else self.logits[:depth]
        return signals(self.ranked.question, self.ranked.hits[:depth], logits)


def read_questions(lists: Sequence[RankedQuestion], model: PairModel | None, say: Say) -> list[ReadQuestion]:
    """Every hit of every question is read, a question at a time as the service does."""
    found = []
    for done, one in enumerate(lists, start=1):
        logits = None if model is None else read_hits(model, one.question, one.hits)
        found.append(ReadQuestion(ranked=one, logits=logits))
        if done % 100 == 0:
            say(f"read {done} of {len(lists)} questions")
    return found


def fit_fusion(read: Sequence[ReadQuestion], depth: int, features: Sequence[str] = FEATURES) -> Logistic:
    """The probability that a hit is the right one from `features`, each for it or not at all; weights of FEATURES.

    Questions whose paragraph was not found count: none of their hits is right.

    Raises:
        InvalidInputError: no hit, or every one, is a right one.
    """
    if not read:
        raise InvalidInputError("no question was kept to fit on; give more articles")
    places = [FEATURES.index(name) for name in features]
    values = np.concatenate([one.signals(depth) for one in read])
    labels = np.concatenate([np.array(one.ranked.labels[:depth], dtype=np.float64) for one in read])
    fitted = fit_logistic(values[:, places], labels, [1] * len(places))
    weights = np.zeros(len(FEATURES))
    weights[places] = fitted.weights
    return Logistic(weights=weights, bias=fitted.bias)


def measure(read: Sequence[ReadQuestion], fusion: Logistic, without_model: Logistic, depth: int) -> dict[str, Any]:
    """Recall of the search's order, of the fit without a model and of the whole, over all questions; calibration."""
    scores = [fusion.log_odds(one.signals(depth)) for one in read]
    labels = np.concatenate([np.array(one.ranked.labels[:depth], dtype=np.float64) for one in read])
    probabilities = sigmoid(np.concatenate(scores))
    alone = [one.logits[:depth] for one in read if one.logits is not None]
    return {
        "n": len(read),
        "depth": depth,
        "search": _recall(read, [-np.arange(len(one.ranked.hits)) for one in read], depth),
        "without_model": _recall(read, [without_model.log_odds(one.signals(depth)) for one in read], depth),
        "model_alone": _recall(read, alone, depth) if alone else None,
        "reranked": _recall(read, scores, depth),
        "brier": round(brier(probabilities, labels), 4),
        "ece": round(expected_calibration_error(probabilities, labels), 4),
    }


def measure_seconds(lists: Sequence[RankedQuestion], model: PairModel | None, depth: int, *, n: int = 30) -> float:
    """The median of what scoring the first `depth` hits of a question takes, over the first `n` questions."""
    taken = []
    for one in lists[:n]:
        started = time.perf_counter()
        hits = one.hits[:depth]
        signals(one.question, hits, None if model is None else read_hits(model, one.question, hits))
        taken.append(time.perf_counter() - started)
    return round(float(np.median(taken)), 4)


def _recall(read: Sequence[ReadQuestion], scores: Sequence[Any], depth: int) -> dict[str, float]:
    """The share of questions whose paragraph is among the first k, and the standard error of the first."""
    ranks = []
    for one, own in zip(read, scores, strict=True):
        order = np.argsort(-np.asarray(own, dtype=np.float64)[:depth], kind="stable")
        right = [rank for rank, place in enumerate(order, start=1) if one.ranked.labels[place]]
        ranks.append(right[0] if right else depth + 1)
    found = {f"recall_at_{k}": round(sum(rank <= k for rank in ranks) / len(ranks), 4) for k in KS}
    first = found["recall_at_1"]
    return {**found, "se_at_1": round((first * (1 - first) / len(ranks)) ** 0.5, 4)}


def fit_both(read: Sequence[ReadQuestion], depth: int) -> tuple[Logistic, Logistic]:
    """The whole function, and the one that does without the model."""
    return fit_fusion(read, depth), fit_fusion(read, depth, _SEARCH_ALONE)
