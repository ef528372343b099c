"""The passes in which the large encoder is trained: how, and on which pairs."""

import random
from dataclasses import dataclass
from pathlib import Path

from rag.errors import InvalidInputError
from rag.verify.built_pairs import PairBuilder
from rag.verify.fact_pairs import FactBuilder
from rag.verify.fact_statements import StatementBuilder
from rag.verify.pairs import TrainingPair, joined, only, part_of, read_labelled, read_paragraphs, varied
from rag.verify.polar_facts import PolarBuilder
from rag.verify.rival_pairs import RivalBuilder
from rag.verify.train import PAIRS_FILE, PARAGRAPHS_FILE
from rag.verify.two_step_pairs import TwoStepBuilder

SHARES = (2, 3, 5)  # of the last passes in the mean that is shipped
_COUNTED = ("n_labelled", "n_built", "n_two_step", "n_rivals", "n_made_up", "n_stated", "n_polar")
_PASSES = (  # how many pairs of each, and the peak learning rate
    ((10_000, 7_000, 3_000, 0, 0, 0, 0), 4e-4),
    ((9_000, 6_000, 5_000, 0, 0, 0, 0), 3e-4),
    ((6_000, 6_000, 3_500, 5_500, 3_500, 0, 0), 3e-4),
    ((4_500, 4_000, 3_000, 4_000, 2_500, 0, 0), 3e-4),
    ((3_000, 3_000, 2_000, 2_000, 1_500, 4_500, 0), 3e-4),
    ((1_600, 1_600, 1_000, 700, 500, 1_200, 2_400), 3e-4),
)
_MAX_CHARS = 1_600  # of evidence; longer pairs are left out


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeSettings:
    """How to train."""

    seed: int
    n_labelled: int  # pairs of verify_train, varied and joined
    n_built: int  # pairs built from SQuAD
    n_two_step: int  # of questions in two steps
    peak_lr: float
    n_rivals: int = 0  # of questions with an answer and a rival of it
    n_made_up: int = 0  # of questions about things that do not exist
    n_stated: int = 0  # statements beside rivals and of things that do not exist, as many of each
    n_polar: int = 0  # statements that something is so or is not
    rank: int = 16  # of the adapters
    first_layer: int = 2  # that learns; what is below needs no gradients
    batch_size: int = 32
    warmup: float = 0.06  # share of the steps; linear decay after it
    weight_decay: float = 0.01
    label_smoothing: float = 0.05
    checkpoint_seconds: float = 120.0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        if self.batch_size < 1 or self.rank < 1 or min(self.n_pairs) < 0:
            raise InvalidInputError("Batch size and rank must be at least 1 and the numbers of pairs at least 0.")

    @property
    def n_pairs(self) -> tuple[int, ...]:
        """How many pairs of each source."""
        return tuple(getattr(self, name) for name in _COUNTED)


def large_passes(seed: int, most_pairs: int | None = None) -> list[LargeSettings]:
    """The passes in which the shipped weights came about, on pairs of their own; less of each for a quick try.

    From the third on there are answers beside others: before, of several facts the wrong one was readily supported.
    """

    def few(n_pairs: int) -> int:
        return n_pairs if most_pairs is None else min(n_pairs, most_pairs // 3 + 1)

    return [
        LargeSettings(
            seed=seed + number,
            peak_lr=peak_lr,
            **{name: few(n_pairs) for name, n_pairs in zip(_COUNTED, n_of_each, strict=True)},
        )
        for number, (n_of_each, peak_lr) in enumerate(_PASSES)
    ]


def large_pairs(data: Path, settings: LargeSettings) -> list[TrainingPair]:
    """What one run trains on; the same folder and seed give the same pairs in the same order.

    Raises:
        InvalidInputError: a file of the data folder is missing.
    """
    rng = random.Random(settings.seed)
    paragraphs = [p for p in read_paragraphs(data / PARAGRAPHS_FILE) if part_of(p.title) == "train"]
    labelled = only(read_labelled(data / PAIRS_FILE), "train")
    pairs = varied(labelled, rng) + joined(labelled, rng)
    rng.shuffle(pairs)
    pairs = pairs[: settings.n_labelled]
    pairs += PairBuilder(paragraphs, rng).build(settings.n_built)
    pairs += TwoStepBuilder(paragraphs, rng).build(settings.n_two_step)
    if settings.n_rivals:
        pairs += RivalBuilder(paragraphs, rng).build(settings.n_rivals)
    pairs += FactBuilder(rng).build(settings.n_made_up)
    if settings.n_stated:
        pairs += RivalBuilder(paragraphs, rng, is_stated=True).build(settings.n_stated // 2)
        pairs += StatementBuilder(rng).build(settings.n_stated - settings.n_stated // 2)
    pairs += PolarBuilder(rng).build(settings.n_polar)
    pairs = [pair for pair in pairs if len(pair.evidence) <= _MAX_CHARS]
    rng.shuffle(pairs)
    return pairs
