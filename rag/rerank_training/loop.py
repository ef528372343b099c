"""The cross-encoder of the reranker learns to score the right passage of a search above wrong ones.

Loss: the cross-entropy of a softmax over the logits of one right and a few wrong passages of one question (ListNet,
Cao et al., ICML 2007, with one relevant document). The word and position embeddings stay as they are: they are half of
the weights and are not shipped. On a CPU each core computes the gradients of its own share of a batch with one thread,
which needs no waiting between layers; without dropout, so that the same seed gives the same weights.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import BertConfig, BertForSequenceClassification

from llm.types import Device
from rag.errors import InvalidInputError
from rag.passage_text import embedding_text
from rag.rerank_training.lists import RankedQuestion
from rag.token_counter import load_tokenizer, read_json

MAX_TOKENS = 192  # of a training pair; a paragraph of SQuAD with its question has 160
N_WRONG = 3  # passages beside the right one
_HARD = 6  # of the best wrong hits the wrong passages are drawn
_FROZEN = ("word_embeddings", "position_embeddings")
_LENGTH_STEP = 16  # lengths are rounded up: kernels are compiled for each new shape
_POOL_BATCHES = 40  # batches of like lengths are made inside shuffled pools of about so many
_MAX_GRAD_NORM = 1.0
MODEL_FILE = "model.safetensors"
CHECKPOINT_FILE = "state.pt"

Report = Callable[[dict[str, Any]], None]
Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How to train."""

    seed: int = 1
    batch_tokens: int = 4_096  # padded tokens of one step
    peak_lr: float = 1e-4
    warmup: float = 0.08  # share of the steps; linear decay after it
    weight_decay: float = 0.01
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        if self.batch_tokens < 1 or not 0 <= self.warmup < 1 or self.peak_lr <= 0:
            raise InvalidInputError("batch tokens and learning rate must be above 0, and warm-up a share below 1")


Pairs = list[tuple[list[int], list[int]]]  # token ids and type ids of each passage, the right one first


def lessons(lists: Sequence[RankedQuestion], tokenizer: Any, rng: random.Random) -> list[Pairs]:
    """For each question the right passage and N_WRONG of the best wrong hits, as tokens.

    A hit in which the answer stands is not held to be wrong. Questions with fewer wrong hits are left out.
    """
    texts: list[list[tuple[str, str]]] = []
    for one in lists:
        wrong = [
            hit.passage
            for hit, is_right in zip(one.hits, one.labels, strict=True)
            if not is_right and one.answer.casefold() not in hit.passage.text.casefold()
        ]
        if len(wrong) >= N_WRONG:
            chosen = [one.right, *rng.sample(wrong[:_HARD], N_WRONG)]
            texts.append([(embedding_text(passage), one.question) for passage in chosen])
    encoded = iter(tokenizer.encode_batch([pair for pairs in texts for pair in pairs]))
    return [[(row.ids, row.type_ids) for row in (next(encoded) for _ in pairs)] for pairs in texts]


def train_cross_encoder(
    lists: Sequence[RankedQuestion],
    base_folder: Path,
    weights: Weights,
    out: Path,
    settings: TrainSettings,
    device: Device,
    *,
    report: Report = lambda row: None,
) -> Path:
    """Train once through `lists`; returns the folder of the trained weights, `out/model`.

    Goes on from `out/checkpoint` where there is one, and returns at once where `out/model` is there already.

    Args:
        lists: searched questions.
        base_folder: of the encoder; its config.json and tokenizer are read.
        weights: to begin with, as BertForSequenceClassification names them; without a last layer it is drawn.
        out: for checkpoint and model.
        settings: how.
        device: where; bf16 is autocast, anything else computes in float32.
        report: hears of each step: step, n_steps, loss, learning_rate, pairs, tokens, tokens_per_second.

    Raises:
        InvalidInputError: there is nothing to learn from.
    """
    from safetensors.torch import save_file

    folder = out / "model"
    if (folder / MODEL_FILE).is_file():
        return folder
    model = _classifier(base_folder, weights, settings.seed).to(device.kind)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    tokenizer = load_tokenizer(base_folder)
    tokenizer.enable_truncation(min(MAX_TOKENS, model.config.max_position_embeddings), strategy="longest_first")
    rng = random.Random(settings.seed)
    learned = lessons(lists, tokenizer, rng)
    batches = list(_batches(learned, settings.batch_tokens, rng))
    if not batches:
        raise InvalidInputError("no question has enough wrong hits to learn from; give more paragraphs")
    optimizer = torch.optim.AdamW(trained, lr=settings.peak_lr, weight_decay=settings.weight_decay)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, _schedule(len(batches), settings.warmup))
    checkpoint = out / "checkpoint" / CHECKPOINT_FILE
    parts = {"model": model, "optimizer": optimizer, "rate": rate}
    first = _resume(checkpoint, parts)
    saved = time.perf_counter()
    with _gradients(model, trained, device) as gradients:
        for step, batch in enumerate(batches[first:], start=first + 1):
            began = time.perf_counter()
            chosen = [learned[place] for place in batch]
            loss, n_tokens = gradients(chosen)
            torch.nn.utils.clip_grad_norm_(trained, _MAX_GRAD_NORM)
            learning_rate = rate.get_last_lr()[0]
            optimizer.step()
            rate.step()
            seconds = time.perf_counter() - began
            report(
                {
                    "step": step,
                    "n_steps": len(batches),
                    "loss": round(loss, 5),
                    "learning_rate": learning_rate,
                    "pairs": sum(len(pairs) for pairs in chosen),
                    "tokens": n_tokens,
                    "tokens_per_second": round(n_tokens / seconds, 1),
                }
            )
            if time.perf_counter() - saved > settings.checkpoint_seconds:
                _save(checkpoint, parts, step)
                saved = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{MODEL_FILE}.new"
    save_file({name: tensor.float().cpu().contiguous() for name, tensor in model.state_dict().items()}, fresh)
    fresh.replace(folder / MODEL_FILE)
    return folder


