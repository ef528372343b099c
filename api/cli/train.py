"""`citebound train`."""

import json
import sys
from pathlib import Path

import click

from api.cli import options
from api.cli.models import progress
from api.cli.train_scratch import corpus, pretrain, tokenizer
from api.cli.train_tuning import dpo, sft

ENCODER = "all-MiniLM-L6-v2"  # the shipped differences are to its weights


@click.group(
    epilog="\b\nExample:\n  citebound train sft --squad paragraphs.jsonl.gz --out runs/sft\n"
    "  citebound train verifier --data data --out runs/verifier"
)
def train() -> None:
    """Local training; each command writes its metrics beside its weights."""


@train.command(epilog="\b\nExample:\n  citebound train verifier --data data --out runs/verifier --seed 7")
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
    help="Where checkpoints, metrics and weights go.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--base",
    default="all-MiniLM-L6-v2",
    show_default=True,
    help="The encoder to start from, or the folder of a trained verifier to go on with.",
)
@click.option(
    "--built", type=click.IntRange(min=0), default=16_000, show_default=True, help="Pairs to build from SQuAD."
)
@click.option("--pairs", type=click.IntRange(min=1), help="Train on so many of all pairs, drawn at random.")
@click.option("--learning-rate", type=float, default=1e-4, show_default=True)
@click.option("--fp32", is_flag=True, help="No bf16 autocast, for processors without it.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out.")
@click.option("--fit-only", is_flag=True, help="Only make the weights folder again from the model in --out.")
@click.option(
    "--mean-with",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Package the mean of the trained weights and those in this folder.",
)
@click.option("--earlier", multiple=True, help="A command that --base was trained with, for the model card.")
@options.data_dir
def verifier(
    data: Path,
    out: Path,
    seed: int,
    base: str,
    built: int,
    pairs: int | None,
    learning_rate: float,
    fp32: bool,
    resume: bool,
    fit_only: bool,
    mean_with: Path | None,
    earlier: tuple[str, ...],
    data_dir: Path | None,
) -> None:
    """Train the verifier, fit its figures on held-back pairs and write both to OUT/weights."""
    from api.logs import configure_logs
    from api.settings import load_settings
    from llm.device import probe_device
    from llm.sources import ModelStore
    from rag.verify.package import Held, make_package
    from rag.verify.shipped import average
    from rag.verify.train import TrainSettings, train_verifier, training_pairs

    settings = load_settings(data_dir=data_dir)
    configure_logs("warning", settings.log_format)
    store = ModelStore(settings.model_cache, offline=settings.offline)
    folder = Path(base)
    if not (folder / "config.json").is_file():
        folder = store.pull(base, progress()).folder
    chosen = TrainSettings(seed=seed, n_built=built, n_pairs=pairs, learning_rate=learning_rate, bf16=not fp32)
    trained = out / "model"
    if not fit_only:
        lessons = training_pairs(data, chosen)
        click.echo(f"{len(lessons)} pairs", err=True)
        trained = train_verifier(
            lessons, folder, out, chosen, resume=resume, report=lambda row: click.echo(json.dumps(row), err=True)
        )
    if mean_with is not None:
        average((trained, mean_with), out / "mean")
        trained = out / "mean"
    encoder = store.pull(ENCODER, progress()).folder
    device = probe_device(settings.device, settings.dtype, settings.threads)
    commands = (*earlier, " ".join(["citebound", *sys.argv[1:]]))
    click.echo("fitting on held-back pairs", err=True)
    made = make_package(trained, encoder, data, out / "weights", device, commands=commands, held=Held(seed=seed))
    click.echo(json.dumps(made.measured))


for command in (corpus, tokenizer, pretrain, sft, dpo):
    train.add_command(command)
