"""The report as one HTML file that needs nothing else: no request, no clock, no order of its own.

The figures are drawn here, as SVG; the cases travel as JSON and are built by the page's script, which only ever makes
text nodes of them. A Content-Security-Policy names script and style by their SHA-256 and lets nothing else in.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from rag.evaluation.report import case_data, charts, plots, rows, tables, why, words

_SCRIPTS = ("text.js", "card.js", "cases.js", "cost.js")


def render_report(report: Mapping[str, Any], results: Iterable[Mapping[str, Any]] = ()) -> str:
    """The page for a report.

    Args:
        report: what `report.json` holds (see `rag.evaluation.report_types.Report`).
        results: lines of `results.jsonl`; they add what was retrieved and what the citations came to.

    Returns:
        HTML; the same arguments give the same text. Half a surrogate pair, which no file can hold, becomes "?".
    """
    style, script = _read("style.css"), "\n".join(_read(name) for name in _SCRIPTS)
    page = _environment().from_string(_read("page.html"))
    text = page.render(
        report=report,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
        data=case_data.embedded(case_data.script_data(report, results)),
        outcome_rows=rows.outcome_rows(report),
        headline_strip=rows.headline_strip(report["headline"]),
        forests=[(comparison, rows.forest(comparison)) for comparison in report["comparisons"]],
        tables=rows.transition_tables(report),
        figure_rows=tables.figure_rows(report),
        obedience_rows=why.obedience_rows(report),
        cause_rows=why.cause_rows(report),
        slice_rows=tables.slice_rows(report),
        rates=charts.rates_chart(report),
        risk=charts.risk_chart(report),
        reliability=charts.reliability_chart(report["judge"]),
        waterfalls=why.waterfalls(report),
        cost=charts.cost_chart(report),
        settings=tables.setting_rows(report),
        filters=tables.filter_options(report),
    )
    return text.encode("utf-8", "replace").decode()


def _environment() -> Environment:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(words=words, swatch=plots.swatch, embedded=case_data.embedded)
    return environment


def _read(name: str) -> str:
    return (files("rag.evaluation.report") / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Nothing may be fetched; one style and one script may apply. An empty icon keeps browsers from asking for one."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
