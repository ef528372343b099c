"""Which sentence of the evidence accounts for a sentence of an answer, and how much of it.

Nothing is believed of what the model says about its sources. A sentence's own words (those that the question does not
hold already) are looked up in every sentence of the prompt's evidence, rare words counting more; the question's words
tell apart sentences that both hold a short answer. Every number must be found. What stays below the threshold is not
cited.

This counts words: it finds the place that a statement was taken from. It cannot tell that a statement made of the
words of that place twists them; that is the verifier's work.
"""

import itertools
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rag.prompt_passage import PromptPassage, Run
from rag.quotes import narrow
from rag.text import content_words, counted_words, split_sentences, words
from rag.types import Span, Support

DEFAULT_THRESHOLD = 0.5  # chosen on SQuAD train by benchmarks/attribution_threshold.py
_QUESTION_SHARE = 0.6  # of the score that depends on how much of the question the evidence holds
_CONTEXT_WEIGHT = 0.3  # of a question's word that the passage holds, but not the quote
_PAIR_FACTOR = 0.8  # two sentences in a row must be that much better than one to be quoted together
_MAX_PAIR_WORDS = 60
_UNSEEN = 0.5  # of its weight counts a word that no sentence of the evidence holds
_SECOND_GAIN = 0.25  # of the weight of the sentence's own words that a second citation must add
_SECOND_WORDS = 2  # own words that a second citation must add, unless it adds a number

