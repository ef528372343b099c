"""Which tokens may follow so that every citation marker exists: [1] to [n], none in the middle of a word.

A bracket that begins with a number holds one from 1 to n and is closed after it. Brackets that hold something else
(`dict[str]`, `[sic]`) are text like any other, but a number may not follow what still could introduce one in a marker
(`[passage 3]`, `【3】`). No letter or digit follows a marker directly where one stands before it. The rule is about
characters, so that it holds however a tokenizer cuts them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_OPEN = "["
_CLOSE = "]"
_BRACKETS = frozenset("[［【〔⟦")
_DIGITS = "0123456789"
# What may stand between a bracket and the number of a marker, as readers of markers take it: blanks, one word, a sign.
_INTRODUCTION = re.compile(r".\s{0,3}[^\W\d_]{0,12}\s{0,3}[:#]?\s{0,3}\^?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RuleState:
    """What of the text so far decides what may follow."""

    bracket: str = ""  # the end of the text from a bracket on, while it may become a marker
    closed: bool = False  # the text ends with a marker
    word: bool = False  # the last character outside of markers is a letter or digit

    @property
    def in_number(self) -> bool:
        """Whether the text ends inside a marker."""
        return self.bracket[-1:] in _DIGITS and bool(self.bracket)


def advance(state: RuleState, text: str, n_markers: int) -> RuleState | None:
    """The state after `text`; None where it breaks the rule."""
    bracket, closed, word = state.bracket, state.closed, state.word
    for c in text:
        if bracket and bracket[-1] in _DIGITS:
            if c == _CLOSE:
                bracket, closed = "", True
            elif c in _DIGITS and _begins_a_marker(bracket[1:] + c, n_markers):
                bracket += c
            else:
                return None
        elif bracket and c.isdecimal():
            if bracket != _OPEN or c not in _DIGITS or not _begins_a_marker(c, n_markers):
                return None
            bracket += c
        elif c in _BRACKETS:
            bracket = c
        elif closed and word and not bracket and _is_wordy(c):
            return None
        else:
            bracket = bracket + c if bracket and _INTRODUCTION.fullmatch(bracket + c) else ""
            closed, word = False, _is_wordy(c)
    return RuleState(bracket, closed, word)


def may_follow(state: RuleState, text: str, n_markers: int) -> bool:
    """Whether a token that adds `text` obeys the rule; one that adds nothing (the end) leaves no marker open."""
    return bool(text or not state.in_number) and advance(state, text, n_markers) is not None


def _is_wordy(c: str) -> bool:
    """Whether a character is part of a word; so is, to be safe, what stands for a byte of an unfinished character."""
    return c.isalnum() or c == "\ufffd"


def _begins_a_marker(digits: str, n_markers: int) -> bool:
    """Whether a number from 1 to `n_markers` begins with `digits`; the least that does is `digits` itself."""
    return digits[0] != "0" and int(digits) <= n_markers


class CitationRule:
    """The rule for one vocabulary.

    Args:
        texts: What each token adds, by id.
        end_ids: Tokens that end the text, which no open bracket may.
    """

    def __init__(self, texts: Sequence[str], end_ids: Sequence[int]) -> None:
        self._texts = tuple(texts)
        self._ends = frozenset(end_ids)
        self._bracketed = frozenset(i for i, text in enumerate(texts) if not _BRACKETS.isdisjoint(text))
        self._numbered = frozenset(i for i, text in enumerate(texts) if any(c.isdecimal() for c in text))
        self._wordy = frozenset(i for i, text in enumerate(texts) if text and _is_wordy(text[0]))

    @property
    def n_tokens(self) -> int:
        """Size of the vocabulary."""
        return len(self._texts)

    def text(self, token_id: int) -> str:
        """What a token adds; nothing for one beyond the vocabulary, or that ends the text."""
        return self._texts[token_id] if token_id < len(self._texts) and token_id not in self._ends else ""

    def forbidden(self, state: RuleState, n_markers: int) -> Iterator[int]:
        """The ids that may not follow; none where that would be all of them."""
        among: Iterable[int] = range(len(self._texts))
        if not state.in_number:
            numbered = self._numbered if state.bracket else frozenset()
            among = self._bracketed | numbered | (self._wordy if state.closed and state.word else frozenset())
        broken = sorted(i for i in among if not may_follow(state, self.text(i), n_markers))
        return iter(broken if len(broken) < len(self._texts) else ())
