"""Continuous batching for torch: a transformers model whose keys and values lie in blocks, all requests in one pass.

The new tokens of all requests stand in one row, packed, without padding; attention alone tells them apart. It reads and
writes the blocks (`llm.engines.paged_cache`) through an attention function of transformers, so that every
decoder-only model with plain causal attention runs unchanged, on a GPU or a CPU.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from llm.engines.paged_model import Logits, Part
from llm.errors import UnsupportedError

BLOCK_TOKENS = 32
_NAME = "citebound_packed"  # of the attention function; transformers keeps such functions by name


InTurn = Callable[[Callable[[], Logits]], Logits]


def at_once(work: Callable[[], Logits]) -> Logits:
    """Run `work` now: nothing else uses the model."""
    with torch.inference_mode():
        return work()


@dataclass(frozen=True, slots=True)
class _Group:
    """Parts whose attention is computed together: B of them with n new tokens each, over at most T tokens."""

    rows: torch.Tensor  # (B * n,) where their new tokens stand in the packed row
    n_new: int
    slots: torch.Tensor  # (B, T) where their tokens lie in the cache; what is beyond their length is never looked at
    mask: torch.Tensor | None  # (B, 1, n, T) True where a token may look; None: the plain causal one, nothing before


@dataclass(slots=True)
class _Pass:
    """One forward pass: where its keys and values go, and what looks at what."""

    cache: "list[tuple[torch.Tensor, torch.Tensor]]"  # by layer: keys and values, (slots, H, D)
    slots: torch.Tensor  # (N,) of the new tokens
    groups: tuple[_Group, ...]
    n_layers: int = 0  # that have computed their attention


class PackedModel:
    """`llm.engines.paged_model.PagedModel` over a loaded transformers model. Not thread-safe.

    The model's attention function is exchanged; passes from elsewhere compute as before.

    Args:
        model: A decoder-only model, on its device.
        context_tokens: What one request may have.
        cache_bytes: Of keys and values; rounded up so that one request of `context_tokens` fits.
        in_turn: Runs a pass when nothing else uses the model.

    Raises:
        UnsupportedError: its attention is not plain causal attention over all tokens, or cannot be exchanged.
    """

    def __init__(self, model: Any, *, context_tokens: int, cache_bytes: int, in_turn: InTurn = at_once) -> None:
        _check_supported(model.config)
        AttentionInterface.register(_NAME, _attend)
        AttentionMaskInterface.register(_NAME, sdpa_mask)
        model.set_attn_implementation(_NAME)
        config = model.config
        heads = int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)
        width = int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
        self._model = model
        self._in_turn = in_turn
        self._device = model.device
        self._n_layers = int(config.num_hidden_layers)
        per_block = 2 * self._n_layers * BLOCK_TOKENS * heads * width * int(model.dtype.itemsize)
        self._n_blocks = max(cache_bytes // per_block, -(-context_tokens // BLOCK_TOKENS))
        shape = (self._n_blocks * BLOCK_TOKENS, heads, width)
        self._cache = [
            (
                torch.zeros(shape, dtype=model.dtype, device=self._device),
                torch.zeros(shape, dtype=model.dtype, device=self._device),
            )
            for _ in range(self._n_layers)
        ]
        self.cache_bytes = self._n_blocks * per_block
        self.read([([0], 0, [0])], [0])  # says now whether the model passes on what its attention needs

    @property
    def block_tokens(self) -> int:
        """Tokens a block holds."""
        return BLOCK_TOKENS

    @property
    def n_blocks(self) -> int:
        """Blocks in all."""
        return self._n_blocks

    def read(self, parts: Sequence[Part], wanted: Sequence[int]) -> Logits:
        """See `PagedModel`."""
        return self._in_turn(lambda: self._read(parts, wanted))

    def _read(self, parts: Sequence[Part], wanted: Sequence[int]) -> Logits:
        ids = torch.tensor([token for new, _, _ in parts for token in new], device=self._device)
        places = torch.cat([torch.arange(at, at + len(new)) for new, at, _ in parts]).to(self._device)
        lines = [_slots(blocks, at + len(new)) for new, at, blocks in parts]
        now = _Pass(
            cache=self._cache,
            slots=torch.cat([line[at:] for line, (_, at, _) in zip(lines, parts, strict=True)]).to(self._device),
            groups=self._groups(parts, lines),
        )
        logits = self._model(
            input_ids=ids[None],
            position_ids=places[None],
            attention_mask=ids.new_ones((1, 1, 1, 1), dtype=torch.bool),  # four dimensions: none is made from it
            use_cache=False,
            logits_to_keep=torch.tensor(list(wanted), dtype=torch.long, device=self._device),
            packed=now,
        ).logits[0]
        if now.n_layers != self._n_layers:
            raise UnsupportedError("this model does not pass its attention what a packed batch needs")
        found: Logits = logits.float().cpu().numpy()
        return found

    def _groups(self, parts: Sequence[Part], lines: Sequence[torch.Tensor]) -> tuple[_Group, ...]:
        """Texts that go on by one token are one group, each piece of a prompt is one of its own."""
        starts = np.cumsum([0, *(len(new) for new, _, _ in parts)])
        single = [index for index, (new, _, _) in enumerate(parts) if len(new) == 1]
        groups = []
        if single:
            lengths = torch.tensor([len(lines[index]) for index in single])
            slots = torch.nn.utils.rnn.pad_sequence([lines[index] for index in single], batch_first=True)
            mask = torch.arange(slots.shape[1])[None, :] < lengths[:, None]
            groups.append(self._group([int(starts[index]) for index in single], 1, slots, mask[:, None, None, :]))
        for index, (new, at, _) in enumerate(parts):
            if len(new) > 1:
                mask = torch.arange(at + len(new))[None, :] <= torch.arange(at, at + len(new))[:, None]
                rows = range(int(starts[index]), int(starts[index + 1]))
                groups.append(self._group(rows, len(new), lines[index][None], mask[None, None] if at else None))
        return tuple(groups)

    def _group(self, rows: Sequence[int], n_new: int, slots: torch.Tensor, mask: torch.Tensor | None) -> _Group:
        return _Group(
            rows=torch.tensor(list(rows), device=self._device),
            n_new=n_new,
            slots=slots.to(self._device),
            mask=None if mask is None else mask.to(self._device),
        )


def _slots(blocks: Sequence[int], n_tokens: int) -> torch.Tensor:
    """(n_tokens,) where the tokens of a sequence lie."""
    starts = torch.tensor(list(blocks[: -(-n_tokens // BLOCK_TOKENS)])) * BLOCK_TOKENS
    return (starts[:, None] + torch.arange(BLOCK_TOKENS)).flatten()[:n_tokens]


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    packed: _Pass | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """The attention of one layer: query (1, Hq, N, D), key and value (1, H, N, D); returns (1, N, Hq, D)."""
    if packed is None:
        plain: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **more
        )
        return plain
    packed.n_layers += 1
    keys, values = packed.cache[module.layer_idx]
    keys[packed.slots] = key[0].transpose(0, 1)
    values[packed.slots] = value[0].transpose(0, 1)
    asked = query[0].transpose(0, 1)  # N, Hq, D
    n_heads, width = asked.shape[1:]
    found = torch.empty_like(asked)
    for group in packed.groups:
        n_rows = len(group.slots)
        here = asked[group.rows].reshape(n_rows, group.n_new, n_heads, width).transpose(1, 2)  # B, Hq, n, D
        k = keys[group.slots].transpose(1, 2)  # B, H, T, D
        v = values[group.slots].transpose(1, 2)
        if group.n_new == 1:  # the query heads of one key head as that many queries: nothing is repeated
            here = here.reshape(n_rows, k.shape[1], -1, width)
        out = torch.nn.functional.scaled_dot_product_attention(
            here,
            k,
            v,
            attn_mask=group.mask,
            is_causal=group.mask is None,
            scale=scaling,
            enable_gqa=here.shape[1] != k.shape[1],
        )
        out = out.reshape(n_rows, n_heads, group.n_new, width)
        found[group.rows] = out.transpose(1, 2).reshape(-1, n_heads, width)
    return found[None], None


def _check_supported(config: Any) -> None:
    reasons = {
        "it is no decoder-only model": bool(config.is_encoder_decoder),
        "some of its layers do not look at all tokens": any(
            kind != "full_attention" for kind in getattr(config, "layer_types", None) or ()
        ),
        "it bends its attention's scores": getattr(config, "attn_logit_softcapping", None) is not None,
        "it has no attention layers of the usual kind": not hasattr(config, "num_attention_heads"),
    }
    for reason, holds in reasons.items():
        if holds:
            raise UnsupportedError(f"requests to this model cannot be packed into one pass: {reason}")
