"""Supervised fine-tuning: teach a decoder to write given answers after given prompts.

The loss is the mean cross-entropy of the answers' tokens under teacher forcing, −1/N Σ log p(yₜ | prompt, y₍<ₜ₎);
tokens of the prompt are read and not learned. Trained is a low-rank adapter (LoRA: Hu et al., 2021), W + (α/r)·B·A on
every linear layer of the frozen model, or every weight. AdamW, linear warm-up, cosine decay, clipped gradients, several
sequences a step. Examples that share their prompt's beginning are packed (`llm.training.packing`).

A run can be killed at any moment and goes on from its last checkpoint to the same curve: nothing in a step is random.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm.errors import InvalidTrainingDataError
from llm.prompt_encoding import PromptEncoder
from llm.training.cores import backward_on_cores
from llm.training.forward import target_logits
from llm.training.loop import Report, Steps, of_the_curve, run_steps
from llm.training.lora import with_adapter
from llm.training.order import shuffled_batches
from llm.training.packing import PackedSequence, TokenExample, pack
from llm.training.workers import Workers
from llm.types import Device, Message

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class SftConfig:
    """Everything that decides the outcome besides data and base model."""

    seed: int = 0
    rank: int = 32  # r of LoRA; 0 = train every weight
    alpha: int = 64  # the adapter counts alpha / rank
    peak_lr: float = 5e-4
    final_lr_share: float = 0.1  # of the peak, at the last step
    warmup_steps: int = 10
    decay_steps: int = 0  # in a line, at the end; 0 = half a cosine after the warm-up
    sequences_per_step: int = 4
    max_tokens: int = 1600  # of one packed sequence
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.98)
    max_grad_norm: float = 1.0
    n_epochs: int = 1
    checkpoint_seconds: float = 300.0
    evaluate_every: int = 50  # steps


def read_examples(path: Path, encoder: PromptEncoder, end_id: int) -> Iterator[TokenExample]:
    """Token ids of each line `{"messages": [{"role", "content"} …]}`, of which the last is the assistant's.

    Raises:
        InvalidTrainingDataError: a line is not such a row; the message names it.
    """
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                turns = [Message(role=turn["role"], content=turn["content"]) for turn in json.loads(line)["messages"]]
            except (ValueError, KeyError, TypeError) as error:
                raise InvalidTrainingDataError(
                    f"{path.name} line {number} is no row of messages with role and content"
                ) from error
            if len(turns) < 2 or turns[-1].role != "assistant":
                raise InvalidTrainingDataError(f"{path.name} line {number} must end with a message of the assistant")
            yield TokenExample(
                prompt=tuple(encoder.encode_prompt(turns[:-1])),
                answer=(*encoder.encode_text(turns[-1].content), end_id),
            )


def train_sft(
    model: Any,
    train: Iterable[TokenExample],
    held_out: Iterable[TokenExample],
    *,
    out: Path,
    config: SftConfig,
    device: Device,
    report: Report,
    workers: Workers | None = None,
) -> Any:
    """Tune `model` (a transformers causal model on `device`) and return it, adapter included.

    `out` gets `checkpoint/` while it runs; a run that is started again with the same arguments goes on from there.

    Raises:
        InvalidTrainingDataError: there is nothing to learn, or the checkpoint is of other settings or data.
    """
    sequences = list(pack(train, max_tokens=config.max_tokens))
    measured = list(pack(held_out, max_tokens=config.max_tokens))
    if not sequences:
        raise InvalidTrainingDataError("there is no example to learn; each must fit max_tokens")
    batches = shuffled_batches(
        len(sequences), n_epochs=config.n_epochs, batch_size=config.sequences_per_step, seed=config.seed
    )
    model = with_adapter(model, rank=config.rank, alpha=config.alpha, seed=config.seed)
    workers = workers or Workers()

    def backward(step: int) -> dict[str, float]:
        batch = [sequences[place] for place in batches[step]]
        n_targets = sum(len(sequence.targets) for sequence in batch)
        own = workers.share(batch)
        losses = add_gradients(own, lambda sequence: sequence_loss(model, sequence, device) / n_targets)
        return {
            "loss": sum(losses),
            "tokens": sum(len(sequence.token_ids) for sequence in own),
            "tokens_alone": sum(sequence.n_alone for sequence in own),
            "targets": sum(len(sequence.targets) for sequence in own),
            "examples": sum(sequence.n_examples for sequence in own),
        }

    with backward_on_cores(model.parameters(), device) as add_gradients:
        run_steps(
            model,
            Steps(
                n_steps=len(batches),
                backward=backward,
                evaluate=(lambda: {"held_out_loss": held_out_loss(model, measured, device)}) if measured else None,
            ),
            folder=out / "checkpoint",
            config=config,
            identity={"config": of_the_curve(config), "data": _digest(sequences)},
            device=device,
            report=report,
            workers=workers,
        )
    return model


def sequence_loss(model: Any, sequence: PackedSequence, device: Device) -> "torch.Tensor":
    """Summed cross-entropy of the sequence's targets. Logits are made at the predicting places only."""
    import torch

    logits, targets = target_logits(model, sequence, device)
    return torch.nn.functional.cross_entropy(logits, targets, reduction="sum")


def held_out_loss(model: Any, sequences: Sequence[PackedSequence], device: Device) -> float:
    """Mean cross-entropy a target, nats."""
    total = sum(float(sequence_loss(model, sequence, device)) for sequence in sequences)
    return total / sum(len(sequence.targets) for sequence in sequences)


def _digest(sequences: Iterable[PackedSequence]) -> str:
    digest = hashlib.sha256()
    for sequence in sequences:
        digest.update(repr((sequence.token_ids, sequence.predictors)).encode())
    return digest.hexdigest()
