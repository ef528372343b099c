"""The distribution behind one token: what the model thought before anything was cut or sharpened."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from llm.types import Alternative, TokenDistribution

if TYPE_CHECKING:
    import torch


def distribution_of(
    logits: "torch.Tensor", *, text: str, token_id: int, n_alternatives: int, decode: Callable[[int], str]
) -> TokenDistribution:
    """The account of one position from its `logits`, (V,) float32, at temperature 1; `decode` names a token."""
    import torch

    log_probabilities = logits.log_softmax(dim=-1)
    probabilities = log_probabilities.exp()
    # 0 · log 0 is 0: a logit of -inf adds nothing.
    entropy = -float(torch.where(probabilities > 0, probabilities * log_probabilities, 0.0).sum())
    top = probabilities.topk(min(n_alternatives, logits.shape[-1]))
    alternatives = tuple(
        Alternative(text=decode(index), token_id=index, logit=float(logits[index]), probability=probability)
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
    )
