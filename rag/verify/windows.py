"""Evidence in the pieces that a verifier reads: sentences, two or three in a row, and the best sentences together.

A model that judges statements against whole passages misses most of what they say (SummaC, Laban et al., TACL 2022), so
it is shown little at a time. Which little, shared words decide: cheap, deterministic, and measured by
`benchmarks/verifier.py` against reading everything.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rag.markers import drop_markers
from rag.table_rows import read_tables
from rag.text import content_words, split_sentences, words
from rag.types import Span

N_WINDOWS = 4  # read for one claim, at most; as many more are read for the parts of a long one
MAX_SENTENCES = 3  # of a window
N_STRETCHES = 4  # in which an answer to a claim's question is looked for, at most
_STRETCH_WORDS = 130  # as in training
_PIECE_WORDS = 60  # what runs on longer without a full stop (a table, a list of names) is cut
_WIDTH_COST = 0.97  # a window of two sentences must say 3 % more than one to be read instead
_AROUND_ONE = 2  # windows around the same sentence, at most: alone, and with what stands around it
_GATHERED_SENTENCES = 5
_GATHERED_WORDS = 140  # with the claim it stays within what the model reads
_DIGEST_WORDS = 170  # the same for the large encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence of the evidence, or a piece of one that is too long."""

    evidence: int  # index of its text
    span: Span  # in that text
    text: str  # on one line, without markers
    terms: tuple[str, ...]  # plain forms of its content words, in order


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What is read at once. `evidence` and `span` are None where sentences of several places are read together."""

    sentences: tuple[Sentence, ...]
    evidence: int | None
    span: Span | None

    @property
    def text(self) -> str:
        """The sentences, one after the other."""
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def terms(self) -> tuple[str, ...]:
        """Their content words, in order."""
        return tuple(term for sentence in self.sentences for term in sentence.terms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Some sentences in a row, in which an answer is looked for."""

    evidence: int  # index of their text
    text: str  # on one line, without markers


@dataclass(frozen=True, slots=True, kw_only=True)
class WordCounts:
    """In how many of some paragraphs each word stands: what makes a word weighty. Empty: every word weighs the same."""

    n_texts: int = 0
    n_with: Mapping[str, int] = field(default_factory=dict)

    def weight(self, term: str) -> float:
        """Inverse document frequency log((n + 1) / (n_with + 1/2)); a word that was never seen is the weightiest."""
        return math.log((self.n_texts + 1.5) / (self.n_with.get(term, 0) + 0.5))

    @property
    def heaviest(self) -> float:
        """The weight of a word that was never seen."""
        return self.weight("")


