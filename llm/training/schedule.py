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


def learning_rate(step: int, n_steps: int, config: Schedule) -> float:
    """Linear warm-up, then half a cosine from the peak to its final share (Loshchilov & Hutter, 2017); step from 0."""
    if step < config.warmup_steps:
        return config.peak_lr * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, n_steps - config.warmup_steps)
    floor = config.peak_lr * config.final_lr_share
    return floor + (config.peak_lr - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
