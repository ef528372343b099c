"""A tiny Llama, text to learn and a run that can be killed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from llm.types import Device


class Killed(Exception):
    """Stands for a kill: nothing after it runs."""


class Recorder:
    """Keeps the figures of each step; can be killed with one step done and not yet kept."""

    def __init__(self, killed_at: int | None = None) -> None:
        self.rows: list[dict[str, Any]] = []
        self._killed_at = killed_at

    def __call__(self, row: dict[str, Any]) -> None:
        if row["step"] == self._killed_at:
            raise Killed
        self.rows.append(row)

    @property
    def curve(self) -> list[tuple[Any, ...]]:
        """What must be the same in every run."""
        names = ("step", "loss", "lr", "grad_norm", "held_out_loss", "accuracy")
        return [tuple(row.get(name) for name in names) for row in self.rows]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def device() -> Device:
    return Device(kind="cpu", name="test", dtype="fp32", n_threads=1)


@pytest.fixture
def new_model() -> Callable[..., Any]:
    def make(vocabulary: int = 64, seed: int = 1) -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return LlamaForCausalLM(
                LlamaConfig(
                    vocab_size=vocabulary, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.2,
                )
            )  # fmt: skip

    return make


@pytest.fixture
def killed_and_resumed() -> Callable[[Callable[[Path, Recorder], object], Path, int], tuple[Recorder, Recorder]]:
    """Runs `train(out, report)` once whole, and once killed at a step and started again in another folder."""

    def runs(train: Callable[[Path, Recorder], object], folder: Path, at: int) -> tuple[Recorder, Recorder]:
        whole, resumed, first = Recorder(), Recorder(), Recorder(killed_at=at)
        train(folder / "whole", whole)
        with pytest.raises(Killed):
            train(folder / "killed", first)
        train(folder / "killed", resumed)
        assert resumed.rows[0]["step"] == at, "it must go on from the last checkpoint and not from the beginning"
        resumed.rows = first.rows + resumed.rows
        return whole, resumed

    return runs
