"""What a training step has to compute, so that its speed can be held against the machine's."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Matrix products behind one token. Norms, softmax, the optimizer and recomputed activations are not counted."""

    body_weights: int  # of the linear layers that every token passes
    head_weights: int  # of the output layer, passed by tokens whose next one is learned
    n_layers: int
    width: int
    is_frozen: bool  # only an adapter learns: gradients of the frozen weights are not computed

    def flops(self, *, n_tokens: float, n_targets: float, length: float) -> float:
        """Floating point operations of a step, two a multiply-add (Chowdhery et al., 2022, appendix B).

        Args:
            n_tokens: Tokens read.
            n_targets: Of them, those whose next token is learned.
            length: Tokens of one sequence; each is compared with all.
        """
        forward = 2 * self.body_weights * n_tokens + 2 * self.head_weights * n_targets
        attention = 4 * self.n_layers * self.width * length * n_tokens
        # Going back costs the gradient of the input and, where weights learn, that of the weights: as much each. The
        # two factors of an attention product both need theirs.
        return forward * (2 if self.is_frozen else 3) + attention * 3


def work_of(model: Any) -> Work:
    """Counted over the model's own linear layers; an adapter's few weights are left out."""
    import torch

    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    head = causal.get_output_embeddings()
    config = causal.config
    linear = [module for module in causal.get_decoder().modules() if isinstance(module, torch.nn.Linear)]
    adapters = {
        id(inside)
        for name, module in causal.named_modules()
        if name.endswith(("lora_A", "lora_B"))
        for inside in module.modules()
    }
    body = [layer for layer in linear if id(layer) not in adapters]
    return Work(
        body_weights=sum(layer.weight.numel() for layer in body),
        head_weights=head.weight.numel(),
        n_layers=int(config.num_hidden_layers),
        width=int(config.num_attention_heads)
        * int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads),
        is_frozen=not all(layer.weight.requires_grad for layer in body),
    )


def encoder_work_of(encoder: Any) -> Work:
    """Of an encoder (a BERT) whose linear layers all learn; the last layer over it is too small to count."""
    import torch

    layers = [module for module in encoder.encoder.modules() if isinstance(module, torch.nn.Linear)]
    return Work(
        body_weights=sum(layer.weight.numel() for layer in layers),
        head_weights=0,
        n_layers=int(encoder.config.num_hidden_layers),
        width=int(encoder.config.hidden_size),
        is_frozen=False,
    )
