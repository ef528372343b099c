"""`citebound verify`."""

import json
from pathlib import Path
from typing import Any, TextIO

import click

from api.cli import options
from api.cli.client import client_of


def _read(file: TextIO) -> str:
    try:
        return file.read()
    except ValueError as error:
        raise click.BadParameter(f"{file.name} is not UTF-8 text; citebound ingest reads other formats") from error


@click.command(
    epilog="\b\nExample:\n  citebound verify --answer answer.txt --evidence handbook.txt memo.txt\n"
    "  citebound verify --answer answer.txt --collection hr"
)
@click.option("--answer", type=click.File(encoding="utf-8"), required=True, help="The text to check; - reads stdin.")
@click.option(
    "--evidence", type=click.File(encoding="utf-8"), multiple=True, help="A text to check against; more may follow."
)
@click.argument("more_evidence", metavar="[FILE]...", type=click.File(encoding="utf-8"), nargs=-1)
@click.option("--question", help="What the text answers: a short answer says something only together with it.")
@click.option("--collection", help="Check against the documents of a collection, in place of evidence.")
@options.as_json
@options.data_dir
def verify(
    answer: TextIO,
    evidence: tuple[TextIO, ...],
    more_evidence: tuple[TextIO, ...],
    question: str | None,
    collection: str | None,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Check every claim of a text against evidence: supported, contradicted or unsupported."""
    if bool(evidence) == (collection is not None) or (more_evidence and not evidence):
        raise click.UsageError("give either --evidence FILE… or --collection NAME")
    body: dict[str, Any] = {"text": _read(answer), "question": question}
    if collection is not None:
        body["collection"] = collection
    else:
        rows = [{"id": f"{n}", "text": _read(file)} for n, file in enumerate((*evidence, *more_evidence))]
        body["evidence"] = rows
    with client_of(data_dir, judge=True) as client:
        client.wait_until_ready(lambda reason: click.echo(f"\r{reason[:100]:<100}\r", nl=False, err=True))
        found = client.call("POST", "/v1/verify", json=body)
    names = [file.name for file in (*evidence, *more_evidence)]
    for claim in found["claims"]:
        if collection is None and claim["evidence"] is not None:
            claim["evidence"]["id"] = names[int(claim["evidence"]["id"])]
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    _show(found)


def _show(found: dict[str, Any]) -> None:
    """A line a claim, and the share that is supported."""
    for claim in found["claims"]:
        place = claim["evidence"]
        where = f"  ({place['id']})" if place is not None else ""
        click.echo(f"{claim['verdict']:<12} {claim['score']:.2f}  {' '.join(claim['text'].split())}{where}")
        for reason in claim["reasons"]:
            click.echo(f"{'':<18}{reason}")
    verifier = f"verifier {found['verifier']['name']} {found['verifier']['version']}"
    if found["faithfulness"] is None:
        click.echo(f"nothing is claimed ({verifier})", err=True)
    else:
        n_supported = sum(claim["verdict"] == "supported" for claim in found["claims"])
        click.echo(f"{n_supported} of {len(found['claims'])} claims are supported ({verifier})")
