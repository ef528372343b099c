"""Drafts of the next tokens, looked up in the prompt and the text so far: an answer copies from its passages.

What a draft holds is checked by the model in one pass, so that it changes how fast a text comes and not the text
(prompt lookup, Saxena 2023; speculative decoding, Leviathan et al., ICML 2023). Here the longest match wins, the latest
among equals, and the draft grows while it is right and shrinks while it is not.
"""

from collections.abc import Sequence

_LEAST_MATCH = 2  # tokens that must agree before anything is drafted
_LONGEST_MATCH = 16  # beyond it, a longer agreement says nothing more
_CANDIDATES = 32  # latest places compared for one draft
_FIRST_DRAFT = 6
_LONGEST_DRAFT = 16
_LONGEST_REST = 8  # tokens without a draft after drafts that were wrong from their first token on


class PromptLookup:
    """The drafts of one text.

    Args:
        tokens: The prompt.
    """

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens: list[int] = []
        self._places: dict[tuple[int, int], list[int]] = {}  # two tokens → where the token after them stands
        self._length = _FIRST_DRAFT
        self._rest = 0  # tokens still to come without a draft
        self._n_wrong = 0  # drafts in a row of which nothing was right
        self.extend(tokens)

    def extend(self, tokens: Sequence[int]) -> None:
        """The text goes on with these tokens."""
        for token in tokens:
            self._tokens.append(token)
            if len(self._tokens) >= 2:
                pair = (self._tokens[-2], self._tokens[-1])
                self._places.setdefault(pair, []).append(len(self._tokens))
        self._rest = max(0, self._rest - len(tokens))

    def draft(self, most: int) -> list[int]:
        """At most `most` tokens that may come next; [] where nothing agrees, or drafts were wrong lately."""
        if self._rest or most <= 0 or len(self._tokens) < _LEAST_MATCH:
            return []
        best, place = 0, 0
        here = len(self._tokens)
        for candidate in reversed(self._places.get((self._tokens[-2], self._tokens[-1]), ())[-_CANDIDATES - 1 :]):
            if candidate == here:
                continue
            length = self._agreement(candidate)
            if length > best:
                best, place = length, candidate
            if best == _LONGEST_MATCH:
                break
        if best < _LEAST_MATCH:
            return []
        # A short agreement is often chance: little is drafted from it.
        length = min(self._length, most, 2 * best)
        period = here - place  # a text that repeats itself agrees with its own end: the draft goes round
        return [self._tokens[place + at % period] for at in range(length)]

    def learn(self, n_drafted: int, n_right: int) -> None:
        """How many tokens of a draft were right."""
        if not n_drafted:
            return
        if n_right == n_drafted:
            self._length = min(2 * self._length, _LONGEST_DRAFT)
        elif n_right < n_drafted // 2:
            self._length = max(self._length // 2, 2)
        self._n_wrong = 0 if n_right else self._n_wrong + 1
        if self._n_wrong > 1:
            self._rest = min(2 ** (self._n_wrong - 1), _LONGEST_REST)

    def _agreement(self, place: int) -> int:
        """How many tokens before `place` are those at the end of the text, in the same order."""
        tokens, end, length = self._tokens, len(self._tokens), 2
        while length < _LONGEST_MATCH and length < place and tokens[place - 1 - length] == tokens[end - 1 - length]:
            length += 1
        return length
