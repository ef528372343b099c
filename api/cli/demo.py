"""`citebound demo`: the shortest way from nothing to a cited answer."""

import signal
import threading
from pathlib import Path

import click

from api.cli.client import Client
from api.cli.documents import add_files, files_in, summary_line
from api.cli.models import progress
from api.cli.questions import print_sources, stream_to_terminal

QUESTIONS = (
    "Who is the safety officer?",
    "Who founded Lindenhof Instruments?",
    "What is the boiling point of nitrogen?",  # in none of the documents
)


@click.command(epilog="\b\nExample:\n  citebound demo docs/samples --once")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--once", is_flag=True, help="Stop after the answers instead of serving.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the page (default 8000; 0 takes a free one).")
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), default=Path(".demo-data"), show_default=True
)
def demo(folder: Path, once: bool, port: int | None, data_dir: Path) -> None:
    """Get the models, serve a scratch folder, ingest FOLDER, ask, and print the cited answers."""
    from api.connect import client_for
    from api.logs import configure_logs
    from api.serve import running
    from api.settings import load_settings
    from llm.engines.remote_address import is_address
    from llm.sources import ModelStore

    settings = load_settings(data_dir=data_dir, port=0 if once and port is None else port)
    configure_logs("warning", settings.log_format)
    store = ModelStore(settings.model_cache, offline=settings.offline)
    for name in (settings.embedder, settings.decoder):
        if is_address(name):
            continue
        click.echo(f"==> model {name}", err=True)
        store.pull(name, progress())
    click.echo(f"==> starting the service on {settings.data_dir}", err=True)
    with running(settings) as service, client_for(service.address, service.token) as http:
        client = Client(http)
        client.wait_until_ready()
        files = [path for path in files_in((folder,)) if path.suffix != ".py"]
        click.echo(f"==> ingesting {len(files)} documents", err=True)
        for row in add_files(client, files, collection="default"):
            click.echo(summary_line(row))
        for question in QUESTIONS:
            click.echo(f"\nQ: {question}")
            answer = stream_to_terminal(client, {"question": question})
            click.echo(f"A: {answer['text']}")
            print_sources(answer)
        if once:
            return
        click.echo(f"\nThe page: {service.address}/   (Ctrl+C ends the service)")
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        stopped.wait()
