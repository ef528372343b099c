"""`citebound reindex`, `doctor`, `backup` and `restore`."""

import json
from pathlib import Path
from typing import Any

import click

from api.cli import options
from api.cli.client import client_of


@click.command(epilog="\b\nExample:\n  citebound reindex")
@options.as_json
@options.data_dir
def reindex(as_json: bool, data_dir: Path | None) -> None:
    """Rebuild every index from the catalog; embeds again only where the embedder has changed."""
    with client_of(data_dir) as client:
        done = client.call("POST", "/v1/admin/reindex")
    if as_json:
        click.echo(json.dumps(done))
    else:
        click.echo(
            f"{done['n_passages']} passages indexed, {done['n_embedded']} embedded again, "
            f"in {done['seconds']:.1f} s with {done['embedder']}"
        )


@click.command(epilog="\b\nExample:\n  citebound doctor --check")
@click.option("--check", is_flag=True, help="Prove that files, rows, vectors and index entries agree.")
@options.as_json
@options.data_dir
def doctor(check: bool, as_json: bool, data_dir: Path | None) -> None:
    """Tell what this machine can do; with --check, whether the store agrees with itself (exit 1 if not)."""
    facts: dict[str, Any] = {}
    if check:
        with client_of(data_dir) as client:
            facts["check"] = client.call("GET", "/v1/admin/check")
    else:
        facts["machine"] = _machine(data_dir)
    if as_json:
        click.echo(json.dumps(facts))
    else:
        for name, value in next(iter(facts.values())).items():
            click.echo(f"{name.replace('_', ' '):<28} {value}")
    if check and not facts["check"]["ok"]:
        click.get_current_context().exit(1)


def _machine(data_dir: Path | None) -> dict[str, Any]:
    """Device, precision, threads and the two limits that every speed is held against."""
    from api.judges import judge_choice
    from api.logs import configure_logs
    from api.settings import load_settings
    from ingest.sandbox import Sandbox
    from llm.device import measure_speeds, probe_device
    from llm.engines.choose import first_choice
    from llm.engines.remote_address import is_address
    from llm.sources import ModelStore

    settings = load_settings(data_dir=data_dir)
    configure_logs("warning", settings.log_format)
    click.echo("measuring, a few seconds …", err=True)
    device = probe_device(settings.device, settings.dtype, settings.threads)
    speeds = measure_speeds(device)
    with Sandbox(settings.limits) as sandbox:
        layers = sandbox.layers()
    return {
        "device": device.name,
        "kind": device.kind,
        "dtype": device.dtype,
        "threads": device.n_threads,
        "engine": "remote" if is_address(settings.decoder) else first_choice(settings.engine, device),
        "embedder": settings.embedder,
        "decoder": settings.decoder,
        "verifier": judge_choice(settings, ModelStore(settings.model_cache, offline=settings.offline)),
        "reranker": settings.reranker,
        "memory_bandwidth_gb_per_second": round(speeds.bandwidth_gb_s, 1),
        **{f"matrix_rate_{d}_tflop_per_second": round(rate, 3) for d, rate in speeds.matrix_tflop_s.items()},
        "parser_cage": ", ".join(sorted(name for name, holds in layers.items() if holds)),
        "parser_cage_missing": ", ".join(sorted(name for name, holds in layers.items() if not holds)) or "nothing",
        "data_dir": str(settings.data_dir),
        "model_cache": str(settings.model_cache),
    }


@click.command(epilog="\b\nExample:\n  citebound backup ~/citebound-2026-11.tar")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@options.data_dir
def backup(file: Path, data_dir: Path | None) -> None:
    """Write catalog and files as one archive; safe while the service runs. The archive holds your documents."""
    if file.exists():
        raise click.UsageError(f"{file} exists; choose another name")
    if not file.absolute().parent.is_dir():
        raise click.UsageError(f"there is no folder {file.parent}; make it first, or choose another")
    part = file.with_name(f".{file.name}.part")
    part.unlink(missing_ok=True)
    try:
        with client_of(data_dir) as client:
            n_bytes = client.save("/v1/admin/backup", part)
        part.rename(file)
    finally:
        part.unlink(missing_ok=True)
    click.echo(f"{file}: {n_bytes} bytes")


@click.command(epilog="\b\nExample:\n  citebound restore ~/citebound-2026-11.tar --data-dir ~/restored")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@options.data_dir
def restore(file: Path, data_dir: Path | None) -> None:
    """Read an archive into an empty data folder; every hash in it is checked before anything is kept."""
    from api.logs import configure_logs
    from api.settings import load_settings
    from api.wiring import restore_archive

    settings = load_settings(data_dir=data_dir)
    configure_logs("warning", settings.log_format)
    counts = restore_archive(settings, file)
    click.echo(f"{settings.data_dir}: restored {counts['documents']} documents, {counts['passages']} passages")
