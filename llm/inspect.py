"""The distribution behind one token: what the model thought, and what temperature, top-k and top-p make of it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llm.sampling import reshaped_probabilities
from llm.types import Alternative, SamplingParams, TokenDistribution

if TYPE_CHECKING:
    import torch


def distribution_of(
    logits: "torch.Tensor",
    *,
    text: str,
    token_id: int,
    n_alternatives: int,
    decode: Callable[[int], str],
    sampling: SamplingParams | None = None,
    seen: Sequence[int] = (),
) -> TokenDistribution:
    """The account of one position from its `logits`, (V,) float32, at temperature 1.

    Args:
        logits: As the model gave them.
        text: What the token added.
        token_id: The token that stands there.
        n_alternatives: How many of the most probable tokens are listed.
        decode: Names a token.
        sampling: What reshapes the distribution; without it nothing is said of that.
        seen: The tokens that the repetition penalty counts.
    """
    import torch

    log_probabilities = logits.log_softmax(dim=-1)
    probabilities = log_probabilities.exp()
    # 0 · log 0 is 0: a logit of -inf adds nothing.
    entropy = -float(torch.where(probabilities > 0, probabilities * log_probabilities, 0.0).sum())
    top = probabilities.topk(min(n_alternatives, logits.shape[-1]))
    reshaped = None if sampling is None else reshaped_probabilities(logits, sampling, seen)
    alternatives = tuple(
        Alternative(
            text=decode(index),
            token_id=index,
            logit=float(logits[index]),
            probability=probability,
            reshaped_probability=None if reshaped is None else float(reshaped[index]),
        )
        for probability, index in zip(top.values.tolist(), top.indices.tolist(), strict=True)
    )
    return TokenDistribution(
        text=text,
        token_id=token_id,
        probability=float(probabilities[token_id]),
        entropy=max(0.0, entropy),
        logsumexp=float(logits.logsumexp(dim=-1)),
        tail_probability=max(0.0, 1.0 - float(top.values.sum())),
        alternatives=alternatives,
        reshaped_probability=None if reshaped is None else float(reshaped[token_id]),
        n_kept=None if reshaped is None else int((reshaped > 0).sum()),
    )
