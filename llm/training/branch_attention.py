"""Attention over a packed sequence on the CPU: each branch reads the beginning and itself, nothing else is computed.

A masked attention over all T tokens makes T² scores of each head and throws most of them away. Here the beginning (P
tokens) is one product and each branch (at most L tokens, n of them) two: P² + nL·(P + L) scores. Query heads that share
a key head go through one product together. Scores are rounded to the model's precision where torch's kernel keeps
float32 inside; with bf16 the loss is the same to about three digits (a test states it), and the kernel, which has no
fast path for half precision without matrix tiles, is 2 to 3 times slower.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

NAME = "citebound-branches"  # among transformers' attention implementations


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchLayout:
    """Where the beginning and the branches of one packed sequence stand."""

    n_shared: int  # P
    places: "torch.Tensor"  # (n, L) place of each token of each branch; short branches repeat their last
    kept: "torch.Tensor"  # (T - P,) where each token after the beginning stands in `places`, laid flat


def branch_layout(branches: Sequence[int]) -> BranchLayout:
    """The layout of (T,) `PackedSequence.branches`: zeros first, then each branch in one piece."""
    import torch

    n_shared = next((place for place, branch in enumerate(branches) if branch), len(branches))
    runs: list[list[int]] = []
    for place in range(n_shared, len(branches)):
        if not runs or branches[place] != branches[place - 1]:
            runs.append([])
        runs[-1].append(place)
    longest = max(map(len, runs), default=0)
    places = [run + [run[-1]] * (longest - len(run)) for run in runs]
    kept = [row * longest + column for row, run in enumerate(runs) for column in range(len(run))]
    return BranchLayout(
        n_shared=n_shared,
        places=torch.tensor(places, dtype=torch.long).reshape(len(runs), longest),
        kept=torch.tensor(kept, dtype=torch.long),
    )


@functools.cache
def register() -> str:
    """Make the attention known to transformers; its name is to be given as `attn_implementation`."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME


def _attention(
    module: Any,
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    attention_mask: "torch.Tensor | None",
    *,
    scaling: float | None = None,
    branch_layout: BranchLayout | None = None,
    **options: Any,
) -> "tuple[torch.Tensor, None]":
    """What transformers calls. Without a layout, or with an option that is not built here, its own masked attention."""
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if branch_layout is None or query.shape[0] != 1 or options.get("softcap") or options.get("dropout"):
        masked: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return masked
    with torch.autocast(query.device.type, enabled=False):
        one = value.dtype
        factor = query.shape[-1] ** -0.5 if scaling is None else scaling
        out = attend(query[0].to(one) * factor, key[0].to(one), value[0], branch_layout)
    return out.transpose(0, 1)[None], None


def attend(query: "torch.Tensor", key: "torch.Tensor", value: "torch.Tensor", layout: BranchLayout) -> "torch.Tensor":
    """softmax(query · keyᵀ) · value over what each token sees.

    Args:
        query: (H, T, D), scaled.
        key: (G, T, D); H is a multiple of G, and heads next to each other share.
        value: As `key`.
        layout: Of the T tokens.

    Returns:
        (H, T, D)
    """
    import torch

    n_heads, _, width = query.shape
    n_groups, n_shared = key.shape[0], layout.n_shared
    a_group = n_heads // n_groups
    shared_key, shared_value = key[:, :n_shared], value[:, :n_shared]
    outs: list[torch.Tensor] = []
    if n_shared:
        rows = query[:, :n_shared].reshape(n_groups, a_group * n_shared, width)
        scores = torch.baddbmm(
            _future(n_shared, like=query).repeat(a_group, 1).expand(n_groups, -1, -1),
            rows,
            shared_key.transpose(1, 2),
        )
        outs.append(torch.bmm(scores.softmax(-1), shared_value).reshape(n_heads, n_shared, width))
    n, longest = layout.places.shape
    if n:
        flat = layout.places.flatten()
        rows = query[:, flat].reshape(n_groups, a_group, n, longest, width).transpose(1, 2)
        rows = rows.reshape(n_groups, n * a_group * longest, width)
        own_key, own_value = (x[:, flat].reshape(n_groups * n, longest, width) for x in (key, value))
        own = torch.baddbmm(
            _future(longest, like=query).repeat(a_group, 1).expand(n_groups * n, -1, -1),
            rows.reshape(n_groups * n, a_group * longest, width),
            own_key.transpose(1, 2),
        ).reshape(n_groups, n * a_group * longest, longest)
        scores = torch.cat((torch.bmm(rows, shared_key.transpose(1, 2)), own), dim=-1).softmax(-1)
        of_own = scores[:, :, n_shared:].reshape(n_groups * n, a_group * longest, longest)
        out = torch.bmm(scores[:, :, :n_shared], shared_value) + torch.bmm(of_own, own_value).reshape(rows.shape)
        out = out.reshape(n_groups, n, a_group, longest, width).transpose(1, 2)
        outs.append(out.reshape(n_heads, n * longest, width)[:, layout.kept])
    return torch.cat(outs, dim=1)


def _future(length: int, *, like: "torch.Tensor") -> "torch.Tensor":
    """(length, length) of zeros, −inf where the column comes after the row."""
    import torch

    return torch.full((length, length), float("-inf"), dtype=like.dtype, device=like.device).triu(1)
