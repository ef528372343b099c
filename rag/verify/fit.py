"""The figures that belong to trained weights: how signals are weighed, calibrated and cut, on held-back pairs.

Everything comes from the calibration part of the pairs (`rag.verify.pairs.part_of`); the test part only measures.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rag.cross_encoder import PlaceModel
from rag.text import content_words
from rag.verify.calibration import (
    Array,
    Flags,
    area_under_roc,
    balanced_accuracy,
    brier,
    expected_calibration_error,
    f1,
    fit_logistic,
)
from rag.verify.found_answers import ANSWER_FEATURES
from rag.verify.held_back import Case
from rag.verify.pairs import CONTRADICTED, NOT_SUPPORTED, SUPPORTED, Paragraph
from rag.verify.readings import Reading, read_claims, read_signals
from rag.verify.signals import FEATURES, LEXICAL_FEATURES, MODEL_FEATURES
from rag.verify.types import VerifierInfo
from rag.verify.weighing import Parameters, Weighing, is_asked, long_evidence, share_long, support_scores
from rag.verify.windows import WordCounts

_MIN_PARAGRAPHS = 3  # a word in fewer counts as one never seen
# Which way each signal may speak for "supported"; the rest may speak either way.
_FOR = """window_words gathered_words evidence_words own_words answered answered_at_once pairs window_pairs
    support support_top support_gathered support_mean support_parts found_said found_gap found_other"""
_NOT_FOR = """words_missing rarest_missing numbers_missing window_numbers_missing names_missing window_names_missing
    conflicts negation_differs said_missing asked_missing echoes asked_elsewhere length
    contradiction contradiction_top contradiction_max"""
_SIGNS = {**dict.fromkeys(_FOR.split(), 1), **dict.fromkeys(_NOT_FOR.split(), -1)}
_WORD_SIGNALS = tuple(name for name in LEXICAL_FEATURES if name != "asked")
_MODEL_SIGNALS = tuple(name for name in MODEL_FEATURES if not name.startswith("refuted"))
# Of answers after their question. With more of them built answers are told apart better and those of others worse.
_ASKED_SIGNALS = (
    "window_pairs", "asked_missing", "echoes", "asked_elsewhere", "conflicts", "numbers_missing", "negation_differs",
    "answered_at_once", "length", "support_top", "support_gathered", "support_mean", "support_parts", *ANSWER_FEATURES,
)  # fmt: skip
_PENALTY = 3.0
MOSTLY_LONG = 0.5  # claims whose length counts as long to this share scale the long ones
_PLATEAU = 0.01
_READ_TOGETHER = 64  # cases whose pairs fill batches together
N_FOLDS = 5
_AGAINST = (
    "refuted_top",
    "refuted_max",
    "contradiction_top",
    "window_words",
    "rarest_missing",
    "conflicts",
    "numbers_missing",
    "negation_differs",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What was read of some cases."""

    values: Array  # (n, len(FEATURES))
    supported: Array  # (n,) of 0 and 1
    labels: tuple[int, ...]
    sources: tuple[str, ...]
    vetoed: Array  # (n,) of 0 and 1: a plain number is missing from all evidence


def count_words(paragraphs: Iterable[Paragraph]) -> WordCounts:
    """In how many paragraphs each word stands."""
    counts: Counter[str] = Counter()
    n_texts = 0
    for paragraph in paragraphs:
        n_texts += 1
        counts.update(set(content_words(paragraph.text)))
    return WordCounts(
        n_texts=n_texts, n_with={word: count for word, count in counts.items() if count >= _MIN_PARAGRAPHS}
    )


def read_cases(cases: Sequence[Case], model: PlaceModel, counts: WordCounts) -> Signals:
    """The FEATURES of every case (of a long claim: of its first part); cases with nothing to read are left out."""
    values: list[Array] = []
    kept: list[Case] = []
    vetoed: list[bool] = []
    for batch, found in in_batches(cases, counts):
        kept += batch
        values += [read.values.astype(np.float64) for read in read_signals(found, model)]
        vetoed += [reading.lexical.vetoed for reading in found]
    return Signals(
        values=np.asarray(values, dtype=np.float64),
        supported=np.array([case.label == SUPPORTED for case in kept], dtype=np.float64),
        labels=tuple(case.label for case in kept),
        sources=tuple(case.source for case in kept),
        vetoed=np.array(vetoed, dtype=np.float64),
    )


