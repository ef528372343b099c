"""What the verifier's training adds to sentence-transformers: the loss, batches of like length, the log of metrics.

Imports torch and transformers; only `rag.verify.train` imports this, inside a function.
"""

import functools
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.util import batch_to_device
from torch.nn import functional
from torch.utils.data import BatchSampler
from transformers import TrainerCallback

from rag.verify.pairs import CONTRADICTED, NOT_SUPPORTED, UNSUPPORTED

_LENGTH_STEP = 16
_POOL_BATCHES = 40  # batches of like lengths are made inside shuffled pools of so many


def merged_label_loss(logits: torch.Tensor, labels: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Mean cross-entropy over three outcomes; for NOT_SUPPORTED it is -log(p(contradicted) + p(unsupported)).

    Args:
        logits: (B, 3), any float type.
        labels: (B,), 0 to 3.
        smoothing: share of each pair's loss that asks for the uniform distribution (over supported and the sum of the
            other two, where only the sum is known), 0..1.
    """
    log_p = functional.log_softmax(logits.float(), dim=-1)
    merged = torch.logsumexp(log_p[:, (CONTRADICTED, UNSUPPORTED)], dim=-1)
    known = log_p.gather(1, labels.clamp(max=UNSUPPORTED)[:, None])[:, 0]
    is_merged = labels == NOT_SUPPORTED
    wanted = torch.where(is_merged, merged, known)
    uniform = torch.where(is_merged, (log_p[:, 0] + merged) / 2, log_p.mean(dim=-1))
    return -((1 - smoothing) * wanted + smoothing * uniform).mean()


class MergedLabelLoss(torch.nn.Module):  # type: ignore[misc]
    """`merged_label_loss` in the form that CrossEncoderTrainer calls."""

    def __init__(self, model: Any, smoothing: float) -> None:
        super().__init__()
        self.model = model
        self._smoothing = smoothing

    def forward(
        self, inputs: list[list[str]], labels: torch.Tensor, prompt: str | None = None, task: str | None = None
    ) -> torch.Tensor:
        """The loss of one batch of (evidence, claim) texts."""
        tokens = self.model.preprocess(list(zip(*inputs, strict=True)), prompt=prompt, task=task)
        logits = self.model(batch_to_device(_padded(tokens), self.model.device))["scores"]
        return merged_label_loss(logits, labels, self._smoothing)


def _padded(tokens: dict[str, Any]) -> dict[str, Any]:
    """The (B, T) tensors with T rounded up: for every new shape the CPU library compiles and keeps kernels.

    Zeros are appended: in a BERT vocabulary 0 is [PAD], and the attention mask leaves the rest out.
    """
    found: dict[str, Any] = {}
    for name, value in tokens.items():
        if isinstance(value, torch.Tensor) and value.dim() == 2:
            value = functional.pad(value, (0, -value.shape[1] % _LENGTH_STEP))
        found[name] = value
    return found


class LikeLengthBatches(BatchSampler):  # type: ignore[misc]
    """Batches of pairs of like length: shuffled, cut into pools, sorted inside a pool, and the batches shuffled again.

    The order depends on seed and epoch alone, so a resumed run skips to where it was.
    """

    def __init__(
        self, lengths: Sequence[int], dataset: Any = None, *, batch_size: int, seed: int = 0, **_: Any
    ) -> None:
        super().__init__(range(len(lengths)), batch_size=batch_size, drop_last=False)
        self._lengths = lengths
        self._seed = seed
        self._epoch = 0

    @classmethod
    def of(cls, lengths: Sequence[int]) -> "functools.partial[LikeLengthBatches]":
        """What the trainer calls to make its sampler; it must be one that pickles."""
        return functools.partial(cls, lengths)

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        rng = random.Random(self._seed * 1_000 + self._epoch)
        order = list(range(len(self._lengths)))
        rng.shuffle(order)
        size = self.batch_size * _POOL_BATCHES
        batches = []
        for start in range(0, len(order), size):
            pool = sorted(order[start : start + size], key=self._lengths.__getitem__)
            batches += [pool[at : at + self.batch_size] for at in range(0, len(pool), self.batch_size)]
        rng.shuffle(batches)
        yield from batches


class MetricsLog(TrainerCallback):  # type: ignore[misc]
    """Appends what the trainer logs to a JSONL file, with speed and share done, and reports it."""

    def __init__(
        self, path: Path, batch_size: int, mean_characters: float, report: Callable[[dict[str, float]], None] | None
    ) -> None:
        self._path = path
        self._batch_size = batch_size
        self._mean_characters = mean_characters
        self._report = report
        self._last: tuple[int, float] | None = None

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Starts the clock before the first step."""
        if self._last is None:
            self._last = (state.global_step, time.perf_counter())

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """One line."""
        if not logs or "loss" not in logs or self._last is None:
            return
        now = time.perf_counter()
        n_steps, seconds = state.global_step - self._last[0], now - self._last[1]
        self._last = (state.global_step, now)
        speed = n_steps * self._batch_size / seconds if seconds > 0 else 0.0
        row = {
            "step": state.global_step,
            "done": round(state.global_step / max(1, state.max_steps), 4),
            "loss": round(float(logs["loss"]), 5),
            "grad_norm": round(float(logs.get("grad_norm", 0.0)), 4),
            "learning_rate": float(logs.get("learning_rate", 0.0)),
            "pairs_per_second": round(speed, 2),
            "characters_per_second": round(speed * self._mean_characters),
        }
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
        if self._report is not None:
            self._report(row)
