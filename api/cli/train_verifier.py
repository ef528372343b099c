"""`citebound train verifier`."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import click

from api.cli import options, train_options
from api.cli.models import progress
from api.cli.train_run import ENCODER, LARGE_ENCODER, Ground, TrainingRun, bar, prepare


@click.command(epilog="\b\nExample:\n  citebound train verifier --data data --out runs/verifier --seed 7")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="The folder with verify_train/ and squad_train/.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Where checkpoints, metrics, plots and weights go.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the first stage; the others follow it.")
@click.option("--pairs", type=click.IntRange(min=1), help="Train on so many pairs a stage at most: a quick try.")
@click.option("--fp32", is_flag=True, help="No bf16 autocast, for processors without it.")
@click.option("--resume", is_flag=True, help="Keep the stages in --out that ended, and go on from the last checkpoint.")
@click.option("--fit-only", is_flag=True, help="Only make the weights folder again from the stages in --out.")
@click.option(
    "--large",
    is_flag=True,
    help="Train the large encoder that reads again what the verifier is unsure of; goes on where it was stopped.",
)
@train_options.config_file
@options.data_dir
def verifier(
    data: Path,
    out: Path,
    seed: int,
    pairs: int | None,
    fp32: bool,
    resume: bool,
    fit_only: bool,
    large: bool,
    data_dir: Path | None,
) -> None:
    """Train the verifier in stages, fit its figures on held-back pairs and write both to OUT/weights."""
    if large:
        _train_large(data, out, prepare(data_dir), seed=seed, most_pairs=pairs, fp32=fp32)
        return
    from llm.device import measure_matrix_rate
    from rag.verify.package import Held, make_package
    from rag.verify.stages import STAGES, result_of, stage_settings, train_stages

    ground = prepare(data_dir)
    encoder = ground.models.pull(ENCODER, progress()).folder
    stages = stage_settings(STAGES, seed=seed, most_pairs=pairs, bf16=not fp32)
    if fit_only:
        trained = result_of(out, stages)
    else:
        rate = measure_matrix_rate(ground.device, "fp32" if fp32 else "bf16") * 1e12
        shown = _Bars(len(stages))
        trained = train_stages(data, encoder, out, stages, resume=resume, matrix_rate=rate, report=shown.report)
        shown.close()
    command = " ".join(["citebound", *sys.argv[1:]])
    click.echo("fitting on held-back pairs", err=True)
    made = make_package(trained, encoder, data, out / "weights", ground.device, command=command, held=Held(seed=seed))
    click.echo(json.dumps(made.measured))


def _train_large(data: Path, out: Path, ground: Ground, *, seed: int, most_pairs: int | None, fp32: bool) -> None:
    """Train the large encoder, fit how it is mixed with the verifier in OUT/weights or the shipped one."""
    from rag.verify.large_passes import large_passes
    from rag.verify.large_training import train_large_passes
    from rag.verify.package import Held
    from rag.verify.package_large import make_large_package

    small, base = (ground.models.pull(name, progress()).folder for name in (ENCODER, LARGE_ENCODER))
    device = dataclasses.replace(ground.device, dtype="fp32") if fp32 else ground.device
    passes = large_passes(seed, most_pairs)
    runs = [
        TrainingRun(
            out / f"large_{number}",
            f"pass {number} of {len(passes)}",
            {"base": LARGE_ENCODER, "config": dataclasses.asdict(settings)},
            is_main=True,
        )
        for number, settings in enumerate(passes, start=1)
    ]
    learnt = train_large_passes(
        data, base, out, passes, device, report=lambda number, row: runs[number - 1].report(row)
    )
    for run in runs:
        run.finish({})
    command = " ".join(["citebound", *sys.argv[1:]])
    shown: dict[str, Any] = {}

    def read(part: str, n_read: int, n_cases: int) -> None:
        if part not in shown:
            shown[part] = bar(total=n_cases, desc=f"reading the {part} part", unit="case")
        shown[part].update(n_read - shown[part].n)

    made = make_large_package(
        learnt, (small, base), data, out / "weights", device, command=command, held=Held(seed=seed), report=read
    )
    for one in shown.values():
        one.close()
    click.echo(json.dumps(made.measured))


class _Bars:
    """A progress bar a stage, on stderr."""

    def __init__(self, n_stages: int) -> None:
        self._n_stages = n_stages
        self._stage = 0
        self._bar: Any = None

    def report(self, stage: int, row: dict[str, float]) -> None:
        """Hear of some steps of a stage."""
        if stage != self._stage:
            self.close()
            self._stage = stage
            self._bar = bar(total=int(row["n_steps"]), desc=f"stage {stage} of {self._n_stages}", unit="step")
        shown = {"loss": f"{row['loss']:.3f}", "pairs/s": f"{row['pairs_per_second']:.0f}"}
        shown["tokens/s"] = f"{row['tokens_per_second']:.0f}"
        if "matrix_share" in row:
            shown["of matrix rate"] = f"{row['matrix_share']:.0%}"
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(int(row["step"]) - self._bar.n)

    def close(self) -> None:
        """Leave the last state on the screen."""
        if self._bar is not None:
            self._bar.close()
