"""Training of the verifier: a cross-encoder over (evidence, claim) with three outcomes, from an encoder's weights.

sentence-transformers' own cross-encoder training does the work; what is ours is the data, the loss for pairs of which
only "not supported" is known, and batches of like length. The word and position embeddings stay as they are: they are
half of the weights and are not shipped.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from llm.training.plot import loss_svg
from rag.errors import InvalidInputError
from rag.verify.asked_pairs import AskedBuilder
from rag.verify.built_pairs import PairBuilder
from rag.verify.pairs import TrainingPair, joined, only, part_of, read_labelled, read_paragraphs, varied
from rag.verify.shipped import N_OUTCOMES, N_TOKEN_SCORES

PAIRS_FILE = Path("verify_train", "pairs.jsonl.gz")
PARAGRAPHS_FILE = Path("squad_train", "paragraphs.jsonl.gz")
MAX_TOKENS = 192  # of a training pair; windows at inference are seldom longer
_FROZEN = ("word_embeddings", "position_embeddings")

Report = Callable[[dict[str, float]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How to train."""

    seed: int = 0
    n_built: int = 16_000  # pairs built from SQuAD
    n_labelled_passes: int = 2  # over verify_train, each with its own variations
    n_asked: int = 0  # questions with evidence, built from SQuAD
    n_pairs: int | None = None  # of those, drawn at random; None: all
    batch_size: int = 32
    learning_rate: float = 1e-4  # at its peak
    warmup: float = 0.06  # share of the steps; linear decay after it
    label_smoothing: float = 0.05
    weight_decay: float = 0.01
    checkpoint_steps: int = 150
    log_steps: int = 25
    bf16: bool = True  # autocast; 2.5 times the speed of fp32 where the processor has it

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        if self.batch_size < 1 or min(self.n_built, self.n_labelled_passes, self.n_asked) < 0:
            raise InvalidInputError("The batch size must be at least 1 and the numbers of pairs at least 0.")


def training_pairs(data: Path, settings: TrainSettings) -> list[TrainingPair]:
    """What one run trains on; the same folder and seed give the same pairs in the same order.

    Raises:
        InvalidInputError: a file of the data folder is missing.
    """
    rng = random.Random(settings.seed)
    pairs: list[TrainingPair] = []
    if settings.n_built or settings.n_asked:
        paragraphs = [p for p in read_paragraphs(data / PARAGRAPHS_FILE) if part_of(p.title) == "train"]
        pairs += PairBuilder(paragraphs, rng).build(settings.n_built)
        pairs += AskedBuilder(paragraphs, rng).build(settings.n_asked)
    if settings.n_labelled_passes:
        labelled = only(read_labelled(data / PAIRS_FILE), "train")
        for _ in range(settings.n_labelled_passes):
            pairs += varied(labelled, rng) + joined(labelled, rng)
    rng.shuffle(pairs)
    return pairs[: settings.n_pairs]


def train_verifier(
    pairs: Sequence[TrainingPair],
    base: Path,
    out: Path,
    settings: TrainSettings,
    *,
    resume: bool = False,
    matrix_rate: float | None = None,
    report: Report | None = None,
) -> Path:
    """Fine-tune the encoder of `base` on `pairs` once through; the trained model is in the folder that is returned.

    Writes `out/metrics.jsonl` (a line every `log_steps`: step, loss, learning rate, pairs and tokens a second, and the
    share of `matrix_rate`, operations a second, where that is given), `out/loss.svg`, and checkpoints with optimizer
    and generator states, from the last of which `resume` goes on.

    Raises:
        InvalidInputError: no pairs, or nothing to resume from.
    """
    if not pairs:
        raise InvalidInputError("There are no pairs to train on.")
    from datasets import Dataset  # type: ignore[import-untyped]
    from sentence_transformers.cross_encoder import (
        CrossEncoder,
        CrossEncoderTrainer,
        CrossEncoderTrainingArguments,
    )
    from transformers import set_seed

    from rag.verify.training_parts import LikeLengthBatches, MetricsLog, PairLoss

    checkpoints = out / "checkpoints"
    if resume and not any(checkpoints.glob("checkpoint-*")):
        raise InvalidInputError(f"{checkpoints} holds no checkpoint to resume from; leave --resume out.")
    out.mkdir(parents=True, exist_ok=True)
    set_seed(settings.seed)
    model = CrossEncoder(
        str(base),
        num_labels=N_OUTCOMES + N_TOKEN_SCORES,
        max_length=MAX_TOKENS,
        device="cpu",
        local_files_only=True,
        # On a CPU the fused attention takes a fifth longer in bf16, and dropping attention a third.
        model_kwargs={"attn_implementation": "eager"},
        config_kwargs={"attention_probs_dropout_prob": 0.0},
    )
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not any(part in name for part in _FROZEN)
    dataset = Dataset.from_dict(
        {
            "evidence": [pair.evidence for pair in pairs],
            "claim": [pair.claim for pair in pairs],
            "label": [_label(pair) for pair in pairs],
        }
    )
    lengths = [len(pair.evidence) + len(pair.claim) for pair in pairs]
    n_steps = -(-len(pairs) // settings.batch_size)
    arguments = CrossEncoderTrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=1,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=round(n_steps * settings.warmup),
        weight_decay=settings.weight_decay,
        bf16=settings.bf16,
        use_cpu=True,
        batch_sampler=LikeLengthBatches.of(lengths),
        save_strategy="steps",
        save_steps=settings.checkpoint_steps,
        save_total_limit=2,
        logging_steps=settings.log_steps,
        report_to="none",
        disable_tqdm=True,
        seed=settings.seed,
        data_seed=settings.seed,
        dataloader_num_workers=0,
    )
    (out / "settings.json").write_text(json.dumps({**asdict(settings), "n_pairs": len(pairs)}, indent=1), "utf-8")
    loss = PairLoss(model, settings.label_smoothing, MAX_TOKENS, bf16=settings.bf16)
    metrics = out / "metrics.jsonl"
    trainer = CrossEncoderTrainer(
        model=model,
        args=arguments,
        train_dataset=dataset,
        loss=loss,
        callbacks=[MetricsLog(metrics, settings.batch_size, loss, matrix_rate, report)],
    )
    trainer.train(resume_from_checkpoint=resume or None)
    rows = [json.loads(line) for line in metrics.read_text("utf-8").splitlines()]
    (out / "loss.svg").write_text(loss_svg(rows, title=f"verifier: {out.name}"), encoding="utf-8")
    folder = out / "model"
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def _label(pair: TrainingPair) -> list[int]:
    """What the loss is told of a pair: its label, and the first character of an answer and the one after it."""
    span = pair.answer
    return [pair.label, -1, -1] if span is None else [pair.label, span.start, span.end]
