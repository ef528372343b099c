import dataclasses
import math

import pytest

from llm.training.schedule import learning_rate
from llm.training.sft import SftConfig

CONFIG = dataclasses.replace(SftConfig(), peak_lr=1.0, final_lr_share=0.1, warmup_steps=4)


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.25),
        (3, 1.0),
        (4, 1.0),  # the cosine begins at the peak
        (6, 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 4))),  # a quarter of the 8 steps after the warm-up
        (8, 0.55),  # half way between 1 and 0.1
        (12, 0.1),
    ],
)
def test_worked_by_hand(step: int, rate: float) -> None:
    assert learning_rate(step, 12, CONFIG) == pytest.approx(rate)


@pytest.mark.parametrize(("step", "rate"), [(3, 1.0), (7, 1.0), (8, 0.775), (10, 0.325), (11, 0.1)])
def test_a_line_down_at_the_end(step: int, rate: float) -> None:
    """12 steps of which the last 4 go down: from 1 by a quarter of .9 a step."""
    assert learning_rate(step, 12, dataclasses.replace(CONFIG, decay_steps=4)) == pytest.approx(rate)


def test_without_warm_up_it_starts_at_the_peak() -> None:
    assert learning_rate(0, 10, dataclasses.replace(CONFIG, warmup_steps=0)) == 1.0


def test_a_run_shorter_than_its_warm_up_stays_below_the_peak() -> None:
    assert learning_rate(1, 2, CONFIG) == 0.5
