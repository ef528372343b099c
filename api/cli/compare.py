"""`citebound compare`."""

import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from api.cli import options
from api.cli.client import Client, ServiceError, WaitNotice, client_of
from api.cli.report import finish
from rag.errors import CiteboundError, ConflictError, InvalidInputError

_STATE = "comparison.json"  # in the folder of a run: which comparison of the service it is
_ENDED = ("ready", "failed", "cancelled")
_FIRST_POLL_SECONDS, _LAST_POLL_SECONDS = 0.05, 1.0


@click.command(
    epilog="\b\nExample:\n  citebound compare --cases cases.jsonl --collection hr --system closed_book"
    " --system grounded --system 'narrow:k=2' --out run/\n"
    "  citebound compare --cases cases.jsonl --system ours=ours.jsonl --system theirs=theirs.jsonl --out run/\n"
    "  citebound compare --draft 20 --collection hr > cases.jsonl"
)
@click.option("--cases", "cases_path", type=click.Path(path_type=Path, dir_okay=False), help="JSONL or CSV of cases.")
@click.option("--collection", help="The documents to ask and to judge by (default: default).")
@click.option(
    "--system",
    "systems",
    multiple=True,
    metavar="NAME[:key=value,…]",
    help="A way of answering, or NAME=answers.jsonl for answers made elsewhere. The first is the baseline.",
)
@click.option("--name", default=None, help="What the report is called (default: the name of the case file).")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Of every draw.")
@click.option("--judge/--no-judge", "judged", default=None, help="Whether claims are checked against the documents.")
@click.option("--trace/--no-trace", default=True, show_default=True, help="Rerun wrong answers to find their cause.")
@click.option(
    "--obedience", type=click.IntRange(0, 1000), default=0, show_default=True, help="Cases to swap answers in."
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="The folder for run and report.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out that was interrupted.")
@click.option("--fail-if", "gates", multiple=True, metavar="EXPR", help="Exit 3 where it holds; see the manual.")
@click.option("--draft", type=click.IntRange(1, 1000), help="Draft so many cases from the collection, to edit.")
@options.as_json
@options.data_dir
def compare(
    cases_path: Path | None,
    collection: str | None,
    systems: tuple[str, ...],
    name: str | None,
    seed: int,
    judged: bool | None,
    trace: bool,
    obedience: int,
    out: Path | None,
    resume: bool,
    gates: tuple[str, ...],
    draft: int | None,
    as_json: bool,
    data_dir: Path | None,
) -> int:
    """Ask the same questions under several systems, check every claim, and write one report."""
    if draft is not None:
        return _draft(draft, cases_path, collection or "default", seed, systems, data_dir)
    if cases_path is None or not systems:
        raise click.UsageError("--cases FILE and at least one --system are needed, or --draft N")
    if resume and out is None:
        raise click.UsageError("--resume needs the --out of the run that was interrupted")
    body: dict[str, Any] = {"name": name or cases_path.stem, "seed": seed, "trace": trace, "obedience": obedience}
    body.update(_cases_and_systems(cases_path, systems))
    if collection is not None:
        body["collection"] = collection
    if judged is not None:
        body["judged"] = judged
    checked = _read_gates(gates, [system["name"] for system in body["systems"]])
    answers_here = any("answers" not in system for system in body["systems"])
    needs_judge = (answers_here or collection is not None) if judged is None else judged
    with _folder(out) as folder:
        _refuse_foreign(folder, body, resume=resume)
        with client_of(data_dir, decoder=answers_here, judge=needs_judge) as client:
            comparison = _run(client, folder, body, resume=resume)
            _fetch(client, comparison, folder)
        return finish(folder, checked, as_json=as_json, kept=out is not None)


def _draft(
    n: int, path: Path | None, collection: str, seed: int, systems: tuple[str, ...], data_dir: Path | None
) -> int:
    """Drafted cases as JSON lines, to stdout or to a file that must not exist."""
    if systems:
        raise click.UsageError("drafted cases are for a person to edit first; leave --system out")
    with client_of(data_dir, decoder=True) as client:
        client.wait_until_ready(WaitNotice())
        body = {"collection": collection, "n": n, "seed": seed}
        cases = client.call("POST", "/v1/comparisons/draft", json=body)["cases"]
    lines = "".join(json.dumps(case, ensure_ascii=False) + "\n" for case in cases)
    if path is None:
        click.echo(lines, nl=False)
    else:
        with path.open("x", encoding="utf-8") as file:
            file.write(lines)
    click.echo(f"{len(cases)} cases drafted; edit them, then compare with --cases", err=True)
    return 0


