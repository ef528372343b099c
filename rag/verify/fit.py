"""The figures that belong to trained weights: how signals are weighed, calibrated and cut, on held-back pairs.

Everything comes from the calibration part of the pairs (`rag.verify.pairs.part_of`); the test part only measures.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.text import content_words
from rag.verify.built_pairs import PairBuilder
from rag.verify.calibration import (
    Array,
    Logistic,
    area_under_roc,
    balanced_accuracy,
    best_threshold,
    brier,
    expected_calibration_error,
    f1,
    fit_logistic,
    fit_temperature,
    sigmoid,
)
from rag.verify.checks import names_of
from rag.verify.cross_encoder import PairModel
from rag.verify.judge import VETOED, read_claims, read_signals
from rag.verify.pairs import (
    CONTRADICTED,
    NOT_SUPPORTED,
    SUPPORTED,
    Paragraph,
    Part,
    TrainingPair,
    only,
    part_of,
    read_labelled,
    read_paragraphs,
)
from rag.verify.shipped import Parameters
from rag.verify.signals import FEATURES
from rag.verify.train import PAIRS_FILE, PARAGRAPHS_FILE
from rag.verify.types import StatedClaim, VerifierInfo
from rag.verify.windows import WordCounts

_MIN_PARAGRAPHS = 3  # a word in fewer counts as one never seen
# Which way each signal may speak for "supported"; the rest may speak either way.
_FOR = """window_words gathered_words evidence_words own_words answered pairs window_pairs support support_top
    support_gathered support_mean"""
_NOT_FOR = """words_missing rarest_missing numbers_missing window_numbers_missing names_missing window_names_missing
    contradiction contradiction_top contradiction_max"""
_SIGNS = {**dict.fromkeys(_FOR.split(), 1), **dict.fromkeys(_NOT_FOR.split(), -1)}
_PENALTY = 3.0
_N_FOLDS = 5
_AGAINST = ("contradiction", "contradiction_top", "contradiction_max", "support", "window_words", "negation_differs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One claim with the evidence texts that a verifier is given, and what is right."""

    claim: StatedClaim
    evidence: tuple[str, ...]
    label: int  # of rag.verify.pairs
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What was read of some cases."""

    values: Array  # (n, len(FEATURES))
    supported: Array  # (n,) of 0 and 1
    labels: tuple[int, ...]
    sources: tuple[str, ...]
    vetoed: Array  # (n,) of 0 and 1: a number is missing from all evidence


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


def as_claim(text: str) -> StatedClaim:
    """A training claim as an answer's claim: what follows a question mark is the answer to what stands before it."""
    asked, mark, said = text.rpartition("? ")
    question = f"{asked}?" if mark else None
    return StatedClaim(text=said, start=0, end=len(said), question=question)


def held_back_cases(data: Path, part: Part, *, n_labelled: int | None, n_built: int, seed: int) -> list[Case]:
    """Cases of one part: labelled pairs, half of them among foreign evidence, and pairs built from SQuAD likewise."""
    rng = random.Random(seed)
    labelled = only(read_labelled(data / PAIRS_FILE), part)
    rng.shuffle(labelled)
    texts = [pair.evidence for pair in labelled]
    cases = [_case(pair, texts, rng) for pair in labelled[:n_labelled]]
    paragraphs = [p for p in read_paragraphs(data / PARAGRAPHS_FILE) if part_of(p.title) == part]
    texts = [paragraph.text for paragraph in paragraphs]
    cases += [_case(pair, texts, rng) for pair in PairBuilder(paragraphs, rng).build(n_built)]
    rng.shuffle(cases)
    return cases


def read_cases(cases: Sequence[Case], model: PairModel, counts: WordCounts) -> Signals:
    """The FEATURES of every case; cases of which nothing can be read are left out."""
    values, kept, vetoed = [], [], []
    for case in cases:
        found = read_claims([case.claim], case.evidence, counts)[:1]
        if found:
            values.append(read_signals(found, model)[0].values)
            vetoed.append(bool(found[0].lexical.comparison.missing_numbers))
            kept.append(case)
    return Signals(
        values=np.asarray(values, dtype=np.float64),
        supported=np.array([case.label == SUPPORTED for case in kept], dtype=np.float64),
        labels=tuple(case.label for case in kept),
        sources=tuple(case.source for case in kept),
        vetoed=np.array(vetoed, dtype=np.float64),
    )


