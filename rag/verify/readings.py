"""What is read for each claim: its words, the windows of the evidence that are shown to the model, and what it says.

A claim that is too long is read in pieces, each a reading of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from llm.types import Cancel
from rag.cross_encoder import PlaceModel, TokenScores
from rag.text import content_words
from rag.verify.claims import question_of, statement
from rag.verify.found_answers import NOT_ASKED, FoundAnswer, LookedUp
from rag.verify.parts import split_parts
from rag.verify.signals import Lexical, Read, Wording, lexical_signals, model_signals
from rag.verify.types import StatedClaim
from rag.verify.weighing import SHORT_WORDS
from rag.verify.whether import read_reply
from rag.verify.windows import N_WINDOWS, EvidenceSentences, Stretch, Window, WordCounts

_PART_WORDS = 60  # a longer claim is read in parts, each of which must be supported
_MAX_PARTS = 8  # of one claim; of more, those with the fewest words in the evidence are read


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One claim, or a part of a long one, with the windows that are read for it."""

    claim: int  # index of the claim
    wording: Wording
    windows: tuple[Window, ...]  # best first, never empty
    parts: tuple[tuple[str, tuple[Window, ...]], ...]  # of a long claim, each with the windows read for it
    lexical: Lexical
    stretches: tuple[Stretch, ...]  # of evidence, in which the claim's question is looked up; none without one
    sentences: EvidenceSentences = field(repr=False)  # all of the evidence
    is_denied: bool = False  # the claim says that what is read is wrong: a "no"

    @property
    def questions(self) -> list[tuple[str, str]]:
        """Evidence and question, to be looked up."""
        return [(stretch.text, self.wording.asked) for stretch in self.stretches]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """What the model reads: evidence and claim, the windows first, then those of the parts."""
        whole = [(window.text, self.wording.text) for window in self.windows]
        return whole + [(window.text, text) for text, windows in self.parts for window in windows]

    @property
    def digest(self) -> str:
        """The best of all the evidence in one text, for a model that reads more at once."""
        return self.sentences.digest(self.sentences.weights_of(self.wording.text))


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


def _parts(index: int, claim: StatedClaim, sentences: EvidenceSentences, n_windows: int) -> Iterator[Reading]:
    """The claim, or its parts where it is long."""
    asked = question_of(claim)
    said = statement(claim)[len(asked) :].strip()
    whether = read_reply(asked, said)
    if whether is not None:
        asked, said = "", whether.statement
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
            Reading(
                claim=index,
                wording=wording,
                windows=windows,
                parts=parts,
                lexical=lexical,
                stretches=stretches,
                sentences=sentences,
                is_denied=whether is not None and whether.is_denied,
            )
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
