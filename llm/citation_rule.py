"""Which tokens may follow so that every bracket becomes a citation marker that exists: [1] to [n].

A bracket that is opened holds one number from 1 to n and is closed; brackets of other scripts are not opened; and no
letter or digit follows a marker directly where one stands before it, so that no marker splits a word. The rule is
about characters, so that it holds however a tokenizer cuts them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_OPEN = "["
_CLOSE = "]"
_OTHER_OPEN = "［【〔⟦"
_BRACKETS = frozenset(_OPEN + _OTHER_OPEN)


@dataclass(frozen=True, slots=True)
class RuleState:
    """What of the text so far decides what may follow."""

    number: str | None = None  # the digits since a bracket was opened; None outside of brackets
    closed: bool = False  # the text ends with a marker
    word: bool = False  # the last character outside of markers is a letter or digit


def advance(state: RuleState, text: str, n_markers: int) -> RuleState | None:
    """The state after `text`; None where it breaks the rule."""
    number, closed, word = state.number, state.closed, state.word
    for c in text:
        if number is not None:
            if c == _CLOSE and number:
                number, closed = None, True
            elif c in "0123456789" and _begins_a_marker(number + c, n_markers):
                number += c
            else:
                return None
        elif c == _OPEN and n_markers:
            number = ""
        elif c in _BRACKETS or (closed and word and _is_wordy(c)):
            return None
        else:
            closed, word = False, _is_wordy(c)
    return RuleState(number, closed, word)


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
        self._bracketed = tuple(i for i, text in enumerate(texts) if not _BRACKETS.isdisjoint(text))
        wordy = (i for i, text in enumerate(texts) if text and _is_wordy(text[0]))
        self._bracketed_or_wordy = tuple(sorted({*self._bracketed, *wordy}))

    @property
    def n_tokens(self) -> int:
        """Size of the vocabulary."""
        return len(self._texts)

    def text(self, token_id: int) -> str:
        """What a token adds; nothing for one beyond the vocabulary, or that ends the text."""
        return self._texts[token_id] if token_id < len(self._texts) and token_id not in self._ends else ""

    def forbidden(self, state: RuleState, n_markers: int) -> Iterator[int]:
        """The ids that may not follow; none where that would be all of them."""
        if state.number is not None:
            broken = [i for i in range(len(self._texts)) if not self._goes_on(i, state, n_markers)]
            return iter(broken if len(broken) < len(self._texts) else ())
        among = self._bracketed_or_wordy if state.closed and state.word else self._bracketed
        return (i for i in among if advance(state, self.text(i), n_markers) is None)

    def _goes_on(self, token_id: int, state: RuleState, n_markers: int) -> bool:
        text = self.text(token_id)
        return bool(text) and advance(state, text, n_markers) is not None
