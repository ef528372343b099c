"""The steps that every kind of training shares.

A step: its sequences' gradients are summed, clipped to a norm (Pascanu et al., 2013) and taken by AdamW (Loshchilov &
Hutter, 2019) at the schedule's rate; weights that are no matrices are not decayed. A run can be killed at any moment
and goes on from its last checkpoint to the same curve: nothing in a step is random, its data follow from its number.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from llm.errors import LlmError, TrainingStoppedError
from llm.training.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from llm.training.schedule import Schedule, learning_rate
from llm.training.stopping import StopRequest
from llm.training.workers import Workers
from llm.types import Device

if TYPE_CHECKING:
    import torch

Report = Callable[[dict[str, Any]], None]  # hears one row of figures a step

# How the curve is computed, watched and kept, and not what it is: a run may go on with others.
OFF_THE_CURVE = frozenset(("sequences_per_pass", "activation_checkpointing", "checkpoint_seconds", "evaluate_every"))


class StepConfig(Schedule, Protocol):
    """What the steps need of a configuration."""

    @property
    def weight_decay(self) -> float:
        """Share of each matrix taken off a step, times the learning rate."""

    @property
    def betas(self) -> tuple[float, float]:
        """Decay of the two moments of AdamW."""

    @property
    def max_grad_norm(self) -> float:
        """Longest gradient, all weights together."""

    @property
    def checkpoint_seconds(self) -> float:
        """Time between checkpoints."""

    @property
    def evaluate_every(self) -> int:
        """Steps between measurements on held-out data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What differs between kinds of training."""

    n_steps: int
    # Adds the gradients of this process's share of a step (from 0) and returns its figures. `loss` is among them and
    # `tokens`; each is summed over the processes.
    backward: Callable[[int], Mapping[str, float]]
    evaluate: Callable[[], Mapping[str, float]] | None  # held-out figures; None without held-out data


def of_the_curve(config: Any) -> dict[str, Any]:
    """The settings (a dataclass) that decide a run's curve: a checkpoint belongs to them."""
    return {name: value for name, value in asdict(config).items() if name not in OFF_THE_CURVE}


def trained_parameters(model: Any) -> "dict[str, torch.nn.Parameter]":
    """The weights that learn, by name; tied ones once."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def run_steps(
    model: Any,
    steps: Steps,
    *,
    folder: Path,
    config: StepConfig,
    identity: Mapping[str, Any],
    device: Device,
    report: Report,
    workers: Workers | None = None,
) -> None:
    """Take the steps that the checkpoint in `folder` has not taken, and write checkpoints there.

    Raises:
        InvalidTrainingDataError: the checkpoint is of a run with another `identity`.
        LlmError: a gradient is no number; the weights are as the last checkpoint has them.
        TrainingStoppedError: Ctrl-C; the step under way was finished and is in the checkpoint.
    """
    import torch

    workers = workers or Workers()
    trained = trained_parameters(model)
    optimizer = _optimizer(trained, config)
    first = 0
    found = read_checkpoint(folder, identity=identity)
    workers.wait()
    if found is not None:
        _restore(found, trained, optimizer)
        first = found.step
    started = saved = time.perf_counter()
    model.train()
    with StopRequest(enabled=workers.n == 1) as stop:  # of several processes all would have to stop at one step
        for step in range(first, steps.n_steps):
            began = time.perf_counter()
            rate = learning_rate(step, steps.n_steps, config)
            for group in optimizer.param_groups:
                group["lr"] = rate
            own = steps.backward(step)
            workers.sum_gradients(trained.values())
            norm = float(torch.nn.utils.clip_grad_norm_(trained.values(), config.max_grad_norm))
            if not math.isfinite(norm):
                raise LlmError(f"the gradient of step {step + 1} is no number; choose a lower peak_lr or float32")
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            figures = workers.sum(own, device)
            now = time.perf_counter()
            is_last = step + 1 == steps.n_steps
            if not workers.is_main:
                continue
            row: dict[str, Any] = {
                "step": step + 1,
                "n_steps": steps.n_steps,
                **{name: round(value, 5) for name, value in figures.items()},
                "lr": rate,
                "grad_norm": round(norm, 4),
                "tokens_per_second": round(figures["tokens"] / (now - began), 1),
                "seconds": round(now - started, 1),
            }
            if steps.evaluate is not None and ((step + 1) % config.evaluate_every == 0 or is_last):
                model.eval()
                with torch.inference_mode():
                    row |= {name: round(value, 5) for name, value in steps.evaluate().items()}
                model.train()
            report(row)
            if time.perf_counter() - saved > config.checkpoint_seconds or is_last or stop.is_set:
                write_checkpoint(folder, _checkpoint(step + 1, trained, optimizer), identity=identity)
                saved = time.perf_counter()
            if stop.is_set and not is_last:
                raise TrainingStoppedError(
                    f"stopped after step {step + 1} of {steps.n_steps}, which is kept; the same command goes on"
                )
    workers.wait()
    model.eval()


def _optimizer(trained: "Mapping[str, torch.nn.Parameter]", config: StepConfig) -> "torch.optim.AdamW":
    import torch

    matrices = [value for value in trained.values() if value.ndim >= 2]
    others = [value for value in trained.values() if value.ndim < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=config.peak_lr, betas=config.betas, foreach=False
    )


def _checkpoint(step: int, trained: "Mapping[str, torch.nn.Parameter]", optimizer: Any) -> Checkpoint:
    tensors = {f"weight.{name}": value.detach() for name, value in trained.items()}
    for name, value in trained.items():
        state = optimizer.state[value]
        tensors |= {f"first.{name}": state["exp_avg"], f"second.{name}": state["exp_avg_sq"]}
    return Checkpoint(step=step, tensors=tensors)


def _restore(found: Checkpoint, trained: "Mapping[str, torch.nn.Parameter]", optimizer: Any) -> None:
    import torch

    with torch.no_grad():
        for name, value in trained.items():
            value.copy_(found.tensors[f"weight.{name}"])
            optimizer.state[value] = {
                "step": torch.tensor(float(found.step)),
                "exp_avg": found.tensors[f"first.{name}"].to(value.device),
                "exp_avg_sq": found.tensors[f"second.{name}"].to(value.device),
            }
