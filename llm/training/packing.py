"""Many examples in one sequence: a beginning that several prompts share is read once.

Questions about the same passages have prompts that differ only at the end. Their common beginning is laid down once
and each rest after it; a rest sees the beginning and itself, never another rest, and its positions count on from the
beginning. For the model this is the same as reading every prompt alone (a test holds the losses against each other),
at a fraction of the tokens. With one example it is plain teacher forcing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_MIN_SHARED = 0.5  # of the shorter prompt: below it two prompts are not worth one sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenExample:
    """One prompt and the answer to learn, as token ids; the answer ends with the end-of-turn token."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    @property
    def n_tokens(self) -> int:
        """Tokens of prompt and answer."""
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedSequence:
    """Examples in one sequence of T tokens."""

    token_ids: tuple[int, ...]  # (T,)
    positions: tuple[int, ...]  # (T,) position of each token in its own example
    branches: tuple[int, ...]  # (T,) 0 = the shared beginning, n = the rest of the n-th example
    predictors: tuple[int, ...]  # places whose next token is learned
    targets: tuple[int, ...]  # the token to be predicted at each of them
    n_examples: int
    n_alone: int  # tokens that the examples would take one by one


def pack(examples: Iterable[TokenExample], *, max_tokens: int) -> Iterator[PackedSequence]:
    """Join neighbours in `examples` that share their beginning, up to `max_tokens` a sequence.

    An example that is longer than `max_tokens` alone is left out: a cut prompt would teach something else.
    """
    held: list[TokenExample] = []
    shared = 0
    for example in examples:
        if example.n_tokens > max_tokens or not example.answer:
            continue
        if held:
            common = _n_common(held[0].prompt, example.prompt, shared if len(held) > 1 else None)
            n_tokens = common + sum(one.n_tokens - common for one in (*held, example))
            if 2 * common >= min(len(held[0].prompt), len(example.prompt)) * 2 * _MIN_SHARED and n_tokens <= max_tokens:
                held.append(example)
                shared = common
                continue
            yield _sequence(held, shared)
        held, shared = [example], len(example.prompt) - 1
    if held:
        yield _sequence(held, shared)


def _n_common(one: Sequence[int], other: Sequence[int], at_most: int | None) -> int:
    """Length of the common beginning; the last token of a prompt is never shared, since it predicts the answer."""
    limit = min(len(one), len(other)) - 1
    if at_most is not None:
        limit = min(limit, at_most)
    return next((place for place in range(limit) if one[place] != other[place]), limit)


def _sequence(examples: Sequence[TokenExample], shared: int) -> PackedSequence:
    token_ids = list(examples[0].prompt[:shared])
    positions = list(range(shared))
    branches = [0] * shared
    predictors: list[int] = []
    targets: list[int] = []
    for branch, example in enumerate(examples, start=1):
        rest = (*example.prompt[shared:], *example.answer)
        start = len(token_ids)
        token_ids += rest
        positions += range(shared, shared + len(rest))
        branches += [branch] * len(rest)
        first = start + len(example.prompt) - shared - 1  # the last token of the prompt predicts the answer's first
        predictors += range(first, first + len(example.answer))
        targets += example.answer
    return PackedSequence(
        token_ids=tuple(token_ids),
        positions=tuple(positions),
        branches=tuple(branches),
        predictors=tuple(predictors),
        targets=tuple(targets),
        n_examples=len(examples),
        n_alone=sum(example.n_tokens for example in examples),
    )


def attention_mask(branches: "torch.Tensor") -> "torch.Tensor":
    """Which token (row) sees which (column): what stands before it in the beginning or in its own rest.

    Args:
        branches: (T,) as in `PackedSequence`.

    Returns:
        (1, 1, T, T) bool, True = seen.
    """
    import torch

    causal = torch.ones(len(branches), len(branches), dtype=torch.bool, device=branches.device).tril()
    visible = (branches[None, :] == 0) | (branches[None, :] == branches[:, None])
    return (causal & visible)[None, None]
