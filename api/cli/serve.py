"""`citebound serve`."""

from pathlib import Path

import click

from api.cli import options


@click.command(epilog="\b\nExample:\n  citebound serve --port 8080")
@click.option("--host", help="Address to listen on (default 127.0.0.1).")
@click.option("--port", type=options.Whole(0, 65535), help="Port to listen on (default 8000; 0 takes a free one).")
@options.data_dir
def serve(host: str | None, port: int | None, data_dir: Path | None) -> None:
    """Start the HTTP service and the web page."""
    from api.serve import serve as run
    from api.settings import load_settings

    run(load_settings(host=host, port=port, data_dir=data_dir))
