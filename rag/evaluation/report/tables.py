"""Rows that are read: the figures' table, worst slices, settings, and the choices of the filters."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rag.evaluation.figures import FIGURES
from rag.evaluation.report import words
from rag.evaluation.report.case_data import groups

Row = dict[str, Any]
MOST_DOCUMENTS = 500  # in the choice of documents; the others are found by the text filter


def figure_rows(report: Mapping[str, Any]) -> list[Row]:
    """Every figure of any system, in the order they first appear; a system that lacks one has None."""
    names = dict.fromkeys(name for system in report["systems"] for name in system["figures"])
    return [
        {
            "name": words.figure_name(name),
            "key": name,
            "meaning": FIGURES[name].says if name in FIGURES else None,
            "cells": [system["figures"].get(name) for system in report["systems"]],
        }
        for name in names
    ]


def slice_rows(report: Mapping[str, Any]) -> list[Row]:
    """The groups where a system does worst."""
    numbers = groups(report)
    return [
        {
            **item,
            "group": numbers[(item["property"], item["value"])],
            "property_name": words.name_of(item["property"]),
            "figure_name": words.figure_name(item["figure"]),
        }
        for item in report["slices"]
    ]


def filter_options(report: Mapping[str, Any]) -> Row:
    """What can be chosen in the filters, with how many cases each choice has."""
    documents = Counter(case["document"] for case in report["case_rows"] if case["document"] is not None)
    named = sorted(documents.items(), key=lambda pair: (pair[0].casefold(), pair[0]))
    return {
        "documents": named if len(named) <= MOST_DOCUMENTS else [],
        "n_documents": len(named),
        "causes": sorted({answer["cause"] for case in report["case_rows"] for answer in case["answers"]} - {None}),
        "transitions": [_changes(comparison, report["case_rows"]) for comparison in report["comparisons"]],
    }


def _changes(comparison: Mapping[str, Any], case_rows: list[Mapping[str, Any]]) -> Row:
    found = Counter(case["transitions"].get(comparison["system"]) for case in case_rows)
    return {
        "system": comparison["system"],
        "baseline": comparison["baseline"],
        "named": [
            (name, words.name_of(name), n) for name, n in sorted((k, n) for k, n in found.items() if k is not None)
        ],
    }


def setting_rows(report: Mapping[str, Any]) -> list[Row]:
    """What the run was made with: for the run and for each system, names and values as text."""
    manifest = report["manifest"]
    run = {key: value for key, value in manifest.items() if key not in ("systems", "models")}
    blocks = [{"title": "The run", "rows": _flat(run)}]
    for system in report["systems"]:
        models = (manifest.get("models") or {}).get(system["name"])
        blocks.append(
            {
                "title": system["name"],
                "rows": _flat({"mode": system["mode"], **system["settings"], "model made by": models}),
            }
        )
    return blocks


def _flat(value: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested settings as one list of names and values, in their own order."""
    rows: list[tuple[str, str]] = []
    for key, item in value.items():
        name = f"{before}{key}".replace("_", " ")
        if isinstance(item, Mapping):
            rows.extend(_flat(item, f"{name} › "))
        else:
            rows.append(
                (name, ", ".join(map(words.text_of, item)) if isinstance(item, list | tuple) else words.text_of(item))
            )
    return rows