def fit_parameters(
    calibration: Signals, *, name: str, version: str, base_sha256: str, features: Sequence[str] = FEATURES
) -> Parameters:
    """Weights of the signals, temperature and threshold from the calibration cases; nothing is measured yet.

    Labelled and built pairs weigh the same in sum. The temperature comes from log-odds of cases that the weights were
    not fitted to. The threshold is the one with the best balanced accuracy on the same log-odds.
    """
    columns = [FEATURES.index(feature) for feature in features]
    signs = [_SIGNS.get(feature, 0) for feature in features]
    values, labels = calibration.values[:, columns], calibration.supported
    shares = _source_shares(calibration.sources)
    support = fit_logistic(values, labels, signs, weights=shares, penalty=_PENALTY)
    folds = np.arange(len(labels)) % _N_FOLDS  # cases are in random order
    held_out = np.zeros(len(labels))
    for fold in range(_N_FOLDS):
        fitted = fit_logistic(
            values[folds != fold], labels[folds != fold], signs, weights=shares[folds != fold], penalty=_PENALTY
        )
        held_out[folds == fold] = fitted.log_odds(values[folds == fold])
    temperature = fit_temperature(held_out, labels)
    threshold = round(best_threshold(sigmoid(held_out / temperature), labels), 3)
    known = np.array([label not in (SUPPORTED, NOT_SUPPORTED) for label in calibration.labels])
    contradicted = np.array([label == CONTRADICTED for label in calibration.labels], dtype=np.float64)
    against = [FEATURES.index(feature) for feature in _AGAINST]
    contradiction = fit_logistic(
        calibration.values[known][:, against], contradicted[known], [0] * len(against), penalty=_PENALTY
    )
    return Parameters(
        info=VerifierInfo(name=name, version=version, threshold=threshold),
        support=_named(features, support),
        support_bias=round(support.bias, 5),
        contradiction=_named(_AGAINST, contradiction),
        contradiction_bias=round(contradiction.bias, 5),
        temperature=round(temperature, 4),
        base_sha256=base_sha256,
    )


def scores_of(signals: Signals, parameters: Parameters) -> Array:
    """The score of each case, as the judge gives it."""
    weights = np.array([parameters.support.get(feature, 0.0) for feature in FEATURES])
    scores = sigmoid((signals.values @ weights + parameters.support_bias) / parameters.temperature)
    if parameters.veto:
        scores = np.where(signals.vetoed == 1, np.minimum(scores, parameters.info.threshold * VETOED), scores)
    return scores


def measure(signals: Signals, parameters: Parameters) -> dict[str, float | int]:
    """How good the scores are on cases that nothing was fitted to."""
    scores, labels = scores_of(signals, parameters), signals.supported
    said = scores >= parameters.info.threshold
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
    weights = np.array([parameters.contradiction.get(feature, 0.0) for feature in FEATURES])
    return f1(signals.values[known] @ weights + parameters.contradiction_bias > 0, labels)


def take(signals: Signals, wanted: Callable[[str], bool]) -> Signals:
    """The cases of some sources."""
    at = [index for index, source in enumerate(signals.sources) if wanted(source)]
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


def _source_shares(sources: Sequence[str]) -> Array:
    """(n,) weights by which labelled and built cases count the same in sum, 1 on average."""
    labelled = np.array([is_labelled(source) for source in sources])
    n_labelled = int(labelled.sum())
    if n_labelled in (0, len(sources)):
        return np.ones(len(sources))
    half = len(sources) / 2
    return np.where(labelled, half / n_labelled, half / (len(sources) - n_labelled))


def _named(features: Sequence[str], fitted: Logistic) -> dict[str, float]:
    return {feature: round(float(weight), 5) for feature, weight in zip(features, fitted.weights, strict=True)}


def _case(pair: TrainingPair, others: Sequence[str], rng: random.Random) -> Case:
    """The pair alone, or with its evidence among one to four texts that share no name with the claim."""
    evidence = [pair.evidence]
    if rng.random() < 0.5:
        names = {term for name in names_of(f"So {pair.claim}") for term in content_words(name)}
        drawn = rng.sample(others, min(rng.randrange(1, 5), len(others)))
        evidence += [text for text in drawn if not names.intersection(content_words(text))]
        rng.shuffle(evidence)
    return Case(claim=as_claim(pair.claim), evidence=tuple(evidence), label=pair.label, source=pair.source)
