"""Low-rank adaptation (LoRA: Hu et al., 2021): W + (α/r)·B·A on every linear layer of a frozen model."""

from typing import Any


def with_adapter(model: Any, *, rank: int, alpha: float, seed: int) -> Any:
    """`model` with a new adapter to train, or itself where `rank` is 0 or it has one already.

    A is drawn from the seed, B is zero: the adapter changes nothing before the first step. The adapter's weights are
    float32 whatever those of the model are.
    """
    import torch

    if rank == 0 or hasattr(model, "get_base_model"):
        return model
    from peft import LoraConfig, get_peft_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        lora: Any = LoraConfig(
            r=rank,
            lora_alpha=alpha,  # type: ignore[arg-type]  # peft divides it by r, whole or not
            target_modules="all-linear",
            lora_dropout=0.0,
        )
        return get_peft_model(model, lora, autocast_adapter_dtype=True)