_EMPTY = frozenset(content_words("yes yeah"))  # they say something only together with the question
_DENIAL = frozenset(content_words("no nope"))  # alone they say as little, in a sentence they tell
_ASKING = frozenset(content_words("many much name named called kind type"))  # they ask, and need no counterpart
_FRAME = frozenset(  # of phrases that a decoder puts around an answer: "the answer to this question is", "known as"
    content_words(
        "according answer article called context described document kind known mentioned name other another passage"
        " provided question referred stated term text type"
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """One quote for one sentence."""

    marker: int
    span: Span  # in the document's text
    quote: str  # == document_text[span]
    score: float  # 0..1
    support: Support | None = None  # what a judge makes of it; None where none was asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributed:
    """What was found for one sentence."""

    quotes: tuple[Attribution, ...]  # at most two; () where nothing reaches the threshold
    score: float  # 0..1: of the quotes together, or of the best candidate where nothing reaches the threshold


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """One sentence of the evidence, or two in a row."""

    marker: int
    run: Run
    span: Span  # in run.text
    terms: frozenset[str]
    context: frozenset[str]  # of its whole passage, heading and table header included
    factor: float


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The words of one sentence with their weights, none empty."""

    own: Mapping[str, float]  # not in the question; where there are none, those it shares with the question
    numbers: frozenset[str]  # of `own`: all must be found


@dataclass(frozen=True, slots=True)
class _Match:
    """What one candidate, or two together, hold of a sentence."""

    candidates: tuple[_Candidate, ...]
    found: frozenset[str]  # own words
    score: float  # 0..1
    complete: bool  # all numbers were found


class Attributor:
    """Looks for support among the passages of one prompt."""

    def __init__(
        self, question: str, passages: Sequence[PromptPassage], *, threshold: float = DEFAULT_THRESHOLD
    ) -> None:
        self._threshold = threshold
        self._candidates = tuple(
            candidate for marker, passage in enumerate(passages, start=1) for candidate in _candidates(marker, passage)
        )
        sentences = [candidate.terms for candidate in self._candidates if candidate.factor == 1]
        self._n_sentences = len(sentences)
        self._n_holding = Counter(itertools.chain.from_iterable(sentences))
        self._asked = {term: self._weight(term) for term in counted_words(question) - _ASKING}

    def attribute(self, sentence: str, written: Collection[int] = ()) -> Attributed:
        """Quotes that account for `sentence`.

        A marker that the model wrote (`written`) stands if its passage reaches the threshold, even where another
        passage scores higher; otherwise the best passage is cited, or none. A second quote is given only where it adds
        a quarter of the weight of the sentence's own words: two words at least, or a number.
        """
        wanted = self._wanted(sentence)
        if wanted is None or not self._candidates:
            return Attributed(quotes=(), score=0.0)
        matches = [self._match(wanted, (candidate,)) for candidate in self._candidates]
        matches.sort(key=lambda match: -match.score)  # stable: of equals the first in the prompt
        reaching = [match for match in matches if match.complete and match.score >= self._threshold]
        chosen = next((match for match in reaching if match.candidates[0].marker in written), None)
        chosen = chosen or next(iter(reaching), matches[0])
        chosen = self._extended(wanted, chosen, matches)
        if not chosen.complete or chosen.score < self._threshold:
            best = max((match.score for match in matches if match.complete), default=0.0)
            return Attributed(quotes=(), score=best)
        return Attributed(quotes=tuple(self._quotes(wanted, chosen)), score=chosen.score)

    def _wanted(self, sentence: str) -> _Wanted | None:
        """The words to look for; None where the sentence has none that say anything."""
        said = counted_words(sentence) - _EMPTY
        if said <= _DENIAL:
            return None
        own = (said - self._asked.keys() - _FRAME) or said
        numbers = frozenset(term for term in own if term[0].isdecimal() and term != "1")  # "one" is mostly no number
        return _Wanted({term: self._weight(term) for term in own}, numbers)

    def _weight(self, term: str) -> float:
        """Inverse sentence frequency, log((N + 1) / (n + 0.5)); less for a word found nowhere.

        Such a word is a decoder's own wording about as often as an invention; numbers found nowhere are caught anyway.
        """
        weight = math.log((self._n_sentences + 1) / (self._n_holding[term] + 0.5))
        return weight if self._n_holding[term] else _UNSEEN * weight

    def _match(self, wanted: _Wanted, candidates: tuple[_Candidate, ...]) -> _Match:
        """Weight of the own words found, lowered by the weight of the question's words that are missing."""
        found = frozenset(term for one in candidates for term in one.terms & wanted.own.keys())
        asked = sum(self._asked_share(one) for one in candidates) / len(candidates)
        share = _sum(wanted.own, found) / sum(wanted.own.values())
        factor = max(one.factor for one in candidates)
        score = factor * share * (1 - _QUESTION_SHARE + _QUESTION_SHARE * asked)
        return _Match(candidates, found, min(score, 1.0), wanted.numbers <= found)

    def _asked_share(self, candidate: _Candidate) -> float:
        """How much of the question the candidate holds, 1 for a question without content words."""
        if not self._asked:
            return 1.0
        beside = candidate.context - candidate.terms
        held = _sum(self._asked, candidate.terms) + _CONTEXT_WEIGHT * _sum(self._asked, beside)
        return held / sum(self._asked.values())

    def _extended(self, wanted: _Wanted, chosen: _Match, matches: Sequence[_Match]) -> _Match:
        """`chosen` with the candidate that adds most to it, or as it is where none adds enough."""
        (first,) = chosen.candidates
        missing = wanted.own.keys() - chosen.found
        gains = [
            (_sum(wanted.own, missing & match.found), match.score, match.candidates[0])
            for match in matches
            if missing & match.found and not _overlap(first, match.candidates[0])
        ]
        if not gains:
            return chosen
        gain, _, second = max(gains, key=lambda one: one[:2])
        new = missing & second.terms
        if gain < _SECOND_GAIN * sum(wanted.own.values()) or (len(new) < _SECOND_WORDS and not new & wanted.numbers):
            return chosen
        return self._match(wanted, (first, second))

    def _quotes(self, wanted: _Wanted, chosen: _Match) -> Iterator[Attribution]:
        """The candidates as quotes, each cut to the part that matters where it is long."""
        quoted: frozenset[str] = frozenset()
        for candidate in chosen.candidates:
            own = {term: 2 * weight for term, weight in wanted.own.items() if term not in quoted}
            span = narrow(candidate.run.text, candidate.span, {**self._asked, **own})
            start = candidate.run.start
            yield Attribution(
                marker=candidate.marker,
                span=Span(start=start + span.start, end=start + span.end),
                quote=span.cut(candidate.run.text),
                score=self._match(wanted, (candidate,)).score,
            )
            quoted |= candidate.terms


def _overlap(one: _Candidate, other: _Candidate) -> bool:
    same = one.marker == other.marker and one.run.start == other.run.start
    return same and one.span.start < other.span.end and other.span.start < one.span.end


def _sum(weights: Mapping[str, float], held: Collection[str]) -> float:
    return sum(weight for term, weight in weights.items() if term in held)


def _candidates(marker: int, passage: PromptPassage) -> Iterator[_Candidate]:
    """Every sentence of a passage, and every two in a row that are short enough to be quoted together."""
    around = counted_words(
        " ".join((passage.heading or "", passage.table_header or "", *(run.text for run in passage.runs)))
    )
    for run in passage.runs:
        before: Span | None = None
        held_before: frozenset[str] = frozenset()
        for span in split_sentences(run.text):
            held = counted_words(span.cut(run.text))
            yield _Candidate(marker, run, span, held, around, 1.0)
            if before is not None and "\n" not in run.text[before.end : span.start]:
                both = Span(start=before.start, end=span.end)
                if len(words(both.cut(run.text))) <= _MAX_PAIR_WORDS:
                    yield _Candidate(marker, run, both, held | held_before, around, _PAIR_FACTOR)
            before, held_before = span, held
