"""`citebound train`."""

import json
from pathlib import Path

import click

from api.cli import options
from api.cli.models import progress
from api.cli.train_scratch import corpus, pretrain, tokenizer
from api.cli.train_tuning import dpo, sft


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
@click.option("--base", default="all-MiniLM-L6-v2", show_default=True, help="The encoder to start from.")
@click.option(
    "--built", type=click.IntRange(min=0), default=16_000, show_default=True, help="Pairs to build from SQuAD."
)
@click.option("--learning-rate", type=float, default=1e-4, show_default=True)
@click.option("--fp32", is_flag=True, help="No bf16 autocast, for processors without it.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out.")
@options.data_dir
def verifier(
    data: Path,
    out: Path,
    seed: int,
    base: str,
    built: int,
    learning_rate: float,
    fp32: bool,
    resume: bool,
    data_dir: Path | None,
) -> None:
    """Train the verifier."""
    from api.logs import configure_logs
    from api.settings import load_settings
    from llm.sources import ModelStore
    from rag.verify.train import TrainSettings, train_verifier, training_pairs

    settings = load_settings(data_dir=data_dir)
    configure_logs("warning", settings.log_format)
    folder = Path(base)
    if not (folder / "config.json").is_file():
        folder = ModelStore(settings.model_cache, offline=settings.offline).pull(base, progress()).folder
    chosen = TrainSettings(seed=seed, n_built=built, learning_rate=learning_rate, bf16=not fp32)
    pairs = training_pairs(data, chosen)
    click.echo(f"{len(pairs)} pairs", err=True)
    trained = train_verifier(
        pairs, folder, out, chosen, resume=resume, report=lambda row: click.echo(json.dumps(row), err=True)
    )
    click.echo(str(trained))


for command in (corpus, tokenizer, pretrain, sft, dpo):
    train.add_command(command)
