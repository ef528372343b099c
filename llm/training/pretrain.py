"""Pretraining: a decoder from scratch that learns to continue text.

The loss is the mean cross-entropy of every next token under teacher forcing, −1/N Σ log p(xₜ | x₍<ₜ₎). The model is a
Llama (Touvron et al., 2023: RMSNorm, rotary positions, SwiGLU, grouped queries) whose output layer is its embedding
table. Sequences of one length are cut from the documents laid end to end, an end token after each; a sequence may hold
parts of several, and a token sees all before it in its sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm.errors import InvalidTrainingDataError
from llm.training.forward import autocast
from llm.training.loop import Report, Steps, of_the_curve, run_steps
from llm.training.order import SequenceOrder
from llm.training.token_file import TokenFile
from llm.training.workers import Workers
from llm.types import Device

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

_MAX_MEASURED = 64  # sequences of held-out text
_MLP_MULTIPLE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig:
    """The model's shape and everything else that decides the outcome besides the text."""

    seed: int = 0
    hidden_size: int = 256
    n_layers: int = 6
    n_heads: int = 8
    n_kv_heads: int = 4
    sequence_tokens: int = 256  # T
    max_positions: int = 2048  # tokens that the model may be given later
    sequences_per_step: int = 32
    sequences_per_pass: int = 8  # gradients of the passes of one step are added up
    n_epochs: int = 1
    max_steps: int | None = None  # None = as many as the epochs have
    peak_lr: float = 2e-3
    final_lr_share: float = 0.1  # of the peak, at the last step
    warmup_steps: int = 50
    decay_steps: int = 0  # in a line, at the end; 0 = half a cosine after the warm-up
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    max_grad_norm: float = 1.0
    activation_checkpointing: bool = False  # forget activations and compute them again: less memory, a third more work
    checkpoint_seconds: float = 300.0
    evaluate_every: int = 100  # steps


def new_model(config: PretrainConfig, *, vocabulary: int, end_of_turn: int) -> Any:
    """A Llama of that shape with random float32 weights drawn from the seed; torch's global generator is left alone.

    Raises:
        InvalidTrainingDataError: heads do not divide the width, or one another, or a sequence has more tokens than the
            model has positions.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    if config.sequence_tokens > config.max_positions:
        raise InvalidTrainingDataError(
            f"sequence_tokens is {config.sequence_tokens}, but the model would have {config.max_positions} positions; "
            "raise max_positions"
        )
    if config.hidden_size % (2 * config.n_heads) or config.n_heads % config.n_kv_heads:
        raise InvalidTrainingDataError("hidden_size must be a multiple of twice n_heads, and n_heads of n_kv_heads")
    shape = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=config.hidden_size,
        # Two thirds of the usual 4: SwiGLU has three matrices where others have two (Shazeer, 2020).
        intermediate_size=-(-config.hidden_size * 8 // 3 // _MLP_MULTIPLE) * _MLP_MULTIPLE,
        num_hidden_layers=config.n_layers,
        num_attention_heads=config.n_heads,
        num_key_value_heads=config.n_kv_heads,
        max_position_embeddings=config.max_positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end_of_turn,
        pad_token_id=None,  # torch would leave the embedding of a padding token as it was drawn
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return LlamaForCausalLM(shape)


def pretrain_decoder(
    model: Any,
    tokens: TokenFile,
    *,
    out: Path,
    config: PretrainConfig,
    device: Device,
    report: Report,
    workers: Workers | None = None,
) -> None:
    """Teach `model` (on `device`) the text of `tokens`.

    `out` gets `checkpoint/` while it runs; a run that is started again with the same arguments goes on from there.

    Raises:
        InvalidTrainingDataError: the text is shorter than one step, or the checkpoint is of other settings or data.
    """
    workers = workers or Workers()
    train, measured = tokens.train(), tokens.held_out()
    order = SequenceOrder(n_sequences=(len(train) - 1) // config.sequence_tokens, seed=config.seed)
    n_steps = order.n_sequences * config.n_epochs // config.sequences_per_step
    if config.max_steps is not None:
        n_steps = min(n_steps, config.max_steps)
    if n_steps < 1:
        raise InvalidTrainingDataError(
            f"the text has {len(train)} tokens and one step needs {config.sequences_per_step} sequences of "
            f"{config.sequence_tokens}; add text, or make steps or sequences smaller"
        )
    if config.activation_checkpointing:
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})

    def backward(step: int) -> dict[str, float]:
        first = step * config.sequences_per_step
        own = workers.share([order.at(place) for place in range(first, first + config.sequences_per_step)])
        n_targets = config.sequences_per_step * config.sequence_tokens
        total = 0.0
        for start in range(0, len(own), config.sequences_per_pass):
            batch = sequences(train, own[start : start + config.sequences_per_pass], config.sequence_tokens)
            loss = next_token_loss(model, batch, device) / n_targets
            loss.backward()
            total += float(loss.detach())
        return {"loss": total, "tokens": len(own) * config.sequence_tokens}

    n_measured = min(_MAX_MEASURED, (len(measured) - 1) // config.sequence_tokens)

    def evaluate() -> dict[str, float]:
        total = sum(
            float(next_token_loss(model, sequences(measured, [place], config.sequence_tokens), device))
            for place in range(n_measured)
        )
        return {"held_out_loss": total / (n_measured * config.sequence_tokens)}

    run_steps(
        model,
        Steps(n_steps=n_steps, backward=backward, evaluate=evaluate if n_measured > 0 else None),
        folder=out / "checkpoint",
        config=config,
        identity={"config": of_the_curve(config), "data": tokens.sha256},
        device=device,
        report=report,
        workers=workers,
    )


def sequences(tokens: "NDArray[Any]", numbers: Sequence[int], n_tokens: int) -> "torch.Tensor":
    """(B, T + 1) ids: of each numbered sequence its T tokens and the one after them."""
    import torch

    rows = [tokens[number * n_tokens : (number + 1) * n_tokens + 1].astype(np.int64) for number in numbers]
    return torch.from_numpy(np.stack(rows))


def next_token_loss(model: Any, batch: "torch.Tensor", device: Device) -> "torch.Tensor":
    """Summed cross-entropy of the last T tokens of each row, nats; `batch` is (B, T + 1)."""
    import torch

    ids = batch.to(device.kind)
    with autocast(device):
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="sum")
