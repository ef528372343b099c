"""The report of a stored run: `report.json`, `report.html` and `results.csv`, each written whole or not at all."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rag.evaluation.cause import Probe, waterfall_json, waterfalls
from rag.evaluation.obedience import count_obedience
from rag.evaluation.records import result_line
from rag.evaluation.report_html import render_report
from rag.evaluation.report_json import build_report, report_csv, report_text
from rag.evaluation.run_folder import read_folder, write_texts
from rag.evaluation.types import RunRecord

REPORT_JSON, REPORT_HTML, RESULTS_CSV = "report.json", "report.html", "results.csv"


def report_of(record: RunRecord, probes: Iterable[Probe] = ()) -> dict[str, Any]:
    """`report.json` with what reruns told: `waterfalls` one a grounded system, `obedience` counts by system."""
    probes = tuple(probes)
    names = dict.fromkeys(probe.system for probe in probes if probe.swapped is not None)
    return {
        **build_report(record),
        "waterfalls": [waterfall_json(fall) for fall in waterfalls(record, probes)],
        "obedience": {name: count_obedience(probe for probe in probes if probe.system == name) for name in names},
    }


def page_of(report: dict[str, Any], record: RunRecord) -> str:
    """`report.html`."""
    return render_report(report, [json.loads(result_line(result)) for result in record.results])


def write_report(folder: Path) -> dict[str, Any]:
    """Write the report of the run in `folder` beside it; returns what `report.json` holds.

    The same run gives the same bytes.

    Raises:
        InvalidInputError: the folder holds no run.
        StorageError: the disk is full or failing; files that were there before are still there.
    """
    record, probes = read_folder(folder)
    report = report_of(record, probes)
    texts = {
        REPORT_HTML: page_of(report, record),
        RESULTS_CSV: report_csv(report),
        REPORT_JSON: report_text(report),
    }
    write_texts(folder, texts)
    return report
