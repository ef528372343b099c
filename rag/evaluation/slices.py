"""Groups of cases where a system does worse than elsewhere, found without being told where to look."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rag.evaluation.figures import FIGURES, counts_by_case
from rag.evaluation.report_types import SliceView
from rag.evaluation.statistics import holm
from rag.evaluation.types import Case, CaseResult

SLICED = ("accuracy", "hallucination_rate", "wrong_given_answered")
MIN_CASES = 10  # inside a slice and outside it; smaller groups say nothing
MAX_SLICES = 20  # listed
_QUESTION_WORDS = ("who", "whom", "whose", "what", "when", "where", "which", "why", "how")


def properties(case: Case) -> Iterator[tuple[str, str]]:
    """What a case can be grouped by: its document, how its question and references look, and its own slices."""
    if case.document is not None:
        yield "document", case.document
    yield "answerable", "yes" if case.answerable else "no"
    words = case.question.lower().split()
    first = next((word for word in words if word.strip("?,.:;'\"") in _QUESTION_WORDS), None)
    yield "question word", first.strip("?,.:;'\"") if first else "none"
    yield "question length", "up to 8 words" if len(words) <= 8 else "9 to 14 words" if len(words) <= 14 else "longer"
    if case.reference_answers:
        has_digit = any(char.isdigit() for char in case.reference_answers[0])
        yield "reference", "with a number" if has_digit else "without a number"
        n = len(case.reference_answers[0].split())
        yield "reference length", "one word" if n == 1 else "2 to 4 words" if n <= 4 else "longer"
    yield from case.slices.items()


def worst_slices(cases: Sequence[Case], results: Mapping[str, Mapping[str, CaseResult]]) -> tuple[SliceView, ...]:
    """Slices where a figure is worse inside than outside, most certain first.

    One-sided Fisher exact tests, corrected over all that were looked at (Holm); listed are those below 5 % before that
    correction, which `p_holm` shows.

    Args:
        cases: all cases.
        results: by system, then by case id.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for place, case in enumerate(cases):
        for key in properties(case):
            groups.setdefault(key, []).append(place)
    found: list[SliceView] = []
    for system, answers in results.items():
        counts = counts_by_case([FIGURES[name].count for name in SLICED], cases, answers)
        totals = counts.sum(axis=0)
        for (name, value), places in groups.items():
            inside = counts[places].sum(axis=0)
            for column, figure in enumerate(SLICED):
                found_here = _view(inside[column], totals[column], figure)
                if found_here is not None:
                    n, share, rest, p = found_here
                    found.append(
                        SliceView(
                            property=name,
                            value=value,
                            n=n,
                            system=system,
                            figure=figure,
                            inside=share,
                            outside=rest,
                            difference=share - rest,
                            p_value=p,
                            p_holm=1.0,
                        )
                    )
    return _worst(found)


def _view(inside: Sequence[float], total: Sequence[float], figure: str) -> tuple[int, float, float, float] | None:
    """Denominator, share inside, share outside and p-value, where both sides are large enough."""
    top, bottom = round(inside[0]), round(inside[1])
    other_top, other_bottom = round(total[0]) - top, round(total[1]) - bottom
    if min(bottom, other_bottom) < MIN_CASES:
        return None
    from scipy.stats import hypergeom  # type: ignore[import-untyped]

    bad, other_bad = (bottom - top, other_bottom - other_top) if FIGURES[figure].higher_is_better else (top, other_top)
    # Fisher's exact test, one-sided: as many bad ones inside, or more, given how many there are in all.
    p = float(hypergeom.sf(bad - 1, bottom + other_bottom, bad + other_bad, bottom))
    return bottom, top / bottom, other_top / other_bottom, min(1.0, p)


def _worst(found: Sequence[SliceView]) -> tuple[SliceView, ...]:
    corrected = holm([one.p_value for one in found])
    views = [
        replace(one, p_holm=p) for one, p in zip(found, corrected, strict=True) if p is not None and one.p_value < 0.05
    ]
    views.sort(key=lambda one: (one.p_value, -abs(one.difference), one.system, one.figure, one.property, one.value))
    return tuple(views[:MAX_SLICES])
