"""The cases of `report.json`, each with what every system said to it; see `rag.evaluation.report_types`."""

from dataclasses import dataclass
from typing import Literal

from rag.evaluation.types import Cause, Outcome, Where
from rag.types import VerdictLabel

Transition = Literal[
    "rescued",  # wrong or abstained → correct
    "broken_by_context",  # correct → wrong
    "newly_wrong",  # abstained → wrong
    "newly_abstained",  # correct or wrong → abstained
    "still_wrong",
    "still_right",
    "still_abstained",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteView:
    """A stretch of evidence. `text` is null once its document is deleted."""

    text: str | None
    document_id: str | None
    document_name: str | None
    document_version: int | None
    passage_id: int | None
    first_page: int | None
    last_page: int | None
    char_range: tuple[int, int] | None
    redacted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimView:
    """One statement; `start` and `end` are in the answer's text."""

    text: str | None
    start: int | None
    end: int | None
    verdict: VerdictLabel | None
    shown_verdict: VerdictLabel | None
    score: float | None
    decided_by: str | None
    where: Where | None
    quote: QuoteView | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CitationView:
    """One citation."""

    marker: int
    answer_span: tuple[int, int]
    label: VerdictLabel | None
    literal: bool | None
    quote: QuoteView


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerView:
    """One system's answer to one case."""

    system: str
    text: str | None
    abstained: bool
    outcome: Outcome | None
    decided_by: str | None
    label: str | None
    exact_match: bool | None
    token_f1: float | None
    contains_reference: bool | None
    judged_equivalent: bool | None
    hallucinates: bool | None
    faithfulness: float | None
    confidence: float | None
    claims: tuple[ClaimView, ...]
    citations: tuple[CitationView, ...]
    invalid_markers: tuple[int, ...]
    total_seconds: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cause: Cause | None
    failure: str | None
    redacted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """One case and all its answers, in the order of the systems."""

    case_id: str
    question: str
    answerable: bool
    reference_answers: tuple[str, ...]
    document: str | None
    slices: dict[str, str]
    drafted: bool
    # system name → what happened between the first system and it; null for the first, or where one is undefined
    transitions: dict[str, Transition | None]
    answers: tuple[AnswerView, ...]
