"""Two systems on the same cases: transitions, tested differences, the cost of a wrong answer, matched coverage."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rag.evaluation.abstention import match_coverage, one_class, risk_coverage
from rag.evaluation.case_types import Transition
from rag.evaluation.counts import correct_rate, wrong_rate
from rag.evaluation.differences import Results, Settings, paired_counts, resample, tested_differences
from rag.evaluation.figures import counts_by_case
from rag.evaluation.report_types import ComparisonView, CostPoint, MatchedView, McNemarView
from rag.evaluation.resampling import number_clusters, percentile_interval
from rag.evaluation.statistics import mcnemar
from rag.evaluation.types import ANSWERABLE_OUTCOMES, UNANSWERABLE_OUTCOMES, Case, CaseResult

COSTS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0)
TRANSITIONS: Mapping[tuple[str, str], Transition] = {
    ("correct", "correct"): "still_right",
    ("correct", "wrong"): "broken_by_context",
    ("correct", "abstained"): "newly_abstained",
    ("wrong", "correct"): "rescued",
    ("wrong", "wrong"): "still_wrong",
    ("wrong", "abstained"): "newly_abstained",
    ("abstained", "correct"): "rescued",
    ("abstained", "wrong"): "newly_wrong",
    ("abstained", "abstained"): "still_abstained",
}


def transition(baseline: CaseResult | None, system: CaseResult | None) -> Transition | None:
    """What happened to an answerable case; None where an outcome is unknown or the case is unanswerable."""
    if baseline is None or system is None or baseline.outcome is None or system.outcome is None:
        return None
    return TRANSITIONS.get((baseline.outcome, system.outcome))


def transition_table(
    outcomes: Sequence[str], cases: Sequence[Case], baseline: Results, system: Results
) -> dict[str, dict[str, int]]:
    """[baseline's outcome][system's outcome] → cases, over those where both are among `outcomes`."""
    table = {row: dict.fromkeys(outcomes, 0) for row in outcomes}
    for case in cases:
        first, second = baseline.get(case.case_id), system.get(case.case_id)
        if first is not None and second is not None and first.outcome in table and second.outcome in table:
            table[first.outcome][second.outcome] += 1
    return table


def compare(
    cases: Sequence[Case], names: tuple[str, str], baseline: Results, system: Results, settings: Settings
) -> ComparisonView:
    """Everything about two systems except the words, which depend on the other comparisons; see `decide`.

    Args:
        cases: all cases of the run.
        names: of the baseline and of the system.
        baseline: its results by case id.
        system: the other's results by case id.
        settings: seed, number of resamples, margin of equivalence.
    """
    cases = sorted(cases, key=lambda case: case.case_id)  # so that the order of a file changes no draw
    table = transition_table(ANSWERABLE_OUTCOMES, cases, baseline, system)
    named: dict[str, int] = dict.fromkeys(dict.fromkeys(TRANSITIONS.values()), 0)
    for (before, after), name in TRANSITIONS.items():
        named[name] += table[before][after]
    return ComparisonView(
        baseline=names[0],
        system=names[1],
        transitions=table,
        unanswerable_transitions=transition_table(UNANSWERABLE_OUTCOMES, cases, baseline, system),
        named=named,
        mcnemar=_mcnemar(table),
        differences=tested_differences(cases, baseline, system, settings),
        cost_curve=_cost_curve(cases, baseline, system, settings),
        matched=_matched(cases, baseline, system),
        sentence="",
    )


def _mcnemar(table: Mapping[str, Mapping[str, int]]) -> McNemarView:
    n = sum(sum(row.values()) for row in table.values())
    only_baseline = table["correct"]["wrong"] + table["correct"]["abstained"]
    only_system = table["wrong"]["correct"] + table["abstained"]["correct"]
    return McNemarView(
        only_baseline=only_baseline,
        only_system=only_system,
        n=n,
        p_value=mcnemar(only_baseline, only_system) if n else None,
        p_holm=None,
        odds_ratio=only_system / only_baseline if only_baseline else None,
        word="undecided" if n else "undefined",
    )


def _cost_curve(cases: Sequence[Case], baseline: Results, system: Results, settings: Settings) -> tuple[CostPoint, ...]:
    counts = (correct_rate, wrong_rate)
    first, second = paired_counts(counts_by_case(counts, cases, baseline), counts_by_case(counts, cases, system))
    n = float(first[:, 0, 1].sum())
    if not n:
        return ()
    clusters, n_clusters = number_clusters([case.document for case in cases])
    gained = resample(first, second, clusters, n_clusters, settings)  # (B, 2): correct, wrong
    before, after = first[..., 0].sum(axis=0) / n, second[..., 0].sum(axis=0) / n
    points = []
    for cost in COSTS:
        scores = [float(one[0] - cost * one[1]) for one in (before, after)]
        interval = percentile_interval(scores[1] - scores[0], gained[:, 0] - cost * gained[:, 1])
        known = interval if n_clusters > 1 else None
        points.append(
            CostPoint(
                cost=cost,
                baseline=scores[0],
                system=scores[1],
                difference=scores[1] - scores[0],
                low=known.low if known else None,
                high=known.high if known else None,
            )
        )
    return tuple(points)


def _matched(cases: Sequence[Case], baseline: Results, system: Results) -> MatchedView:
    empty = MatchedView(coverage=None, baseline_risk=None, system_risk=None, note="")
    refused = one_class(cases)
    if refused is not None:
        return replace(empty, note=refused)
    both = [
        case
        for case in cases
        if all((one := results.get(case.case_id)) is not None and one.outcome for results in (baseline, system))
    ]
    first_curve, second_curve = risk_coverage(both, baseline), risk_coverage(both, system)
    if first_curve is None or second_curve is None:
        return replace(empty, note="not every answer carries a confidence to choose the surest by")
    matched = match_coverage(first_curve, second_curve)
    if matched is None:
        return replace(empty, note="one of the systems gives no answer")
    return MatchedView(
        coverage=matched.coverage,
        baseline_risk=matched.first_risk,
        system_risk=matched.second_risk,
        note="share of wrong answers when both give as many answers, the surest first",
    )
