"""Steps of one pass over all examples: the rate goes up in a line, then down in a line to nothing."""

from dataclasses import dataclass
from typing import Protocol


class OnePassSettings(Protocol):
    """What a training that sees its examples once says of its steps."""

    @property
    def peak_lr(self) -> float:
        """The highest rate."""

    @property
    def warmup(self) -> float:
        """Share of the steps until the peak."""

    @property
    def weight_decay(self) -> float:
        """Share of each matrix taken off a step, times the learning rate."""

    @property
    def checkpoint_seconds(self) -> float:
        """Time between checkpoints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnePassSteps:
    """A `llm.training.loop.StepConfig` of so many steps; see `one_pass`."""

    peak_lr: float
    warmup_steps: int
    decay_steps: int
    weight_decay: float
    checkpoint_seconds: float
    final_lr_share: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    max_grad_norm: float = 1.0
    evaluate_every: int = 1


def one_pass(n_steps: int, settings: OnePassSettings) -> OnePassSteps:
    """What `llm.training.loop.run_steps` asks of `n_steps` steps."""
    n_up = round(n_steps * settings.warmup)
    return OnePassSteps(
        peak_lr=settings.peak_lr,
        warmup_steps=n_up,
        decay_steps=max(1, n_steps - n_up),
        weight_decay=settings.weight_decay,
        checkpoint_seconds=settings.checkpoint_seconds,
    )
