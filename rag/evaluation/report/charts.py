"""The plots of a report with the words beside them. A plot without defined figures is None, never empty axes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from rag.evaluation.report import words
from rag.evaluation.report.plots import Axis, Bin, Series, cursor, lines, reliability, scatter

LEAST_END = 0.1
MOST_POINTS = 240  # of a curve: more could not be told apart on a screen
Row = dict[str, Any]


def rates_chart(report: Mapping[str, Any]) -> Markup | None:
    """Hallucination rate over answer rate: what refuses everything never hallucinates, and says nothing."""
    points = []
    for index, system in enumerate(report["systems"]):
        answers, wrong = (system["figures"].get(key) or {} for key in ("answer_rate", "hallucination_rate"))
        if answers.get("value") is None or wrong.get("value") is None:
            continue
        place = ((answers["value"], wrong["value"]),)
        points.append(
            Series(index=index, name=system["name"], points=place, low=wrong.get("low"), high=wrong.get("high"))
        )
    if not points:
        return None
    said = "; ".join(
        f"{point.name}: answers {words.share(point.points[0][0])}, hallucinates in {words.share(point.points[0][1])}"
        for point in points
    )
    top = _round_up(max(edge for point in points for edge in (point.points[0][1], point.high or 0.0)))
    return scatter(
        points,
        Axis(label="answer rate: answers given ÷ cases", low=0, high=1),
        Axis(label="hallucination rate", low=0, high=top),
        "Hallucination rate against answer rate",
        said,
        "rates",
    )


def risk_chart(report: Mapping[str, Any]) -> Markup | None:
    """Share of wrong answers over the share of cases answered, most confident first."""
    curves = []
    for index, system in enumerate(report["systems"]):
        curve = system["abstention"]["risk_coverage"]
        if curve:
            kept = _thinned([(point["coverage"], point["risk"]) for point in curve])
            curves.append(Series(index=index, name=system["name"], points=kept))
    if not curves:
        return None
    top = _round_up(max(y for curve in curves for _, y in curve.points))
    said = "; ".join(
        f"{curve.name} ends at coverage {words.share(curve.points[-1][0])} with risk {words.share(curve.points[-1][1])}"
        for curve in curves
    )
    return lines(
        curves,
        Axis(label="coverage: share answered, most confident first", low=0, high=1),
        Axis(label="risk: share of them wrong", low=0, high=top),
        "Risk–coverage curves",
        said,
        "risk",
    )


def reliability_chart(judge: Mapping[str, Any]) -> Markup | None:
    """What the judge's scores turned out to mean on human labels."""
    bins = [
        Bin(predicted=item["mean_score"], observed=item["share_supported"], n=item["n"])
        for item in judge["bins"]
        if item["n"] and item["mean_score"] is not None and item["share_supported"] is not None
    ]
    if not bins:
        return None
    said = f"{len(bins)} bins; calibration error {words.number(judge['ece'], 3)}; the table has the numbers."
    return reliability(bins, "Reliability of the judge's scores", said, "reliability")


def cost_chart(report: Mapping[str, Any]) -> Row | None:
    """Net score of each system over the cost of a wrong answer, and its values at every stop of the slider."""
    comparisons = [comparison for comparison in report["comparisons"] if comparison["cost_curve"]]
    if not comparisons:
        return None
    index_of = {system["name"]: index for index, system in enumerate(report["systems"])}
    costs = [point["cost"] for point in comparisons[0]["cost_curve"]]
    curves: dict[str, dict[float, float]] = {}
    for comparison in comparisons:
        for point in comparison["cost_curve"]:
            curves.setdefault(comparison["baseline"], {})[point["cost"]] = point["baseline"]
            curves.setdefault(comparison["system"], {})[point["cost"]] = point["system"]
    series = [
        Series(index=index_of[name], name=name, points=tuple(sorted(curve.items()))) for name, curve in curves.items()
    ]
    values = [y for line in series for _, y in line.points]
    x = Axis(label="cost of a wrong answer, in right answers", low=min(costs), high=max(costs), as_share=False)
    y = Axis(
        label="(correct − cost × wrong) ÷ n",
        low=-_round_up(-min(values)) if min(values) < 0 else 0,
        high=_round_up(max(values)),
        as_share=False,
    )
    start = min(range(len(costs)), key=lambda place: abs(costs[place] - 1.0))
    mover, places = cursor(x, costs, start)
    said = "; ".join(
        f"{line.name} falls from {words.number(line.points[0][1])} to {words.number(line.points[-1][1])}"
        for line in series
    )
    return {
        "svg": lines(series, x, y, "Net score over the cost of a wrong answer", said, "cost", mover),
        "start": start,
        "stops": [
            {
                "cost": words.number(cost, 0 if float(cost).is_integer() else 2),
                "x": place,
                "rows": _at(comparisons, cost, curves),
            }
            for cost, place in zip(costs, places, strict=True)
        ],
        "systems": [{"index": line.index, "name": line.name} for line in series],
    }


def _at(
    comparisons: Sequence[Mapping[str, Any]], cost: float, curves: Mapping[str, Mapping[float, float]]
) -> list[list[str]]:
    """For each system its net score and its difference to the baseline with interval."""
    differences = {
        comparison["system"]: point
        for comparison in comparisons
        for point in comparison["cost_curve"]
        if point["cost"] == cost
    }
    rows = []
    for name, curve in curves.items():
        point = differences.get(name)
        value = words.number(curve[cost]) if cost in curve else "–"
        if point is None:
            rows.append([value, "baseline"])
            continue
        edges = "" if point["low"] is None else f" [{words.number(point['low'])}, {words.number(point['high'])}]"
        rows.append([value, words.signed(point["difference"], words.number(point["difference"])) + edges])
    return rows


def _thinned(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """At most `MOST_POINTS` of them, evenly, the last one kept."""
    every = math.ceil(len(points) / MOST_POINTS)
    return tuple(points[place] for place in range(len(points)) if place % every == 0 or place == len(points) - 1)


def _round_up(value: float) -> float:
    """The next round end of an axis that starts at 0; where every value is 0 it still has a length."""
    if value <= LEAST_END:
        return LEAST_END
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * factor for factor in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if power * factor >= value * 0.9999)
