"""`citebound models`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.cli import options

if TYPE_CHECKING:
    from llm.sources import ModelStore, Step


def _store(data_dir: Path | None) -> "ModelStore":
    from api.logs import configure_logs
    from api.settings import load_settings
    from llm.sources import ModelStore

    settings = load_settings(data_dir=data_dir)
    configure_logs("warning", settings.log_format)
    return ModelStore(settings.model_cache, offline=settings.offline)


def progress() -> Callable[["Step"], None]:
    """Shows the steps of a pull on stderr: one changing line on a terminal, one line a step elsewhere."""
    import sys

    shown = ""

    def show(step: "Step") -> None:
        nonlocal shown
        if sys.stderr.isatty():
            percent = "" if step.fraction is None else f" {step.fraction:4.0%}"
            click.echo(f"\r\033[K{step.model}: {step.message}{percent}", nl=False, err=True)
        elif step.message != shown:
            click.echo(f"{step.model}: {step.message}", err=True)
        shown = step.message

    return show


@click.group(epilog="\b\nExample:\n  citebound models pull SmolLM2-135M-Instruct")
def models() -> None:
    """Models by name, pinned by SHA-256, in one cache folder."""


@models.command("list", epilog="\b\nExample:\n  citebound models list --json")
@options.as_json
@options.data_dir
def list_models(as_json: bool, data_dir: Path | None) -> None:
    """Every known model and whether it is here."""
    entries = _store(data_dir).list()
    if as_json:
        rows = [
            {"name": e.name, "kind": e.kind, "installed": e.installed, "n_bytes": e.n_bytes, "licence": e.licence}
            for e in entries
        ]
        click.echo(json.dumps({"data": rows}))
        return
    for entry in entries:
        here = "here" if entry.installed else "not here"
        click.echo(f"{entry.name:<30} {entry.kind:<9} {here:<9} {entry.licence}")


@models.command("pull", epilog="\b\nExample:\n  citebound models pull all-MiniLM-L6-v2")
@click.argument("names", nargs=-1, required=True)
@options.data_dir
def pull(names: tuple[str, ...], data_dir: Path | None) -> None:
    """Get models; what is here already is only checked."""
    store = _store(data_dir)
    for name in names:
        model = store.pull(name, progress())
        click.echo(f"{model.name}: {model.folder}")


@models.command("info", epilog="\b\nExample:\n  citebound models info all-MiniLM-L6-v2")
@click.argument("name")
@options.data_dir
def info(name: str, data_dir: Path | None) -> None:
    """What is known of one model, as JSON."""
    from dataclasses import asdict

    click.echo(json.dumps(asdict(_store(data_dir).info(name)), default=_plain, indent=2))


def _plain(value: object) -> str:
    return str(value) if isinstance(value, Path) else repr(value)


@models.command("convert", epilog="\b\nExample:\n  citebound models convert path/to/model.gguf")
@click.argument("name")
@options.data_dir
def convert(name: str, data_dir: Path | None) -> None:
    """Convert a GGUF to safetensors now instead of at first use."""
    model = _store(data_dir).convert(name, progress())
    click.echo(f"{model.name}: {model.folder}")
