"""What the verifier is unsure of, read again by an encoder of four times its width.

The large encoder errs differently from the small one and takes far longer, so only claims with a score in between are
shown to it, each once, with a digest of all evidence. A logistic function of two log-odds, the verifier's own and those
of the reading, gives the score that stands. As in `rag.verify.weighing` there is one for short claims, one for answers
read after their question, one for long claims, and in between they are mixed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from llm.types import Cancel
from rag.cross_encoder import PairModel
from rag.types import FloatArray
from rag.verify.calibration import Array, Flags, sigmoid
from rag.verify.found_answers import OTHER_FOUND
from rag.verify.readings import Reading
from rag.verify.signals import FEATURES, log_odds
from rag.verify.types import VerifierInfo
from rag.verify.weighing import VETOED, is_asked, share_long

UNSURE = (0.01, 0.99)  # scores between which a claim is read again
SURE = 0.63  # least score of both at which a claim stands that `is_doubted`
_SUPPORTED = 0  # outcome
_GAP = FEATURES.index("found_gap")
_CLIP = 1e-6  # of a score, so that its log-odds are finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """log-odds = first · the verifier's + again · those of the reading + bias."""

    first: float
    again: float
    bias: float

    def log_odds(self, found: Array) -> Array:
        """(n,) from (n, 2)."""
        return np.asarray(found @ np.array([self.first, self.again]) + self.bias, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeParameters:
    """The figures that belong to the large encoder's weights."""

    info: VerifierInfo  # of the verifier with it
    short: Mix
    asked: Mix
    long: Mix
    base_sha256: str | None = None  # of the base encoder's model.safetensors
    verifier_sha256: str | None = None  # of the verifier.json whose scores are mixed
    measured: Mapping[str, Any] = field(default_factory=dict)  # for people


def unsure(scores: Array, vetoed: Flags) -> Flags:
    """Which claims are read again, (n,), by the verifier's scores; what an explicit comparison rules out stays out."""
    return np.asarray((scores > UNSURE[0]) & (scores < UNSURE[1]) & ~vetoed, dtype=np.bool_)


def is_doubted(scores: Array, values: Array, threshold: float) -> Flags:
    """In whose place the evidence seems to give another answer, of claims that the verifier does not support, (n,)."""
    return np.asarray((values[:, _GAP] < OTHER_FOUND) & (scores < threshold), dtype=np.bool_)


def pair_of(reading: Reading) -> tuple[str, str]:
    """What the large encoder is shown of one reading."""
    return reading.digest, reading.wording.text


def found_log_odds(scores: Array, logits: FloatArray) -> Array:
    """(n, 2) what is mixed, from n scores and the (n, 3) logits of `pair_of` each."""
    clipped = np.clip(scores, _CLIP, 1 - _CLIP)
    return np.column_stack((np.log(clipped / (1 - clipped)), log_odds(logits, _SUPPORTED).astype(np.float64)))


def standing(parameters: LargeParameters, found: Array, values: Array, first: Array, doubted: Flags) -> Array:
    """The scores that stand of claims that were read again, (n,).

    Of several facts side by side the large encoder takes the wrong one more readily: where the evidence seems to give
    another answer, it must be sure, or the verifier's score stands.

    Args:
        parameters: of the large verifier.
        found: `found_log_odds` of the claims.
        values: their FEATURES, (n, len(FEATURES)).
        first: the verifier's scores, (n,).
        doubted: `is_doubted`, (n,).
    """
    both = mixed(parameters, found, values)
    return np.where(doubted & (both < SURE), first, both)


def mixed(parameters: LargeParameters, found: Array, values: Array) -> Array:
    """What both say together, (n,), from `found_log_odds` and the FEATURES (n, len(FEATURES)) of what was read."""
    share = share_long(values)
    short = np.where(is_asked(values), parameters.asked.log_odds(found), parameters.short.log_odds(found))
    return sigmoid((1 - share) * short + share * parameters.long.log_odds(found))


class LargeReader:
    """Reads again what a verifier is unsure of. Deterministic and thread-safe, as its model is."""

    def __init__(self, model: PairModel, parameters: LargeParameters, threshold: float) -> None:
        self.model = model
        self._parameters = parameters
        self._threshold = threshold  # of the verifier by itself

    @property
    def info(self) -> VerifierInfo:
        """Name, version, threshold and measured error of the verifier with this reader."""
        return self._parameters.info

    def scores(
        self,
        readings: Sequence[Reading],
        values: Array,
        first: Array,
        *,
        cancel: Cancel | None = None,
    ) -> Array:
        """The scores that stand of claims, (n,).

        Args:
            readings: n of them.
            values: their FEATURES, (n, len(FEATURES)).
            first: the verifier's scores, (n,).
            cancel: asked between two batches.

        Raises:
            CancelledError: `cancel` was set.
        """
        vetoed = np.array([reading.lexical.vetoed for reading in readings], dtype=np.bool_)
        scores = np.where(vetoed, np.minimum(first, VETOED * self.info.threshold), first)
        again = np.flatnonzero(unsure(first, vetoed))
        if again.size:
            pairs = [pair_of(readings[at]) for at in again.tolist()]
            found = found_log_odds(first[again], self.model.logits(pairs, cancel=cancel))
            doubted = is_doubted(first[again], values[again], self._threshold)
            scores[again] = standing(self._parameters, found, values[again], first[again], doubted)
        return scores
