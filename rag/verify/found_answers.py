"""Where evidence answers a question, read by the verifier's encoder, and how an answer that was given compares with it.

A second opinion that does not know the answer: the encoder is shown the question and the evidence, and scores of every
token whether an answer begins or ends there, against there being none. An answer is believed the more, the nearer the
places that it may have been taken from come to the best one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rag.cross_encoder import TokenScores
from rag.text import content_words
from rag.types import FloatArray

ANSWER_FEATURES = (
    "found_said",  # log-odds of the likeliest place of what was said against no answer, the highest of all stretches
    "found_gap",  # that less the log-odds of the likeliest place of all; 0 where what was said is what was found
)
_MAX_TOKENS = 30  # of an answer
_LIKELY = 200  # places of a stretch that are compared with what was said
_MOST = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAnswer:
    """What the evidence seems to answer."""

    values: FloatArray  # (len(ANSWER_FEATURES),)
    text: str  # the likeliest answer
    log_odds: float  # of it against there being none


NOT_ASKED = FoundAnswer(values=np.zeros(len(ANSWER_FEATURES), dtype=np.float32), text="", log_odds=0.0)


def compare_answer(said: str, asked: str, texts: Sequence[str], scores: Sequence[TokenScores]) -> FoundAnswer:
    """What was found in each stretch of evidence, beside what was said.

    Args:
        said: The answer that was given.
        asked: Its question.
        texts: The stretches that were read.
        scores: What was read of each.
    """
    given = frozenset(content_words(asked))
    told = frozenset(content_words(said))
    own = told - given or told
    best, text, best_said = -_MOST, "", -_MOST
    for stretch, read in zip(texts, scores, strict=True):
        for number, (log_odds, start, end) in enumerate(likely_places(read)):
            if number == 0 and log_odds > best:
                best, text = log_odds, stretch[start:end]
            if log_odds <= best_said:
                break
            if _is_said(stretch[start:end], told, own):
                best_said = log_odds
    values = np.array((best_said, best_said - best), dtype=np.float32)
    return FoundAnswer(values=values, text=text, log_odds=best)


def likely_places(read: TokenScores) -> Iterator[tuple[float, int, int]]:
    """(log-odds against no answer, first character, the character after the last), the likeliest first."""
    scores = _scores(read)
    for place in np.argsort(-scores, axis=None, kind="stable")[:_LIKELY]:
        first, more = divmod(int(place), scores.shape[1])
        if np.isfinite(scores[first, more]):
            yield _log_odds(scores[first, more], read), read.spans[first][0], read.spans[first + more][1]


def best_log_odds(read: TokenScores) -> float:
    """Those of the likeliest place."""
    return _log_odds(_scores(read).max(initial=-np.inf), read)


def _scores(read: TokenScores) -> FloatArray:
    """(n_tokens, up to _MAX_TOKENS): of an answer that begins at a token and ends so many tokens later."""
    begins, ends = read.values[:, 0], read.values[:, 1]
    padded = np.concatenate((ends, np.full(_MAX_TOKENS, -np.inf, dtype=np.float32)))
    return begins[:, None] + np.lib.stride_tricks.sliding_window_view(padded, _MAX_TOKENS)[: len(ends)]


def _log_odds(score: float, read: TokenScores) -> float:
    return float(np.clip(score - read.nowhere.sum(), -_MOST, _MOST))


def _is_said(place: str, told: frozenset[str], own: frozenset[str]) -> bool:
    """Whether a place holds nothing that was not said, and something of what the question did not say already."""
    words = frozenset(content_words(place))
    return words <= told and not words.isdisjoint(own)
