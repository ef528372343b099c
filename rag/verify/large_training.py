"""Training of the large encoder, which reads again what the verifier is unsure of.

An encoder of four times MiniLM's width learns the same three outcomes from the same kinds of pairs, and from questions
in two steps. Only low-rank adapters on its upper layers and the classifier learn: what is shipped stays small, and a
step costs two thirds of one that changes every weight. Steps, checkpoints and gradients are those of the decoder's
training (`llm.training`); without dropout, so that the same seed gives the same weights.
"""

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from llm.training.cores import backward_on_cores
from llm.training.forward import autocast
from llm.training.loop import Report, Steps, run_steps
from llm.training.one_pass import one_pass
from llm.types import Device
from rag.errors import InvalidInputError
from rag.large_cross_encoder import large_classifier
from rag.low_rank_changes import read_shipped, write_low_rank, write_mean
from rag.token_counter import load_tokenizer
from rag.verify.large_passes import SHARES, LargeSettings, large_pairs
from rag.verify.pairs import TrainingPair
from rag.verify.shipped import LARGE_WEIGHTS_FILE, N_OUTCOMES
from rag.verify.training_parts import LikeLengthBatches, merged_label_loss

MAX_TOKENS = 208  # of a training pair
_ADAPTED = r".*encoder\.layer\.(?:{layers})\..*(?:attn\.[qkvo]|dense)$"
_LENGTH_STEP = 16  # lengths are rounded up: kernels are compiled for each new shape


def train_large_passes(
    data: Path,
    base: Path,
    out: Path,
    passes: Sequence[LargeSettings],
    device: Device,
    *,
    report: Callable[[int, dict[str, Any]], None] = lambda number, row: None,
) -> Path:
    """Trains all passes, each in `out/large_1`, `out/large_2` …, and goes on where they were left.

    Returns `out/large.safetensors`, the mean of the last passes by their SHARES, which errs less than each of them.
    `report` hears the number of the pass and the figures of each step.

    Raises:
        InvalidInputError: no passes, or a file of the data folder is missing.
    """
    if not passes:
        raise InvalidInputError("There are no passes to train.")
    learnt: list[Path] = []
    for number, settings in enumerate(passes, start=1):
        learnt.append(
            train_large(
                large_pairs(data, settings),
                base,
                out / f"large_{number}",
                settings,
                device,
                start=learnt[-1] if learnt else None,
                report=functools.partial(report, number),
            )
        )
    averaged = learnt[-len(SHARES) :]
    write_mean(averaged, SHARES[-len(averaged) :], out / LARGE_WEIGHTS_FILE)
    return out / LARGE_WEIGHTS_FILE


