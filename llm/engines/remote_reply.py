"""The chunks of one streamed completion → tokens."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm.errors import RemoteError, RemoteUnavailableError
from llm.text_stream import TextStream
from llm.types import FinishReason, Token

_FINISH: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A token as the server sent it."""

    text: str
    token_id: int | None  # None where the server does not tell
    probability: float | None
    others: tuple["Piece", ...] = ()  # what else was probable in its place, where that was asked for
    opening_probability: float | None = None  # see `llm.types.Token`; only another Citebound tells it


class Reply:
    """Reads chunks, cuts at stop strings, and knows in the end how it ended.

    A server that tells no ids gets them from the tokens' texts: the first 31 bits of the SHA-256 of the text. A chunk
    of a server that tells no log-probabilities is taken as one token.
    """

    def __init__(self, host: str, stop: tuple[str, ...]) -> None:
        self._host = host
        self._pieces: list[Piece] = []
        self._tokens: list[Token] = []
        self._text = TextStream(self._join, stop)
        self._held: list[Piece] = []  # of no text: an end token, or the first bytes of a character
        self._finish: FinishReason | None = None
        self._opening_probability: float | None = None
        self.n_prompt_tokens: int | None = None

    @property
    def done(self) -> bool:
        """Whether nothing that still comes can change the text."""
        return self._text.stopped

    @property
    def text(self) -> str:
        """The text so far."""
        return self._text.text

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens so far."""
        return tuple(self._tokens)

    @property
    def finish_reason(self) -> FinishReason:
        """How it ended.

        Raises:
            RemoteUnavailableError: it did not.
        """
        if self._text.stopped:
            return "stop"
        if self._finish is None:
            raise RemoteUnavailableError(f"{self._host} ended its answer without saying why; ask again")
        return self._finish

    def read(self, chunk: dict[str, Any]) -> list[Piece]:
        """The tokens in a chunk, not yet part of the text.

        Raises:
            RemoteError: that is no chunk of OpenAI's dialect.
        """
        try:
            return self._read(chunk)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise RemoteError(f"{self._host} sent a chunk that is not of OpenAI's dialect") from error

    def push(self, piece: Piece, *, opening_probability: float | None = None) -> Iterator[Token]:
        """Add a token; the tokens whose text is certain now. For `opening_probability` see `llm.types.Token`."""
        if not self._pieces and not self._held:
            self._opening_probability = opening_probability
        self._held.append(piece)
        if piece.text:
            yield from self._flush()

    def finish(self) -> Iterator[Token]:
        """No more come; the tokens that were held back."""
        if self._finish == "length":
            yield from self._flush()  # otherwise what has no text is the end token
        yield from self._named(self._text.finish())

    def _read(self, chunk: dict[str, Any]) -> list[Piece]:
        usage = chunk.get("usage")
        if usage:
            self.n_prompt_tokens = int(usage["prompt_tokens"])
        choices = chunk["choices"]
        if not choices:
            return []
        choice = choices[0]
        ended = choice.get("finish_reason")
        if ended is not None:
            if ended not in _FINISH:
                raise RemoteError(f"{self._host} ended its answer for a reason that is not known here")
            self._finish = _FINISH[ended]
        delta = choice.get("delta") or {}
        text = delta.get("content") or ""
        if not isinstance(text, str):
            raise TypeError("content is text")
        entries = (choice.get("logprobs") or {}).get("content") or []
        if not entries:
            return [Piece(text=text, token_id=None, probability=None)] if text else []
        texts = [str(entry["token"]) for entry in entries]
        if "".join(texts) != text:  # parts of a character, or a special token: the content counts
            texts = [""] * (len(entries) - 1) + [text]
        return [_piece(entry, part) for entry, part in zip(entries, texts, strict=True)]

    def _flush(self) -> Iterator[Token]:
        held, self._held = self._held, []
        for piece in held:
            if self._text.stopped:
                return
            self._pieces.append(piece)
            yield from self._named(self._text.push(len(self._pieces) - 1, piece.probability))

    def _named(self, released: Sequence[Token]) -> Iterator[Token]:
        """The tokens with their ids in place of their numbers."""
        for token in released:
            piece = self._pieces[token.token_id]
            token_id = _id_of(piece.text) if piece.token_id is None else piece.token_id
            opening = None if self._tokens else self._opening_probability
            self._tokens.append(
                Token(
                    text=token.text,
                    token_id=token_id,
                    probability=token.probability,
                    opening_probability=opening,
                )
            )
            yield self._tokens[-1]

    def _join(self, numbers: Sequence[int]) -> str:
        return "".join(self._pieces[number].text for number in numbers)


def _piece(entry: dict[str, Any], text: str) -> Piece:
    value, token_id = entry.get("logprob"), entry.get("id")
    probability = None
    if isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value):
        probability = math.exp(min(0.0, value))
    known = isinstance(token_id, int) and not isinstance(token_id, bool) and token_id >= 0
    others = entry.get("top_logprobs") or ()
    return Piece(
        text=text,
        token_id=token_id if known else None,
        probability=probability,
        opening_probability=_share(entry.get("opening_probability")),
        others=tuple(_piece({**other, "top_logprobs": None}, str(other["token"])) for other in others),
    )


def _share(value: Any) -> float | None:
    """A number from 0 to 1; None for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 else None


def _id_of(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:4], "big") >> 1
