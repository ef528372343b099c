"""Knowing when not to answer: risk against coverage, on cases of both classes.

Answers are taken in the order of their confidence. After k of n cases coverage is k ÷ n and risk the share of wrong
ones among the k (El-Yaniv and Wiener, JMLR 2010). Ties are taken in any order: the risk inside them is the expected
one. Cases that a system abstained from are never reached, so a curve ends at its answer rate.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.evaluation.types import Case, CaseResult

ONE_CLASS = (
    "the cases are all {which}; abstention is only measured on cases of both classes: add cases that are {other}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """All answers of at least this confidence."""

    confidence: float
    n_answers: int  # that have it
    n_wrong: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Risk against coverage of one system."""

    n_cases: int  # whose outcome is known
    steps: tuple[Step, ...]  # falling confidence

    def risks(self) -> tuple[float, ...]:
        """Expected share of wrong ones among the k most confident answers, for k = 1, 2, …"""
        risks: list[float] = []
        n_before = wrong_before = 0
        for step in self.steps:
            tied = (step.n_wrong - wrong_before) / (step.n_answers - n_before)
            risks += [(wrong_before + tied * (k - n_before)) / k for k in range(n_before + 1, step.n_answers + 1)]
            n_before, wrong_before = step.n_answers, step.n_wrong
        return tuple(risks)

    @property
    def n_answers(self) -> int:
        """How many answers the system gave."""
        return self.steps[-1].n_answers if self.steps else 0

    @property
    def aurc(self) -> float | None:
        """Mean risk over every coverage that is reached (Geifman et al., ICLR 2019), 0 = best; None without answers."""
        risks = self.risks()
        return math.fsum(risks) / len(risks) if risks else None

    def coverage_at(self, risk: float) -> float | None:
        """The largest coverage that a threshold on confidence reaches with at most `risk`; 0 where none does.

        None without cases.
        """
        if not self.n_cases:
            return None
        reached = [step.n_answers for step in self.steps if step.n_wrong <= risk * step.n_answers + 1e-12]
        return max(reached, default=0) / self.n_cases


def one_class(cases: Sequence[Case]) -> str | None:
    """Why abstention cannot be measured on `cases`, in one sentence; None where it can."""
    if {case.answerable for case in cases} == {True, False}:
        return None
    answerable = all(case.answerable for case in cases)
    words = ("answerable", "unanswerable") if answerable else ("unanswerable", "answerable")
    return ONE_CLASS.format(which=words[0], other=words[1])


def risk_coverage(cases: Sequence[Case], results: Mapping[str, CaseResult]) -> Curve | None:
    """The curve of one system over the cases whose outcome is known; None where an answer has no confidence."""
    known = [result for case in cases if (result := results.get(case.case_id)) is not None and result.outcome]
    answered = [(result.confidence, result.outcome != "correct") for result in known if result.answered]
    ranked: dict[float, list[bool]] = {}
    for confidence, wrong in answered:
        if confidence is None:
            return None
        ranked.setdefault(confidence, []).append(wrong)
    steps: list[Step] = []
    n_answers = n_wrong = 0
    for confidence in sorted(ranked, reverse=True):
        n_answers += len(ranked[confidence])
        n_wrong += sum(ranked[confidence])
        steps.append(Step(confidence=confidence, n_answers=n_answers, n_wrong=n_wrong))
    return Curve(n_cases=len(known), steps=tuple(steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """Two systems at the same coverage."""

    coverage: float
    first_risk: float
    second_risk: float


def match_coverage(first: Curve, second: Curve) -> Matched | None:
    """Both at the coverage of the one that answers less; None where one gives no answer or the cases differ."""
    n = min(first.n_answers, second.n_answers)
    if n == 0 or first.n_cases != second.n_cases:
        return None
    return Matched(coverage=n / first.n_cases, first_risk=first.risks()[n - 1], second_risk=second.risks()[n - 1])
