"""`citebound train sft` and `dpo`: a decoder that is there already learns the job."""

import itertools
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from api.cli import options, train_options
from api.cli.models import progress
from api.cli.train_run import ENCODER, Ground, TrainingRun, prepare, say, write_rows
from llm.training.dpo import DpoConfig
from llm.training.sft import SftConfig

if TYPE_CHECKING:
    from llm.adapters import Adapter
    from llm.sources import ResolvedModel
    from llm.training.load import Trainee
    from rag.paragraphs import Paragraph
    from rag.verify.judge import ClaimJudge

F = TypeVar("F", bound=Callable[..., Any])
_TRAIN, _HELD_OUT = "train.jsonl", "held_out.jsonl"


def _adapter_flag(function: F) -> F:
    """What the run begins with."""
    return click.option(
        "--adapter",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        help="An adapter of the same base that goes on learning; without it a new one is begun.",
    )(function)


def _data_flags(function: F) -> F:
    """Where the rows come from, and what is tuned."""
    file = click.Path(path_type=Path, exists=True, dir_okay=False)
    for decorate in (
        click.option("--data", type=file, help="JSONL rows to learn."),
        click.option("--held-out", type=file, help="JSONL rows to measure on, with --data."),
        click.option("--squad", type=file, help="Paragraphs with questions (JSONL, .gz); rows are made of them."),
        click.option("--groups", type=click.IntRange(min=1), default=1200, show_default=True, help="Of --squad."),
        click.option(
            "--held-out-groups", type=click.IntRange(min=0), default=16, show_default=True, help="Of --squad."
        ),
        click.option("--base", default="SmolLM2-135M-Instruct", show_default=True, help="Name or folder of the model."),
        click.option("--name", help="What the adapter is called (default: the name of --out)."),
    ):
        function = decorate(function)
    return function


@click.command(
    epilog="\b\nExample:\n  citebound train sft --squad paragraphs.jsonl.gz --base SmolLM2-135M-Instruct --out runs/sft"
)
@train_options.out
@_adapter_flag
@_data_flags
@click.option(
    "--also",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="JSONL rows to learn beside those of --squad, such as answers of its own that the decoder shall keep.",
)
@click.option(
    "--tempting",
    is_flag=True,
    help="Of --squad, ask the unanswerable questions to which the shipped verifier seems to find an answer.",
)
@train_options.config_flags(SftConfig)
@train_options.config_file
@options.data_dir
def sft(out: Path, adapter: Path | None, name: str | None, base: str, data_dir: Path | None, **values: Any) -> None:
    """Teach a decoder to write given answers.

    Rows are {"messages": […]} that end with the assistant's answer; --squad makes them with the prompt that the
    service uses. Writes OUT/adapter, or OUT/model with --rank 0.
    """
    from llm.adapters import read_adapter
    from llm.training.load import load_trainee
    from llm.training.sft import read_examples, train_sft
    from rag.examples import make_examples

    ground = prepare(data_dir)
    config = train_options.config_of(SftConfig, values)
    model = ground.models.resolve(base, progress())
    started = read_adapter(adapter) if adapter is not None else None
    about = _about(config, model, values) | {"adapter_sha256": _checked(started, model)}
    run = TrainingRun(out, "sft", about, is_main=ground.workers.is_main)

    reader = _reader(ground) if values["tempting"] and ground.workers.is_main else None

    def rows(articles: "dict[str, tuple[Paragraph, ...]]", n_groups: int, seed: int) -> Iterable[dict[str, object]]:
        made = make_examples(articles, n_groups=n_groups, rng=random.Random(seed), reader=reader)
        return (one.as_row() for one in made)

    train, held_out = _files(out, values, rows, ground, also=values["also"])
    all_weights = config.rank == 0 and started is None
    trainee = load_trainee(model.folder, device=ground.device, all_weights=all_weights, adapter=started)
    run.measure(trainee.model, ground.device)
    tuned = train_sft(
        trainee.model,
        read_examples(train, trainee.encoder, trainee.end_id),
        read_examples(held_out, trainee.encoder, trainee.end_id) if held_out else (),
        out=out,
        config=config,
        device=ground.device,
        report=run.report,
        workers=ground.workers,
    )
    if ground.workers.is_main:
        say(run.finish({"folder": str(_keep(tuned, trainee, model, out, name))}))


