"""One system's part of a report."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rag.evaluation.abstention import one_class, risk_coverage
from rag.evaluation.differences import Settings
from rag.evaluation.figures import all_figures, count_for, counts_by_case
from rag.evaluation.judge_trial import correct_rate
from rag.evaluation.records import system_json
from rag.evaluation.report_types import (
    AbstentionView,
    CorrectedView,
    FigureView,
    QuantilesView,
    RiskPoint,
    SystemView,
    view,
)
from rag.evaluation.resampling import bootstrap, number_clusters, percentile_interval, ratios, sum_by_cluster
from rag.evaluation.statistics import Interval, effective_n, wilson
from rag.evaluation.types import Case, CaseResult, Figure, JudgeTrial, System

_CORRECTED = "unsupported_claim_rate"
_BY_ANSWER = "the judge was tried on claims, not on whole answers; see unsupported_claim_rate"
_BY_PEOPLE = "verdicts are people's; there is nothing to correct"


def view_system(
    system: System,
    cases: Sequence[Case],
    results: Mapping[str, CaseResult],
    *,
    settings: Settings,
    trial: JudgeTrial | None,
) -> SystemView:
    """Everything about one system alone.

    Args:
        system: how it answered.
        cases: all cases of the run, ordered by id.
        results: its own, by case id; one that is missing is undefined.
        settings: seed and number of resamples.
        trial: of the judge; None where it was not tried.
    """
    figures = all_figures(cases, results)
    intervals, errors = _intervals(figures, cases, results, settings)
    ordered = [results[case.case_id] for case in cases if case.case_id in results]
    views = {
        name: view(one, low=found.low if found else None, high=found.high if found else None)
        for name, one in figures.items()
        for found in (intervals[name],)
    }
    return SystemView(
        name=system.name,
        mode=system.mode,
        settings=_settings(system),
        figures=views,
        outcomes=_outcomes(cases, results),
        claims=_claims(ordered),
        seconds=quantiles(one.total_seconds for one in ordered),
        first_token_seconds=quantiles(one.first_token_seconds for one in ordered),
        prompt_tokens=quantiles(one.prompt_tokens for one in ordered),
        completion_tokens=quantiles(one.completion_tokens for one in ordered),
        abstention=_abstention(cases, results, views),
        corrected=_corrected(figures, errors, ordered, trial),
        causes=dict(sorted(Counter(one.cause for one in ordered if one.cause is not None).items())),
    )


def quantiles(values: Iterable[float | None]) -> QuantilesView:
    """Mean, median, 95th percentile (linear) and sum of what is known."""
    known = np.asarray([value for value in values if value is not None], dtype=np.float64)
    if not len(known):
        return QuantilesView(n=0, mean=None, p50=None, p95=None, total=None)
    p50, p95 = np.quantile(known, [0.5, 0.95])
    return QuantilesView(
        n=len(known), mean=float(known.mean()), p50=float(p50), p95=float(p95), total=float(known.sum())
    )


def _settings(system: System) -> dict[str, Any]:
    if system.answers is not None:
        return {"answers": "made elsewhere"}
    written = system_json(system)
    return {name: value for name, value in written.items() if name not in ("name", "mode", "answers")}


def _intervals(
    figures: Mapping[str, Figure], cases: Sequence[Case], results: Mapping[str, CaseResult], settings: Settings
) -> tuple[dict[str, Interval | None], dict[str, float]]:
    """95 % interval and standard error of every figure, from drawing whole documents.

    Where no draw differs a share has Wilson's interval, since a rate of 0 of 20 is not known to be 0.
    """
    names = list(figures)
    counts = counts_by_case([count_for(name, results) for name in names], cases, results)
    clusters, n_clusters = number_clusters([case.document for case in cases])
    intervals: dict[str, Interval | None] = dict.fromkeys(names)
    errors = dict.fromkeys(names, 0.0)
    if n_clusters < 2:
        return intervals, errors
    columns = np.concatenate([counts[..., 0], counts[..., 1]], axis=1)
    sums = sum_by_cluster(columns, clusters, n_clusters)
    drawn = bootstrap(sums, n_resamples=settings.n_resamples, seed=settings.seed)
    values = ratios(drawn[:, : len(names)], drawn[:, len(names) :])
    for place, name in enumerate(names):
        figure = figures[name]
        if figure.value is None:
            continue
        found = percentile_interval(figure.value, values[:, place])
        if found is not None and found.high - found.low < 1e-12 and name != "net_score":
            found = wilson(figure.numerator, figure.denominator)
        intervals[name] = found
        defined = values[~np.isnan(values[:, place]), place]
        errors[name] = float(defined.std(ddof=1)) if len(defined) > 1 else 0.0
    return intervals, errors


def _outcomes(cases: Sequence[Case], results: Mapping[str, CaseResult]) -> dict[str, int]:
    counted = dict.fromkeys(
        ("correct", "wrong", "abstained", "right_abstention", "false_confidence", "undefined", "failed", "missing"), 0
    )
    for case in cases:
        result = results.get(case.case_id)
        if result is None:
            counted["missing"] += 1
        elif result.failure is not None:
            counted["failed"] += 1
        else:
            counted[result.outcome or "undefined"] += 1
    return counted


def _claims(results: Sequence[CaseResult]) -> dict[str, int]:
    counted = dict.fromkeys(("supported", "contradicted", "unsupported", "elsewhere", "absent", "undefined"), 0)
    for result in results:
        for claim in result.claims or ():
            counted[claim.verdict or "undefined"] += 1
            if claim.where is not None:
                counted[claim.where] += 1
    return counted


def _abstention(
    cases: Sequence[Case], results: Mapping[str, CaseResult], figures: Mapping[str, FigureView]
) -> AbstentionView:
    refused = one_class(cases)
    if refused is not None:
        return AbstentionView(refused=refused)
    curve = risk_coverage(cases, results)
    rates = AbstentionView(
        refused=None, over_refusal=figures["over_refusal"], false_confidence=figures["false_confidence"]
    )
    if curve is None or not curve.n_answers:
        return rates
    return AbstentionView(
        refused=None,
        over_refusal=rates.over_refusal,
        false_confidence=rates.false_confidence,
        risk_coverage=tuple(
            RiskPoint(
                coverage=step.n_answers / curve.n_cases,
                risk=step.n_wrong / step.n_answers,
                confidence=step.confidence,
            )
            for step in curve.steps
        ),
        aurc=curve.aurc,
        coverage_at_5_percent_risk=curve.coverage_at(0.05),
        coverage_at_10_percent_risk=curve.coverage_at(0.10),
    )


def _corrected(
    figures: Mapping[str, Figure],
    errors: Mapping[str, float],
    results: Sequence[CaseResult],
    trial: JudgeTrial | None,
) -> dict[str, CorrectedView]:
    claims = [claim for result in results for claim in result.claims or ()]
    if any(claim.decided_by == "person" for claim in claims):
        none = CorrectedView(value=None, low=None, high=None, note=_BY_PEOPLE)
        return {"hallucination_rate": none, _CORRECTED: none}
    figure = figures[_CORRECTED]
    n = effective_n(figure.value, errors[_CORRECTED], figure.denominator) if figure.value is not None else None
    return {
        "hallucination_rate": CorrectedView(value=None, low=None, high=None, note=_BY_ANSWER),
        _CORRECTED: correct_rate(figure, trial, effective_n=n),
    }
