"""Token ids → text as it grows: no broken character, no special token, no half of a stop string."""

import dataclasses
from collections.abc import Callable, Sequence

from llm.types import Token

_BROKEN = "\ufffd"  # what decoders print for bytes that are not a whole character yet


class TextStream:
    """Collects the tokens of one generation and releases them once their text is certain.

    `decode` maps ids to text. The texts of all released tokens, joined, are the text of the generation.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stop = tuple(stop)
        self._ids: list[int] = []
        self._window = 0  # decoding starts here: far enough back to get spaces and joins right
        self._decoded = 0  # ids before this one have given their text
        self._pending: list[Token] = []
        self._released: list[Token] = []
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether a stop string has come; everything from it on is cut."""
        return self._stopped

    @property
    def tokens(self) -> tuple[Token, ...]:
        """Every released token."""
        return tuple(self._released)

    @property
    def text(self) -> str:
        """The released text."""
        return "".join(token.text for token in self._released)

    def push(
        self, token_id: int, probability: float | None, *, opening_probability: float | None = None
    ) -> tuple[Token, ...]:
        """Add one token; the tokens whose text is certain now."""
        self._ids.append(token_id)
        self._pending.append(
            Token(
                text=self._new_text(final=False),
                token_id=token_id,
                probability=probability,
                opening_probability=opening_probability,
            )
        )
        return self._release(final=False)

    def finish(self) -> tuple[Token, ...]:
        """No more tokens come; the tokens that were held back."""
        if self._pending and not self._stopped:
            last = self._pending[-1]
            rest = self._new_text(final=True)
            if rest:
                self._pending[-1] = dataclasses.replace(last, text=last.text + rest)
        return self._release(final=True)

    def _new_text(self, *, final: bool) -> str:
        before = self._decode(self._ids[self._window : self._decoded])
        now = self._decode(self._ids[self._window :])
        if len(now) <= len(before) or (now.endswith(_BROKEN) and not final):
            return ""
        self._window, self._decoded = self._decoded, len(self._ids)
        return now[len(before) :]

    def _release(self, *, final: bool) -> tuple[Token, ...]:
        held = "".join(token.text for token in self._pending)
        if not self._stopped:
            found = [at for at in (held.find(stop) for stop in self._stop) if at >= 0]
            if found:
                self._cut(min(found))
        certain = len(held) if self._stopped or final else len(held) - _longest_overlap(held, self._stop)
        undecided = 0 if self._stopped or final else len(self._ids) - self._decoded  # parts of a character to come
        released: list[Token] = []
        end = 0
        for token in self._pending[: len(self._pending) - undecided]:
            end += len(token.text)
            if end > certain:
                break
            released.append(token)
        del self._pending[: len(released)]
        self._released.extend(released)
        return tuple(released)

    def _cut(self, at: int) -> None:
        """Shorten the pending texts to `at` characters altogether; the tokens stay."""
        self._stopped = True
        left = at
        for index, token in enumerate(self._pending):
            kept = token.text[:left]
            left -= len(kept)
            self._pending[index] = dataclasses.replace(token, text=kept)


def _longest_overlap(text: str, stops: Sequence[str]) -> int:
    """Length of the longest end of `text` that is the beginning of a stop string."""
    best = 0
    for stop in stops:
        for length in range(min(len(stop) - 1, len(text)), best, -1):
            if text.endswith(stop[:length]):
                best = length
                break
    return best


def token_texts(decode: Callable[[Sequence[int]], str], ids: Sequence[int]) -> tuple[str, ...]:
    """What each id adds to the decoded text; joined they are the whole."""
    stream = TextStream(decode)
    for token_id in ids:
        stream.push(token_id, None)
    stream.finish()
    return tuple(token.text for token in stream.tokens)
