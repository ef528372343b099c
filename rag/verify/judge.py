"""The verifier: claims against evidence, one calibrated verdict each.

    windows of the evidence → what words say (signals) and what the cross-encoder reads → log-odds → verdict

Nothing in a claim or in evidence is ever obeyed: both are only compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from llm.types import Cancel, Device
from rag.cross_encoder import PlaceModel, TokenScores, load_cross_encoder
from rag.errors import NotReadyError
from rag.text import content_words
from rag.types import VerdictLabel
from rag.verify.checks import reasons
from rag.verify.claims import question_of, statement
from rag.verify.found_answers import NOT_ASKED, FoundAnswer, LookedUp
from rag.verify.parts import split_parts
from rag.verify.remembered_places import RememberedPlaces
from rag.verify.shipped import N_OUTCOMES, N_TOKEN_SCORES, SHIPPED_FOLDER, read_parameters, read_weights, read_words
from rag.verify.signals import Lexical, Read, Wording, lexical_signals, model_signals
from rag.verify.types import Judgement, StatedClaim, VerifierInfo
from rag.verify.weighing import SHORT_WORDS, Parameters, support_scores
from rag.verify.windows import N_WINDOWS, EvidenceSentences, Stretch, Window, WordCounts
from rag.weight_changes import sha256_of_base

_PART_WORDS = 60  # a longer claim is read in parts, each of which must be supported
_MAX_PARTS = 8  # of one claim; of more, those with the fewest words in the evidence are read
_OTHER_FOUND = -3.0  # log-odds by which another answer is likelier, for it to be named as a reason
_DIGITS = 4  # of a score: batches of other sizes may differ further back


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One claim, or a part of a long one, with the windows that are read for it."""

    claim: int  # index of the claim
    wording: Wording
    windows: tuple[Window, ...]  # best first, never empty
    parts: tuple[tuple[str, tuple[Window, ...]], ...]  # of a long claim, each with the windows read for it
    lexical: Lexical
    stretches: tuple[Stretch, ...]  # of evidence, in which the claim's question is looked up; none without one

    @property
    def questions(self) -> list[tuple[str, str]]:
        """Evidence and question, to be looked up."""
        return [(stretch.text, self.wording.asked) for stretch in self.stretches]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """What the model reads: evidence and claim, the windows first, then those of the parts."""
        whole = [(window.text, self.wording.text) for window in self.windows]
        return whole + [(window.text, text) for text, windows in self.parts for window in windows]


class ClaimJudge:
    """`rag.verify.types.Judge` by a cross-encoder and what words say. Deterministic and thread-safe."""

    def __init__(
        self, model: PlaceModel, parameters: Parameters, counts: WordCounts, n_windows: int = N_WINDOWS
    ) -> None:
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
        return ClaimJudge(self._model.model, self._parameters, self._counts, n_windows)

    @property
    def info(self) -> VerifierInfo:
        """Name, version, threshold and measured error."""
        return self._parameters.info

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
        parts: dict[int, list[Judgement]] = {}
        for reading, read in zip(found, rows, strict=True):
            parts.setdefault(reading.claim, []).append(self._verdict(reading, read))
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

    def _verdict(self, reading: Reading, read: Read) -> Judgement:
        parameters = self._parameters
        threshold = parameters.info.threshold
        values = read.values[None, :].astype(np.float64)
        score = round(float(support_scores(parameters, values, [reading.lexical.vetoed])[0]), _DIGITS)
        label: VerdictLabel = "supported"
        window = reading.windows[read.supports]
        why = reasons(reading.lexical.in_window)
        if score < threshold:
            why = (
                *_other_answer(reading.lexical), *_found_instead(read.answer), *reasons(reading.lexical.comparison)
            )  # fmt: skip
            against = parameters.contradiction.log_odds(values)[0] > 0 and reading.lexical.other_measure is None
            against = against or reading.lexical.other_cell is not None
            label = "contradicted" if against else "unsupported"
            if label == "contradicted":
                window = reading.windows[read.contradicts]
                why = ("the evidence says otherwise", *why)
            elif not why and read.weakest_part is not None:
                why = (f"nothing supports: {reading.parts[read.weakest_part][0]}",)
            why = why or ("the evidence does not say so",)
        return Judgement(label=label, score=score, evidence=window.evidence, span=window.span, reasons=why)


def read_claims(
    claims: Sequence[StatedClaim], evidence: Sequence[str], counts: WordCounts, n_windows: int = N_WINDOWS
) -> list[Reading]:
    """What is to be read for each claim; nothing without evidence or for a claim without a word."""
    sentences = EvidenceSentences(evidence, counts)
    if not sentences.sentences:
        return []
    return [reading for index, claim in enumerate(claims) for reading in _parts(index, claim, sentences, n_windows)]


