"""`citebound train`."""

import json
import sys
from pathlib import Path

import click

from api.cli import options
from api.cli.models import progress
from api.cli.train_reranker import reranker
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
@click.option("--seed", type=int, default=1, show_default=True, help="Of the first stage; the others follow it.")
@click.option("--pairs", type=click.IntRange(min=1), help="Train on so many pairs a stage at most: a quick try.")
@click.option("--fp32", is_flag=True, help="No bf16 autocast, for processors without it.")
@click.option("--resume", is_flag=True, help="Keep the stages in --out that ended, and go on from the last checkpoint.")
@click.option("--fit-only", is_flag=True, help="Only make the weights folder again from the stages in --out.")
@options.data_dir
def verifier(
    data: Path,
    out: Path,
    seed: int,
    pairs: int | None,
    fp32: bool,
    resume: bool,
    fit_only: bool,
    data_dir: Path | None,
) -> None:
    """Train the verifier in stages, fit its figures on held-back pairs and write both to OUT/weights."""
    from api.logs import configure_logs
    from api.settings import load_settings
    from llm.device import probe_device
    from llm.sources import ModelStore
    from rag.verify.package import Held, make_package
    from rag.verify.stages import STAGES, result_of, stage_settings, train_stages

    settings = load_settings(data_dir=data_dir)
    configure_logs("warning", settings.log_format)
    store = ModelStore(settings.model_cache, offline=settings.offline)
    encoder = store.pull(ENCODER, progress()).folder
    if fit_only:
        trained = result_of(out, len(STAGES))
    else:
        stages = stage_settings(STAGES, seed=seed, most_pairs=pairs, bf16=not fp32)
        trained = train_stages(
            data, encoder, out, stages, resume=resume, report=lambda row: click.echo(json.dumps(row), err=True)
        )
    device = probe_device(settings.device, settings.dtype, settings.threads)
    command = " ".join(["citebound", *sys.argv[1:]])
    click.echo("fitting on held-back pairs", err=True)
    made = make_package(trained, encoder, data, out / "weights", device, command=command, held=Held(seed=seed))
    click.echo(json.dumps(made.measured))


for command in (corpus, tokenizer, pretrain, sft, dpo, reranker):
    train.add_command(command)
