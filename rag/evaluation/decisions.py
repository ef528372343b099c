"""Words for tested differences, once all comparisons of a report are known.

With p-values corrected for the number of tests (Holm, over the primary figures of all comparisons together, and over
the others together): **better** or **worse** where the corrected p-value is below 5 % and the 95 % interval holds no 0;
else **equivalent** where two one-sided tests put the difference inside the margin at 5 %; else **undecided**. A figure
that rests on a judge who is too weak is **not decidable**; one that has no value on a side is **undefined**. McNemar's
test is corrected over the comparisons; it does not know of documents, the differences do.
"""

from collections.abc import Sequence
from dataclasses import replace

from rag.evaluation.figures import FIGURES
from rag.evaluation.report_types import ComparisonView, DifferenceView, Word
from rag.evaluation.statistics import ALPHA, holm


def decide(comparisons: Sequence[ComparisonView], *, judge_decides: bool) -> tuple[ComparisonView, ...]:
    """The same comparisons with p-values corrected for each other, and words.

    Args:
        comparisons: all of one report.
        judge_decides: whether the judge is good enough for the figures that rest on it.
    """
    tests = [(i, j) for i, one in enumerate(comparisons) for j, _ in enumerate(one.differences)]
    corrected: dict[tuple[int, int], float | None] = {}
    for primary in (True, False):
        family = [
            (i, j)
            for i, j in tests
            if (definition := FIGURES[comparisons[i].differences[j].figure]).primary is primary
            and definition.higher_is_better is not None
            and (judge_decides or not definition.judged)
            and not _never_differs(comparisons[i].differences[j])
        ]
        p_values = holm([comparisons[i].differences[j].p_value for i, j in family])
        corrected.update(zip(family, p_values, strict=True))
    mcnemar = holm([one.mcnemar.p_value for one in comparisons])
    decided = []
    for i, one in enumerate(comparisons):
        differences = tuple(
            _decided(replace(difference, p_holm=corrected.get((i, j))), judge_decides=judge_decides)
            for j, difference in enumerate(one.differences)
        )
        test = replace(one.mcnemar, p_holm=mcnemar[i])
        if test.p_holm is not None and test.p_holm < ALPHA:
            test = replace(test, word="better" if test.only_system > test.only_baseline else "worse")
        decided.append(replace(one, differences=differences, mcnemar=test))
    return tuple(decided)


def _never_differs(view: DifferenceView) -> bool:
    """Whether no case differs, so that no test could ever tell the two apart (Tarone 1990)."""
    return view.difference == 0 and view.minimum_detectable_effect is None


def _decided(difference: DifferenceView, *, judge_decides: bool) -> DifferenceView:
    return replace(difference, word=_word(difference, judge_decides=judge_decides))


def _word(view: DifferenceView, *, judge_decides: bool) -> Word:
    if view.difference is None:
        return "undefined"
    if FIGURES[view.figure].judged and not judge_decides:
        return "not_decidable"
    apart = view.low is not None and view.high is not None and (view.low > 0 or view.high < 0)
    if apart and view.p_holm is not None and view.p_holm < ALPHA and view.higher_is_better is not None:
        return "better" if (view.difference > 0) == view.higher_is_better else "worse"
    if view.p_equivalence is not None and view.p_equivalence < ALPHA:
        return "equivalent"
    return "undecided"
