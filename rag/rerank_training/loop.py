"""The cross-encoder of the reranker learns to score the right passage of a search above wrong ones.

Loss: the cross-entropy of a softmax over the logits of one right and a few wrong passages of one question (ListNet,
Cao et al., ICML 2007, with one relevant document). The word and position embeddings stay as they are: they are half of
the weights and are not shipped. Steps, checkpoints and gradients are those of the decoder's training (`llm.training`);
without dropout, so that the same seed gives the same weights.
"""

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import BertForSequenceClassification

from llm.training.cores import backward_on_cores
from llm.training.forward import autocast
from llm.training.loop import Report, Steps, run_steps
from llm.training.one_pass import one_pass
from llm.types import Device
from rag.cross_encoder import classifier_config
from rag.errors import InvalidInputError
from rag.passage_text import embedding_text
from rag.rerank_training.lists import RankedQuestion
from rag.token_counter import load_tokenizer

MAX_TOKENS = 192  # of a training pair; a paragraph of SQuAD with its question has 160
N_WRONG = 3  # passages beside the right one
_HARD = 6  # of the best wrong hits the wrong passages are drawn
_FROZEN = ("word_embeddings", "position_embeddings")
_LENGTH_STEP = 16  # lengths are rounded up: kernels are compiled for each new shape
_POOL_BATCHES = 40  # batches of like lengths are made inside shuffled pools of about so many
MODEL_FILE = "model.safetensors"

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
        report: hears of each step, see `llm.training.loop`; `pairs` is among the figures.

    Raises:
        InvalidInputError: there is nothing to learn from.
    """
    from safetensors.torch import save_file

    folder = out / "model"
    if (folder / MODEL_FILE).is_file():
        return folder
    model = _classifier(base_folder, weights, settings.seed).to(device.kind)
    tokenizer = load_tokenizer(base_folder)
    tokenizer.enable_truncation(min(MAX_TOKENS, model.config.max_position_embeddings), strategy="longest_first")
    rng = random.Random(settings.seed)
    learned = lessons(lists, tokenizer, rng)
    batches = list(_batches(learned, settings.batch_tokens, rng))
    if not batches:
        raise InvalidInputError("no question has enough wrong hits to learn from; give more paragraphs")
    n_at_once = device.n_threads if device.kind == "cpu" else 1
    with backward_on_cores(model.parameters(), device) as add_gradients:

        def backward(step: int) -> dict[str, float]:
            batch = [learned[place] for place in batches[step]]
            shares = [batch[start::n_at_once] for start in range(min(n_at_once, len(batch)))]
            losses = add_gradients(shares, lambda share: listwise_loss(_logits(model, share, device)) / len(batch))
            tokens = sum(_width(share) * sum(map(len, share)) for share in shares)
            return {"loss": sum(losses), "pairs": sum(map(len, batch)), "tokens": tokens}

        run_steps(
            model,
            Steps(n_steps=len(batches), backward=backward, evaluate=None),
            folder=out / "checkpoint",
            config=one_pass(len(batches), settings),
            identity={"settings": asdict(settings), "data": _digest(learned)},
            device=device,
            report=report,
        )
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{MODEL_FILE}.new"
    save_file({name: tensor.float().cpu().contiguous() for name, tensor in model.state_dict().items()}, fresh)
    fresh.replace(folder / MODEL_FILE)
    return folder


def listwise_loss(logits: torch.Tensor) -> torch.Tensor:
    """The sum over lists of −log softmax of the first: logits (n_lists, n_passages), the right passage first."""
    return -functional.log_softmax(logits.float(), dim=-1)[:, 0].sum()


def _classifier(base_folder: Path, weights: Weights, seed: int) -> Any:
    without = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.0}
    config = classifier_config(base_folder, n_outcomes=1, **without)
    config._attn_implementation = "eager"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # of the last layer, where `weights` has none
        model: Any = BertForSequenceClassification(config)
    known = {name: tensor for name, tensor in weights.items() if name in model.state_dict()}
    model.load_state_dict(known, strict=False)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not any(part in name for part in _FROZEN))
    return model


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


def _logits(model: Any, share: Sequence[Pairs], device: Device) -> torch.Tensor:
    """(n_lists, n_passages) logits of some lists of equal length, padded to one width."""
    rows = [row for pairs in share for row in pairs]
    ids = torch.zeros((len(rows), _width(share)), dtype=torch.long)  # B, T; 0 is [PAD] in a BERT vocabulary
    types, mask = torch.zeros_like(ids), torch.zeros_like(ids)
    for at, (tokens, kinds) in enumerate(rows):
        ids[at, : len(tokens)] = torch.tensor(tokens)
        types[at, : len(tokens)] = torch.tensor(kinds)
        mask[at, : len(tokens)] = 1
    kind = device.kind
    with autocast(device):
        read = model(input_ids=ids.to(kind), token_type_ids=types.to(kind), attention_mask=mask.to(kind)).logits
    logits: torch.Tensor = read.view(len(share), -1)
    return logits


def _width(share: Sequence[Pairs]) -> int:
    return _padded(max(len(ids) for pairs in share for ids, _ in pairs))


def _digest(learned: Sequence[Pairs]) -> str:
    return hashlib.sha256(repr(learned).encode()).hexdigest()
