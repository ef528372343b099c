"""Reports of stored comparisons, made when they are asked for and kept in the cache folder until something changes."""

import html
import json
import re
from typing import Any

from api.parts import Parts
from rag.catalog.comparisons import StoredComparison
from rag.errors import ConflictError
from rag.evaluation.cause import Probe
from rag.evaluation.plan import read_plan
from rag.evaluation.published import page_of, report_of
from rag.evaluation.records import read_manifest, read_result
from rag.evaluation.report_json import report_text
from rag.evaluation.run_folder import read_probe
from rag.evaluation.types import RunRecord

_POLICY = re.compile(r'http-equiv="Content-Security-Policy"\s+content="([^"]+)"')
_HEAD_CHARS = 10_000  # in which the page's own policy stands
_SYSTEM_FIELDS = ("name", "mode", "settings", "figures", "outcomes", "claims", "causes")
_COMPARISON_FIELDS = ("baseline", "system", "named", "mcnemar", "differences", "sentence")


def record_of(parts: Parts, comparison_id: str) -> tuple[RunRecord, tuple[Probe, ...]]:
    """The run as far as it has come, and its probes.

    Raises:
        NotFoundError: no such comparison.
        ConflictError: it has not begun.
    """
    comparisons = parts.catalog.comparisons
    stored = comparisons.get(comparison_id)
    if stored.manifest is None:
        raise ConflictError(f"the comparison is {stored.status} and has no results yet; ask again later")
    record = RunRecord(
        manifest=read_manifest(json.dumps(stored.manifest)),
        cases=read_plan(comparisons.request(comparison_id)).cases,
        results=tuple(read_result(json.dumps(line)) for line in comparisons.results(comparison_id)),
    )
    return record, tuple(read_probe(json.dumps(line)) for line in comparisons.results(comparison_id, "probe"))


def build_summary(parts: Parts, comparison_id: str) -> dict[str, Any]:
    """The figures that are stored with a comparison: the report without anything about single cases."""
    report = report_of(*record_of(parts, comparison_id))
    return {
        "headline": report["headline"],
        "cases": report["cases"],
        "systems": [{name: system[name] for name in _SYSTEM_FIELDS} for system in report["systems"]],
        "comparisons": [{name: one[name] for name in _COMPARISON_FIELDS} for one in report["comparisons"]],
        "judge": report["judge"],
        "waterfalls": report["waterfalls"],
        "obedience": report["obedience"],
        "warnings": report["warnings"],
    }


def report_json(parts: Parts, comparison_id: str) -> str:
    """`report.json` of a comparison as it stands.

    Raises:
        NotFoundError: no such comparison.
        ConflictError: it has not begun.
    """
    return _cached(parts, comparison_id, "json")


def report_html(parts: Parts, comparison_id: str) -> tuple[str, str]:
    """`report.html` of a comparison as it stands, and the Content-Security-Policy to send with it.

    That is the page's own, which allows its script and style by hash, in a sandbox without an origin.

    Raises:
        NotFoundError: no such comparison.
        ConflictError: it has not begun.
    """
    page = _cached(parts, comparison_id, "html")
    own = _POLICY.search(page[:_HEAD_CHARS])
    policy = html.unescape(own[1]) if own else "default-src 'none'; base-uri 'none'; form-action 'none'"
    return page, f"{policy}; frame-ancestors 'self'; sandbox allow-scripts"


def _cached(parts: Parts, comparison_id: str, kind: str) -> str:
    stored = parts.catalog.comparisons.get(comparison_id)
    name = f"{_stamp(stored)}.{kind}"
    known = parts.reports.get(name)
    if known is not None:
        return known
    record, probes = record_of(parts, comparison_id)
    report = report_of(record, probes)
    text = report_text(report) if kind == "json" else page_of(report, record)
    if stored.status == "ready":
        parts.reports.keep(name, text)
        if _stamp(parts.catalog.comparisons.get(comparison_id)) != _stamp(stored):
            parts.reports.forget(name)  # a document was deleted while this was made
    return text


def _stamp(stored: StoredComparison) -> str:
    """Changes with everything that the report is made of."""
    return f"{stored.comparison_id}.{stored.updated_at.strftime('%Y%m%dT%H%M%S%f')}"