def train_large(
    pairs: Sequence[TrainingPair],
    base: Path,
    out: Path,
    settings: LargeSettings,
    device: Device,
    *,
    start: Path | None = None,
    report: Report = lambda row: None,
) -> Path:
    """Train once through `pairs`; returns the file of what was learnt, `out/large.safetensors`.

    Goes on from `out/checkpoint` where there is one, and returns at once where the file is there already.

    Args:
        pairs: as `large_pairs` builds them.
        base: the folder of the encoder (MPNet); its weights, config.json and tokenizer are read.
        out: for checkpoint and result.
        settings: how.
        device: where; bf16 is autocast, anything else computes in float32.
        start: what an earlier training left, to go on from; None: adapters that change nothing yet.
        report: hears of each step, see `llm.training.loop`; `pairs` is among the figures.

    Raises:
        InvalidInputError: no pairs.
    """
    from peft import LoraConfig, get_peft_model

    result = out / LARGE_WEIGHTS_FILE
    if result.is_file():
        return result
    if not pairs:
        raise InvalidInputError("There are no pairs to train on.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        classifier = large_classifier(base, n_outcomes=N_OUTCOMES)
        layers = "|".join(str(at) for at in range(settings.first_layer, classifier.config.num_hidden_layers))
        lora = LoraConfig(
            r=settings.rank,
            lora_alpha=2 * settings.rank,
            target_modules=_ADAPTED.format(layers=layers),
            lora_dropout=0.0,
            modules_to_save=["classifier"],
        )
        model: Any = get_peft_model(classifier, lora).to(device.kind)
    if start is not None:
        _go_on_from(model, read_shipped(start))
    if device.dtype == "bf16":  # what does not learn needs no conversion before each product
        for module in adapted(model).values():
            module.base_layer.to(torch.bfloat16)
    tokenizer = load_tokenizer(base)
    tokenizer.enable_truncation(MAX_TOKENS, strategy="longest_first")
    lengths = [len(pair.evidence) + len(pair.claim) for pair in pairs]
    batches = list(LikeLengthBatches(lengths, batch_size=settings.batch_size, seed=settings.seed))
    n_at_once = device.n_threads if device.kind == "cpu" else 1
    with backward_on_cores(model.parameters(), device) as add_gradients:

        def backward(step: int) -> dict[str, float]:
            rows = [pairs[at] for at in batches[step]]
            shares = list(_shares(rows, n_at_once))
            widths: list[int] = []

            def loss_of(share: Sequence[TrainingPair]) -> torch.Tensor:
                inputs = encoded(share, tokenizer, device)
                widths.append(inputs["input_ids"].numel())
                with autocast(device):
                    logits = model(**inputs).logits
                labels = torch.tensor([pair.label for pair in share], device=device.kind)
                return merged_label_loss(logits, labels, settings.label_smoothing) * (len(share) / len(rows))

            losses = add_gradients(shares, loss_of)
            return {"loss": sum(losses), "pairs": len(rows), "tokens": sum(widths)}

        run_steps(
            model,
            Steps(n_steps=len(batches), backward=backward, evaluate=None),
            folder=out / "checkpoint",
            config=one_pass(len(batches), settings),
            identity={"settings": asdict(settings), "data": _digest(pairs)},
            device=device,
            report=report,
        )
    _write(model, result)
    return result


def encoded(pairs: Sequence[TrainingPair], tokenizer: Any, device: Device) -> dict[str, torch.Tensor]:
    """One padded batch, as the model takes it."""
    rows = [row.ids for row in tokenizer.encode_batch([(pair.evidence, pair.claim) for pair in pairs])]
    width = -(-max(map(len, rows)) // _LENGTH_STEP) * _LENGTH_STEP
    ids = torch.ones((len(rows), width), dtype=torch.long)  # B, T; 1 is <pad> in MPNet's vocabulary
    mask = torch.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = torch.tensor(row)
        mask[at, : len(row)] = 1
    return {"input_ids": ids.to(device.kind), "attention_mask": mask.to(device.kind)}


def _shares(rows: Sequence[TrainingPair], n_shares: int) -> Iterator[Sequence[TrainingPair]]:
    for start in range(min(n_shares, len(rows))):
        yield rows[start::n_shares]


def adapted(model: Any) -> dict[str, Any]:
    """The layers with adapters, by the name that they have in the classifier."""
    return {name: module for name, module in model.get_base_model().named_modules() if hasattr(module, "lora_A")}


def _go_on_from(model: Any, learnt: "Mapping[str, torch.Tensor]") -> None:
    last = model.get_base_model().classifier.modules_to_save["default"]
    with torch.no_grad():
        for name, module in adapted(model).items():
            module.lora_A["default"].weight.copy_(learnt[f"{name}.weight.a"])
            module.lora_B["default"].weight.copy_(learnt[f"{name}.weight.b"] / module.scaling["default"])
        for name, tensor in last.state_dict().items():
            tensor.copy_(learnt[f"classifier.{name}"])


def _write(model: Any, file: Path) -> None:
    """What was learnt, as `rag.low_rank_changes` ships it."""
    changes: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for name, module in adapted(model).items():
        scale = module.scaling["default"]
        changes[f"{name}.weight"] = (module.lora_A["default"].weight, module.lora_B["default"].weight * scale)
    last = model.get_base_model().classifier.modules_to_save["default"]
    own = {f"classifier.{name}": tensor for name, tensor in last.state_dict().items()}
    fresh = file.with_name(f".{file.name}.new")
    detached = {name: (a.detach().cpu(), b.detach().cpu()) for name, (a, b) in changes.items()}
    write_low_rank(detached, {name: tensor.detach().cpu() for name, tensor in own.items()}, fresh)
    fresh.replace(file)


def _digest(pairs: Sequence[TrainingPair]) -> str:
    return hashlib.sha256(repr([(pair.evidence, pair.claim, pair.label) for pair in pairs]).encode()).hexdigest()