def in_batches(cases: Sequence[Case], counts: WordCounts) -> Iterator[tuple[list[Case], list[Reading]]]:
    """Some cases at a time, each with its first reading.

    Left out are those with nothing to read, and a "no": what is read is then not what was labelled.
    """
    for start in range(0, len(cases), _READ_TOGETHER):
        found = [
            (case, reading)
            for case in cases[start : start + _READ_TOGETHER]
            for reading in read_claims([case.claim], case.evidence, counts)[:1]
            if not reading.is_denied
        ]
        if found:
            yield [case for case, _ in found], [reading for _, reading in found]


def fit_parameters(calibration: Signals, *, name: str, version: str, base_sha256: str) -> Parameters:
    """All figures from the calibration cases; nothing is measured yet.

    Labelled and built cases weigh the same in sum. The threshold is the middle of those whose balanced accuracy is
    within _PLATEAU of the best, on labelled cases with scores of weighings not fitted to them (five folds): the curve
    is flat and its highest point noise, and built cases hold many more twisted claims than answers do.
    """
    folds = np.arange(len(calibration.labels)) % N_FOLDS  # cases are in random order
    unsure = VerifierInfo(name=name, version=version, threshold=0.5)
    held_out = np.zeros(len(folds))
    for fold in range(N_FOLDS):
        fitted = _fit_support(_at(calibration, folds != fold), unsure, base_sha256)
        held_out[folds == fold] = scores_of(_at(calibration, folds == fold), replace(fitted, veto=False))
    parameters = _fit_support(calibration, unsure, base_sha256)
    labelled = np.array([is_labelled(source) for source in calibration.sources])
    threshold = best_threshold_of([(held_out[labelled], calibration.supported[labelled])])
    return replace(parameters, info=replace(unsure, threshold=threshold))


def _fit_support(calibration: Signals, info: VerifierInfo, base_sha256: str) -> Parameters:
    """The five weighings and the scale of long claims; what weighs long ones is fitted on those that are not short."""
    values, labels, shares = calibration.values, calibration.supported, source_shares(calibration.sources)
    share = share_long(values)
    asks = is_asked(values)
    short = _fit(values, labels, shares, _WORD_SIGNALS + _MODEL_SIGNALS, (share < 1) & ~asks)
    asked = _fit(values, labels, shares, _ASKED_SIGNALS, (share < 1) & asks)
    words = _fit(values, labels, shares, _WORD_SIGNALS, share > 0)
    model = _fit(values, labels, shares, _MODEL_SIGNALS + ANSWER_FEATURES, share > 0)
    long = share >= MOSTLY_LONG
    scale = fit_logistic(long_evidence(words, model, values[long])[:, None], labels[long], [1], penalty=0.01)
    known = np.array([label not in (SUPPORTED, NOT_SUPPORTED) for label in calibration.labels])
    contradicted = np.array([label == CONTRADICTED for label in calibration.labels], dtype=np.float64)
    evenly = np.where(contradicted == 1, (known & (contradicted == 0)).sum() / max(contradicted.sum(), 1.0), 1.0)
    return Parameters(
        info=info,
        short=short,
        asked=asked,
        words=words,
        model=model,
        slope=round(float(scale.weights[0]), 5),
        intercept=round(scale.bias, 5),
        contradiction=_fit(values, contradicted, evenly, _AGAINST, known, signed=False),
        base_sha256=base_sha256,
    )


