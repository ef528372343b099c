"""How the learning rate moves over a run."""

import math
from typing import Protocol


class Schedule(Protocol):
    """What a configuration says of the learning rate."""

    @property
    def peak_lr(self) -> float:
        """The highest rate, reached at the end of the warm-up."""

    @property
    def final_lr_share(self) -> float:
        """The rate at the last step, as a share of the peak."""

    @property
    def warmup_steps(self) -> int:
        """Steps until the peak."""

    @property
    def decay_steps(self) -> int:
        """Steps of the way down; 0 = all after the warm-up."""


def learning_rate(step: int, n_steps: int, config: Schedule) -> float:
    """Linear warm-up, the peak, and the way down from it to its final share; `step` counts from 0.

    The way down is half a cosine over all that follows the warm-up (Loshchilov & Hutter, 2017), or a line over the
    last `decay_steps` (Hu et al., 2024: how long a run shall be need not be known before its end).
    """
    if step < config.warmup_steps:
        return config.peak_lr * (step + 1) / config.warmup_steps
    floor = config.peak_lr * config.final_lr_share
    if config.decay_steps:
        left = min(1.0, (n_steps - step - 1) / config.decay_steps)
        return floor + (config.peak_lr - floor) * left
    done = (step - config.warmup_steps) / max(1, n_steps - config.warmup_steps)
    return floor + (config.peak_lr - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
