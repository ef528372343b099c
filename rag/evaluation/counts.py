"""What one case contributes to each figure: (numerator, denominator, undefined, n), see `Figure`.

Two rules hold throughout: an abstention is never counted as a good answer, and what is unknown is counted as undefined
and never as 0. A result of None is a case that was not run.
"""

from collections.abc import Callable

from rag.evaluation.types import Case, CaseResult, ScoredClaim

Counts = tuple[float, int, int, int]  # numerator, denominator, undefined, n
Count = Callable[[Case, CaseResult | None], Counts]

_APART: Counts = (0.0, 0, 0, 1)  # looked at, but not what the figure is about
_UNDEFINED: Counts = (0.0, 0, 1, 1)
_NOTHING: Counts = (0.0, 0, 0, 0)


def _share(numerator: bool | None) -> Counts:
    """One case that counts."""
    return _UNDEFINED if numerator is None else (float(numerator), 1, 0, 1)


def _failed(result: CaseResult | None) -> bool:
    return result is None or result.failure is not None


def accuracy(case: Case, result: CaseResult | None) -> Counts:
    """Correct, of answerable cases."""
    if not case.answerable:
        return _APART
    return _UNDEFINED if result is None or result.outcome is None else _share(result.outcome == "correct")


def wrong_rate(case: Case, result: CaseResult | None) -> Counts:
    """Wrong, or answered though unanswerable."""
    if result is None or result.outcome is None:
        return _UNDEFINED
    return _share(result.outcome in ("wrong", "false_confidence"))


def correct_rate(case: Case, result: CaseResult | None) -> Counts:
    """Correct, of all cases."""
    return _UNDEFINED if result is None or result.outcome is None else _share(result.outcome == "correct")


def wrong_given_answered(case: Case, result: CaseResult | None) -> Counts:
    """`wrong_rate` among answers given."""
    if result is None or result.failure is not None:
        return _UNDEFINED
    if result.abstained:
        return _APART
    return wrong_rate(case, result)


def net_score(case: Case, result: CaseResult | None) -> Counts:
    """1 for a correct answer, −1 for a wrong one, 0 for an abstention."""
    if result is None or result.outcome is None:
        return _UNDEFINED
    value = {"correct": 1.0, "wrong": -1.0, "false_confidence": -1.0}.get(result.outcome, 0.0)
    return value, 1, 0, 1


def answer_rate(case: Case, result: CaseResult | None) -> Counts:
    """Answered."""
    return _UNDEFINED if result is None or _failed(result) else _share(result.answered)


def over_refusal(case: Case, result: CaseResult | None) -> Counts:
    """Abstained, of answerable cases."""
    if not case.answerable:
        return _APART
    return _UNDEFINED if result is None or _failed(result) else _share(result.abstained)


def false_confidence(case: Case, result: CaseResult | None) -> Counts:
    """Answered, of unanswerable cases."""
    if case.answerable:
        return _APART
    return _UNDEFINED if result is None or result.outcome is None else _share(result.outcome == "false_confidence")


def failure_rate(case: Case, result: CaseResult | None) -> Counts:
    """Failed."""
    return _UNDEFINED if result is None else _share(result.failure is not None)


def unknown(case: Case, result: CaseResult | None) -> Counts:
    """Undefined, whatever the answer."""
    return _UNDEFINED if case.answerable else _APART


def by_reference(value: Callable[[CaseResult], float | bool | None]) -> Count:
    """A measure against the references; an abstention matches none and is 0."""

    def count(case: Case, result: CaseResult | None) -> Counts:
        if not case.answerable:
            return _APART
        if result is None or result.failure is not None or not case.reference_answers:
            return _UNDEFINED
        if result.abstained:
            return 0.0, 1, 0, 1
        found = value(result)
        return _UNDEFINED if found is None else (float(found), 1, 0, 1)

    return count


def hallucination_rate(case: Case, result: CaseResult | None) -> Counts:
    """Holds an unsupported or contradicted claim, of answers given."""
    if result is None or result.failure is not None:
        return _UNDEFINED
    return _APART if result.abstained else _share(result.hallucinates)


def contradiction_rate(case: Case, result: CaseResult | None) -> Counts:
    """Holds a contradicted claim, of answers given."""
    if result is None or result.failure is not None:
        return _UNDEFINED
    if result.abstained:
        return _APART
    if not result.claims:
        return _UNDEFINED
    if any(claim.verdict == "contradicted" for claim in result.claims):
        return _share(True)
    return _share(None if any(claim.verdict is None for claim in result.claims) else False)


def faithfulness(case: Case, result: CaseResult | None) -> Counts:
    """`answer_faithfulness`, of answers given."""
    if result is None or result.failure is not None:
        return _UNDEFINED
    if result.abstained:
        return _APART
    value = answer_faithfulness(result)
    return _UNDEFINED if value is None else (value, 1, 0, 1)


def answer_faithfulness(result: CaseResult) -> float | None:
    """Supported ÷ all claims of one answer, against what its system was shown; None where any of it is unknown."""
    if not result.answered or not result.claims or any(claim.shown_verdict is None for claim in result.claims):
        return None
    return sum(claim.shown_verdict == "supported" for claim in result.claims) / len(result.claims)


def by_claim(is_so: Callable[[ScoredClaim], bool | None]) -> Count:
    """A share of claims; those of answers that were not split into claims are undefined, counted as one each."""

    def count(case: Case, result: CaseResult | None) -> Counts:
        if result is None or result.failure is not None:
            return _UNDEFINED
        if result.abstained:
            return _NOTHING
        if result.claims is None:
            return _UNDEFINED
        values = [is_so(claim) for claim in result.claims]
        known = [value for value in values if value is not None]
        return float(sum(known)), len(known), len(values) - len(known), len(values)

    return count


def not_supported(claim: ScoredClaim) -> bool | None:
    """Unsupported or contradicted."""
    return None if claim.verdict is None else claim.verdict != "supported"


def absent(claim: ScoredClaim) -> bool | None:
    """Unsupported, and supported nowhere else in the corpus either."""
    if claim.verdict is None or (claim.verdict == "unsupported" and claim.where is None):
        return None
    return claim.verdict == "unsupported" and claim.where == "absent"


def by_citation(numerator: str, denominator: str, *, plus_numerator: bool = False) -> Count:
    """A share made of two fields of `CitationCounts`."""

    def count(case: Case, result: CaseResult | None) -> Counts:
        if result is None or result.failure is not None:
            return _UNDEFINED
        if result.abstained:
            return _NOTHING
        counts = result.citation_counts
        if counts is None:
            return _UNDEFINED
        top: int = getattr(counts, numerator)
        bottom: int = getattr(counts, denominator) + (top if plus_numerator else 0)
        return float(top), bottom, 0, bottom

    return count