class EvidenceSentences:
    """All sentences of some evidence, and where each word stands."""

    def __init__(self, evidence: Sequence[str], counts: WordCounts) -> None:
        self.sentences: tuple[Sentence, ...] = tuple(
            sentence for index, text in enumerate(evidence) for sentence in _cut(index, text)
        )
        self.text = " ".join(sentence.text for sentence in self.sentences)
        read = [read_tables(text) for text in evidence]
        self.tables = tuple(table for tables, _ in read for table in tables)
        self.prose = "\n".join(prose for _, prose in read)
        self._counts = counts
        self._places: dict[str, list[int]] = {}  # term → sentences that hold it
        for index, sentence in enumerate(self.sentences):
            for term in dict.fromkeys(sentence.terms):
                self._places.setdefault(term, []).append(index)

    @property
    def heaviest(self) -> float:
        """The greatest weight that a word can have."""
        return self._counts.heaviest

    def weights(self, terms: Sequence[str]) -> dict[str, float]:
        """The weight of each different term."""
        return {term: self._counts.weight(term) for term in dict.fromkeys(terms)}

    def weights_of(self, text: str) -> dict[str, float]:
        """The weight of each content word of `text`."""
        return self.weights(content_words(text))

    def holds(self, term: str) -> bool:
        """Whether any sentence holds the term."""
        return term in self._places

    def all_windows(self) -> tuple[Window, ...]:
        """Every window of one to three sentences: what reading all would mean."""
        return tuple(
            self._window(first, width)
            for first in range(len(self.sentences))
            for width in range(1, MAX_SENTENCES + 1)
            if self._is_run(first, width)
        )

    def best_windows(self, weights: Mapping[str, float], n_windows: int = N_WINDOWS) -> tuple[Window, ...]:
        """At most `n_windows` windows, best first by the weight of the claim's words that they hold.

        Where the best sentences of several places together hold more than any window, they are read as one as well,
        in the last place of the result. Without a shared word the first sentences are read.
        """
        if not self.sentences:
            return ()
        total = sum(weights.values()) or 1.0
        touched = sorted({place for term in weights for place in self._places.get(term, ())})
        starts = sorted({max(0, place - back) for place in touched for back in range(MAX_SENTENCES)})
        scored: list[tuple[float, int, int, int]] = []  # (-score, width, first, the sentence that holds most)
        for first in starts or range(min(n_windows, len(self.sentences))):
            held: set[str] = set()
            core, most = first, -1.0
            for width in range(1, MAX_SENTENCES + 1):
                if not self._is_run(first, width):
                    break
                last = first + width - 1
                here = {term for term in self.sentences[last].terms if term in weights}
                alone = sum(weights[term] for term in sorted(here))
                core, most = (last, alone) if alone > most else (core, most)
                held |= here
                share = sum(weights[term] for term in sorted(held)) / total
                scored.append((-share * _WIDTH_COST ** (width - 1), width, first, core))
        scored.sort()
        gathered = self._gathered(weights)
        picked: list[Window] = []
        n_around: dict[int, int] = defaultdict(int)
        for _, width, first, core in scored:
            if len(picked) < n_windows - (gathered is not None) and n_around[core] < _AROUND_ONE:
                n_around[core] += 1
                picked.append(self._window(first, width))
        return (*picked, gathered) if gathered is not None else tuple(picked)

    def best_stretches(self, weights: Mapping[str, float], n_stretches: int = N_STRETCHES) -> tuple[Stretch, ...]:
        """The evidence in runs of at most _STRETCH_WORDS words of one text; of many, those that hold most, in order."""
        runs: list[list[Sentence]] = []
        n_words = 0
        for sentence in self.sentences:
            more = len(sentence.text.split())
            if not runs or runs[-1][-1].evidence != sentence.evidence or n_words + more > _STRETCH_WORDS:
                runs.append([])
                n_words = 0
            runs[-1].append(sentence)
            n_words += more
        held = [weights.keys() & {term for one in run for term in one.terms} for run in runs]
        shares = [sum(weights[term] for term in sorted(terms)) for terms in held]
        order = sorted(range(len(runs)), key=lambda at: (-shares[at], at))
        return tuple(
            Stretch(evidence=runs[at][0].evidence, text=" ".join(one.text for one in runs[at]))
            for at in sorted(order[:n_stretches])
        )

    def digest(self, weights: Mapping[str, float]) -> str:
        """Everything, where it is short; else the gathered sentences, those of the best windows and their neighbours.

        At most _DIGEST_WORDS words, in the order in which they stand.
        """
        n_words = [len(sentence.text.split()) for sentence in self.sentences]
        if sum(n_words) <= _DIGEST_WORDS:
            return self.text
        gathered = self._gathered(weights)
        best = self.best_windows(weights)
        where = {id(sentence): place for place, sentence in enumerate(self.sentences)}
        held = [
            where[id(sentence)] for window in ((gathered, *best) if gathered else best) for sentence in window.sentences
        ]
        beside = [place for at in held for place in (at - 1, at + 1)]
        chosen: set[int] = set()
        left = _DIGEST_WORDS
        for place in (*held, *beside):
            if 0 <= place < len(n_words) and place not in chosen and n_words[place] <= left:
                chosen.add(place)
                left -= n_words[place]
        return " ".join(self.sentences[place].text for place in sorted(chosen))

    def _gathered(self, weights: Mapping[str, float]) -> Window | None:
        """The sentences that together hold most of the claim's words, in order; None where one or neighbours do."""
        missing = dict(weights)
        chosen: list[int] = []
        n_words = 0
        while len(chosen) < _GATHERED_SENTENCES:
            gains: dict[int, float] = defaultdict(float)
            for term, weight in missing.items():
                for place in self._places.get(term, ()):
                    gains[place] += weight
            left = [(-gain, place) for place, gain in gains.items() if place not in chosen]
            if not left:
                break
            _, place = min(left)
            n_words += len(self.sentences[place].text.split())
            if chosen and n_words > _GATHERED_WORDS:
                break
            chosen.append(place)
            for term in self.sentences[place].terms:
                missing.pop(term, None)
        chosen.sort()
        if len(chosen) < 2 or (chosen[-1] - chosen[0] == len(chosen) - 1 and self._is_run(chosen[0], len(chosen))):
            return None
        return Window(sentences=tuple(self.sentences[place] for place in chosen), evidence=None, span=None)

    def _is_run(self, first: int, width: int) -> bool:
        """Whether `width` sentences from `first` on follow each other in one text."""
        last = first + width - 1
        return last < len(self.sentences) and self.sentences[first].evidence == self.sentences[last].evidence

    def _window(self, first: int, width: int) -> Window:
        sentences = self.sentences[first : first + width]
        span = Span(start=sentences[0].span.start, end=sentences[-1].span.end)
        return Window(sentences=sentences, evidence=sentences[0].evidence, span=span)


def _cut(index: int, text: str) -> Iterator[Sentence]:
    """The sentences of one text that say anything, long ones in pieces."""
    for span in split_sentences(text):
        for piece in _pieces(text, span):
            plain = " ".join(drop_markers(piece.cut(text)).split())
            terms = content_words(plain)
            if terms:
                yield Sentence(evidence=index, span=piece, text=plain, terms=terms)


def _pieces(text: str, span: Span) -> Iterator[Span]:
    """`span`, or stretches of it of at most _PIECE_WORDS words."""
    found = words(span.cut(text))
    if len(found) <= _PIECE_WORDS:
        yield span
        return
    start = span.start
    for at in range(_PIECE_WORDS, len(found), _PIECE_WORDS):
        end = span.start + found[at].start
        yield Span(start=start, end=end)
        start = end
    yield Span(start=start, end=span.end)