def _fit(
    values: Array, labels: Array, shares: Array, names: Sequence[str], at: Flags, *, signed: bool = True
) -> Weighing:
    """A logistic function of the named signals, over the cases where `at` is true."""
    columns = [FEATURES.index(name) for name in names]
    signs = [_SIGNS.get(name, 0) if signed else 0 for name in names]
    fitted = fit_logistic(values[at][:, columns], labels[at], signs, weights=shares[at], penalty=_PENALTY)
    weights = {name: round(float(weight), 5) for name, weight in zip(names, fitted.weights, strict=True)}
    return Weighing(weights=weights, bias=round(fitted.bias, 5))


def best_threshold_of(groups: Sequence[tuple[Array, Array]], preferred: float | None = None) -> float:
    """A threshold with almost the best mean balanced accuracy over the groups, of which each counts the same.

    Args:
        groups: scores and labels of some cases, (n,) and (n,).
        preferred: taken where it is among the almost best ones; else the middle of them, of steps of 0.005.
    """

    def mean_at(threshold: float) -> float:
        return float(np.mean([balanced_accuracy(scores >= threshold, labels) for scores, labels in groups]))

    candidates = np.arange(0.1, 0.9, 0.005)
    found = np.array([mean_at(threshold) for threshold in candidates])
    if preferred is not None and mean_at(preferred) >= found.max() - _PLATEAU:
        return preferred
    good = candidates[found >= found.max() - _PLATEAU]
    return round(float(good[0] + good[-1]) / 2, 3)


def scores_of(signals: Signals, parameters: Parameters) -> Array:
    """The score of each case, as the judge gives it."""
    return support_scores(parameters, signals.values, list(signals.vetoed == 1))


def measure(signals: Signals, parameters: Parameters) -> dict[str, float | int]:
    """How good the scores are on cases that nothing was fitted to."""
    return measure_scores(scores_of(signals, parameters), signals.supported, parameters.info.threshold)


def measure_scores(scores: Array, labels: Array, threshold: float) -> dict[str, float | int]:
    """How good scores (n,) are at telling labels (n,) of 0 and 1."""
    said = scores >= threshold
    base_rate = float(labels.mean())
    return {
        "n": len(labels),
        "base_rate": round(base_rate, 4),
        "balanced_accuracy": round(balanced_accuracy(said, labels), 4),
        "auc": round(area_under_roc(scores, labels), 4),
        "precision": round(float(labels[said].mean()), 4) if said.any() else 0.0,
        "recall": round(float(said[labels == 1].mean()), 4),
        "ece": round(expected_calibration_error(scores, labels), 4),
        "brier": round(brier(scores, labels), 4),
        "brier_of_base_rate": round(base_rate * (1 - base_rate), 4),
    }


def contradiction_f1(signals: Signals, parameters: Parameters) -> float:
    """F1 of contradicted against unsupported, on the cases that are known to be one of the two."""
    known = np.array([label not in (SUPPORTED, NOT_SUPPORTED) for label in signals.labels])
    labels = np.array([label == CONTRADICTED for label in signals.labels], dtype=np.float64)[known]
    return f1(parameters.contradiction.log_odds(signals.values[known]) > 0, labels)


def take(signals: Signals, wanted: Callable[[str], bool]) -> Signals:
    """The cases of some sources."""
    return _at(signals, np.array([wanted(source) for source in signals.sources]))


def _at(signals: Signals, chosen: Flags) -> Signals:
    """The cases where `chosen` is true."""
    at = np.flatnonzero(chosen)
    return Signals(
        values=signals.values[at],
        supported=signals.supported[at],
        labels=tuple(signals.labels[index] for index in at),
        sources=tuple(signals.sources[index] for index in at),
        vetoed=signals.vetoed[at],
    )


def is_labelled(source: str) -> bool:
    """Whether a case is of verify_train, not built."""
    return not source.startswith("squad")


def source_shares(sources: Sequence[str]) -> Array:
    """(n,) weights by which labelled and built cases count the same in sum, 1 on average."""
    labelled = np.array([is_labelled(source) for source in sources])
    n_labelled = int(labelled.sum())
    if n_labelled in (0, len(sources)):
        return np.ones(len(sources))
    half = len(sources) / 2
    return np.where(labelled, half / n_labelled, half / (len(sources) - n_labelled))