def read_signals(found: Sequence[Reading], model: PlaceModel, *, cancel: Cancel | None = None) -> list[Read]:
    """For each reading what the model makes of its windows; `values` are all FEATURES."""
    logits = model.logits([pair for reading in found for pair in reading.pairs], cancel=cancel)
    places = model.token_scores([pair for reading in found for pair in reading.questions], cancel=cancel)
    rows = []
    start = start_places = 0
    for reading in found:
        cuts = [len(reading.windows), *(len(windows) for _, windows in reading.parts)]
        of_whole, *of_parts = np.split(logits[start : start + sum(cuts)], np.cumsum(cuts)[:-1])
        start += sum(cuts)
        read = model_signals(of_whole, reading.windows, of_parts)
        end_places = start_places + len(reading.stretches)
        answer = _found_answer(reading, places[start_places:end_places])
        start_places = end_places
        values = np.concatenate((reading.lexical.values, read.values, answer.values))
        rows.append(replace(read, values=values, answer=answer))
    return rows


def _found_answer(reading: Reading, places: Sequence[TokenScores]) -> FoundAnswer:
    if not reading.stretches:
        return NOT_ASKED
    looked = LookedUp(question=reading.wording.asked, stretches=reading.stretches, scores=tuple(places))
    return looked.compare(reading.wording.own)


def load_judge(base_folder: Path, device: Device, folder: Path = SHIPPED_FOLDER) -> ClaimJudge:
    """The shipped verifier (or the one in `folder`) on its base encoder all-MiniLM-L6-v2; imports torch.

    Args:
        base_folder: where the base encoder lies, as `llm.sources` resolved it.
        device: where to run, as `llm.device` probed it.
        folder: the weights with their parameters.

    Raises:
        NotReadyError: a file is missing, or the base is not the one that the verifier was trained from.
    """
    parameters = read_parameters(folder)
    weights = read_weights(base_folder, folder)
    if parameters.base_sha256 is not None and sha256_of_base(base_folder) != parameters.base_sha256:
        raise NotReadyError(
            f"{base_folder} does not hold the encoder that the verifier was trained from; "
            "run citebound models pull all-MiniLM-L6-v2"
        )
    model = load_cross_encoder(base_folder, weights, device, n_outcomes=N_OUTCOMES, n_token_scores=N_TOKEN_SCORES)
    return ClaimJudge(model, parameters, read_words(folder))


def _parts(index: int, claim: StatedClaim, sentences: EvidenceSentences, n_windows: int) -> Iterator[Reading]:
    """The claim, or its parts where it is long."""
    asked = question_of(claim)
    said = statement(claim)[len(asked) :].strip()
    pieces = said.split()
    texts = [" ".join(pieces[at : at + _PART_WORDS]) for at in range(0, len(pieces), _PART_WORDS)]
    readings = []
    for text in texts:
        wording = Wording(text=f"{asked} {text}".strip(), own=text, asked=asked)
        windows = sentences.best_windows(sentences.weights_of(wording.text), n_windows)
        lexical = lexical_signals(wording, sentences, windows)
        parts = _read_apart(text, sentences)
        stretches = sentences.best_stretches(sentences.weights_of(asked)) if asked else ()
        readings.append(
            Reading(claim=index, wording=wording, windows=windows, parts=parts, lexical=lexical, stretches=stretches)
        )
    if len(readings) > _MAX_PARTS:
        readings.sort(key=lambda reading: float(reading.lexical.values[0]))
    yield from readings[:_MAX_PARTS]


def _read_apart(text: str, sentences: EvidenceSentences) -> tuple[tuple[str, tuple[Window, ...]], ...]:
    """The parts of a claim that is not short, with one or two windows for each."""
    texts = split_parts(text) if len(content_words(text)) > SHORT_WORDS else ()
    n_windows = max(1, N_WINDOWS // len(texts)) if texts else 0
    parts = ((text, sentences.best_windows(sentences.weights_of(text), n_windows)) for text in texts)
    return tuple((text, windows) for text, windows in parts if windows)


def _other_answer(lexical: Lexical) -> Iterator[str]:
    if lexical.other_cell is not None:
        yield lexical.other_cell
    if lexical.other_measure is not None:
        told, asked = lexical.other_measure
        yield f"{told} is no answer to a question for {asked}"


def _found_instead(answer: FoundAnswer) -> Iterator[str]:
    """Another answer that the evidence seems to give."""
    if answer.best > 0 and answer.gap < _OTHER_FOUND:
        yield f"the evidence seems to answer: {answer.text}"


def _nothing_read(n_evidence: int) -> Judgement:
    why = "there is no evidence" if n_evidence == 0 else "nothing in it can be looked up in the evidence"
    return Judgement(label="unsupported", score=0.0, evidence=None, span=None, reasons=(why,))
