"""`citebound search` and `ask`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from api.cli import options
from api.cli.client import Client, ServiceError, WaitNotice, client_of
from api.cli.token_table import token_table

F = TypeVar("F", bound=Callable[..., Any])


def place(item: dict[str, Any]) -> str:
    """Name and page of a hit or citation."""
    page = item.get("page")
    if not page:
        return str(item["document_name"])
    span = f"{page['start']}" if page["start"] == page["end"] else f"{page['start']}–{page['end']}"
    return f"{item['document_name']}, page {span}"


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
        client.wait_until_ready(WaitNotice())
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


def _inspect(client: Client, answer: dict[str, Any], sampling: dict[str, Any]) -> Any:
    """What stood behind the tokens of an answer, and what `sampling` makes of it; None, said on stderr, without."""
    if answer["model"] is None:
        click.echo("nothing was found, so the decoder was not asked", err=True)
        return None
    reshaped = {name: value for name, value in sampling.items() if name in ("temperature", "top_k", "top_p")}
    wanted = {"answer_id": answer["answer_id"], "alternatives": 3, **reshaped}
    try:
        return client.call("POST", "/v1/inspect", json=wanted)
    except ServiceError as error:  # the answer is there, and is worth more than a look inside
        click.echo(f"not inspected: {error}", err=True)
        return None


def _sampling_flags(function: F) -> F:
    """How the next token is drawn."""
    for decorate in (
        click.option("--seed", type=options.Whole(0, 2**63 - 1), help="Makes a drawn answer repeatable."),
        click.option("--top-p", type=float, help="Draw from the most probable tokens that make up this share."),
        click.option("--top-k", type=options.Whole(0, 1_000_000), help="Draw from so many most probable tokens."),
        click.option("--temperature", type=float, help="0 takes the most probable token; more draws more freely."),
    ):
        function = decorate(function)
    return function


@click.command(epilog='\b\nExample:\n  citebound ask "How many days of leave do I have?" --collection hr')
@click.argument("question")
@options.k
@options.collection
@click.option("--closed-book", is_flag=True, help="Answer without the documents.")
@click.option("--strict", is_flag=True, help="Remove every sentence that the documents do not support.")
@click.option("--inspect", is_flag=True, help="Show each token, its probability, and what sampling makes of it.")
@_sampling_flags
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
    **sampling: float | None,
) -> None:
    """Ask; the draft streams to stderr, the checked answer and its sources go to stdout."""
    mode = "closed_book" if closed_book else "grounded"
    policy = "strict" if strict else "flag"
    given = {name: value for name, value in sampling.items() if value is not None}
    body = {"question": question, "collection": collection, "mode": mode, "policy": policy, **_depth(k)}
    body |= {"sampling": given} if given else {}
    with client_of(data_dir, decoder=True, judge=True) as client:
        client.wait_until_ready(WaitNotice())
        answer = client.call("POST", "/v1/ask", json=body) if as_json else stream_to_terminal(client, body)
        looked = _inspect(client, answer, given) if inspect else None
    if as_json:
        click.echo(json.dumps({**answer, "inspect": looked} if inspect else answer, ensure_ascii=False))
        return
    click.echo(answer["text"])
    print_sources(answer)
    if looked is not None:
        click.echo()
        for line in token_table(looked, bars=sys.stdout.isatty()):
            click.echo(line)
