"""Preference alignment: prefer one answer over another to the same prompt, without drifting far from where it began.

Direct preference optimization (Rafailov et al., 2023), for the preferred answer w and the other one l to prompt x:
−log σ(β·[(log π(w|x) − log π₀(w|x)) − (log π(l|x) − log π₀(l|x))]), averaged over pairs. π₀ is the model before the
first step; its log-probabilities are computed once and kept. On request the mean cross-entropy of w's tokens is added
with a weight (Pang et al., 2024), which keeps w itself probable. Trained is the adapter that the model came with, or a
new one.

Both answers of a pair, and pairs whose prompts begin alike, are read in one packed sequence (`llm.training.packing`).
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm.errors import InvalidTrainingDataError
from llm.training.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from llm.training.cores import backward_on_cores
from llm.training.forward import target_logits
from llm.training.loop import Report, Steps, of_the_curve, run_steps
from llm.training.lora import with_adapter
from llm.training.order import shuffled_batches
from llm.training.pairs import PairSequence, TokenPair, pack_pairs
from llm.training.workers import Workers
from llm.types import Device

if TYPE_CHECKING:
    import torch


Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DpoConfig:
    """Everything that decides the outcome besides data, base model and adapter."""

    seed: int = 0
    beta: float = 0.1  # how much a nat of log-ratio counts; smaller = may drift further
    sft_weight: float = 0.0  # of the cross-entropy of the preferred answer
    rank: int = 32  # r of a new LoRA, where the model came without an adapter; 0 = train every weight
    alpha: float = 64.0  # a new adapter counts alpha / rank
    peak_lr: float = 5e-5
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


def train_dpo(
    model: Any,
    train: Iterable[TokenPair],
    held_out: Iterable[TokenPair],
    *,
    out: Path,
    config: DpoConfig,
    device: Device,
    report: Report,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> Any:
    """Align `model` (a transformers causal model on `device`, or a peft model with a trainable adapter) and return it.

    `out` gets `reference/` and `checkpoint/`; a run that is started again with the same arguments goes on from there.
    `progress` hears how many sequences of how many have been read by the model as it begins, before the first step.

    Raises:
        InvalidTrainingDataError: there is nothing to learn, or the checkpoint is of other settings, data or weights.
    """
    workers = workers or Workers()
    sequences = list(pack_pairs(train, max_tokens=config.max_tokens))
    measured = list(pack_pairs(held_out, max_tokens=config.max_tokens))
    if not sequences:
        raise InvalidTrainingDataError("there is no pair to learn from; each must fit max_tokens")
    model = with_adapter(model, rank=config.rank, alpha=config.alpha, seed=config.seed)
    identity = {
        "config": of_the_curve(config),
        "data": _digest([*sequences, *measured]),
        "start": _weights_digest(model),
    }
    references = _references(
        model,
        [*sequences, *measured],
        out / "reference",
        identity=identity,
        checkpoint_seconds=config.checkpoint_seconds,
        device=device,
        workers=workers,
        progress=progress or (lambda n_done, n_all: None),
    )
    batches = shuffled_batches(
        len(sequences), n_epochs=config.n_epochs, batch_size=config.sequences_per_step, seed=config.seed
    )

    def backward(step: int) -> dict[str, float]:
        n_pairs = sum(sequences[place].n_pairs for place in batches[step])
        own = workers.share(batches[step])
        margins: dict[int, Any] = {}

        def loss_of(place: int) -> "torch.Tensor":
            outcome = pair_losses(model, sequences[place], references[place], config=config, device=device)
            margins[place] = outcome.margins
            return outcome.losses.sum() / n_pairs

        losses = add_gradients(own, loss_of)
        return {
            "loss": sum(losses),
            "accuracy": sum(float((margins[place] > 0).sum()) for place in own) / n_pairs,
            "margin": sum(float(margins[place].sum()) for place in own) / n_pairs,
            "tokens": sum(len(sequences[place].packed.token_ids) for place in own),
            "targets": sum(len(sequences[place].packed.targets) for place in own),
            "pairs": sum(sequences[place].n_pairs for place in own),
        }

    def evaluate() -> dict[str, float]:
        outcomes = [
            pair_losses(model, sequence, reference, config=config, device=device)
            for sequence, reference in zip(measured, references[len(sequences) :], strict=True)
        ]
        n_pairs = sum(sequence.n_pairs for sequence in measured)
        return {
            "held_out_loss": sum(float(outcome.losses.sum()) for outcome in outcomes) / n_pairs,
            "held_out_accuracy": sum(float((outcome.margins > 0).sum()) for outcome in outcomes) / n_pairs,
        }

    with backward_on_cores(model.parameters(), device) as add_gradients:
        run_steps(
            model,
            Steps(n_steps=len(batches), backward=backward, evaluate=evaluate if measured else None),
            folder=out / "checkpoint",
            config=config,
            identity=identity,
            device=device,
            report=report,
            workers=workers,
        )
    return model


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLosses:
    """What one sequence says of its pairs."""

    losses: "torch.Tensor"  # (P,) nats
    margins: "torch.Tensor"  # (P,) β times the difference of log-ratios, detached; above 0 = the right answer preferred


def pair_losses(
    model: Any, sequence: PairSequence, reference: "torch.Tensor", *, config: DpoConfig, device: Device
) -> PairLosses:
    """The loss of each pair; `reference` is (2P,), the log-probabilities of its answers before the first step."""
    import torch

    log_probabilities = answer_log_probabilities(model, sequence, device)
    ratios = log_probabilities - reference.to(device.kind)
    margins = config.beta * (ratios[0::2] - ratios[1::2])
    losses = -torch.nn.functional.logsigmoid(margins)
    if config.sft_weight:
        n_tokens = torch.tensor(sequence.lengths[0::2], device=device.kind)
        losses = losses - config.sft_weight * log_probabilities[0::2] / n_tokens
    return PairLosses(losses=losses, margins=margins.detach())


def answer_log_probabilities(model: Any, sequence: PairSequence, device: Device) -> "torch.Tensor":
    """(2P,) summed log-probability of each answer's tokens, the end of turn included, nats."""
    import torch

    logits, targets = target_logits(model, sequence.packed, device)
    tokens = -torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    return torch.stack([answer.sum() for answer in tokens.split(list(sequence.lengths))])


