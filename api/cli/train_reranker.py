"""`citebound train reranker`."""

import hashlib
import json
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli import options, train_options
from api.cli.models import progress
from api.cli.train_run import ENCODER, TrainingRun, prepare

if TYPE_CHECKING:
    from rag.embed import Embedder
    from rag.paragraphs import Paragraph
    from rag.rerank_training.lists import RankedQuestion

_PARTS = ("train", "train_headed", "fit", "fit_headed", "test", "test_headed")
_FIT_ARTICLES, _FIT_QUESTIONS = 24, 300
_HEADED_ARTICLES, _HEADED_QUESTIONS = 14, 150  # of the held-out ones, searched with headings


@click.command(
    epilog="\b\nExample:\n  citebound train reranker --squad paragraphs.jsonl.gz --out runs/reranker --seed 1"
)
@click.option(
    "--squad",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="Paragraphs with questions (JSONL, .gz).",
)
@train_options.out
@click.option("--seed", type=int, default=1, show_default=True, help="Decides everything that is drawn.")
@click.option("--questions", type=click.IntRange(min=1), default=4000, show_default=True, help="To train on, at most.")
@click.option("--articles", type=click.IntRange(min=2), default=60, show_default=True, help="That they are about.")
@click.option(
    "--held-out-questions", type=click.IntRange(min=1), default=400, show_default=True, help="To measure on, at most."
)
@click.option(
    "--depth",
    type=click.IntRange(2, 12),
    default=10,
    show_default=True,
    help="Hits that are read for a question; only the fit hangs on it.",
)
@click.option(
    "--begin",
    type=click.Choice(["verifier", "base"]),
    default="verifier",
    show_default=True,
    help="Weights to begin with: those of the shipped verifier, or the plain encoder's.",
)
@click.option(
    "--cross-encoder/--no-cross-encoder",
    "cross_encoder",
    default=False,
    show_default=True,
    help="Whether a model is trained that reads each hit with the question.",
)
@click.option("--peak-lr", type=float, default=1e-4, show_default=True, help="Highest learning rate.")
@click.option("--batch-tokens", type=click.IntRange(min=1), default=4096, show_default=True, help="Tokens of one step.")
@train_options.config_file
@options.data_dir
def reranker(
    squad: Path,
    out: Path,
    seed: int,
    depth: int,
    begin: str,
    cross_encoder: bool,
    data_dir: Path | None,
    **values: Any,
) -> None:
    """Fit the reranker, measure it on other articles, and write OUT/weights.

    With --cross-encoder a model that reads each hit is trained first. The same command goes on from what is in OUT;
    with another --depth it only fits and measures again.
    """
    from llm.files import sha256_of
    from rag.rerank.shipped import WEIGHTS_FILE
    from rag.rerank_training.loop import TrainSettings, train_cross_encoder
    from rag.rerank_training.package import Held, make_package

    ground = prepare(data_dir)
    encoder = ground.models.pull(ENCODER, progress())
    settings = TrainSettings(seed=seed, batch_tokens=values["batch_tokens"], peak_lr=values["peak_lr"])
    about = {"seed": seed, "begin": begin, **values, "base": encoder.name, "base_sha256": encoder.sha256}
    about |= {"data": squad.name, "data_sha256": sha256_of(squad)}
    run = TrainingRun(out, "reranker", about, is_main=True)
    kept = out / "lists" / hashlib.sha256(json.dumps(about).encode()).hexdigest()[:12]
    parts = _PARTS if cross_encoder else tuple(part for part in _PARTS if not part.startswith("train"))
    lists = _searched(kept, squad, values, seed, parts, lambda: _embedder(encoder.folder, ground.device))
    trained: Path | None = None
    if cross_encoder:
        weights = _weights(begin, encoder.folder)
        trained = train_cross_encoder(
            lists["train"], encoder.folder, weights, out, settings, ground.device, report=run.report
        )
    made = make_package(
        trained,
        encoder.folder,
        out / "weights",
        ground.device,
        depth=depth,
        held=Held(fit=lists["fit"], test=lists["test"], test_headed=lists["test_headed"]),
        about=_lines(begin if cross_encoder else None, len(lists["train"]), values, seed),
        say=_say,
    )
    n_bytes = (out / "weights" / WEIGHTS_FILE).stat().st_size if trained is not None else 0
    result = run.finish({"folder": str(out / "weights"), "weights_bytes": n_bytes, "measured": made.measured})
    click.echo(json.dumps(result))


