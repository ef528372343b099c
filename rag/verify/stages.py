"""The shipped verifier's training as a whole: stages one after the other, each on new pairs, from one seed.

A stage goes on from what the one before it left. One on the same kinds of pairs leaves the mean of the weights that it
started from and those that it ended with, which keeps what either was better at (Wortsman et al., ICML 2022). One that
learns something new leaves what it learnt.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.errors import InvalidInputError
from rag.verify.shipped import average
from rag.verify.train import TrainSettings, train_verifier, training_pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What is trained on, and how fast."""

    n_built: int
    n_labelled_passes: int = 2
    n_asked: int = 0
    n_pairs: int | None = None  # of those, drawn at random; None: all
    learning_rate: float


STAGES = (
    Stage(n_built=16_000, learning_rate=1e-4),
    Stage(n_built=48_000, n_pairs=12_000, learning_rate=6e-5),
    Stage(n_built=40_000, n_pairs=10_000, learning_rate=4e-5),
    Stage(n_built=24_000, n_asked=70_000, learning_rate=1.2e-4),
)


def stage_settings(stages: Sequence[Stage], *, seed: int, most_pairs: int | None, bf16: bool) -> list[TrainSettings]:
    """Settings of each stage; the seeds of the stages follow each other from `seed` on.

    Args:
        stages: in order.
        seed: of the first stage.
        most_pairs: of a stage, for a quick try; None: as the stages say.
        bf16: autocast.
    """
    found = []
    for number, stage in enumerate(stages):
        n_pairs = min((n for n in (stage.n_pairs, most_pairs) if n is not None), default=None)
        found.append(
            TrainSettings(
                seed=seed + number,
                n_built=stage.n_built,
                n_labelled_passes=stage.n_labelled_passes,
                n_asked=stage.n_asked,
                n_pairs=n_pairs,
                learning_rate=stage.learning_rate,
                bf16=bf16,
            )
        )
    return found


def train_stages(
    data: Path,
    base: Path,
    out: Path,
    stages: Sequence[TrainSettings],
    *,
    resume: bool = False,
    matrix_rate: float | None = None,
    report: Callable[[int, dict[str, float]], None] = lambda stage, row: None,
) -> Path:
    """Trains all stages, each in `out/stage_1`, `out/stage_2` …; the folder of the last one's result is returned.

    `report` hears the number of the stage and each line of its metrics; for `matrix_rate` see `train_verifier`.
    With `resume` finished stages are kept, and the next goes on from its last checkpoint where it has one.

    Raises:
        InvalidInputError: no stages, a file of the data folder is missing, or nothing to resume from.
    """
    if not stages:
        raise InvalidInputError("There are no stages to train.")
    if resume and not (out / "stage_1").is_dir():
        raise InvalidInputError(f"{out} holds no stage to resume; leave --resume out.")
    left = base
    for number, settings in enumerate(stages, start=1):
        folder = out / f"stage_{number}"
        if not (resume and (folder / "model" / "model.safetensors").is_file()):
            begun = resume and any((folder / "checkpoints").glob("checkpoint-*"))
            train_verifier(
                training_pairs(data, settings),
                left,
                folder,
                settings,
                resume=begun,
                matrix_rate=matrix_rate,
                report=functools.partial(report, number),
            )
        if is_averaged(stages, number):
            average((folder / "model", left), folder / "mean")
            left = folder / "mean"
        else:
            left = folder / "model"
    return left


def is_averaged(stages: Sequence[TrainSettings], number: int) -> bool:
    """Whether stage `number`, counted from 1, goes on with the kinds of pairs of the one before it."""
    return number > 1 and not stages[number - 1].n_asked


def result_of(out: Path, stages: Sequence[TrainSettings]) -> Path:
    """The folder that `train_stages` returned for `out` and these stages.

    Raises:
        InvalidInputError: the training did not end.
    """
    number = len(stages)
    folder = out / f"stage_{number}" / ("mean" if is_averaged(stages, number) else "model")
    if not (folder / "model.safetensors").is_file():
        raise InvalidInputError(f"{folder} holds no trained model; train first, or go on with --resume.")
    return folder
