"""`citebound search` and `ask`."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from api.cli import options
from api.cli.client import Client, ServiceError, client_of
from api.cli.token_table import token_table


def place(item: dict[str, Any]) -> str:
    """Name and page of a hit or citation."""
    page = item.get("page")
    if not page:
        return str(item["document_name"])
    span = f"{page['start']}" if page["start"] == page["end"] else f"{page['start']}–{page['end']}"
    return f"{item['document_name']}, page {span}"


def _tell(reason: str) -> None:
    click.echo(f"\r{reason[:100]:<100}\r", nl=False, err=True)


def _depth(k: int | None) -> dict[str, int]:
    return {} if k is None else {"k": k}


@click.command(epilog='\b\nExample:\n  citebound search "parental leave" -k 3')
@click.argument("query")
@options.k
@options.collection
@options.as_json
@options.data_dir
def search(query: str, k: int | None, collection: str, as_json: bool, data_dir: Path | None) -> None:
    """Find passages, best first; no answer is written."""
    with client_of(data_dir) as client:
        client.wait_until_ready(_tell)
        found = client.call("POST", "/v1/search", json={"query": query, "collection": collection, **_depth(k)})
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for hit in found["hits"]:
        click.echo(f"{hit['rank']}. {place(hit)}  ({hit['score']:.4f})")
        click.echo("   " + " ".join(hit["text"].split())[:300])
    if not found["hits"]:
        click.echo("nothing found", err=True)


def print_sources(answer: dict[str, Any]) -> None:
    """The citations of an answer with place and quote, and the sentences that were not found supported."""
    for citation in answer["citations"]:
        click.echo(f"[{citation['marker']}] {place(citation)}: “{citation['quote']}”")
    for claim in answer["claims"]:
        if claim["verdict"] != "supported":
            known = "" if claim["elsewhere"] is None else f" (passage {claim['elsewhere']} says so)"
            click.echo(f"{claim['verdict']}: “{claim['text']}”{known}")
    for removed in answer["removed"]:
        click.echo(f"removed, {removed['reason']}: “{removed['text']}”")


def stream_to_terminal(client: Client, body: dict[str, Any]) -> dict[str, Any]:
    """Show the draft on stderr while it is written; returns the final answer."""
    answer: dict[str, Any] | None = None
    for name, data in client.events("/v1/ask", {**body, "stream": True}):
        if name == "token":
            click.echo(data["text"], nl=False, err=True)
        elif name == "answer":
            answer = data
        elif name == "error":
            raise ServiceError(str(data.get("detail")), data)
    if answer is None:
        raise ServiceError("the service ended the answer before it was whole; ask again", {})
    click.echo(err=True)
    return answer


def _inspect(client: Client, answer: dict[str, Any]) -> Any:
    """What stood behind the tokens of an answer; None where the decoder was not asked."""
    if answer["model"] is None:
        return None
    return client.call("POST", "/v1/inspect", json={"answer_id": answer["answer_id"], "alternatives": 3})


@click.command(epilog='\b\nExample:\n  citebound ask "How many days of leave do I have?" --collection hr')
@click.argument("question")
@options.k
@options.collection
@click.option("--closed-book", is_flag=True, help="Answer without the documents.")
@click.option("--strict", is_flag=True, help="Remove every sentence that the documents do not support.")
@click.option("--inspect", is_flag=True, help="Show each token that was written and its probability.")
@options.as_json
@options.data_dir
def ask(
    question: str,
    k: int | None,
    collection: str,
    closed_book: bool,
    strict: bool,
    inspect: bool,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Ask; the draft streams to stderr, the checked answer and its sources go to stdout."""
    mode = "closed_book" if closed_book else "grounded"
    policy = "strict" if strict else "flag"
    body = {"question": question, "collection": collection, "mode": mode, "policy": policy, **_depth(k)}
    with client_of(data_dir, decoder=True, judge=True) as client:
        client.wait_until_ready(_tell)
        answer = client.call("POST", "/v1/ask", json=body) if as_json else stream_to_terminal(client, body)
        looked = _inspect(client, answer) if inspect else None
    if as_json:
        click.echo(json.dumps({**answer, "inspect": looked} if inspect else answer, ensure_ascii=False))
        return
    click.echo(answer["text"])
    print_sources(answer)
    if looked is not None:
        click.echo()
        for line in token_table(looked, bars=sys.stdout.isatty()):
            click.echo(line)
    elif inspect:
        click.echo("nothing was found, so the decoder was not asked", err=True)
