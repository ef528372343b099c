"""A decoder that says what it was told to: for tests and demonstrations, without torch and without weights.

Tokens are words with the whitespace before them, and whitespace at the end. Every token's id and
probability depend on its text alone: the id is the first 31 bits of the text's SHA-256, the probability lies in
[0.5, 1) and is taken from the following 24 bits.
"""

import hashlib
import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from llm.errors import PromptTooLongError
from llm.text_stream import TextStream
from llm.types import (
    Alternative,
    Cancel,
    Capabilities,
    FinishReason,
    Generation,
    Message,
    ModelInfo,
    PromptToken,
    Request,
    SamplingParams,
    ScoredToken,
    Token,
    TokenDistribution,
)

_TOKEN = re.compile(r"\s*\S+|\s+\Z")


class ScriptedDecoder:
    """`llm.types.Decoder` that replies from a list, or by a function of the messages. Thread-safe.

    A list is used in the order of the requests; when it is used up its last reply is repeated. Sampling parameters
    other than `max_new_tokens` and `stop` change nothing.
    """

    def __init__(
        self,
        replies: Sequence[str] | Callable[[Sequence[Message]], str],
        name: str = "scripted",
        *,
        context_tokens: int = 8192,
    ) -> None:
        if not callable(replies) and not replies:
            raise ValueError("replies must have at least one entry")
        self._replies = replies if callable(replies) else tuple(replies)
        self._n_used = 0
        self._lock = threading.Lock()
        self._words: dict[int, str] = {}
        self._info = ModelInfo(name=name, engine="scripted", device="cpu", dtype="none", context_tokens=context_tokens)

    @property
    def info(self) -> ModelInfo:
        """Its name; the device and precision mean nothing here."""
        return self._info

    @property
    def capabilities(self) -> Capabilities:
        """All but beam search and the citation rule: there is nothing to search and nothing to choose."""
        return Capabilities(beam_search=False, citation_rule=False)

    def generate(self, requests: Sequence[Request]) -> tuple[Generation, ...]:
        """One reply a request, in order.

        Raises:
            PromptTooLongError: a prompt and its `max_new_tokens` do not fit the context.
        """
        for request in requests:
            self._check_length(request.messages, request.sampling.max_new_tokens)
        return tuple(self._last(request) for request in requests)

    def stream(self, request: Request) -> Iterator[Token | Generation]:
        """The reply token by token, then the Generation; `cancel` is asked before every token.

        Raises:
            PromptTooLongError: the prompt and its `max_new_tokens` do not fit the context.
        """
        self._check_length(request.messages, request.sampling.max_new_tokens)
        return self._stream(request)

    def score(
        self, prompts: Sequence[Sequence[Message]], continuations: Sequence[str]
    ) -> tuple[tuple[ScoredToken, ...], ...]:
        """The logarithm of each token's fixed probability, whatever the prompt.

        Raises:
            PromptTooLongError: a prompt and its continuation do not fit the context.
        """
        scored = []
        for prompt, continuation in zip(prompts, continuations, strict=True):
            words = self._split(continuation)
            self._check_length(prompt, len(words))
            scored.append(
                tuple(
                    ScoredToken(text=word, token_id=_id_of(word), log_probability=math.log(_probability_of(word)))
                    for word in words
                )
            )
        return tuple(scored)

    def distribution(
        self,
        prompt: Sequence[Message],
        token_ids: Sequence[int],
        *,
        n_alternatives: int = 10,
        sampling: SamplingParams | None = None,
        cancel: Cancel | None = None,
    ) -> tuple[TokenDistribution, ...]:
        """Two outcomes a position: the token with its fixed probability p, and the empty text (id 0) with 1 - p.

        Raises:
            PromptTooLongError: they do not fit the context.
            ValueError: an id was never produced here, or `n_alternatives` is negative.
            CancelledError: `cancel` was set.
        """
        if cancel is not None:
            cancel.raise_if_set()
        if n_alternatives < 0 or any(token_id not in self._words for token_id in token_ids):
            raise ValueError("token ids must come from this decoder and n_alternatives must be at least 0")
        self._check_length(prompt, len(token_ids))
        return tuple(self._distribution(token_id, n_alternatives, sampling) for token_id in token_ids)

    def count_tokens(self, text: str) -> int:
        """Words, and one more for trailing whitespace."""
        return len(_TOKEN.findall(text))

    def count_prompt_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the contents and one a role."""
        return sum(1 + self.count_tokens(message.content) for message in messages)

    def encode_prompt(self, messages: Sequence[Message]) -> tuple[PromptToken, ...]:
        """The role of each message as one token, then those of its content."""
        texts = [part for message in messages for part in (f"{message.role}:", *self._split(message.content))]
        return tuple(PromptToken(text=text, token_id=_id_of(text)) for text in texts)

    def _stream(self, request: Request) -> Iterator[Token | Generation]:
        started = time.perf_counter()
        text = TextStream(self._join, request.sampling.stop)
        words = self._split(self._reply(request.messages))
        finish: FinishReason = "stop"
        first_token_seconds: float | None = None
        if not words and request.cancel.is_set:
            finish = "cancelled"
        for number, word in enumerate(words):
            if request.cancel.is_set:
                finish = "cancelled"
                break
            if number == request.sampling.max_new_tokens:
                finish = "length"
                break
            if first_token_seconds is None:
                first_token_seconds = time.perf_counter() - started
            yield from text.push(_id_of(word), _probability_of(word))
            if text.stopped:
                break
        yield from text.finish()
        if text.stopped and finish == "length":
            finish = "stop"  # the stop string was the end of the last token
        yield Generation(
            text=text.text,
            tokens=text.tokens,
            n_prompt_tokens=self.count_prompt_tokens(request.messages),
            n_new_tokens=len(text.tokens),
            finish_reason=finish,
            first_token_seconds=first_token_seconds,
            total_seconds=time.perf_counter() - started,
        )

    def _last(self, request: Request) -> Generation:
        last = deque(self._stream(request), maxlen=1).pop()
        assert isinstance(last, Generation)
        return last

    def _reply(self, messages: Sequence[Message]) -> str:
        if callable(self._replies):
            return self._replies(messages)
        with self._lock:
            reply = self._replies[min(self._n_used, len(self._replies) - 1)]
            self._n_used += 1
        return reply

    def _split(self, text: str) -> list[str]:
        words = _TOKEN.findall(text)
        with self._lock:
            self._words.update((_id_of(word), word) for word in words)
        return words

    def _join(self, token_ids: Sequence[int]) -> str:
        return "".join(self._words[token_id] for token_id in token_ids)

    def _check_length(self, messages: Sequence[Message], n_more: int) -> None:
        n_prompt = self.count_prompt_tokens(messages)
        if n_prompt + n_more > self._info.context_tokens:
            raise PromptTooLongError(
                f"the prompt has {n_prompt} tokens and {n_more} more are asked for, but {self._info.name} reads "
                f"{self._info.context_tokens}; shorten the prompt or ask for fewer tokens"
            )

    def _distribution(self, token_id: int, n_alternatives: int, sampling: SamplingParams | None) -> TokenDistribution:
        word = self._words[token_id]
        p = _probability_of(word)
        reshaped = None if sampling is None else _reshape(p, sampling)
        # With logits log p and log (1 - p) the normalizer is 1 and its logarithm 0.
        outcomes = (
            Alternative(text=word, token_id=token_id, logit=math.log(p), probability=p, reshaped_probability=reshaped),
            Alternative(
                text="",
                token_id=0,
                logit=math.log1p(-p),
                probability=1 - p,
                reshaped_probability=None if reshaped is None else 1 - reshaped,
            ),
        )
        kept = outcomes[:n_alternatives]
        return TokenDistribution(
            text=word,
            token_id=token_id,
            probability=p,
            entropy=-(p * math.log(p) + (1 - p) * math.log1p(-p)),
            logsumexp=0.0,
            tail_probability=max(0.0, 1.0 - sum(outcome.probability for outcome in kept)),
            alternatives=kept,
            reshaped_probability=reshaped,
            n_kept=None if reshaped is None else 1 + (reshaped < 1),
        )


def _id_of(word: str) -> int:
    return int.from_bytes(hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()[:4], "big") >> 1


def _probability_of(word: str) -> float:
    digest = hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()
    return 0.5 + int.from_bytes(digest[4:7], "big") / 2**25


def _reshape(p: float, sampling: SamplingParams) -> float:
    """What the steps of `llm.sampling` make of the probability p ≥ 0.5 of the better of two outcomes; no penalty."""
    if sampling.temperature == 0:
        return 1.0
    odds = ((1 - p) / p) ** (1 / sampling.temperature)  # of the other outcome, at most 1
    best = 1 / (1 + odds)
    cut = (sampling.top_k == 1 and odds < 1) or best >= sampling.top_p or odds < sampling.min_p
    return 1.0 if cut else best
