"""Loading a model in order to train it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm.adapters import Adapter
from llm.errors import UnsupportedError
from llm.prompt_encoding import PromptEncoder
from llm.training import branch_attention
from llm.types import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainee:
    """A model with what turns its text into ids."""

    model: Any  # on the device; a peft model where it came with an adapter
    tokenizer: Any
    encoder: PromptEncoder
    end_id: int  # ends an answer


def load_tokenizer(folder: Path) -> Any:
    """The fast tokenizer of a model folder.

    Raises:
        UnsupportedError: there is none that transformers can load.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (ValueError, KeyError, OSError) as error:
        raise UnsupportedError(f"{folder} holds no tokenizer that transformers can load: {error}") from error


def load_trainee(folder: Path, *, device: Device, all_weights: bool, adapter: Adapter | None = None) -> Trainee:
    """A checked causal model from safetensors; sets torch's thread count.

    Args:
        folder: As `llm.sources` gives it.
        device: Where it is trained. A model that stays frozen is held in the device's precision.
        all_weights: Its own weights learn: they are held in float32, since steps are smaller than bf16 resolves.
        adapter: Goes on learning; None = the model comes without one.

    Raises:
        UnsupportedError: transformers has no causal model for it, or it has no end-of-turn token.
    """
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(device.n_threads)
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(device.dtype, torch.float32)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32 if all_weights else half,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            attn_implementation=branch_attention.register() if device.kind == "cpu" else "sdpa",
        ).to(device.kind)
    except (ValueError, KeyError, OSError) as error:
        raise UnsupportedError(f"transformers cannot load {folder} as a causal model: {error}") from error
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(adapter.folder), is_trainable=True)
    tokenizer = load_tokenizer(folder)
    if tokenizer.eos_token_id is None:
        raise UnsupportedError(f"{folder} has a tokenizer without an end token; choose a model with one")
    return Trainee(
        model=model, tokenizer=tokenizer, encoder=PromptEncoder(tokenizer), end_id=int(tokenizer.eos_token_id)
    )
