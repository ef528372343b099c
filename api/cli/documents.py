"""`citebound ingest`, `list` and `delete`."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from api.cli import options
from api.cli.client import Client, ServiceError, checked_id, client_of

_BATCH = 20  # files a request
_BATCH_BYTES = 64 * 1024 * 1024  # of them together, unless one alone is larger
_HINTS = {  # what the command line has for it
    "encrypted": " Ingest it again with --password.",
    "wrong_password": " Ingest it again with another --password.",
    "duplicate": " (--on-duplicate skip or replace)",
}
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


def batches(files: list[Path]) -> Iterator[list[Path]]:
    """The files in order, at most `_BATCH` and about `_BATCH_BYTES` at a time: a request has its limit as well."""
    batch: list[Path] = []
    n_bytes = 0
    for path in files:
        size = path.stat().st_size if path.is_file() else 0
        if batch and (len(batch) == _BATCH or n_bytes + size > _BATCH_BYTES):
            yield batch
            batch, n_bytes = [], 0
        batch.append(path)
        n_bytes += size
    if batch:
        yield batch


def _printable(path: str) -> str:
    """A path for people, JSON and HTTP: bytes that are no UTF-8 become question marks."""
    return path.encode("utf-8", "replace").decode()


def _refused(path: Path, code: str, message: str) -> dict[str, Any]:
    error = {"code": code, "message": message, "page": None}
    nothing = {"document_id": None, "job_id": None, "duplicate_of": None}
    return {**nothing, "name": _printable(path.name), "status": "failed", "error": error}


def _send(client: Client, files: list[Path], form: dict[str, str]) -> list[dict[str, Any]]:
    """A row a file; one that cannot be opened, or is too large for a request, harms no other."""
    refused: dict[int, dict[str, Any]] = {}
    parts: list[Any] = []
    with ExitStack() as stack:
        for number, path in enumerate(files):
            if not path.is_file():  # a pipe would be waited for without end
                refused[number] = _refused(path, "unreadable", "it is no regular file; name a file or a folder")
                continue
            try:
                parts.append(("file", (_printable(path.name), stack.enter_context(path.open("rb")))))
            except OSError as error:
                refused[number] = _refused(path, "unreadable", f"it cannot be opened: {error.strerror}")
        try:
            answered = client.call("POST", "/v1/documents", data=form, files=parts)["data"] if parts else []
        except ServiceError as error:
            if "errors" in error.body and "document_id" in error.body["errors"][0]:
                answered = error.body["errors"]
            elif error.body.get("code") != "too_large":
                raise
            elif len(files) > 1:
                return [row for path in files for row in _send(client, [path], form)]
            else:
                answered = [_refused(files[0], "too_large", str(error))]
    rows = iter(answered)
    return [refused[number] if number in refused else next(rows) for number in range(len(files))]


def add_files(
    client: Client, files: list[Path], *, collection: str, on_duplicate: str = "skip", password: str | None = None
) -> list[dict[str, Any]]:
    """Upload, wait with a progress bar on stderr, and return one row a file in order."""
    from tqdm import tqdm

    form = {"collection": collection, "on_duplicate": on_duplicate, **({"password": password} if password else {})}
    rows: list[dict[str, Any]] = []
    with tqdm(total=len(files), unit="file", desc="uploading", disable=None) as bar:
        for batch in batches(files):
            for path, row in zip(batch, _send(client, batch, form), strict=True):
                rows.append({**row, "path": _printable(str(path))})
            bar.update(len(batch))
    waiting: dict[str, list[dict[str, Any]]] = {}  # several rows of a document: the same bytes under several names
    for row in rows:
        if row["document_id"] and not row["error"]:
            waiting.setdefault(row["document_id"], []).append(row)
    with tqdm(total=len(waiting), unit="document", desc="ingesting", disable=None) as bar:
        while waiting:
            for document_id in list(waiting)[:50]:
                document = client.call("GET", f"/v1/documents/{document_id}")
                if document["status"] in _ENDED:
                    for row in waiting.pop(document_id):
                        row.update({k: document[k] for k in ("status", "error", "n_pages", "n_passages", "receipt")})
                    bar.update(1)
                else:
                    bar.set_postfix_str(f"{document['name'][:40]}: {document['status']} {document['progress']:.0%}")
                    break  # the queue is worked in order: those behind it are not done either
            if waiting:
                time.sleep(0.1)
    return rows


def summary_line(row: dict[str, Any]) -> str:
    """What became of one file, for people."""
    name = "".join(c if c.isprintable() else "?" for c in row["path"])  # one line, and nothing for the terminal to obey
    if row.get("error"):
        hint = _HINTS.get(row["error"]["code"], "")
        return f"{name}: failed: {row['error']['message']}{hint}"
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
@click.option(
    "--password",
    envvar="CITEBOUND_PDF_PASSWORD",
    show_envvar=True,
    help="Opens the encrypted PDFs among them; it is not kept.",
)
@options.as_json
@options.data_dir
def ingest(
    paths: tuple[Path, ...],
    collection: str,
    on_duplicate: str,
    password: str | None,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Add files, and the files inside folders, to a collection."""
    files = files_in(paths)
    if not files:
        raise click.UsageError("there is no file in the folders given")
    with client_of(data_dir) as client:
        rows = add_files(client, files, collection=collection, on_duplicate=on_duplicate, password=password)
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
    """Delete documents; prints what was removed and what remains (0). An id that is refused keeps no other (exit 1)."""
    rows: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    with client_of(data_dir) as client:
        for document_id in ids:
            try:
                path = quote(checked_id(document_id, "citebound list"), safe="")
                rows.append(client.call("DELETE", f"/v1/documents/{path}"))
            except ServiceError as error:
                errors.append({"document_id": document_id, "code": error.body.get("code"), "detail": str(error)})
    if as_json:
        click.echo(json.dumps({"data": rows, "errors": errors}))
    for row in rows if not as_json else ():
        gone = row["deleted"]
        click.echo(
            f"{row['document_id']}: deleted {gone['passages']} passages, {gone['vectors']} vectors, "
            f"{gone['files']} files; {row['remaining']} remain"
        )
    for refused in errors:
        click.echo(f"citebound: {refused['document_id']}: {refused['detail']}", err=True)
    if errors:
        click.get_current_context().exit(1)
