"""Why answers are right or wrong: the waterfall from closed book to oracle passage, causes, context obedience."""

from collections.abc import Mapping, Sequence
from typing import Any

from rag.evaluation.report import words
from rag.evaluation.report.plots import colour
from rag.evaluation.report.strips import Part, stacked_bar, step

Row = dict[str, Any]
_OBEYED = {
    "evidence": ("good", "follows the evidence"),
    "flagged": ("s1", "flags the conflict"),
    "memory": ("bad", "falls back on memory"),
    "abstained": ("mute", "abstains"),
    "other": ("none", "says something else"),
}


def waterfalls(report: Mapping[str, Any]) -> list[Row]:
    """One for each grounded system that has a closed-book or an oracle partner, or answers asked again."""
    traced = {fall["system"]: fall["recovered"] for fall in report.get("waterfalls", ())}
    found = []
    for index, system in enumerate(report["systems"]):
        if system["mode"] == "grounded":
            partners = [_partner(report, index, mode) for mode in ("closed_book", "oracle")]
            stages = [stage for stage in (partners[0], index, partners[1]) if stage is not None]
            row = _waterfall(report, stages) if len(stages) > 1 else None
            recovered = traced.get(system["name"])
            asked_again = recovered if recovered and recovered["denominator"] and partners[1] is None else None
            if row is not None:
                found.append({**row, "index": index, "name": system["name"], "recovered": asked_again})
    return found


def _partner(report: Mapping[str, Any], index: int, mode: str) -> int | None:
    """The first system of `mode` with the same model and sampling; None where there is none."""
    alike = [
        (system["mode"], system["settings"].get("model"), system["settings"].get("sampling"))
        for system in report["systems"]
    ]
    return next((place for place, one in enumerate(alike) if one == (mode, *alike[index][1:])), None)


def _waterfall(report: Mapping[str, Any], stages: Sequence[int]) -> Row | None:
    """Correct answers step by step, over the answerable cases where every stage is scored.

    A step is what a system gets right and the one before it does not, then what it loses; None without such cases.
    """
    names = [report["systems"][stage]["name"] for stage in stages]
    right = _right(report["case_rows"], names)
    n = len(right)
    if n == 0:
        return None
    totals = [sum(row[place] for row in right) for place in range(len(names))]
    rows = [_level(stages[0], names[0], totals[0], n)]
    for place, (stage, name) in enumerate(list(zip(stages, names, strict=True))[1:]):
        gained = sum(row[place + 1] and not row[place] for row in right)
        lost = sum(row[place] and not row[place + 1] for row in right)
        rows.append(_change("gained", name, totals[place], gained, n))
        rows.append(_change("lost", name, totals[place] + gained, -lost, n))
        rows.append(_level(stage, name, totals[place + 1], n))
    return {"n": n, "rows": rows}


def _right(case_rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[list[bool]]:
    found = []
    for case in case_rows:
        outcomes = {answer["system"]: answer["outcome"] for answer in case["answers"]}
        if case["answerable"] and all(outcomes.get(name) is not None for name in names):
            found.append([outcomes[name] == "correct" for name in names])
    return found


def _level(index: int, name: str, total: int, n: int) -> Row:
    drawn = step(0, total / n, colour(index), f"{name}: {total} of {n} correct")
    return {"kind": "level", "name": name, "n": total, "share": total / n, "svg": drawn}


def _change(what: str, name: str, base: int, change: int, n: int) -> Row:
    said = f"{what} with {name}: {abs(change)} of {n}"
    drawn = step(base / n, (base + change) / n, "good" if what == "gained" else "bad", said)
    return {"kind": what, "name": name, "n": change, "svg": drawn}


def cause_rows(report: Mapping[str, Any]) -> list[Row]:
    """What lay behind the wrong and hallucinated answers of each system that was traced."""
    rows = []
    for index, system in enumerate(report["systems"]):
        total = sum(system["causes"].values())
        found = sorted(((n, cause) for cause, n in system["causes"].items() if n), key=lambda pair: (-pair[0], pair[1]))
        if total:
            causes = [
                {"key": key, "name": words.name_of(key, words.CAUSES), "n": n, "svg": _cause(n, total)}
                for n, key in found
            ]
            rows.append({"index": index, "name": system["name"], "n": total, "causes": causes})
    return rows


def _cause(n: int, total: int) -> str:
    return step(0, n / total, "plain", f"{n} of {total}")


def obedience_rows(report: Mapping[str, Any]) -> list[Row]:
    """What each system does when the answer in its evidence was swapped for another."""
    rows = []
    for name, counts in report.get("obedience", {}).items():
        parts = [Part(kind=kind, label=label, n=counts.get(key, 0)) for key, (kind, label) in _OBEYED.items()]
        total = sum(part.n for part in parts)
        if total:
            said = ", ".join(f"{part.n} {part.label}" for part in parts if part.n)
            rows.append({"name": name, "n": total, "parts": parts, "svg": stacked_bar(parts, f"{name}: {said}")})
    return rows
