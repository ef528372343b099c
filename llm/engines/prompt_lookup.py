"""Drafts of the next tokens, looked up in the prompt and the text so far: an answer copies from its passages.

What a draft holds is checked by the model in one pass, so that it changes how fast a text comes and not the text
(prompt lookup, Saxena 2023; speculative decoding, Leviathan et al., ICML 2023). Here the longest match wins, the latest
among equals, and the draft grows while it is right and shrinks while it is not. Answers of a few words need more: a
token is looked up by its text without the blank before it, since the first word of an answer has none; where two
tokens agree with nothing, one that is rare will do; and two things are drafted that stand nowhere in the passages,
the number in a citation marker, which is that of the passage being copied, and a sentence given beforehand (the
abstention) once the text began as it does.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

_LONGEST_MATCH = 16  # beyond it, a longer agreement says nothing more
_CANDIDATES = 32  # latest places compared for one draft
_FIRST_DRAFT = 6
_LONGEST_DRAFT = 16
_LONGEST_REST = 8  # tokens without a draft after drafts that were wrong from their first token on
_RARE = 8  # places at most of a token that is looked up alone
_RARE_DRAFT = 3

_Key = str | int


class _Head(NamedTuple):
    """Where a passage begins in the prompt, and the tokens of its marker after the bracket."""

    place: int
    marker: list[int]


class PromptLookup:
    """The drafts of one text.

    Args:
        tokens: The prompt.
        text_of: What a token adds to a text; "" for special ones.
        expected: Tokens of a sentence that the text may consist of.
    """

    def __init__(self, tokens: Sequence[int], text_of: Callable[[int], str], expected: Sequence[int] = ()) -> None:
        self._text_of = text_of
        self._expected = list(expected)
        self._n_prompt = len(tokens)
        self._heads = _heads(tokens, text_of)
        self._tokens: list[int] = []
        self._keys: list[_Key] = []
        self._ones: dict[_Key, list[int]] = {}  # a token → where the token after it stands
        self._pairs: dict[tuple[_Key, _Key], list[int]] = {}  # two tokens → the same
        self._copied: int | None = None  # place in the prompt that was last agreed with
        self._length = _FIRST_DRAFT
        self._rest = 0  # tokens still to come without a looked-up draft
        self._n_wrong = 0  # looked-up drafts in a row of which nothing was right
        self._looked_up = False  # whether the last draft was
        self.extend(tokens)

    def extend(self, tokens: Sequence[int]) -> None:
        """The text goes on with these tokens."""
        for token in tokens:
            key: _Key = self._text_of(token).removeprefix(" ") or token
            self._tokens.append(token)
            self._keys.append(key)
            self._ones.setdefault(key, []).append(len(self._tokens))
            if len(self._tokens) >= 2:
                self._pairs.setdefault((self._keys[-2], key), []).append(len(self._tokens))
        self._rest = max(0, self._rest - len(tokens))

    def draft(self, most: int) -> list[int]:
        """At most `most` tokens that may come next; [] where nothing agrees, or drafts were wrong lately."""
        self._looked_up = False
        if most <= 0:
            return []
        known = self._rest_of_expected() or self._marker()
        if known or self._rest:
            return known[:most]
        place, length = self._best_place()
        if length == 0:
            return []
        self._looked_up = True
        if place <= self._n_prompt:
            self._copied = place
        # A short agreement is often chance: little is drafted from it.
        n = min(self._length, most, _RARE_DRAFT if length == 1 else 2 * length)
        period = len(self._tokens) - place  # a text that repeats itself agrees with its own end: the draft goes round
        return [self._tokens[place + at % period] for at in range(n)]

    def learn(self, n_drafted: int, n_right: int) -> None:
        """How many tokens of the last draft were right."""
        if not n_drafted or not self._looked_up:
            return
        if n_right == n_drafted:
            self._length = min(2 * self._length, _LONGEST_DRAFT)
        elif n_right < n_drafted // 2:
            self._length = max(self._length // 2, 2)
        self._n_wrong = 0 if n_right else self._n_wrong + 1
        if self._n_wrong > 1:
            self._rest = min(2 ** (self._n_wrong - 1), _LONGEST_REST)

    def _rest_of_expected(self) -> list[int]:
        """What is left of the expected sentence, while the text is its beginning."""
        written = self._tokens[self._n_prompt :]
        if written and written == self._expected[: len(written)]:
            return self._expected[len(written) :]
        return []

    def _marker(self) -> list[int]:
        """The rest of a marker whose bracket is open: of the passage copied last, or of the last one."""
        if not self._heads or len(self._tokens) == self._n_prompt:
            return []
        if not self._text_of(self._tokens[-1]).endswith("["):
            return []
        before = [head for head in self._heads if self._copied is not None and head.place < self._copied]
        return list((before or self._heads)[-1].marker)

    def _best_place(self) -> tuple[int, int]:
        """Where the tokens stand that follow the best agreement, and how many tokens agree; (0, 0) without one."""
        here = len(self._tokens)
        best = place = 0
        pair = (self._keys[-2], self._keys[-1]) if here >= 2 else None
        for candidate in reversed(self._pairs.get(pair, ())[-_CANDIDATES - 1 :] if pair else ()):
            if candidate == here:
                continue
            length = self._agreement(candidate)
            if length > best:
                best, place = length, candidate
            if best == _LONGEST_MATCH:
                break
        if best:
            return place, best
        ones = [candidate for candidate in self._ones.get(self._keys[-1], ()) if candidate < self._n_prompt]
        return (ones[-1], 1) if ones and len(ones) <= _RARE and here > self._n_prompt else (0, 0)

    def _agreement(self, place: int) -> int:
        """How many tokens before `place` are those at the end of the text, in the same order."""
        keys, end, length = self._keys, len(self._keys), 2
        while length < _LONGEST_MATCH and length < place and keys[place - 1 - length] == keys[end - 1 - length]:
            length += 1
        return length


def _heads(tokens: Sequence[int], text_of: Callable[[int], str]) -> list[_Head]:
    """The lines of a prompt that begin with a marker, if a token of its own ends with the bracket and one closes it."""
    heads = []
    texts = [text_of(token) for token in tokens]
    for place, text in enumerate(texts):
        before = text[:-1] or (texts[place - 1] if place else "\n")
        if not text.endswith("[") or not before.endswith("\n"):
            continue
        end = place + 1
        while end < len(texts) and texts[end].isdecimal():
            end += 1
        if end > place + 1 and texts[end : end + 1] == ["]"]:
            heads.append(_Head(place, list(tokens[place + 1 : end + 1])))
    return heads
