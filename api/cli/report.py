"""`citebound report`, and how every comparison ends: the report, the figures, the gates."""

import json
from pathlib import Path
from typing import Any

import click

from api.cli import options

GATE_FAILED = 3
_SHOWN = ("accuracy", "hallucination_rate", "answer_rate", "wrong_given_answered", "faithfulness")


@click.command(epilog="\b\nExample:\n  citebound report run/")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@options.as_json
def report(folder: Path, as_json: bool) -> int:
    """Write report.html, report.json and results.csv again from the run in DIR; the same run gives the same bytes."""
    return finish(folder, [], as_json=as_json, kept=True)


def finish(folder: Path, gates: list[Any], *, as_json: bool, kept: bool) -> int:
    """Write the report, print the figures, and look at the gates."""
    from rag.evaluation.gate import why_it_fails
    from rag.evaluation.published import write_report
    from rag.evaluation.run_folder import read_folder

    made = write_report(folder)
    record, _ = read_folder(folder)
    failures = [why for gate in gates if (why := why_it_fails(gate, record, lambda path: read_folder(path)[0]))]
    if as_json:
        shown = {name: made[name] for name in ("headline", "systems", "comparisons", "judge", "warnings")}
        click.echo(json.dumps({"out": str(folder) if kept else None, **shown, "failed": failures}, ensure_ascii=False))
    else:
        _show(made)
        if kept:
            click.echo(f"report: {folder / 'report.html'}", err=True)
    for why in failures:
        click.echo(f"citebound: the gate fails: {why}", err=True)
    return GATE_FAILED if failures else 0


def _show(made: dict[str, Any]) -> None:
    """The headline, and a line a system."""
    click.echo(made["headline"]["sentence"])
    for system in made["systems"]:
        outcomes = ", ".join(f"{name} {count}" for name, count in system["outcomes"].items() if count)
        figures = ", ".join(
            f"{name} {system['figures'][name]['value']:.3f}"
            for name in _SHOWN
            if name in system["figures"] and system["figures"][name]["value"] is not None
        )
        click.echo(f"{system['name']}: {outcomes or 'no outcome is defined'}{'; ' if figures else ''}{figures}")
    for comparison in made["comparisons"]:
        click.echo(comparison["sentence"])
    for warning in made["warnings"]:
        click.echo(f"note: {warning}", err=True)
