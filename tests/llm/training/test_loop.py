import dataclasses
import math
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from llm.errors import LlmError, TrainingStoppedError
from llm.training.loop import Steps, run_steps
from llm.training.sft import SftConfig
from llm.training.stopping import StopRequest

CONFIG = dataclasses.replace(SftConfig(), peak_lr=0.1, warmup_steps=0, weight_decay=0.5, max_grad_norm=1.0)


@pytest.fixture(autouse=True)
def ctrl_c_interrupts() -> Iterator[None]:
    """Processes that a shell starts in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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


def test_ctrl_c_keeps_the_step_under_way_and_the_run_goes_on_from_it(tmp_path: Path, device) -> None:
    before, whole = signal.getsignal(signal.SIGINT), Toy()
    uninterrupted = run(whole, 1.0, tmp_path / "whole", device, n_steps=3)

    model, rows = Toy(), []

    def backward(step: int) -> dict[str, float]:
        if step == 1:
            press_ctrl_c()
        (model.matrix.sum() + model.vector.sum()).backward()
        return {"loss": 1.0, "tokens": 10}

    with pytest.raises(TrainingStoppedError, match="stopped after step 2 of 3, which is kept"):
        run_steps(
            model, Steps(n_steps=3, backward=backward, evaluate=None), folder=tmp_path / "checkpoint", config=CONFIG,
            identity={}, device=device, report=rows.append,
        )  # fmt: skip
    assert signal.getsignal(signal.SIGINT) is before
    resumed = Toy()
    rows += run(resumed, 1.0, tmp_path, device, n_steps=3)
    assert [row["step"] for row in rows] == [row["step"] for row in uninterrupted] == [1, 2, 3]
    assert torch.equal(resumed.matrix, whole.matrix)


def test_a_second_ctrl_c_interrupts_at_once() -> None:
    with StopRequest() as stop:
        press_ctrl_c()
        assert stop.is_set
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()


def test_where_it_is_not_enabled_ctrl_c_is_what_it_was() -> None:
    with StopRequest(enabled=False) as stop, pytest.raises(KeyboardInterrupt):
        press_ctrl_c()
    assert not stop.is_set


def test_the_signal_itself_is_heard() -> None:
    script = """
import os, signal
from llm.training.stopping import StopRequest
with StopRequest() as stop:
    os.kill(os.getpid(), signal.SIGINT)
    print(stop.is_set)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def press_ctrl_c() -> None:
    """What Python calls for the signal; a real one would go to any thread of a process that runs all tests."""
    handler = signal.getsignal(signal.SIGINT)
    assert callable(handler)
    handler(signal.SIGINT, None)