@click.command(
    epilog="\b\nExample:\n  citebound train dpo --squad paragraphs.jsonl.gz --adapter runs/sft/adapter --out runs/dpo"
)
@train_options.out
@_adapter_flag
@_data_flags
@train_options.config_flags(DpoConfig)
@train_options.config_file
@options.data_dir
def dpo(out: Path, adapter: Path | None, name: str | None, base: str, data_dir: Path | None, **values: Any) -> None:
    """Align a decoder by preferences.

    Rows are {"messages": […], "chosen": str, "rejected": str}; --squad makes them with the prompt that the
    service uses. Writes OUT/adapter, or OUT/model with --rank 0.
    """
    from llm.adapters import read_adapter
    from llm.training.dpo import train_dpo
    from llm.training.load import load_trainee
    from llm.training.pairs import read_pairs
    from rag.preferences import make_pairs

    ground = prepare(data_dir)
    config = train_options.config_of(DpoConfig, values)
    model = ground.models.resolve(base, progress())
    started = read_adapter(adapter) if adapter is not None else None
    about = _about(config, model, values) | {"adapter_sha256": _checked(started, model)}
    run = TrainingRun(out, "dpo", about, is_main=ground.workers.is_main)

    def rows(articles: "dict[str, tuple[Paragraph, ...]]", n_groups: int, seed: int) -> Iterable[dict[str, object]]:
        return (one.as_row() for one in make_pairs(articles, n_groups=n_groups, rng=random.Random(seed)))

    train, held_out = _files(out, values, rows, ground)
    all_weights = config.rank == 0 and started is None
    trainee = load_trainee(model.folder, device=ground.device, all_weights=all_weights, adapter=started)
    run.measure(trainee.model, ground.device)
    aligned = train_dpo(
        trainee.model,
        read_pairs(train, trainee.encoder, trainee.end_id),
        read_pairs(held_out, trainee.encoder, trainee.end_id) if held_out else (),
        out=out,
        config=config,
        device=ground.device,
        report=run.report,
        workers=ground.workers,
        progress=run.prepared,
    )
    if ground.workers.is_main:
        say(run.finish({"folder": str(_keep(aligned, trainee, model, out, name))}))


def _about(config: Any, model: "ResolvedModel", values: dict[str, Any]) -> dict[str, Any]:
    """What the run is made of; a resumed one is held against it."""
    from llm.files import sha256_of

    source = values["data"] or values["squad"]
    if source is None or (values["data"] and values["squad"]):
        raise click.UsageError("give either --data or --squad")
    groups = {"groups": values["groups"], "held_out_groups": values["held_out_groups"]} if values["squad"] else {}
    about = {"config": asdict(config), "base": model.name, "base_sha256": model.sha256}
    also = values.get("also")
    if also is not None and not values["squad"]:
        raise click.UsageError("--also goes with --squad; put all rows of --data into one file")
    if values.get("tempting") and not values["squad"]:
        raise click.UsageError("--tempting goes with --squad, whose questions it chooses")
    more: dict[str, Any] = {} if also is None else {"also_sha256": sha256_of(also)}
    more |= {"tempting": True} if values.get("tempting") else {}
    return about | {"data": source.name, "data_sha256": sha256_of(source), **groups, **more}


def _reader(ground: Ground) -> "ClaimJudge":
    """The shipped verifier, which looks questions up in passages."""
    from rag.verify.judge import load_judge

    return load_judge(ground.models.resolve(ENCODER, progress()).folder, ground.device)


def _checked(adapter: "Adapter | None", model: "ResolvedModel") -> str | None:
    from llm.errors import UnsupportedError
    from llm.files import sha256_of

    if adapter is None:
        return None
    if adapter.base_sha256 != model.sha256:
        raise UnsupportedError(f"the adapter {adapter.name} belongs to {adapter.base}, not to {model.name}")
    return sha256_of(adapter.folder / "adapter_model.safetensors")


def _files(
    out: Path,
    values: dict[str, Any],
    rows: "Callable[[dict[str, tuple[Paragraph, ...]], int, int], Iterable[dict[str, object]]]",
    ground: Ground,
    also: Path | None = None,
) -> tuple[Path, Path | None]:
    """The rows to learn and to measure on; those of --squad are written beside the weights, by the first process.

    Rows of `also` stand after them: the order of a file is not that in which it is learned.
    """
    from rag.errors import InvalidInputError
    from rag.paragraphs import is_held_out, read_paragraphs

    if values["squad"] is None:
        return values["data"], values["held_out"]
    if ground.workers.is_main:
        articles = read_paragraphs(values["squad"])
        train = {title: found for title, found in articles.items() if not is_held_out(title)}
        kept = {title: found for title, found in articles.items() if is_held_out(title)}
        if not any(len(paragraphs) >= 2 for paragraphs in train.values()):
            raise InvalidInputError("--squad needs articles of at least two paragraphs")
        more = map(json.loads, also.read_text("utf-8").splitlines()) if also is not None else ()
        write_rows(out / _TRAIN, itertools.chain(rows(train, values["groups"], values["seed"] + 1), more))
        n_kept = values["held_out_groups"] if any(len(found) >= 2 for found in kept.values()) else 0
        write_rows(out / _HELD_OUT, rows(kept, n_kept, values["seed"] + 2))
    ground.workers.wait()
    return out / _TRAIN, out / _HELD_OUT


def _keep(tuned: Any, trainee: "Trainee", model: "ResolvedModel", out: Path, name: str | None) -> Path:
    """Write what was learned: an adapter, or a whole model."""
    from llm.adapters import write_about

    if not hasattr(tuned, "get_base_model"):
        folder = out / "model"
        tuned.save_pretrained(folder)
        trainee.tokenizer.save_pretrained(folder)
        return folder
    folder = out / "adapter"
    tuned.save_pretrained(folder, save_embedding_layers=False)  # it would ask the hub for the base's embeddings
    write_about(folder, name=name or out.resolve().name, base=model.name, base_sha256=model.sha256)
    return folder
