"""What a loaded transformers model says of itself, and where its layers can be interrupted."""

from collections.abc import Callable
from typing import Any

import torch

# Turn endings of known chat formats that checkpoints often forget to list among their end tokens.
_ENDINGS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<end_of_turn>")


def ask_before_each_layer(model: Any, ask: Callable[[], None]) -> None:
    """Call `ask` before every attention and feed-forward block, wherever the model keeps its layers."""

    def before(_module: Any, _inputs: Any) -> None:
        ask()

    for module in model.modules():
        if isinstance(module, torch.nn.ModuleList):
            for layer in module:
                for part in layer.children():
                    part.register_forward_pre_hook(before)


def eos_ids(config: Any, generation_config: Any, tokenizer: Any) -> frozenset[int]:
    """Every id that ends an answer: of the configurations, the tokenizer, and the known turn endings it has."""
    found: set[int] = set()
    for value in (generation_config.eos_token_id, config.eos_token_id, tokenizer.eos_token_id):
        if value is not None:
            found.update(value if isinstance(value, list) else [value])
    added = tokenizer.get_added_vocab()
    return frozenset(found | {added[token] for token in _ENDINGS if token in added})


def context_tokens(config: Any, tokenizer: Any) -> int:
    """Most tokens the model was made for; 512 for models that do not say, such as T5 of unknown size."""
    for name in ("max_position_embeddings", "n_positions", "seq_length"):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return int(tokenizer.model_max_length) if tokenizer.model_max_length < 1_000_000 else 512
