import dataclasses
import math
from pathlib import Path

import pytest
import torch

from llm.errors import LlmError
from llm.training.loop import Steps, run_steps
from llm.training.sft import SftConfig

CONFIG = dataclasses.replace(SftConfig(), peak_lr=0.1, warmup_steps=0, weight_decay=0.5, max_grad_norm=1.0)


class Toy(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.matrix = torch.nn.Parameter(torch.full((2, 2), 4.0))
        self.vector = torch.nn.Parameter(torch.full((2,), 4.0))


def run(model: Toy, gradient: float, tmp_path: Path, device, n_steps: int = 1) -> list[dict]:
    def backward(step: int) -> dict[str, float]:
        (gradient * (model.matrix.sum() + model.vector.sum())).backward()
        return {"loss": 1.0, "tokens": 10}

    rows: list[dict] = []
    run_steps(
        model, Steps(n_steps=n_steps, backward=backward, evaluate=None), folder=tmp_path / "checkpoint", config=CONFIG,
        identity={}, device=device, report=rows.append,
    )  # fmt: skip
    return rows


def test_only_matrices_decay(tmp_path: Path, device) -> None:
    model = Toy()
    run(model, 0.0, tmp_path, device)
    assert model.matrix.tolist() == [[pytest.approx(4.0 * (1 - 0.1 * 0.5))] * 2] * 2
    assert model.vector.tolist() == [4.0, 4.0]


def test_the_norm_is_told_before_it_is_clipped(tmp_path: Path, device) -> None:
    (row,) = run(Toy(), 3.0, tmp_path, device)
    assert row["grad_norm"] == pytest.approx(3.0 * math.sqrt(6), abs=1e-4)
    assert (row["step"], row["n_steps"], row["lr"]) == (1, 1, 0.1)


def test_a_gradient_that_is_no_number_stops_the_run_and_spares_the_weights(tmp_path: Path, device) -> None:
    model = Toy()
    with pytest.raises(LlmError, match="step 1 is no number"):
        run(model, math.nan, tmp_path, device)
    assert model.matrix.tolist() == [[4.0, 4.0]] * 2


def test_a_finished_run_takes_no_step_again(tmp_path: Path, device) -> None:
    assert len(run(Toy(), 1.0, tmp_path, device, n_steps=3)) == 3
    model = Toy()
    assert run(model, 1.0, tmp_path, device, n_steps=3) == []
    assert model.vector[0] < 4.0, "the weights are those of the checkpoint"
