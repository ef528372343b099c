"""How the readings of the large encoder are mixed with the verifier's scores, fitted on held-back pairs.

As in `rag.verify.fit` everything comes from the calibration part; the test part only measures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rag.cross_encoder import PairModel, PlaceModel
from rag.verify.calibration import Array, Flags, fit_logistic
from rag.verify.fit import MOSTLY_LONG, N_FOLDS, best_threshold_of, in_batches, measure_scores, source_shares
from rag.verify.held_back import Case
from rag.verify.large_reader import LargeParameters, Mix, found_log_odds, is_doubted, pair_of, standing, unsure
from rag.verify.pairs import SUPPORTED
from rag.verify.readings import read_signals
from rag.verify.types import VerifierInfo
from rag.verify.weighing import VETOED, Parameters, is_asked, share_long, support_scores
from rag.verify.windows import WordCounts

_PENALTY = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAgain:
    """What both encoders made of some cases."""

    values: Array  # (n, len(FEATURES))
    first: Array  # (n,) the verifier's scores
    found: Array  # (n, 2) log-odds to mix; 0 where nothing was read again
    again: Flags  # (n,) whether it was
    doubted: Flags  # (n,) whether the evidence seems to give another answer
    vetoed: Flags  # (n,)
    supported: Array  # (n,) of 0 and 1
    sources: tuple[str, ...]


def read_twice(
    cases: Sequence[Case],
    model: PlaceModel,
    parameters: Parameters,
    counts: WordCounts,
    large: PairModel,
    *,
    report: Callable[[int], None] = lambda n_read: None,
) -> ReadAgain:
    """Every case (of a long claim its first part) by the verifier, and the unsure ones by the large encoder as well.

    Cases with nothing to read are left out; `report` hears how many cases were read.
    """
    kept: list[Case] = []
    columns: list[tuple[Array, Array, Array, Flags, Flags, Flags]] = []
    for batch, readings in in_batches(cases, counts):
        kept += batch
        values = np.array([read.values for read in read_signals(readings, model)], dtype=np.float64)
        vetoed = np.array([reading.lexical.vetoed for reading in readings], dtype=np.bool_)
        first = support_scores(parameters, values, list(vetoed))
        again = unsure(first, vetoed)
        found = np.zeros((len(readings), 2))
        pairs = [pair_of(reading) for reading, is_read in zip(readings, again, strict=True) if is_read]
        if pairs:
            found[again] = found_log_odds(first[again], large.logits(pairs))
        doubted = is_doubted(first, values, parameters.info.threshold)
        columns.append((values, first, found, again, doubted, vetoed))
        report(len(kept))
    values, first, found, again, doubted, vetoed = (np.concatenate(column) for column in zip(*columns, strict=True))
    return ReadAgain(
        values=values,
        first=first,
        found=found,
        again=again,
        doubted=doubted,
        vetoed=vetoed,
        supported=np.array([case.label == SUPPORTED for case in kept], dtype=np.float64),
        sources=tuple(case.source for case in kept),
    )


def fit_large(calibration: ReadAgain, info: VerifierInfo) -> LargeParameters:
    """The mixes and the threshold; nothing is measured yet.

    The threshold stays that of the verifier, so that both mean the same by it, where its balanced accuracy is almost
    the best: the mean over short claims, answers after their question and long claims, on scores of mixes that were
    not fitted to them (five folds).

    Args:
        calibration: what was read.
        info: name, version and the threshold of the verifier.
    """
    folds = np.arange(len(calibration.sources)) % N_FOLDS  # cases are in random order
    held_out = np.zeros(len(folds))
    for fold in range(N_FOLDS):
        fitted = _fit_mixes(_at(calibration, folds != fold), replace(info, threshold=1.0))
        held_out[folds == fold] = scores_of(_at(calibration, folds == fold), fitted)
    is_long, asks = share_long(calibration.values) >= MOSTLY_LONG, is_asked(calibration.values)
    kinds = (~is_long & ~asks, ~is_long & asks, is_long)
    threshold = best_threshold_of([(held_out[kind], calibration.supported[kind]) for kind in kinds], info.threshold)
    return _fit_mixes(calibration, replace(info, threshold=threshold))


def scores_of(read: ReadAgain, parameters: LargeParameters) -> Array:
    """The score of each case, as the judge gives it."""
    scores = np.where(read.vetoed, np.minimum(read.first, VETOED * parameters.info.threshold), read.first)
    at = read.again
    scores[at] = standing(parameters, read.found[at], read.values[at], read.first[at], read.doubted[at])
    return scores


def measure_large(
    read: ReadAgain, parameters: LargeParameters, wanted: Callable[[str], bool]
) -> dict[str, float | int]:
    """How good the scores are on the cases of some sources, and what share of them was read again."""
    at = np.array([wanted(source) for source in read.sources])
    found = measure_scores(scores_of(read, parameters)[at], read.supported[at], parameters.info.threshold)
    return {**found, "read_again": round(float(read.again[at].mean()), 4)}


def _fit_mixes(read: ReadAgain, info: VerifierInfo) -> LargeParameters:
    share, asks, shares = share_long(read.values), is_asked(read.values), source_shares(read.sources)

    def fit(chosen: Flags) -> Mix:
        at = chosen & read.again
        fitted = fit_logistic(read.found[at], read.supported[at], (1, 1), weights=shares[at], penalty=_PENALTY)
        first, second = (round(float(weight), 5) for weight in fitted.weights)
        return Mix(first=first, again=second, bias=round(fitted.bias, 5))

    return LargeParameters(
        info=info, short=fit((share < 1) & ~asks), asked=fit((share < 1) & asks), long=fit(share > 0)
    )


def _at(read: ReadAgain, chosen: Flags) -> ReadAgain:
    """The cases where `chosen` is true."""
    return ReadAgain(
        values=read.values[chosen],
        first=read.first[chosen],
        found=read.found[chosen],
        again=read.again[chosen],
        doubted=read.doubted[chosen],
        vetoed=read.vetoed[chosen],
        supported=read.supported[chosen],
        sources=tuple(source for source, is_in in zip(read.sources, chosen, strict=True) if is_in),
    )
