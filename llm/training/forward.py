"""Forward passes of training: precision by the device, logits only where something is learned."""

from typing import TYPE_CHECKING, Any

from llm.training.branch_attention import NAME, branch_layout
from llm.training.packing import PackedSequence, attention_mask
from llm.types import Device

if TYPE_CHECKING:
    import torch


def half_dtype(device: Device) -> "torch.dtype | None":
    """The precision of matrix products under autocast; None = float32 throughout."""
    import torch

    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(device.dtype)


def autocast(device: Device) -> Any:
    """The context in which the device's precision is used for matrix products; weights and sums stay as they are."""
    import torch

    half = half_dtype(device)
    return torch.autocast(device.kind, dtype=half, enabled=half is not None)


def target_logits(model: Any, sequence: PackedSequence, device: Device) -> "tuple[torch.Tensor, torch.Tensor]":
    """What the model makes of each target of one packed sequence.

    Returns:
        (N, V) float32 logits at the predicting places, and the (N,) tokens that stand there.
    """
    import torch

    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    ids = torch.tensor([sequence.token_ids], device=device.kind)
    positions = torch.tensor([sequence.positions], device=device.kind)
    visible = attention_mask(torch.tensor(sequence.branches, device=device.kind))
    mask = torch.zeros(visible.shape, dtype=half_dtype(device) or torch.float32, device=device.kind)
    mask = mask.masked_fill(~visible, float("-inf"))
    with autocast(device):
        decoder = causal.get_decoder()
        # A model that does not hand the layout to its attention reads by the mask: the same, slower.
        layout = {"branch_layout": branch_layout(sequence.branches)} if _takes_layout(causal) else {}
        hidden = decoder(
            input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False, **layout
        ).last_hidden_state
        places = torch.tensor(sequence.predictors, device=device.kind)
        logits = causal.get_output_embeddings()(hidden[0, places])
    return logits.float(), torch.tensor(sequence.targets, device=device.kind)


def _takes_layout(causal: Any) -> bool:
    return bool(causal.config._attn_implementation == NAME)
