"""One streamed completion: sent, read, and sent once more where it began with what the request is reluctant to."""

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from llm.engines.remote_channel import Call, Channel
from llm.engines.remote_dialect import Served, chat_body
from llm.engines.remote_reply import Piece, Reply
from llm.engines.remote_tokens import Counter
from llm.errors import CancelledError
from llm.types import FinishReason, Generation, Request, Token

CHAT_PATH = "/chat/completions"


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
        return chat_body(
            self.served,
            self.request.messages,
            self.request.sampling,
            with_probabilities=self.with_probabilities,
            without_token=without_token,
        )

    def _tokens(self) -> Iterator[Token]:
        pieces = self._pieces()
        first = next(pieces, None)
        if first is None:
            return
        unwanted = self._unwanted(first)
        if unwanted is not None:
            pieces.close()
            self._reply, self._first_token_seconds = Reply(self.host, self.request.sampling.stop), None
            self._call = self.channel.stream(CHAT_PATH, self._write(unwanted), self.request.cancel)
            pieces = self._pieces()
        else:
            yield from self._push(first)
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

    def _push(self, piece: Piece) -> Iterator[Token]:
        if self.request.cancel.is_set:
            raise CancelledError("the request was cancelled")
        return self._reply.push(piece)

    def _unwanted(self, first: Piece) -> int | None:
        """The id of the first token, if the request is reluctant to it and the model unsure of it."""
        reluctance = self.request.reluctance
        if reluctance is None or first.probability is None or not self.served.kind.takes_bias:
            return None
        if not first.text or not reluctance.text.startswith(first.text):
            return None
        if first.probability >= reluctance.least_probability:
            return None
        return first.token_id if first.token_id is not None else self.counter.first_id(reluctance.text)