def _references(
    model: Any,
    sequences: Sequence[PairSequence],
    folder: Path,
    *,
    identity: dict[str, Any],
    checkpoint_seconds: float,
    device: Device,
    workers: Workers,
    progress: Progress,
) -> "list[torch.Tensor]":
    """The answers' log-probabilities under `model` as it is now; what `folder` keeps of them is not computed again."""
    import torch

    found = read_checkpoint(folder, identity=identity)
    workers.wait()
    lengths = [len(sequence.lengths) for sequence in sequences]
    made = list(found.tensors["log_probabilities"].split(lengths[: found.step])) if found and found.step else []
    if len(made) == len(sequences):
        return made
    model.eval()
    saved = time.perf_counter()
    with torch.inference_mode():
        for sequence in sequences[len(made) :]:
            made.append(answer_log_probabilities(model, sequence, device).cpu())
            progress(len(made), len(sequences))
            is_last = len(made) == len(sequences)
            if workers.is_main and (is_last or time.perf_counter() - saved > checkpoint_seconds):
                kept = Checkpoint(step=len(made), tensors={"log_probabilities": torch.cat(made)})
                write_checkpoint(folder, kept, identity=identity)
                saved = time.perf_counter()
    workers.wait()
    return [tensor.clone() for tensor in made]  # an inference tensor cannot be part of what is differentiated


def _digest(sequences: Iterable[PairSequence]) -> str:
    digest = hashlib.sha256()
    for sequence in sequences:
        digest.update(repr((sequence.packed.token_ids, sequence.packed.predictors, sequence.lengths)).encode())
    return digest.hexdigest()


def _weights_digest(model: Any) -> str:
    """SHA-256 over all weights: π₀ is made of them."""
    import torch

    digest = hashlib.sha256()
    for name, value in sorted(model.named_parameters()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
