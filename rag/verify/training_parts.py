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
from torch.nn import functional
from torch.utils.data import BatchSampler
from transformers import TrainerCallback

from llm.training.speed import encoder_work_of
from rag.verify.pairs import ASKED, CONTRADICTED, NOT_SUPPORTED, UNSUPPORTED
from rag.verify.shipped import N_OUTCOMES

_LENGTH_STEP = 16  # padded lengths: for every new shape the CPU library compiles and keeps kernels
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


def place_loss(scores: torch.Tensor, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of where an answer begins and ends; token 0 says that there is none (Devlin et al., 2019).

    Args:
        scores: (B, T, 2) of beginning and end, any float type, -inf where no answer can be.
        first: (B,) token in which the answer begins, 0 without one.
        last: (B,) token in which it ends, 0 without one.
    """
    begins, ends = scores.float().unbind(dim=-1)
    return (functional.cross_entropy(begins, first) + functional.cross_entropy(ends, last)) / 2


class PairLoss(torch.nn.Module):  # type: ignore[misc]
    """The loss of a batch of pairs in the form that CrossEncoderTrainer calls.

    A claim is learnt by `merged_label_loss` from the first N_OUTCOMES logits of the pair, a question by `place_loss`
    from the other rows of the same last layer, applied to each token of the evidence. A batch holds both.
    """

    def __init__(self, model: Any, smoothing: float, max_tokens: int, *, bf16: bool) -> None:
        super().__init__()
        self.model = model
        self._smoothing = smoothing
        self._max_tokens = max_tokens
        self._bf16 = bf16  # the trainer's own autocast covers only what is asked of the whole model
        self.n_tokens = 0  # read so far, padding left out

    def forward(
        self, inputs: list[list[str]], rows: list[torch.Tensor], prompt: str | None = None, task: str | None = None
    ) -> torch.Tensor:
        """The mean loss of (evidence, claim) texts; each of `rows` is (3,): label, beginning, end, -1 for no place."""
        labels = torch.stack(list(rows)).to(self.model.device)
        tokens = self.model.tokenizer(
            *inputs,
            truncation="longest_first",
            max_length=self._max_tokens,
            padding=True,
            pad_to_multiple_of=_LENGTH_STEP,
            return_offsets_mapping=True,
            return_tensors="pt",
        ).to(self.model.device)
        offsets = tokens.pop("offset_mapping")
        self.n_tokens += int(tokens["attention_mask"].sum())
        classifier = self.model.model
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self._bf16):
            read = classifier.bert(**tokens)
        asked = labels[:, 0] == ASKED
        total = torch.zeros((), device=labels.device)
        if not asked.all():
            logits = classifier.classifier(classifier.dropout(read.pooler_output[~asked].float()))[:, :N_OUTCOMES]
            total = total + merged_label_loss(logits, labels[~asked, 0], self._smoothing) * (~asked).sum()
        if asked.any():
            weight, bias = classifier.classifier.weight[N_OUTCOMES:], classifier.classifier.bias[N_OUTCOMES:]
            scores = functional.linear(classifier.dropout(read.last_hidden_state[asked].float()), weight, bias)
            can_be = (tokens["token_type_ids"][asked] == 0) & (offsets[asked, :, 1] > offsets[asked, :, 0])
            can_be[:, 0] = True
            scores = scores.masked_fill(~can_be[..., None], float("-inf"))
            first, last = places_of(offsets[asked], can_be, labels[asked, 1], labels[asked, 2])
            total = total + place_loss(scores, first, last) * asked.sum()
        return total / len(labels)


def places_of(
    offsets: torch.Tensor, can_be: torch.Tensor, begins: torch.Tensor, ends: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The first and the last token of answers, (B,) each; 0 where there is none or the evidence was cut before it.

    Args:
        offsets: (B, T, 2) characters of each token.
        can_be: (B, T), whether an answer may stand there; token 0 always.
        begins: (B,) first character of the answer, -1 without one.
        ends: (B,) the character after its last.
    """
    inside = can_be & (offsets[..., 1] > begins[:, None]) & (offsets[..., 0] < ends[:, None])
    inside[:, 0] = False
    whole = (inside & (offsets[..., 1] >= ends[:, None])).any(dim=1)  # the last letters are still there
    first = inside.int().argmax(dim=1)
    last = inside.shape[1] - 1 - inside.flip(1).int().argmax(dim=1)
    return torch.where(whole, first, 0), torch.where(whole, last, 0)


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
    """Appends what the trainer logs to a JSONL file, with speed and share done, and reports it.

    Args:
        path: of the file.
        batch_size: pairs of a step.
        loss: which counts the tokens that it reads.
        matrix_rate: operations a second that the machine reaches, to hold the training's against; None: unknown.
        report: hears of each line.
    """

    def __init__(
        self,
        path: Path,
        batch_size: int,
        loss: PairLoss,
        matrix_rate: float | None,
        report: Callable[[dict[str, float]], None] | None,
    ) -> None:
        self._path = path
        self._batch_size = batch_size
        self._loss = loss
        self._work = encoder_work_of(loss.model.model.bert)
        self._matrix_rate = matrix_rate
        self._report = report
        self._last: tuple[int, int, float] | None = None

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Starts the clock before the first step, and forgets what an interrupted run wrote after its checkpoint."""
        if self._last is None:
            lines = self._path.read_text("utf-8").splitlines() if self._path.is_file() else []
            kept = [line for line in lines if json.loads(line)["step"] <= state.global_step]
            self._path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
            self._last = (state.global_step, self._loss.n_tokens, time.perf_counter())

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """One line."""
        if not logs or "loss" not in logs or self._last is None:
            return
        now = time.perf_counter()
        step, n_before, before = self._last
        self._last = (state.global_step, self._loss.n_tokens, now)
        n_pairs, n_tokens = (state.global_step - step) * self._batch_size, self._loss.n_tokens - n_before
        seconds = max(now - before, 1e-9)
        row = {
            "step": state.global_step,
            "n_steps": state.max_steps,
            "loss": round(float(logs["loss"]), 5),
            "grad_norm": round(float(logs.get("grad_norm", 0.0)), 4),
            "learning_rate": float(logs.get("learning_rate", 0.0)),
            "pairs_per_second": round(n_pairs / seconds, 2),
            "tokens_per_second": round(n_tokens / seconds, 1),
        }
        if self._matrix_rate and n_pairs:
            flops = self._work.flops(n_tokens=n_tokens, n_targets=0, length=n_tokens / n_pairs)
            row["matrix_share"] = round(flops / seconds / self._matrix_rate, 4)
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
        if self._report is not None:
            self._report(row)