def _searched(
    folder: Path, squad: Path, values: Mapping[str, Any], seed: int, parts: Sequence[str], embedder: Any
) -> "dict[str, list[RankedQuestion]]":
    """Questions to train, fit and measure with, with their hits; read where an earlier run wrote them."""
    from rag.rerank_training.lists import read_lists, search_questions, write_lists

    if not all((folder / f"{part}.json").is_file() for part in parts):
        embed: Embedder = embedder()
        wanted = _corpora(squad, values, seed)
        for part in parts:
            path = folder / f"{part}.json"
            if path.is_file():
                continue
            articles, n_questions = wanted[part]
            _say(f"searching {part}: {sum(map(len, articles.values()))} paragraphs, {n_questions} questions")
            rng = random.Random(f"{seed} {part}")
            headed = part.endswith("headed")
            write_lists(search_questions(articles, embed, n_questions=n_questions, headed=headed, rng=rng), path)
    read = {part: read_lists(folder / f"{part}.json") if part in parts else [] for part in _PARTS}
    return {
        "train": read["train"] + read["train_headed"],
        "fit": read["fit"] + read["fit_headed"],
        "test": read["test"],
        "test_headed": read["test_headed"],
    }


def _corpora(
    squad: Path, values: Mapping[str, Any], seed: int
) -> "dict[str, tuple[dict[str, tuple[Paragraph, ...]], int]]":
    """The articles of each collection and how many questions are asked about them; no article is in two uses."""
    from rag.errors import InvalidInputError
    from rag.paragraphs import is_held_out, read_paragraphs

    articles = read_paragraphs(squad)
    titles = sorted(title for title in articles if not is_held_out(title))
    held_out = sorted(title for title in articles if is_held_out(title))
    random.Random(seed).shuffle(titles)
    n_fit = min(_FIT_ARTICLES, len(titles) // 3)
    fit, train = titles[:n_fit], titles[n_fit : n_fit + values["articles"]]
    if n_fit < 2 or len(train) < 2 or not held_out:
        raise InvalidInputError("--squad needs at least six articles to train on and one that is held out")
    chosen: dict[str, tuple[Sequence[str], int]] = {
        "train": (train[::2], -(-values["questions"] // 2)),
        "train_headed": (train[1::2], values["questions"] // 2),
        "fit": (fit[::2], _FIT_QUESTIONS // 2),
        "fit_headed": (fit[1::2], _FIT_QUESTIONS // 2),
        "test": (held_out, values["held_out_questions"]),
        "test_headed": (held_out[:_HEADED_ARTICLES], min(_HEADED_QUESTIONS, values["held_out_questions"])),
    }
    return {part: ({title: articles[title] for title in own}, n) for part, (own, n) in chosen.items()}


def _embedder(folder: Path, device: Any) -> "Embedder":
    from rag.torch_embedder import load_embedder

    return load_embedder(folder, name=ENCODER, device=device)


def _weights(begin: str, encoder: Path) -> Any:
    """What the cross-encoder begins with, as a classifier of one outcome names it."""
    from safetensors.torch import load_file

    from rag.verify.shipped import N_OUTCOMES, read_weights
    from rag.weight_changes import as_classifier

    if begin == "base":
        return as_classifier(load_file(encoder / "model.safetensors"))
    weights = read_weights(encoder)
    for name in ("classifier.weight", "classifier.bias"):  # what speaks for "supported" and against the other two
        weights[name] = weights[name][:1] - weights[name][1:N_OUTCOMES].mean(dim=0, keepdim=True)
    return weights


def _lines(begin: str | None, n_questions: int, values: Mapping[str, Any], seed: int) -> str:
    """Lines of the model card."""
    command = " ".join(["citebound", *sys.argv[1:]])
    if begin is None:
        return f"- **Command**: `{command}`, seed {seed}"
    start = "the encoder of the shipped verifier" if begin == "verifier" else "the plain base"
    return (
        f"- **Command**: `{command}`\n"
        f"- **Training**: seed {seed}, {n_questions} searched questions of {values['articles']} articles once through, "
        f"beginning with {start}."
    )


def _say(line: str) -> None:
    click.echo(line, err=True)
