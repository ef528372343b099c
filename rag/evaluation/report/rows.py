"""Rows that are drawn: outcomes a system, differences with their intervals, transition tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from rag.evaluation.report import words
from rag.evaluation.report.strips import Part, axis, interval, stacked_bar
from rag.evaluation.report.svg import Scale, ticks

Row = dict[str, Any]
ANSWERABLE = ("correct", "wrong", "abstained")
UNANSWERABLE = ("right_abstention", "false_confidence")
MAIN = (
    "accuracy",
    "hallucination_rate",
    "answer_rate",
    "wrong_given_answered",
    "net_score",
    "over_refusal",
    "false_confidence",
)  # what a reader looks for first; the other figures follow on demand
_DIRECTIONS = {True: "higher is better", False: "lower is better", None: "read beside the others"}
KINDS = {
    "correct": "good",
    "wrong": "bad",
    "abstained": "mute",
    "right_abstention": "good",
    "false_confidence": "bad",
}


def outcome_rows(report: Mapping[str, Any]) -> list[Row]:
    """For each system a bar over the answerable cases, one over the unanswerable ones and one over its claims."""
    n = {"answerable": report["cases"]["n_answerable"], "unanswerable": report["cases"]["n_unanswerable"]}
    rows = []
    for index, system in enumerate(report["systems"]):
        bars = [
            _bar("answerable case", _outcomes(ANSWERABLE, system["outcomes"], n["answerable"])),
            _bar("unanswerable case", _outcomes(UNANSWERABLE, system["outcomes"], n["unanswerable"])),
            _bar("claim", _claims(system["claims"])),
        ]
        rows.append({"index": index, "name": system["name"], "bars": [bar for bar in bars if bar]})
    return rows


def _outcomes(kinds: Sequence[str], outcomes: Mapping[str, int], n: int) -> list[Part]:
    parts = [Part(kind=KINDS[kind], label=words.OUTCOMES[kind], n=outcomes.get(kind, 0)) for kind in kinds]
    return [*parts, Part(kind="none", label="not scored", n=max(n - sum(part.n for part in parts), 0))]


def _claims(claims: Mapping[str, int]) -> list[Part]:
    found = {key: claims.get(key, 0) for key in ("supported", "contradicted", "unsupported", "elsewhere", "absent")}
    placed = found["elsewhere"] + found["absent"]
    return [
        Part(kind="good", label="supported", n=found["supported"]),
        Part(kind="bad", label="contradicted", n=found["contradicted"]),
        Part(kind="unsure", label="unsupported, nowhere in the corpus", n=found["absent"]),
        Part(kind="unsure", label="unsupported by its evidence, elsewhere in the corpus", n=found["elsewhere"]),
        Part(kind="unsure", label="unsupported", n=max(found["unsupported"] - placed, 0)),
        Part(kind="none", label="not judged", n=claims.get("undefined", 0)),
    ]


def _bar(what: str, parts: Sequence[Part]) -> Row | None:
    """A bar with its words; None where there is nothing to count."""
    n = sum(part.n for part in parts)
    if n == 0:
        return None
    said = ", ".join(f"{part.n} {part.label}" for part in parts if part.n)
    counted = words.plural(n, what)
    return {"what": counted, "parts": parts, "svg": stacked_bar(parts, f"{counted}: {said}"), "wide": what == "claim"}


def forest(comparison: Mapping[str, Any]) -> Row | None:
    """Differences of one comparison on one scale, the main figures apart; None where nothing was compared."""
    rows = [row for row in comparison["differences"] if row["difference"] is not None]
    missing = [words.figure_name(row["figure"]) for row in comparison["differences"] if row["difference"] is None]
    if not comparison["differences"]:
        return None
    edges = [edge for row in rows for edge in (row["low"], row["difference"], row["high"]) if edge is not None]
    scale = _scale(edges or [0.0])
    values = ticks(scale.low, scale.high, 5)
    labels = [words.signed(value, words.number(100 * value, 0)) for value in values]
    drawn = [{**row, **_difference(row, scale)} for row in rows]
    main = [row for figure in MAIN for row in drawn if row["figure"] == figure]
    return {
        "main": main or drawn,
        "others": [row for row in drawn if row["figure"] not in MAIN] if main else [],
        "axis": axis(scale, values, labels),
        "missing": missing,
    }


def _difference(row: Mapping[str, Any], scale: Scale) -> Row:
    point = row["difference"]
    low = point if row["low"] is None else row["low"]
    high = point if row["high"] is None else row["high"]
    name = words.figure_name(row["figure"])
    said, edges = words.points(row["figure"], point), words.bounds(row["figure"], row["low"], row["high"])
    drawn = interval(scale, low, point, high, row["word"], f"{name}: {said} {edges}")
    return {"name": name, "said": said, "bounds": edges, "svg": drawn, "reads": _DIRECTIONS[row["higher_is_better"]]}


def _scale(edges: Sequence[float]) -> Scale:
    """Wide enough for every interval and for no difference, with air at both ends."""
    low, high = min(*edges, 0.0, -0.02), max(*edges, 0.0, 0.02)
    air = 0.06 * (high - low)
    return Scale(low=low - air, high=high + air, start=0.02, end=0.98)


def headline_strip(headline: Mapping[str, Any]) -> Markup | None:
    """The headline's difference with its interval, drawn large; None where there is none."""
    edges = [headline[key] for key in ("low", "difference", "high")]
    if any(edge is None for edge in edges):
        return None
    scale = _scale(edges)
    values = ticks(scale.low, scale.high, 5)
    drawn = interval(scale, edges[0], edges[1], edges[2], headline["word"], "The difference and its 95 % interval")
    return drawn + axis(scale, values, [words.signed(value, words.number(100 * value, 0)) for value in values])


def transition_tables(report: Mapping[str, Any]) -> list[Row]:
    """One table a comparison and class of cases: the baseline's outcomes down, the system's across."""
    index_of = {system["name"]: index for index, system in enumerate(report["systems"])}
    tables = []
    for comparison in report["comparisons"]:
        for what, key, kinds in (
            ("answerable", "transitions", ANSWERABLE),
            ("unanswerable", "unanswerable_transitions", UNANSWERABLE),
        ):
            cells = comparison[key]
            total = sum(n for row in cells.values() for n in row.values())
            if total == 0:
                continue
            tables.append(
                {
                    "what": what,
                    "baseline": comparison["baseline"],
                    "system": comparison["system"],
                    "index": index_of[comparison["system"]],
                    "baseline_index": index_of[comparison["baseline"]],
                    "n": total,
                    "kinds": kinds,
                    "rows": [
                        {"from": before, "cells": [_cell(before, after, cells, total) for after in kinds]}
                        for before in kinds
                    ],
                    "mcnemar": comparison["mcnemar"] if what == "answerable" else None,
                }
            )
    return tables


def _cell(before: str, after: str, cells: Mapping[str, Mapping[str, int]], total: int) -> Row:
    n = cells.get(before, {}).get(after, 0)
    return {
        "from": before,
        "to": after,
        "n": n,
        "of": words.share(n / total, 0),
        "name": words.transition_name(before, after),
        "depth": 0 if n == 0 else 1 + min(int(4 * n / total), 3),
        "turn": _turn(before, after),
    }


def _turn(before: str, after: str) -> str:
    """Whether a change is for the better or the worse, which colours its cell."""
    rank = {"correct": 2, "right_abstention": 2, "abstained": 1, "wrong": 0, "false_confidence": 0}
    step_up = rank[after] - rank[before]
    return "good" if step_up > 0 else "bad" if step_up < 0 else "mute"
