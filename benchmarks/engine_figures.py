"""What the runs of `benchmarks/decoder_engines.py` come to: medians, spreads, agreement, and right answers."""

import collections
import statistics
from collections.abc import Sequence
from typing import Any

N_NEW = 48  # tokens that `speed` makes


def figures(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians and spreads of what `benchmarks/decoder_engines.py` wrote."""
    found: dict[str, Any] = {"engines": {}}
    limits_rows = [row for row in rows if row["step"] == "limits"]
    if limits_rows:
        found["limits"] = {key: max(row[key] for row in limits_rows) for key in limits_rows[0] if key != "step"}
    for name in dict.fromkeys(row["engine"] for row in rows if row["step"] == "speed"):
        mine = [row for row in rows if row["step"] == "speed" and row["engine"] == name]
        found["engines"][name] = {
            "n": len(mine),
            "prompt_tokens": statistics.median(row["n_prompt"] for row in mine),
            "first_s": spread([row["first"] for row in mine]),
            "total_s": spread([row["total"] for row in mine]),
            "cpu_s": spread([row["cpu"] for row in mine]),
            "prefill_tok_s": round(statistics.median(row["n_prompt"] / row["first"] for row in mine)),
            "decode_tok_s": round(statistics.median((N_NEW - 1) / (row["total"] - row["first"]) for row in mine), 1),
            "load_s": spread([row["seconds"] for row in rows if row["step"] == "load" and row["engine"] == name]),
        }
    texts: dict[str, dict[str, str]] = collections.defaultdict(dict)
    for row in rows:
        if row["step"] == "agree":
            texts[row["engine"]][row["id"]] = row["text"]
    if texts:
        first = next(iter(texts))
        found["agreement_with"] = first
        found["agreement"] = {
            name: [sum(mine[key] == text for key, text in texts[first].items() if key in mine), len(mine)]
            for name, mine in texts.items()
        }
        rights = {
            name: {row["id"]: row["right"] for row in rows if row["step"] == "agree" and row["engine"] == name}
            for name in texts
        }
        found["right"] = {name: paired(mine, rights[first]) for name, mine in rights.items()}
    drafted = [row for row in rows if row["step"] == "lookup"]
    if drafted:
        found["lookup"] = {kind: lookup_figures(drafted, kind == "copied") for kind in ("copied", "others")}
        found["lookup"]["same_texts"] = [sum(row["same"] for row in rows if row["step"] == "lookup_same")]
        found["lookup"]["same_texts"].append(sum(row["step"] == "lookup_same" for row in rows))
    pairs = [row for row in rows if row["step"] == "follow"]
    if pairs:
        found["follow"] = {
            "n": len(pairs),
            "second_of_first": spread([row["second"] / row["first"] for row in pairs]),
            "second_of_alone": spread([row["second"] / row["alone"] for row in pairs]),
            "cpu_second_of_first": spread([row["cpu_second"] / row["cpu_first"] for row in pairs]),
            "tokens_first": spread([row["n_first"] for row in pairs]),
            "tokens_second": spread([row["n_second"] for row in pairs]),
        }
    return found


def paired(mine: dict[str, bool], others: dict[str, bool]) -> dict[str, Any]:
    """Cases that both have, how many each has right, and the difference in points with its 95 % interval (normal)."""
    both = [(mine[key], others[key]) for key in mine.keys() & others.keys()]
    differences = [100 * (one - other) for one, other in both]
    mean = statistics.mean(differences)
    half = 1.96 * statistics.stdev(differences) / len(both) ** 0.5 if len(both) > 1 else float("inf")
    return {
        "cases": len(both),
        "right": sum(one for one, _ in both),
        "right_of_first": sum(other for _, other in both),
        "points_more": [round(mean, 2), round(mean - half, 2), round(mean + half, 2)],
    }


def lookup_figures(rows: list[dict[str, Any]], wanted: bool) -> dict[str, Any]:
    """How much faster answers are with drafts: decoding alone, and whole."""
    by_id: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    for row in rows:
        if row["copied"] == wanted and row["n"] > 1:
            by_id[row["id"]].append(row)
    figures: dict[str, Any] = {"n": len(by_id)}
    for key, name in (("seconds", "decoding"), ("total", "whole"), ("cpu", "cpu"), ("reads", "reads")):
        ratios = [
            sum(row[key] for row in mine if not row["drafting"]) / sum(row[key] for row in mine if row["drafting"])
            for mine in by_id.values()
        ]
        figures[f"faster_{name}"] = spread(ratios)
    return figures


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Least, quartiles and most."""
    if not values:
        return None
    cuts = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    figures = {"min": min(values), "q1": cuts[0], "median": cuts[1], "q3": cuts[2], "max": max(values)}
    return {name: round(value, 4) for name, value in figures.items()}
