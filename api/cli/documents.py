"""`citebound ingest`, `list` and `delete`."""

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from api.cli import options
from api.cli.client import Client, ServiceError, client_of

_BATCH = 20  # files a request
_ENDED = ("ready", "failed", "cancelled")


def files_in(paths: tuple[Path, ...]) -> list[Path]:
    """The files named, and those inside the folders named; hidden ones only where they are named themselves."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file())
            found += [p for p in inside if not any(part.startswith(".") for part in p.relative_to(path).parts)]
        else:
            found.append(path)
    return found


def _send(client: Client, files: list[Path], collection: str, on_duplicate: str) -> list[dict[str, Any]]:
    with ExitStack() as stack:
        parts = [("file", (path.name, stack.enter_context(path.open("rb")))) for path in files]
        data = {"collection": collection, "on_duplicate": on_duplicate}
        try:
            rows: list[dict[str, Any]] = client.call("POST", "/v1/documents", data=data, files=parts)["data"]
        except ServiceError as error:
            if "errors" not in error.body:
                raise
            rows = error.body["errors"]
    return rows


def add_files(
    client: Client, files: list[Path], *, collection: str, on_duplicate: str = "skip"
) -> list[dict[str, Any]]:
    """Upload, wait with a progress bar on stderr, and return one row a file in order."""
    from tqdm import tqdm

    rows: list[dict[str, Any]] = []
    with tqdm(total=len(files), unit="file", desc="uploading", disable=None) as bar:
        for start in range(0, len(files), _BATCH):
            batch = files[start : start + _BATCH]
            for path, row in zip(batch, _send(client, batch, collection, on_duplicate), strict=True):
                rows.append({**row, "path": str(path)})
            bar.update(len(batch))
    waiting = {row["document_id"]: row for row in rows if row.get("document_id") and not row.get("error")}
    with tqdm(total=len(waiting), unit="document", desc="ingesting", disable=None) as bar:
        while waiting:
            for document_id in list(waiting)[:50]:
                document = client.call("GET", f"/v1/documents/{document_id}")
                if document["status"] in _ENDED:
                    row = waiting.pop(document_id)
                    row.update({key: document[key] for key in ("status", "error", "n_pages", "n_passages", "receipt")})
                    bar.update(1)
                else:
                    bar.set_postfix_str(f"{document['name'][:40]}: {document['status']} {document['progress']:.0%}")
                    break  # the queue is worked in order: those behind it are not done either
            if waiting:
                time.sleep(0.1)
    return rows


def summary_line(row: dict[str, Any]) -> str:
    """What became of one file, for people."""
    name = row["path"]
    if row.get("error"):
        return f"{name}: failed: {row['error']['message']}"
    again = ", was here already" if row.get("duplicate_of") else ""
    pages = f", {row['n_pages']} pages" if row.get("n_pages") else ""
    warnings = "".join(f"\n  {warning}" for warning in (row.get("receipt") or {}).get("warnings", []))
    return (
        f"{name}: {row['status']}{again}{pages}, {row.get('n_passages', 0)} passages, id {row['document_id']}{warnings}"
    )


@click.command(epilog="\b\nExample:\n  citebound ingest handbook.pdf notes/ --collection hr")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@options.collection
@click.option("--on-duplicate", type=click.Choice(["skip", "replace", "error"]), default="skip", show_default=True)
@options.as_json
@options.data_dir
def ingest(paths: tuple[Path, ...], collection: str, on_duplicate: str, as_json: bool, data_dir: Path | None) -> None:
    """Add files, and the files inside folders, to a collection."""
    files = files_in(paths)
    if not files:
        raise click.UsageError("there is no file in the folders given")
    with client_of(data_dir) as client:
        rows = add_files(client, files, collection=collection, on_duplicate=on_duplicate)
    if as_json:
        click.echo(json.dumps({"data": rows}, ensure_ascii=False))
    else:
        for row in rows:
            click.echo(summary_line(row))
    if any(row.get("error") or row["status"] != "ready" for row in rows):
        click.get_current_context().exit(1)


@click.command("list", epilog="\b\nExample:\n  citebound list --collection hr --status failed")
@click.option("--collection", help="Only this collection.")
@click.option("--status", type=click.Choice(["queued", "parsing", "embedding", "ready", "failed", "cancelled"]))
@options.as_json
@options.data_dir
def list_documents(collection: str | None, status: str | None, as_json: bool, data_dir: Path | None) -> None:
    """List documents: id, state, passages, collection, name."""
    found: list[dict[str, Any]] = []
    with client_of(data_dir) as client:
        query = {k: v for k, v in {"collection": collection, "status": status, "limit": 500}.items() if v is not None}
        cursor: str | None = None
        while True:
            page = client.call("GET", "/v1/documents", params={**query, **({"cursor": cursor} if cursor else {})})
            found += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
    if as_json:
        click.echo(json.dumps({"data": found, "count": len(found)}, ensure_ascii=False))
        return
    for document in found:
        why = f"  ({document['error']['message']})" if document["error"] else ""
        click.echo(
            f"{document['document_id']}  {document['status']:<9} {document['n_passages']:>6}  "
            f"{document['collection']}  {document['name']}{why}"
        )
    click.echo(f"{len(found)} documents", err=True)


@click.command(epilog="\b\nExample:\n  citebound delete DOCUMENT_ID   # ids are in the first column of citebound list")
@click.argument("ids", nargs=-1, required=True)
@options.as_json
@options.data_dir
def delete(ids: tuple[str, ...], as_json: bool, data_dir: Path | None) -> None:
    """Delete documents; prints what was removed and what remains (0)."""
    with client_of(data_dir) as client:
        rows = [client.call("DELETE", f"/v1/documents/{document_id}") for document_id in ids]
    if as_json:
        click.echo(json.dumps({"data": rows}))
        return
    for row in rows:
        gone = row["deleted"]
        click.echo(
            f"{row['document_id']}: deleted {gone['passages']} passages, {gone['vectors']} vectors, "
            f"{gone['files']} files; {row['remaining']} remain"
        )
