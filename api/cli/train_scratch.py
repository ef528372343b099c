"""`citebound train corpus`, `tokenizer` and `pretrain`: a decoder from scratch."""

import gzip
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from api.cli import options, train_options
from api.cli.documents import files_in
from api.cli.train_run import TrainingRun, bar, prepare, say, write_rows
from llm.training.pretrain import PretrainConfig
from llm.training.tokenizer import TokenizerConfig
from rag.errors import InvalidInputError

_PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))


@click.command(
    epilog="\b\nExample:\n  citebound train corpus docs/samples faq.jsonl --field question --out corpus.jsonl"
)
@_PATHS
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The JSONL file to write.")
@click.option(
    "--field", "fields", multiple=True, default=("text",), show_default=True, help="Fields of JSONL rows, to be joined."
)
@options.data_dir
def corpus(paths: tuple[Path, ...], out: Path, fields: tuple[str, ...], data_dir: Path | None) -> None:
    """Make text to learn from of documents of any format and of JSONL files (.gz too): one line a document."""
    from api.logs import configure_logs
    from api.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    configure_logs("warning", settings.log_format)
    out.parent.mkdir(parents=True, exist_ok=True)
    n_documents = write_rows(out, _documents(files_in(paths), fields, settings.limits))
    if not n_documents:
        raise InvalidInputError("none of the files holds text")
    say({"documents": n_documents, "bytes": out.stat().st_size, "file": str(out)})


def _documents(files: list[Path], fields: tuple[str, ...], limits: Any) -> Iterator[dict[str, str]]:
    from ingest.sandbox import Sandbox
    from rag.errors import DocumentError

    with Sandbox(limits) as sandbox:
        for path in bar(files, desc="corpus", unit="file"):
            if path.name.endswith((".jsonl", ".jsonl.gz")):
                yield from _rows(path, fields)
                continue
            try:
                text = sandbox.parse(path, name=path.name).text
            except DocumentError as error:
                click.echo(f"{path.name}: left out: {error}", err=True)
                continue
            if text.strip():
                yield {"text": text}


def _rows(path: Path, fields: tuple[str, ...]) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                text = "\n".join(str(row[field]) for field in fields)
            except (ValueError, KeyError, TypeError) as error:
                raise InvalidInputError(f"{path.name} line {number} has no fields {', '.join(fields)}") from error
            if text.strip():
                yield {"text": text}


@click.command(epilog="\b\nExample:\n  citebound train tokenizer corpus.jsonl --vocabulary 4096 --out runs/tokenizer")
@_PATHS
@train_options.out
@train_options.config_flags(TokenizerConfig)
@train_options.config_file
@options.data_dir
def tokenizer(paths: tuple[Path, ...], out: Path, data_dir: Path | None, **values: Any) -> None:
    """Make a tokenizer of .txt, .md and .jsonl files (`text` in each line)."""
    from api.logs import configure_logs
    from api.settings import load_settings
    from llm.training.corpus import corpus_digest, corpus_files
    from llm.training.plot import compression_svg
    from llm.training.tokenizer import train_tokenizer

    settings = load_settings(data_dir=data_dir)
    configure_logs("warning", settings.log_format)
    config = train_options.config_of(TokenizerConfig, values)
    files = corpus_files(paths)
    run = TrainingRun(out, "tokenizer", {"config": asdict(config), "data_sha256": corpus_digest(files)}, is_main=True)
    found = train_tokenizer(files, out=out, config=config, show_progress=sys.stderr.isatty())
    rows = [{"vocabulary": size, "bytes_per_token": round(each, 4)} for size, each in found.curve]
    write_rows(out / "compression.jsonl", rows)
    (out / "compression.svg").write_text(compression_svg(rows, title=f"tokenizer: {out.name}"), encoding="utf-8")
    figures = {name: value for name, value in asdict(found).items() if name != "curve"}
    say(run.finish({**figures, "bytes_per_token": round(found.bytes_per_token, 3), "folder": str(out)}))


@click.command(
    epilog="\b\nExample:\n  citebound train pretrain corpus.jsonl --tokenizer runs/tokenizer --out runs/base"
)
@_PATHS
@click.option(
    "--tokenizer",
    "tokenizer_folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="What `citebound train tokenizer` wrote, or the folder of any model.",
)
@train_options.out
@train_options.config_flags(PretrainConfig)
@train_options.config_file
@options.data_dir
def pretrain(paths: tuple[Path, ...], tokenizer_folder: Path, out: Path, data_dir: Path | None, **values: Any) -> None:
    """Train a decoder from random weights to continue text; `OUT/model` is a model folder like any other."""
    from llm.files import sha256_of
    from llm.training.corpus import corpus_digest, corpus_files
    from llm.training.load import load_tokenizer
    from llm.training.pretrain import new_model, pretrain_decoder

    ground = prepare(data_dir)
    config = train_options.config_of(PretrainConfig, values)
    files = corpus_files(paths)
    source = f"{corpus_digest(files)} {sha256_of(tokenizer_folder / 'tokenizer.json')}"
    is_main = ground.workers.is_main
    run = TrainingRun(out, "pretrain", {"config": asdict(config), "data_sha256": source}, is_main=is_main)
    words = load_tokenizer(tokenizer_folder)
    if is_main:
        _encode(files, words, source, out / "tokens")
    ground.workers.wait()
    tokens = _tokens(source, out / "tokens")
    if is_main and tokens.n_held_out < config.sequence_tokens:
        click.echo(
            "citebound: too few documents to keep any for held_out_loss (one of fifty); only loss is told", err=True
        )
    model = new_model(config, vocabulary=len(words), end_of_turn=int(words.eos_token_id)).to(ground.device.kind)
    run.measure(model, ground.device)
    pretrain_decoder(
        model, tokens, out=out, config=config, device=ground.device, report=run.report, workers=ground.workers
    )
    if not is_main:
        return
    model.save_pretrained(out / "model")
    words.save_pretrained(out / "model")
    about = {"documents": tokens.n_documents, "bytes": tokens.n_bytes, "train_tokens": tokens.n_train}
    n_weights = sum(weight.numel() for weight in model.parameters())
    say(run.finish({**about, "weights": n_weights, "folder": str(out / "model")}))


def _end_of_text(words: Any) -> int:
    """The token between documents: the one that pads, else the one that ends a turn."""
    found = words.pad_token_id if words.pad_token_id is not None else words.eos_token_id
    return int(found)


def _encode(files: tuple[Path, ...], words: Any, source: str, folder: Path) -> None:
    """Write the corpus as token ids, unless that was done."""
    from llm.prompt_encoding import PromptEncoder
    from llm.training.corpus import read_pieces
    from llm.training.token_file import read_tokens, write_tokens

    if read_tokens(folder, source=source) is None:
        write_tokens(
            bar(read_pieces(files), desc="encoding", unit="text"),
            PromptEncoder(words),
            end_id=_end_of_text(words),
            vocabulary=len(words),
            source=source,
            folder=folder,
        )


def _tokens(source: str, folder: Path) -> Any:
    from llm.errors import InvalidTrainingDataError
    from llm.training.token_file import read_tokens

    tokens = read_tokens(folder, source=source)
    if tokens is None:
        raise InvalidTrainingDataError(f"{folder} holds no tokens; remove it and start again")
    return tokens