def _cases_and_systems(path: Path, systems: tuple[str, ...]) -> dict[str, Any]:
    from api.schemas.comparisons import case_to_json
    from rag.evaluation.cases import read_answers, read_cases
    from rag.evaluation.systems import read_system

    cases = read_cases(path)
    described: list[dict[str, Any]] = []
    for text in systems:
        named = read_system(text)
        if any(named.name == other["name"] for other in described):
            raise InvalidInputError(f"--system {named.name} is there twice; give each its own name")
        if named.answers_path is None:
            described.append({"name": named.name, **named.settings})
            continue
        answers = [
            {
                "id": answer.case_id,
                "text": answer.text,
                "label": answer.label,
                "claims": None
                if answer.claims is None
                else [{"text": claim.text, "label": claim.label} for claim in answer.claims],
                "confidence": answer.confidence,
            }
            for answer in read_answers(named.answers_path, cases)
        ]
        described.append({"name": named.name, "answers": answers})
    return {"cases": [case_to_json(case) for case in cases], "systems": described}


def _read_gates(texts: tuple[str, ...], system_names: list[str]) -> list[Any]:
    from rag.evaluation.gate import check_gate, read_gate

    gates = [read_gate(text) for text in texts]
    for gate in gates:
        check_gate(gate, system_names)
    return gates


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """The folder of the run; one for the moment where none was named."""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="citebound-") as folder:
        yield Path(folder)


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _state(folder: Path) -> dict[str, Any] | None:
    try:
        state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        state = None
    if not isinstance(state, dict) or not isinstance(state.get("comparison_id"), str):
        raise InvalidInputError(f"{folder / _STATE} is damaged; name another --out")
    return state


def _refuse_foreign(folder: Path, body: dict[str, Any], *, resume: bool) -> None:
    state = _state(folder)
    if state is None:
        return
    if not resume:
        raise ConflictError(f"{folder} holds a run already; add --resume to go on with it, or name another --out")
    if state.get("request_sha256") != _digest(body):
        raise ConflictError(f"the run in {folder} has other cases, systems or settings; name another --out")


def _run(client: Client, folder: Path, body: dict[str, Any], *, resume: bool) -> dict[str, Any]:
    """Start the comparison, or go on with it, and wait for its end."""
    comparison_id = _resumed(client, folder) if resume else None
    if comparison_id is None:
        comparison_id = client.call("POST", "/v1/comparisons", json=body)["comparison_id"]
        from rag.evaluation.run_folder import write_texts

        state = {"comparison_id": comparison_id, "request_sha256": _digest(body)}
        write_texts(folder, {_STATE: json.dumps(state) + "\n"})
    return _wait(client, comparison_id)


def _resumed(client: Client, folder: Path) -> str | None:
    """The comparison of an earlier call, queued again if it has stopped; None where the service has none."""
    state = _state(folder)
    if state is None:
        return None
    comparison_id = str(state["comparison_id"])
    try:
        if client.call("GET", _path(comparison_id))["status"] != "ready":
            client.call("POST", _path(comparison_id, "/resume"))
    except ServiceError as error:
        if error.body.get("code") != "not_found":
            raise
        return None
    return comparison_id


def _wait(client: Client, comparison_id: str) -> dict[str, Any]:
    from tqdm import tqdm

    pause = _FIRST_POLL_SECONDS
    with tqdm(total=1, unit="answer", desc="comparing", disable=None) as bar:
        while True:
            comparison: dict[str, Any] = client.call("GET", _path(comparison_id))
            bar.total = comparison["n_expected"]
            bar.update(comparison["n_results"] - bar.n)
            if comparison["seconds_left"] is not None:
                bar.set_postfix_str(f"about {comparison['seconds_left']:.0f} s left")
            if comparison["status"] in _ENDED:
                return comparison
            time.sleep(pause)
            pause = min(2 * pause, _LAST_POLL_SECONDS)


def _fetch(client: Client, comparison: dict[str, Any], folder: Path) -> None:
    """The run as files; what there is of it where it did not come to its end.

    Raises:
        CiteboundError: it failed or was cancelled.
    """
    from rag.evaluation import run_folder

    comparison_id = comparison["comparison_id"]
    if comparison["manifest"] is not None:
        names = {
            run_folder.CASES: "/cases.jsonl",
            run_folder.PROBES: "/probes.jsonl",
            run_folder.RESULTS: "/results.jsonl",
        }
        texts = {name: client.text(_path(comparison_id, path)) for name, path in names.items()}
        manifest = json.dumps(comparison["manifest"], ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        run_folder.write_texts(folder, {**texts, run_folder.MANIFEST: manifest})
    if comparison["status"] != "ready":
        reason = (comparison["error"] or {}).get("message") or f"it was {comparison['status']}"
        raise CiteboundError(f"the comparison did not come to its end: {reason}; go on with --resume")


def _path(comparison_id: str, rest: str = "") -> str:
    return f"/v1/comparisons/{quote(comparison_id, safe='')}{rest}"