def listwise_loss(logits: torch.Tensor) -> torch.Tensor:
    """The sum over lists of −log softmax of the first: logits (n_lists, n_passages), the right passage first."""
    return -functional.log_softmax(logits.float(), dim=-1)[:, 0].sum()


def _classifier(base_folder: Path, weights: Weights, seed: int) -> Any:
    settings = {key: value for key, value in read_json(base_folder / "config.json").items() if key != "architectures"}
    without = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.0}
    config = BertConfig(**{**settings, **without, "num_labels": 1})
    config._attn_implementation = "eager"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # of the last layer, where `weights` has none
        model: Any = BertForSequenceClassification(config)
    known = {name: tensor for name, tensor in weights.items() if name in model.state_dict()}
    model.load_state_dict(known, strict=False)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not any(part in name for part in _FROZEN))
    return model.train()


def _batches(learned: Sequence[Pairs], batch_tokens: int, rng: random.Random) -> Iterator[list[int]]:
    """Places of questions of like length, so many a batch that its padded tokens stay within `batch_tokens`."""
    widths = [_padded(max(len(ids) for ids, _ in pairs)) * len(pairs) for pairs in learned]
    order = list(range(len(learned)))
    rng.shuffle(order)
    usual = sum(widths) / max(1, len(widths))
    size = max(1, round(_POOL_BATCHES * batch_tokens / max(usual, 1)))
    batches: list[list[int]] = []
    for start in range(0, len(order), size):
        batch: list[int] = []
        for place in sorted(order[start : start + size], key=lambda place: (-widths[place], place)):
            if batch and (len(batch) + 1) * widths[batch[0]] > batch_tokens:
                batches.append(batch)
                batch = []
            batch.append(place)
        batches.append(batch)
    rng.shuffle(batches)
    yield from batches


def _padded(length: int) -> int:
    return -(-length // _LENGTH_STEP) * _LENGTH_STEP


@contextmanager
def _gradients(
    model: Any, trained: Sequence[torch.nn.Parameter], device: Device
) -> Iterator[Callable[[Sequence[Pairs]], tuple[float, int]]]:
    """A function that sets `.grad` of all `trained` for a batch and returns its mean loss and padded tokens."""
    n_workers = device.n_threads if device.kind == "cpu" else 1

    def of_share(share: Sequence[Pairs]) -> tuple[float, int, tuple[torch.Tensor, ...]]:
        rows = [row for pairs in share for row in pairs]
        width = _padded(max(len(ids) for ids, _ in rows))
        ids = torch.zeros((len(rows), width), dtype=torch.long)  # B, T; 0 is [PAD] in a BERT vocabulary
        types, mask = torch.zeros_like(ids), torch.zeros_like(ids)
        for at, (tokens, kinds) in enumerate(rows):
            ids[at, : len(tokens)] = torch.tensor(tokens)
            types[at, : len(tokens)] = torch.tensor(kinds)
            mask[at, : len(tokens)] = 1
        kind = device.kind
        with torch.autocast(kind, torch.bfloat16, enabled=device.dtype == "bf16"):
            read = model(input_ids=ids.to(kind), token_type_ids=types.to(kind), attention_mask=mask.to(kind)).logits
        loss = listwise_loss(read.view(len(share), -1))
        return float(loss.detach()), len(rows) * width, torch.autograd.grad(loss, trained)

    def of_batch(batch: Sequence[Pairs]) -> tuple[float, int]:
        shares = [batch[start::n_workers] for start in range(min(n_workers, len(batch)))]
        found = list(pool.map(of_share, shares))
        for place, parameter in enumerate(trained):
            total = found[0][2][place]
            for other in found[1:]:
                total = total + other[2][place]
            parameter.grad = total / len(batch)
        return sum(one[0] for one in found) / len(batch), sum(one[1] for one in found)

    before = torch.get_num_threads()
    n_inside = 1 if n_workers > 1 else before
    with ThreadPoolExecutor(n_workers, "train", initializer=torch.set_num_threads, initargs=(n_inside,)) as pool:
        everybody = threading.Barrier(n_workers)
        for started in [pool.submit(everybody.wait) for _ in range(n_workers)]:
            started.result()
        torch.set_num_threads(before)  # threads started later get their cores back
        yield of_batch


def _schedule(n_steps: int, warmup: float) -> Callable[[int], float]:
    """The share of the peak rate at each step, 0-based: up in a line, then down in a line to nearly 0."""
    n_up = round(n_steps * warmup)
    return lambda step: (step + 1) / n_up if step < n_up else max(0.0, (n_steps - step) / (n_steps - n_up))


def _save(path: Path, parts: Mapping[str, Any], step: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    torch.save({"step": step, **{name: part.state_dict() for name, part in parts.items()}}, fresh)
    fresh.replace(path)


def _resume(path: Path, parts: Mapping[str, Any]) -> int:
    """Takes up the state of a checkpoint; returns the steps that were done, 0 without one."""
    if not path.is_file():
        return 0
    kept = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(kept[name])
    return int(kept["step"])
