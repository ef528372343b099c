"""Teacher forcing: what a model thinks of tokens that are given, all positions in one pass."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch

from llm.inspect import distribution_of
from llm.prompt_encoding import PromptEncoder
from llm.text_stream import token_texts
from llm.types import Cancel, Message, SamplingParams, ScoredToken, TokenDistribution

_BATCH_TOKENS = 8192  # padded prompt tokens read at once; bounds memory and the time between two looks at `cancel`
_BATCH_ROWS = 32

T = TypeVar("T")


class Teach(Protocol):
    """Gives the logits that stood behind every token of each continuation, (len(continuation), V) each."""

    def __call__(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]], cancels: Sequence[Cancel] = ()
    ) -> list[torch.Tensor]:
        """The logits, continuation by continuation.

        Raises:
            CancelledError: all of `cancels` were set.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """Scores and distributions of one loaded model."""

    teach: Teach
    prompts: PromptEncoder
    decode: Callable[[Sequence[int]], str]  # without special tokens
    decode_one: Callable[[int], str]
    check_length: Callable[[Sequence[int], int, str], None]
    n_vocabulary: int
    counts_prompt: bool  # whether the repetition penalty counts the prompt's tokens

    def score(
        self, prompts: Sequence[Sequence[Message]], continuations: Sequence[str]
    ) -> tuple[tuple[ScoredToken, ...], ...]:
        """See `llm.types.Decoder.score`."""
        encoded = [self.prompts.encode_prompt(prompt) for prompt in prompts]
        targets = [self.prompts.encode_text(text) for text in continuations]
        for prompt, target in zip(encoded, targets, strict=True):
            self.check_length(prompt, len(target), "its continuation")
        scored: list[tuple[ScoredToken, ...]] = [()] * len(targets)
        lengths = [len(prompt) + len(target) for prompt, target in zip(encoded, targets, strict=True)]
        order = sorted((i for i, target in enumerate(targets) if target), key=lengths.__getitem__)
        for batch in batches(order, lengths.__getitem__):
            rows, wanted = [encoded[i] for i in batch], [targets[i] for i in batch]
            for i, logits in zip(batch, self.teach(rows, wanted), strict=True):
                ids = torch.tensor(targets[i], device=logits.device)
                values = logits.log_softmax(dim=-1).gather(1, ids[:, None])[:, 0].tolist()
                texts = token_texts(self.decode, targets[i])
                scored[i] = tuple(
                    ScoredToken(text=text, token_id=token_id, log_probability=value)
                    for text, token_id, value in zip(texts, targets[i], values, strict=True)
                )
        return tuple(scored)

    def distribution(
        self,
        prompt: Sequence[Message],
        token_ids: Sequence[int],
        n_alternatives: int,
        sampling: SamplingParams | None,
        cancel: Cancel,
    ) -> tuple[TokenDistribution, ...]:
        """See `llm.types.Decoder.distribution`."""
        if n_alternatives < 0 or not all(0 <= token_id < self.n_vocabulary for token_id in token_ids):
            raise ValueError(f"token ids must be 0 to {self.n_vocabulary - 1} and n_alternatives at least 0")
        cancel.raise_if_set()
        if not token_ids:
            return ()
        encoded = self.prompts.encode_prompt(prompt)
        self.check_length(encoded, len(token_ids), "the tokens")
        (logits,) = self.teach([encoded], [token_ids], [cancel])
        texts = token_texts(self.decode, token_ids)
        before = encoded if self.counts_prompt else []
        found = []
        for position, (text, token_id) in enumerate(zip(texts, token_ids, strict=True)):
            cancel.raise_if_set()
            found.append(
                distribution_of(
                    logits[position].cpu(),
                    text=text,
                    token_id=token_id,
                    n_alternatives=n_alternatives,
                    decode=self.decode_one,
                    sampling=sampling,
                    seen=[*before, *token_ids[:position]],
                )
            )
        return tuple(found)


def batches(items: Sequence[T], length: Callable[[T], int]) -> Iterator[list[T]]:
    """Cut items, sorted by length, into batches of bounded padded size."""
    batch: list[T] = []
    for item in items:
        if batch and (len(batch) >= _BATCH_ROWS or (len(batch) + 1) * length(item) > _BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch
