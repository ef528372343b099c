"""The figures of a report: their names, what they say, and how cases add up to one.

Every figure is a ratio of sums over cases, so the same counts per case give the figure, its bootstrap and its paired
difference.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rag.evaluation import counts as by
from rag.evaluation.counts import Count
from rag.evaluation.types import Case, CaseResult, Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One figure."""

    name: str
    says: str  # what it is, for people: numerator ÷ denominator
    higher_is_better: bool | None  # None: neither, read it beside the others
    judged: bool  # whether it rests on the judge's verdicts
    primary: bool  # tested together with the other primary figures
    count: Count  # None as result: the case was not run


def _define(
    name: str, says: str, count: Count, *, up: bool | None, judged: bool = False, primary: bool = False
) -> tuple[str, Definition]:
    return name, Definition(name=name, says=says, higher_is_better=up, judged=judged, primary=primary, count=count)


FIGURES: Mapping[str, Definition] = dict(
    (
        _define(
            "hallucination_rate",
            "answers with at least one unsupported or contradicted claim ÷ answers given",
            by.hallucination_rate,
            up=False,
            judged=True,
            primary=True,
        ),
        _define("answer_rate", "answers given ÷ cases", by.answer_rate, up=None),
        _define("accuracy", "correct answers ÷ answerable cases", by.accuracy, up=True, primary=True),
        _define(
            "wrong_given_answered",
            "wrong answers, those to unanswerable cases among them ÷ answers given",
            by.wrong_given_answered,
            up=False,
            primary=True,
        ),
        _define("wrong_rate", "wrong answers, those to unanswerable cases among them ÷ cases", by.wrong_rate, up=False),
        _define("net_score", "(correct − wrong answers) ÷ cases, from −1 to 1", by.net_score, up=True),
        _define("over_refusal", "abstentions ÷ answerable cases", by.over_refusal, up=False),
        _define("false_confidence", "answers ÷ unanswerable cases", by.false_confidence, up=False),
        _define(
            "faithfulness",
            "mean over answers given of supported ÷ all claims, against what the system was shown",
            by.faithfulness,
            up=True,
            judged=True,
        ),
        _define(
            "unsupported_claim_rate",
            "unsupported or contradicted claims ÷ claims",
            by.by_claim(by.not_supported),
            up=False,
            judged=True,
        ),
        _define(
            "absent_claim_rate",
            "unsupported claims that nothing in the corpus supports either ÷ claims",
            by.by_claim(by.absent),
            up=False,
            judged=True,
        ),
        _define(
            "contradiction_rate",
            "answers with at least one contradicted claim ÷ answers given",
            by.contradiction_rate,
            up=False,
            judged=True,
        ),
        _define(
            "exact_match",
            "answers equal to a reference after SQuAD's normalization ÷ answerable cases with references",
            by.by_reference(lambda result: result.exact_match),
            up=True,
        ),
        _define(
            "token_f1",
            "mean over answerable cases with references of the best token F1",
            by.by_reference(lambda result: result.token_f1),
            up=True,
        ),
        _define(
            "contains_reference",
            "answers that hold a reference ÷ answerable cases with references",
            by.by_reference(lambda result: result.contains_reference),
            up=True,
        ),
        _define(
            "judged_equivalent",
            "answers in which the judge finds a reference ÷ answerable cases with references",
            by.by_reference(lambda result: result.judged_equivalent),
            up=True,
            judged=True,
        ),
        _define(
            "citation_recall",
            "sentences that all they cite supports ÷ sentences that ought to cite (ALCE)",
            by.by_citation("n_recalled", "n_sentences"),
            up=True,
            judged=True,
        ),
        _define(
            "citation_precision",
            "citations that their sentence needs or that support it alone ÷ citations (ALCE)",
            by.by_citation("n_precise", "n_citations"),
            up=True,
            judged=True,
        ),
        _define(
            "citation_out_of_range",
            "markers that name no passage ÷ markers",
            by.by_citation("n_out_of_range", "n_citations", plus_numerator=True),
            up=False,
        ),
        _define(
            "citation_missed",
            "sentences not recalled although a passage shown supports them ÷ sentences that ought to cite",
            by.by_citation("n_missed", "n_sentences"),
            up=False,
            judged=True,
        ),
        _define(
            "citation_misplaced",
            "citations that support another sentence and not their own ÷ citations",
            by.by_citation("n_misplaced", "n_citations"),
            up=False,
            judged=True,
        ),
        _define(
            "quotes_literal",
            "quotes that stand in their document word for word ÷ quotes compared",
            by.by_citation("n_literal", "n_quotes"),
            up=True,
        ),
        _define("failure_rate", "cases without an answer because of an error ÷ cases", by.failure_rate, up=False),
    )
)


def count_for(name: str, results: Mapping[str, CaseResult]) -> Count:
    """How one system's cases count; a measure that no answer of it has is undefined for its abstentions, too."""
    if name == "judged_equivalent" and all(result.judged_equivalent is None for result in results.values()):
        return by.unknown
    return FIGURES[name].count


def figure(name: str, cases: Sequence[Case], results: Mapping[str, CaseResult]) -> Figure:
    """One figure of one system over `cases`.

    Args:
        name: a key of `FIGURES`.
        cases: those that are looked at.
        results: of one system, by case id; a case that is not there was not run.
    """
    count = count_for(name, results)
    counts = [count(case, results.get(case.case_id)) for case in cases]
    # fsum is exact, so that the order of the cases does not matter.
    return Figure(
        numerator=math.fsum(one[0] for one in counts),
        denominator=sum(one[1] for one in counts),
        undefined=sum(one[2] for one in counts),
        n=sum(one[3] for one in counts),
    )


def all_figures(cases: Sequence[Case], results: Mapping[str, CaseResult]) -> dict[str, Figure]:
    """Every figure of one system that `cases` allow, in the order of `FIGURES`."""
    return {name: figure(name, cases, results) for name in names_for(cases)}


def names_for(cases: Sequence[Case]) -> tuple[str, ...]:
    """The figures that these cases allow: those about abstention need answerable and unanswerable ones."""
    both = {case.answerable for case in cases} == {True, False}
    return tuple(name for name in FIGURES if both or name not in ("over_refusal", "false_confidence"))


def counts_by_case(
    counts: Sequence[Count], cases: Sequence[Case], results: Mapping[str, CaseResult]
) -> npt.NDArray[np.float64]:
    """f64[n_cases, n_counts, 3]: numerator, denominator, undefined."""
    rows = [[count(case, results.get(case.case_id))[:3] for count in counts] for case in cases]
    return np.asarray(rows, dtype=np.float64).reshape(len(cases), len(counts), 3)
