"""The bodies of OpenAI's chat completions: whole, in chunks, and the tokens' log-probabilities."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from llm.types import FinishReason, Token, TokenDistribution

DONE = b"data: [DONE]\n\n"
UNLIKELY = -9999.0  # what OpenAI puts for a logarithm of zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """More text of a completion."""

    text: str
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A completion that is whole."""

    text: str
    finish_reason: FinishReason
    n_prompt_tokens: int
    n_new_tokens: int
    tokens: tuple[Token, ...] = ()
    distributions: tuple[TokenDistribution, ...] = ()  # of `tokens`, where alternatives were asked for
    extra: dict[str, Any] = field(default_factory=dict)  # fields beside OpenAI's own, `citations` among them

    @property
    def usage(self) -> dict[str, int]:
        """Tokens spent."""
        return {
            "prompt_tokens": self.n_prompt_tokens,
            "completion_tokens": self.n_new_tokens,
            "total_tokens": self.n_prompt_tokens + self.n_new_tokens,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What every chunk of a completion repeats."""

    completion_id: str
    created: int
    model: str  # as the request named it
    with_logprobs: bool
    with_usage: bool

    def completion(self, done: Done) -> dict[str, Any]:
        """The answer to a request that does not stream."""
        return {
            **self._head("chat.completion"),
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": done.text, "refusal": None},
                    "logprobs": self._logprobs(done.tokens, done.distributions),
                    "finish_reason": done.finish_reason,
                }
            ],
            "usage": done.usage,
            **done.extra,
        }

    def first(self) -> bytes:
        """The chunk that opens a stream."""
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, piece: Piece) -> bytes:
        """A chunk of text."""
        return self._chunk({"content": piece.text}, logprobs=self._logprobs(piece.tokens))

    def last(self, done: Done) -> bytes:
        """The chunks that close a stream; the last of them carries the extra fields, citations among them."""
        end = self._chunk({}, finish_reason=done.finish_reason, **done.extra)
        if self.with_usage:
            end += data({**self._head("chat.completion.chunk"), "choices": [], "usage": done.usage, **done.extra})
        return end + DONE

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.completion_id, "object": kind, "created": self.created, "model": self.model}

    def _chunk(
        self, delta: dict[str, Any], *, finish_reason: str | None = None, logprobs: Any = None, **extra: Any
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        usage = {"usage": None} if self.with_usage else {}
        return data({**self._head("chat.completion.chunk"), "choices": [choice], **usage, **extra})

    def _logprobs(
        self, tokens: Sequence[Token], distributions: Sequence[TokenDistribution] = ()
    ) -> dict[str, Any] | None:
        if not self.with_logprobs:
            return None
        alternatives = [entry.alternatives for entry in distributions] or [()] * len(tokens)
        content = [
            {
                **_logprob(token.text, token.probability),
                **({} if token.opening_probability is None else {"opening_probability": token.opening_probability}),
                "top_logprobs": [_logprob(other.text, other.probability) for other in others],
            }
            for token, others in zip(tokens, alternatives, strict=True)
        ]
        return {"content": content, "refusal": None}


def data(body: dict[str, Any]) -> bytes:
    """One event of a stream."""
    return f"data: {json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(',', ':'))}\n\n".encode()


def _logprob(text: str, probability: float | None) -> dict[str, Any]:
    raw = text.encode("utf-8", "surrogatepass")
    return {"token": text, "logprob": math.log(probability) if probability else UNLIKELY, "bytes": list(raw)}
