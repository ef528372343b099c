"""One streamed completion: sent, read, and sent once more where it began with what the request is reluctant to."""

import dataclasses
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from llm.engines.remote_channel import Call, Channel
from llm.engines.remote_dialect import Served, chat_body, rules_of
from llm.engines.remote_reply import Piece, Reply
from llm.engines.remote_tokens import Counter
from llm.errors import CancelledError
from llm.types import FinishReason, Generation, Request, Token

CHAT_PATH = "/chat/completions"
_ALTERNATIVES = 5  # told with each token, so that the probability of a beginning is known that was not taken


@dataclass(kw_only=True)
class RemoteStream:
    """One request and its answer. Nothing is sent before `send` or the first event.

    Raises:
        UnsupportedError: the server has no name for a parameter that is set.
    """

    channel: Channel
    host: str
    served: Served
    counter: Counter
    request: Request
    n_prompt_tokens: int
    with_probabilities: bool

    def __post_init__(self) -> None:
        self._body = self._write()
        self._reply = Reply(self.host, self.request.sampling.stop)
        self._call: Call | None = None
        self._started = 0.0  # perf_counter
        self._first_token_seconds: float | None = None

    def send(self) -> None:
        """Send the request, unless that was done or it is cancelled."""
        if self._call is None and not self.request.cancel.is_set:
            self._started = time.perf_counter()
            self._call = self.channel.stream(CHAT_PATH, self._body, self.request.cancel)

    def close(self) -> None:
        """Break it off."""
        if self._call is not None:
            self._call.close()

    def events(self) -> Iterator[Token | Generation]:
        """The tokens and, last, the Generation."""
        finish: FinishReason = "cancelled"
        try:
            self.send()
            if self._call is not None:
                yield from self._tokens()
                finish = self._reply.finish_reason
        except CancelledError:
            finish = "cancelled"
        finally:
            self.close()
        tokens = self._reply.tokens
        yield Generation(
            text=self._reply.text,
            tokens=tokens,
            n_prompt_tokens=self._reply.n_prompt_tokens or self.n_prompt_tokens,
            n_new_tokens=len(tokens),
            finish_reason=finish,
            first_token_seconds=self._first_token_seconds,
            total_seconds=time.perf_counter() - self._started if self._call is not None else 0.0,
        )

    def _write(self, without_token: int | None = None) -> dict[str, Any]:
        body = chat_body(
            self.served,
            self.request.messages,
            self.request.sampling,
            with_probabilities=self.with_probabilities,
            n_alternatives=0 if self.request.reluctance is None else _ALTERNATIVES,
            without_token=without_token,
        )
        return body | rules_of(self.served, self.request)

    def _tokens(self) -> Iterator[Token]:
        pieces = self._pieces()
        first = next(pieces, None)
        if first is None:
            return
        opening = self._opening(first)
        if opening is not None and self._is_unsure(opening) and opening.text == first.text:
            pieces.close()
            self._reply, self._first_token_seconds = Reply(self.host, self.request.sampling.stop), None
            self._call = self.channel.stream(CHAT_PATH, self._write(opening.token_id), self.request.cancel)
            pieces = self._pieces()
            first = next(pieces, None)
            if first is None:
                yield from self._reply.finish()
                return
        beginning = None if opening is None else opening.probability
        yield from self._push(first, first.opening_probability if self.served.kind.takes_rules else beginning)
        with closing(pieces):
            for piece in pieces:
                yield from self._push(piece)
                if self._reply.done:
                    return
        yield from self._reply.finish()

    def _pieces(self) -> Generator[Piece, None, None]:
        assert self._call is not None
        for at, chunk in self._call:
            for piece in self._reply.read(chunk):
                if self._first_token_seconds is None and piece.text:
                    self._first_token_seconds = at - self._started
                yield piece

    def _push(self, piece: Piece, opening_probability: float | None = None) -> Iterator[Token]:
        if self.request.cancel.is_set:
            raise CancelledError("the request was cancelled")
        return self._reply.push(piece, opening_probability=opening_probability)

    def _opening(self, first: Piece) -> Piece | None:
        """The token that what the request is reluctant to begins with, if the server told of it."""
        reluctance = self.request.reluctance
        if reluctance is None or self.served.kind.takes_rules:
            return None
        told = [one for one in (first, *first.others) if one.text and reluctance.text.startswith(one.text)]
        best = max(told, key=lambda one: len(one.text), default=None)
        if best is None or best.token_id is not None:
            return best
        return dataclasses.replace(best, token_id=self.counter.first_id(reluctance.text))

    def _is_unsure(self, opening: Piece) -> bool:
        """Whether it must not be taken, and the server can be told so."""
        reluctance = self.request.reluctance
        assert reluctance is not None
        if opening.token_id is None or opening.probability is None or not self.served.kind.takes_bias:
            return False
        return opening.probability < reluctance.least_probability
