"""Supervised fine-tuning: teach a decoder to write given answers after given prompts.

The loss is the mean cross-entropy of the answers' tokens under teacher forcing, −1/N Σ log p(yₜ | prompt, y₍<ₜ₎);
tokens of the prompt are read and not learned. Trained is a low-rank adapter (LoRA: Hu et al., 2021), W + (α/r)·B·A on
every linear layer of the frozen model, or every weight. AdamW, linear warm-up, cosine decay, clipped gradients, several
sequences a step. Examples that share their prompt's beginning are packed (`llm.training.packing`).

A run can be killed at any moment and goes on from its last checkpoint to the same curve: nothing in a step is random.
"""

import hashlib
import json
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm.errors import InvalidTrainingDataError
from llm.prompt_encoding import PromptEncoder
from llm.training.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from llm.training.packing import PackedSequence, TokenExample, attention_mask, pack
from llm.types import Device, Message

if TYPE_CHECKING:
    import torch

Report = Callable[[dict[str, Any]], None]  # hears one row of figures a step


@dataclass(frozen=True, slots=True, kw_only=True)
class SftConfig:
    """Everything that decides the outcome besides data and base model."""

    seed: int = 0
    rank: int = 32  # r of LoRA; 0 = train every weight
    alpha: int = 64  # the adapter counts alpha / rank
    peak_lr: float = 5e-4
    final_lr_share: float = 0.1  # of the peak, at the last step
    warmup_steps: int = 10
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


