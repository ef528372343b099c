"""The verifier: claims against evidence, one calibrated verdict each.

    windows of the evidence → what words say (signals) and what the cross-encoder reads → log-odds → verdict

Nothing in a claim or in evidence is ever obeyed: both are only compared.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from llm.types import Cancel, Device
from rag.cross_encoder import PlaceModel, load_cross_encoder
from rag.errors import NotReadyError
from rag.large_cross_encoder import load_large_cross_encoder
from rag.types import VerdictLabel
from rag.verify.calibration import Array, sigmoid
from rag.verify.checks import reasons
from rag.verify.found_answers import OTHER_FOUND, FoundAnswer, LookedUp
from rag.verify.large_reader import LargeReader
from rag.verify.readings import Reading, read_claims, read_signals
from rag.verify.remembered_places import RememberedPlaces
from rag.verify.shipped import (
    LARGE_WEIGHTS_FILE,
    N_OUTCOMES,
    N_TOKEN_SCORES,
    SHIPPED_FOLDER,
    read_large_parameters,
    read_parameters,
    read_weights,
    read_words,
)
from rag.verify.signals import Lexical, Read
from rag.verify.types import Judgement, StatedClaim, VerifierInfo
from rag.verify.weighing import VERBATIM, Parameters, support_scores
from rag.verify.windows import N_WINDOWS, EvidenceSentences, WordCounts
from rag.weight_changes import sha256_of_base

_DIGITS = 4  # of a score: batches of other sizes may differ further back


class ClaimJudge:
    """`rag.verify.types.Judge` by a cross-encoder and what words say. Deterministic and thread-safe."""

    def __init__(
        self,
        model: PlaceModel,
        parameters: Parameters,
        counts: WordCounts,
        n_windows: int = N_WINDOWS,
        large: LargeReader | None = None,
    ) -> None:
        self._large = large  # reads again what the model is unsure of
        self._model = RememberedPlaces(model)
        self._parameters = parameters
        self._counts = counts
        self._n_windows = n_windows

    @property
    def model(self) -> PlaceModel:
        """What reads pairs."""
        return self._model.model

    def with_windows(self, n_windows: int) -> "ClaimJudge":
        """The same judge reading at most so many windows a claim."""
        return ClaimJudge(self._model.model, self._parameters, self._counts, n_windows, self._large)

    @property
    def info(self) -> VerifierInfo:
        """Name, version, threshold and measured error."""
        return self._parameters.info if self._large is None else self._large.info

    def judge(
        self, claims: Sequence[StatedClaim], evidence: Sequence[str], *, cancel: Cancel | None = None
    ) -> tuple[Judgement, ...]:
        """One judgement a claim, in order, over all of `evidence`; without evidence every claim is unsupported.

        Raises:
            CancelledError: `cancel` was set.
        """
        found = read_claims(claims, evidence, self._counts, self._n_windows)
        if cancel is not None:
            cancel.raise_if_set()
        rows = read_signals(found, self._model, cancel=cancel)
        scores = self._scores(found, rows, cancel)
        parts: dict[int, list[Judgement]] = {}
        for reading, read, score in zip(found, rows, scores, strict=True):
            verdict = self._denied if reading.is_denied else self._verdict
            parts.setdefault(reading.claim, []).append(verdict(reading, read, score))
        # A claim is what its weakest part is.
        return tuple(
            min(parts[index], key=lambda part: part.score) if index in parts else _nothing_read(len(evidence))
            for index in range(len(claims))
        )

    def look_up(self, question: str, evidence: Sequence[str], *, cancel: Cancel | None = None) -> LookedUp:
        """See `rag.verify.found_answers.QuestionReader`."""
        sentences = EvidenceSentences(evidence, self._counts)
        stretches = sentences.best_stretches(sentences.weights_of(question))
        scores = self._model.token_scores([(stretch.text, question) for stretch in stretches], cancel=cancel)
        return LookedUp(question=question, stretches=stretches, scores=tuple(scores))

    def _scores(self, found: Sequence[Reading], rows: Sequence[Read], cancel: Cancel | None) -> list[float]:
        if not found:
            return []
        values = np.array([read.values for read in rows], dtype=np.float64)
        scores = support_scores(self._parameters, values, [reading.lexical.vetoed for reading in found])
        verbatim = np.array([reading.lexical.is_verbatim for reading in found], dtype=np.bool_)
        scores = np.where(verbatim, np.maximum(scores, VERBATIM), scores)
        if self._large is not None:
            scores = self._large.scores(found, values, scores, cancel=cancel)
        return [float(score) for score in scores]

    def _verdict(self, reading: Reading, read: Read, score: float) -> Judgement:
        label: VerdictLabel = "supported"
        score = round(score, _DIGITS)
        window = reading.windows[read.supports]
        why = reasons(reading.lexical.in_window)
        if score < self.info.threshold:
            why = (
                *_other_answer(reading.lexical), *_found_instead(read.answer), *reasons(reading.lexical.comparison)
            )  # fmt: skip
            against = self._against(read)[0] > 0 and reading.lexical.other_measure is None
            against = against or reading.lexical.other_cell is not None
            label = "contradicted" if against else "unsupported"
            if label == "contradicted":
                window = reading.windows[read.contradicts]
                why = ("the evidence says otherwise", *why)
            elif not why and read.weakest_part is not None:
                why = (f"nothing supports: {reading.parts[read.weakest_part][0]}",)
            why = why or ("the evidence does not say so",)
        return Judgement(label=label, score=score, evidence=window.evidence, span=window.span, reasons=why)

    def _denied(self, reading: Reading, read: Read, score: float) -> Judgement:
        """Of a claim that what was read is wrong: the evidence must contradict it; not to support it is too little.

        `score` is that of what was read.
        """
        supports, window = score, reading.windows[read.contradicts]
        score = round((1 - supports) * float(sigmoid(self._against(read))[0]), _DIGITS)
        label: VerdictLabel = "unsupported"
        why = f"the evidence does not say otherwise than: {reading.wording.text}"
        if score >= self.info.threshold:
            label, why = "supported", f"the evidence says otherwise than: {reading.wording.text}"
        elif supports >= self.info.threshold:
            label, why = "contradicted", f"the evidence says: {reading.wording.text}"
            window = reading.windows[read.supports]
        return Judgement(label=label, score=score, evidence=window.evidence, span=window.span, reasons=(why,))

    def _against(self, read: Read) -> Array:
        """Log-odds of "contradicted", of what is not supported, (1,)."""
        return self._parameters.contradiction.log_odds(read.values[None, :].astype(np.float64))


def load_judge(
    base_folder: Path, device: Device, folder: Path = SHIPPED_FOLDER, large_base: Path | None = None
) -> ClaimJudge:
    """The shipped verifier (or the one in `folder`) on its base encoder all-MiniLM-L6-v2; imports torch.

    Args:
        base_folder: where the base encoder lies, as `llm.sources` resolved it.
        device: where to run, as `llm.device` probed it.
        folder: the weights with their parameters.
        large_base: where the large encoder's base all-mpnet-base-v2 lies, to read again what the verifier is unsure
            of; None: nothing is read again.

    Raises:
        NotReadyError: a file is missing, or a base is not the one that was trained from.
    """
    parameters = read_parameters(folder)
    weights = read_weights(base_folder, folder)
    _check_base(base_folder, parameters.base_sha256, "all-MiniLM-L6-v2")
    large = None if large_base is None else _load_large(large_base, device, folder, parameters.info.threshold)
    model = load_cross_encoder(base_folder, weights, device, n_outcomes=N_OUTCOMES, n_token_scores=N_TOKEN_SCORES)
    return ClaimJudge(model, parameters, read_words(folder), large=large)


def _load_large(base_folder: Path, device: Device, folder: Path, threshold: float) -> LargeReader:
    parameters = read_large_parameters(folder)
    _check_base(base_folder, parameters.base_sha256, "all-mpnet-base-v2")
    model = load_large_cross_encoder(base_folder, folder / LARGE_WEIGHTS_FILE, device, n_outcomes=N_OUTCOMES)
    return LargeReader(model, parameters, threshold)


def _check_base(folder: Path, sha256: str | None, name: str) -> None:
    if sha256 is not None and sha256_of_base(folder) != sha256:
        raise NotReadyError(
            f"{folder} does not hold the encoder that the verifier was trained from; run citebound models pull {name}"
        )


def _other_answer(lexical: Lexical) -> Iterator[str]:
    if lexical.other_cell is not None:
        yield lexical.other_cell
    if lexical.other_measure is not None:
        told, asked = lexical.other_measure
        yield f"{told} is no answer to a question for {asked}"


def _found_instead(answer: FoundAnswer) -> Iterator[str]:
    """Another answer that the evidence seems to give."""
    if answer.best > 0 and answer.gap < OTHER_FOUND:
        yield f"the evidence seems to answer: {answer.text}"


def _nothing_read(n_evidence: int) -> Judgement:
    why = "there is no evidence" if n_evidence == 0 else "nothing in it can be looked up in the evidence"
    return Judgement(label="unsupported", score=0.0, evidence=None, span=None, reasons=(why,))
