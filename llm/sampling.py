"""How the next token is chosen from the logits of one position. Pure functions on one row, `logits: (V,) float32`.

Order: repetition penalty, temperature, top-k, top-p, min-p, draw; the same order as in transformers' `generate`.
Each cut keeps at least the most probable token.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llm.types import SamplingParams

if TYPE_CHECKING:
    import torch


def penalize_repetition(logits: "torch.Tensor", seen: Sequence[int], penalty: float) -> "torch.Tensor":
    """Make every token of `seen` less likely: positive logits ÷ penalty, negative × penalty.

    Keskar et al. 2019, CTRL (arXiv:1909.05858), §4.1, with the sign rule that transformers uses.
    """
    import torch

    if penalty == 1.0 or not seen:
        return logits
    ids = torch.tensor(sorted(set(seen)), device=logits.device)
    values = logits[ids]
    penalized = logits.clone()
    penalized[ids] = torch.where(values < 0, values * penalty, values / penalty)
    return penalized


def keep_top_k(logits: "torch.Tensor", k: int) -> "torch.Tensor":
    """Keep the k most probable tokens and those tied with the last (Fan et al. 2018, ACL, arXiv:1805.04833)."""
    if k == 0 or k >= logits.shape[-1]:
        return logits
    least = logits.topk(k).values[-1]
    return logits.masked_fill(logits < least, float("-inf"))


def keep_top_p(logits: "torch.Tensor", p: float) -> "torch.Tensor":
    """Keep the smallest set of most probable tokens whose mass is at least p (Holtzman et al. 2020, ICLR, nucleus)."""
    if p >= 1.0:
        return logits
    ascending, order = logits.sort(descending=False)
    # A token goes when it and all less probable ones together hold no more than 1 - p.
    drop = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
    drop[-1] = False
    return logits.masked_fill(drop.new_zeros(drop.shape).scatter(0, order, drop), float("-inf"))


def keep_min_p(logits: "torch.Tensor", min_p: float) -> "torch.Tensor":
    """Keep tokens at least `min_p` times as probable as the best one (Nguyen et al. 2024, arXiv:2407.01082)."""
    if min_p == 0.0:
        return logits
    probabilities = logits.softmax(dim=-1)
    drop = probabilities < min_p * probabilities.max()
    drop[logits.argmax()] = False
    return logits.masked_fill(drop, float("-inf"))


def reshape_logits(logits: "torch.Tensor", params: SamplingParams, seen: Sequence[int]) -> "torch.Tensor":
    """Every step before the draw; under greedy decoding only the repetition penalty."""
    logits = penalize_repetition(logits, seen, params.repetition_penalty)
    if params.temperature == 0:
        return logits
    logits = keep_top_k(logits / params.temperature, params.top_k)
    return keep_min_p(keep_top_p(logits, params.top_p), params.min_p)


def reshaped_probabilities(logits: "torch.Tensor", params: SamplingParams, seen: Sequence[int]) -> "torch.Tensor":
    """(V,) probability of each token in the draw that `choose` makes: all on one token at temperature 0."""
    import torch

    reshaped = reshape_logits(logits, params, seen)
    if params.temperature == 0:
        return torch.zeros_like(reshaped).index_fill_(0, reshaped.argmax(), 1.0)
    return reshaped.softmax(dim=-1)


def choose(
    logits: "torch.Tensor", params: SamplingParams, seen: Sequence[int], generator: "torch.Generator | None"
) -> int:
    """The next token id: the most probable one at temperature 0, else a draw with the request's own generator."""
    reshaped = reshape_logits(logits, params, seen)
    if params.temperature == 0:
        return int(reshaped.argmax())
    return int(reshaped.softmax(dim=-1).multinomial(1, generator=generator))


def make_generator(params: SamplingParams) -> "torch.Generator | None":
    """The request's own source of randomness, on the CPU so that a seed means the same on every device.

    None for greedy decoding. Without a seed it is seeded from the system's entropy.
    """
    import torch

    if params.temperature == 0:
        return None
    generator = torch.Generator()
    if params.seed is None:
        generator.seed()
    else:
        generator.manual_seed(params.seed)
    return generator


def without_unsure(logits: "torch.Tensor", token_id: int, least_probability: float) -> "tuple[torch.Tensor, float]":
    """`logits`, (V,), without `token_id` if it is less probable than `least_probability`; and how probable it was."""
    probability = float((logits[token_id] - logits.logsumexp(dim=-1)).exp())
    if probability >= least_probability:
        return logits, probability
    kept = logits.clone()
    kept[token_id] = -math.inf
    return kept, probability