def learning_rate(step: int, n_steps: int, config: SftConfig) -> float:
    """Linear warm-up, then half a cosine from the peak to its final share (Loshchilov & Hutter, 2017); step from 0."""
    if step < config.warmup_steps:
        return config.peak_lr * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, n_steps - config.warmup_steps)
    floor = config.peak_lr * config.final_lr_share
    return floor + (config.peak_lr - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def train_sft(
    model: Any,
    train: Iterable[TokenExample],
    held_out: Iterable[TokenExample],
    *,
    out: Path,
    config: SftConfig,
    device: Device,
    report: Report,
) -> Any:
    """Tune `model` (a transformers causal model on `device`) and return it, adapter included.

    `out` gets `checkpoint/` while it runs; a run that is started again with the same arguments goes on from there.

    Raises:
        InvalidTrainingDataError: there is nothing to learn, or the checkpoint is of other settings or data.
    """
    import torch

    sequences = list(pack(train, max_tokens=config.max_tokens))
    measured = list(pack(held_out, max_tokens=config.max_tokens))
    if not sequences:
        raise InvalidTrainingDataError("there is no example to learn; each must fit max_tokens")
    order = _order(len(sequences), config)
    batches = [order[i : i + config.sequences_per_step] for i in range(0, len(order), config.sequences_per_step)]
    model = _with_adapter(model, config)
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    optimizer = torch.optim.AdamW(
        trained.values(), lr=config.peak_lr, betas=config.betas, weight_decay=config.weight_decay, foreach=False
    )
    identity = {"config": asdict(config), "data": _digest(sequences)}
    first = 0
    found = read_checkpoint(out / "checkpoint", identity=identity)
    if found is not None:
        _restore(found, trained, optimizer)
        first = found.step
    started = saved = time.perf_counter()
    model.train()
    for step in range(first, len(batches)):
        began = time.perf_counter()
        rate = learning_rate(step, len(batches), config)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = [sequences[place] for place in batches[step]]
        n_targets = sum(len(sequence.targets) for sequence in batch)
        total = 0.0
        for sequence in batch:
            loss = sequence_loss(model, sequence, device) / n_targets
            loss.backward()
            total += float(loss.detach())
        norm = float(torch.nn.utils.clip_grad_norm_(trained.values(), config.max_grad_norm))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        now = time.perf_counter()
        row: dict[str, Any] = {
            "step": step + 1,
            "n_steps": len(batches),
            "loss": round(total, 5),
            "lr": rate,
            "grad_norm": round(norm, 4),
            "tokens": _n_tokens(batch),
            "tokens_alone": sum(sequence.n_alone for sequence in batch),
            "examples": sum(sequence.n_examples for sequence in batch),
            "tokens_per_second": round(_n_tokens(batch) / (now - began), 1),
            "seconds": round(now - started, 1),
        }
        if measured and ((step + 1) % config.evaluate_every == 0 or step + 1 == len(batches)):
            row["held_out_loss"] = round(held_out_loss(model, measured, device), 5)
        report(row)
        if time.perf_counter() - saved > config.checkpoint_seconds or step + 1 == len(batches):
            write_checkpoint(out / "checkpoint", _checkpoint(step + 1, trained, optimizer), identity=identity)
            saved = time.perf_counter()
    return model.eval()


def sequence_loss(model: Any, sequence: PackedSequence, device: Device) -> "torch.Tensor":
    """Summed cross-entropy of the sequence's targets. Logits are made at the predicting places only."""
    import torch

    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    ids = torch.tensor([sequence.token_ids], device=device.kind)
    positions = torch.tensor([sequence.positions], device=device.kind)
    visible = attention_mask(torch.tensor(sequence.branches, device=device.kind))
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(device.dtype)
    mask = torch.zeros(visible.shape, dtype=half or torch.float32, device=device.kind)
    mask = mask.masked_fill(~visible, float("-inf"))
    with torch.autocast(device.kind, dtype=half, enabled=half is not None):
        decoder = causal.get_decoder()
        hidden = decoder(input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False).last_hidden_state
        places = torch.tensor(sequence.predictors, device=device.kind)
        logits = causal.get_output_embeddings()(hidden[0, places])
    targets = torch.tensor(sequence.targets, device=device.kind)
    return torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum")


def held_out_loss(model: Any, sequences: Sequence[PackedSequence], device: Device) -> float:
    """Mean cross-entropy a target, nats; leaves the model in training mode."""
    import torch

    model.eval()
    with torch.inference_mode():
        total = sum(float(sequence_loss(model, sequence, device)) for sequence in sequences)
    model.train()
    return total / sum(len(sequence.targets) for sequence in sequences)


def _order(n: int, config: SftConfig) -> list[int]:
    rng = random.Random(config.seed)
    order: list[int] = []
    for _ in range(config.n_epochs):
        epoch = list(range(n))
        rng.shuffle(epoch)
        order += epoch
    return order


def _with_adapter(model: Any, config: SftConfig) -> Any:
    import torch

    if config.rank == 0:
        return model
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(config.seed)  # A of the adapter is drawn, B is zero
    lora = LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules="all-linear", lora_dropout=0.0)
    return get_peft_model(model, lora, autocast_adapter_dtype=True)


def _digest(sequences: Iterable[PackedSequence]) -> str:
    digest = hashlib.sha256()
    for sequence in sequences:
        digest.update(repr((sequence.token_ids, sequence.predictors)).encode())
    return digest.hexdigest()


def _n_tokens(sequences: Iterable[PackedSequence]) -> int:
    return sum(len(sequence.token_ids) for sequence in sequences)


def _checkpoint(step: int, trained: dict[str, Any], optimizer: Any) -> Checkpoint:
    tensors = {f"weight.{name}": value.detach() for name, value in trained.items()}
    for name, value in trained.items():
        state = optimizer.state[value]
        tensors |= {f"first.{name}": state["exp_avg"], f"second.{name}": state["exp_avg_sq"]}
    return Checkpoint(step=step, tensors=tensors)


def _restore(found: Checkpoint, trained: dict[str, Any], optimizer: Any) -> None:
    import torch

    with torch.no_grad():
        for name, value in trained.items():
            value.copy_(found.tensors[f"weight.{name}"])
            optimizer.state[value] = {
                "step": torch.tensor(float(found.step)),
                "exp_avg": found.tensors[f"first.{name}"].to(value.device),
                "exp_avg_sq": found.tensors[f"second.{name}"].to(value.device),
            }
