"""Where evidence answers a question, read by the verifier's encoder, and how an answer that was given compares with it.

A second opinion that does not know the answer: the encoder is shown the question and the evidence, and scores of every
token whether an answer begins or ends there, against there being none. An answer is believed the more, the nearer the
places that it may have been taken from come to the best one.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from llm.types import Cancel
from rag.cross_encoder import TokenScores
from rag.text import counted_words, split_sentences
from rag.types import FloatArray, Span
from rag.verify.windows import Stretch

OTHER_FOUND = -3.0  # log-odds by which another answer is likelier, for it to be named as a reason
ANSWER_FEATURES = (
    "found_said",  # log-odds of the likeliest place of what was said against no answer, the highest of all stretches
    "found_gap",  # that less the log-odds of the likeliest place of all; 0 where what was said is what was found
    "found_other",  # the same of log(1 + odds): how surely another answer is there, and not what was said
)
_MAX_TOKENS = 30  # of an answer
_LIKELY = 200  # places of a stretch that are compared with what was said
_OF_A_STRETCH = 8  # places that are told apart by their sentences
_MOST = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPlace:
    """Where an answer stands."""

    stretch: Stretch
    span: Span  # in its text

    @property
    def text(self) -> str:
        """What stands there."""
        return self.span.cut(self.stretch.text)

    def around(self, n_sentences: int) -> str:
        """The sentence that holds its beginning, with so many before it and after it, of the same stretch."""
        text = self.stretch.text
        spans = split_sentences(text)
        at = next((number for number, span in enumerate(spans) if self.span.start < span.end), None)
        if at is None:
            return text
        return text[spans[max(0, at - n_sentences)].start : spans[min(at + n_sentences, len(spans) - 1)].end]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAnswer:
    """What the evidence seems to answer, beside what was said."""

    said: float  # log-odds of the likeliest place of what was said
    best: float  # of the likeliest place of all
    place: AnswerPlace | None  # the likeliest of all
    said_place: AnswerPlace | None  # the likeliest of what was said; None where it stands nowhere

    @property
    def gap(self) -> float:
        """By how much what was said is less likely than what was found, at most 0."""
        return self.said - self.best

    @property
    def text(self) -> str:
        """What stands at the likeliest place; "" where none was looked at."""
        return "" if self.place is None else self.place.text

    @property
    def values(self) -> FloatArray:
        """The ANSWER_FEATURES."""
        other = np.logaddexp(0.0, self.said) - np.logaddexp(0.0, self.best)
        return np.array((self.said, self.gap, other), dtype=np.float32)


NOT_ASKED = FoundAnswer(said=0.0, best=0.0, place=None, said_place=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """A question with what was read of evidence for it."""

    question: str
    stretches: tuple[Stretch, ...]
    scores: tuple[TokenScores, ...]  # of each stretch

    def compare(self, said: str) -> FoundAnswer:
        """What was found, beside the answer that was given."""
        given, told = counted_words(self.question), counted_words(said)
        own = told - given or told
        best, best_said = -_MOST, -_MOST
        place: AnswerPlace | None = None
        said_place: AnswerPlace | None = None
        for stretch, read in zip(self.stretches, self.scores, strict=True):
            for number, (log_odds, start, end) in enumerate(likely_places(read)):
                here = AnswerPlace(stretch=stretch, span=Span(start=start, end=end))
                if number == 0 and log_odds > best:
                    best, place = log_odds, here
                if log_odds <= best_said:
                    break
                if _is_said(here.text, told, own):
                    best_said, said_place = log_odds, here
        return FoundAnswer(said=best_said, best=best, place=place, said_place=said_place)

    def places(self, n: int) -> tuple[AnswerPlace, ...]:
        """The `n` likeliest places, the likeliest first, one of each sentence."""
        found = sorted(
            (
                (-log_odds, at, start, end)
                for at, read in enumerate(self.scores)
                for log_odds, start, end in itertools.islice(likely_places(read), _OF_A_STRETCH)
            ),
        )
        kept: dict[str, AnswerPlace] = {}
        for _, at, start, end in found:
            place = AnswerPlace(stretch=self.stretches[at], span=Span(start=start, end=end))
            if len(kept) < n:
                kept.setdefault(place.around(0), place)
        return tuple(kept.values())


@runtime_checkable
class QuestionReader(Protocol):
    """Looks questions up in evidence."""

    def look_up(self, question: str, evidence: Sequence[str], *, cancel: Cancel | None = None) -> LookedUp:
        """What was read of the likeliest stretches of `evidence`.

        Raises:
            CancelledError: `cancel` was set.
        """
        ...


def likely_places(read: TokenScores) -> Iterator[tuple[float, int, int]]:
    """(log-odds against no answer, first character, the character after the last), the likeliest first."""
    scores = _scores(read)
    for place in np.argsort(-scores, axis=None, kind="stable")[:_LIKELY]:
        first, more = divmod(int(place), scores.shape[1])
        if np.isfinite(scores[first, more]):
            yield _log_odds(scores[first, more], read), read.spans[first][0], read.spans[first + more][1]


def _scores(read: TokenScores) -> FloatArray:
    """(n_tokens, up to _MAX_TOKENS): of an answer that begins at a token and ends so many tokens later."""
    begins, ends = read.values[:, 0], read.values[:, 1]
    padded = np.concatenate((ends, np.full(_MAX_TOKENS, -np.inf, dtype=np.float32)))
    return begins[:, None] + np.lib.stride_tricks.sliding_window_view(padded, _MAX_TOKENS)[: len(ends)]


def _log_odds(score: float, read: TokenScores) -> float:
    return float(np.clip(score - read.nowhere.sum(), -_MOST, _MOST))


def _is_said(place: str, told: frozenset[str], own: frozenset[str]) -> bool:
    """Whether a place holds nothing that was not said, and something of what the question did not say already."""
    words = counted_words(place)
    return words <= told and not words.isdisjoint(own)
