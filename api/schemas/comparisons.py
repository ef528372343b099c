"""Comparisons as requests and answers have them."""

from collections.abc import Collection
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from api.schemas.documents import FailureOut, ResponseModel, failure_to_json, time_to_json
from api.schemas.fields import CollectionName, Number, Question, RequestModel, Text, Whole, explain, refuse
from api.schemas.requests import SamplingIn
from rag.catalog.comparisons import ComparisonStatus, StoredComparison
from rag.evaluation.cases import answer_from, case_from
from rag.evaluation.draft_cases import MAX_DRAFTED
from rag.evaluation.plan import MAX_SWAPS, Plan, check_plan
from rag.evaluation.types import AnswerLabel, Case, RetrieverName, System, SystemMode
from rag.types import Policy, VerdictLabel

MAX_CASES = 20_000
MAX_SYSTEMS = 20
_LongText = Annotated[str, Text(1, 100_000)]


class CaseIn(RequestModel):
    """One question for every system. Without references correctness is undefined."""

    id: Annotated[str, Text(1, 200)]
    question: Question
    reference_answers: Annotated[list[Annotated[str, Text(1, 8_000)]], Field(max_length=50)] = Field(
        default_factory=list
    )
    answerable: bool = True
    document: Annotated[str, Text(1, 512)] | None = None
    gold_passages: Annotated[list[_LongText], Field(max_length=20)] = Field(default_factory=list)
    gold_passage: _LongText | None = None
    slices: Annotated[dict[str, str], Field(max_length=20), explain("must be an object of at most 20 texts")] = Field(
        default_factory=dict
    )
    drafted: bool = False


class LabelledClaimIn(RequestModel):
    """One claim of an answer made elsewhere; `label` is a person's verdict."""

    text: _LongText
    label: VerdictLabel | None = None


class AnswerMadeIn(RequestModel):
    """An answer made elsewhere; "" abstains, `label` is a person's verdict."""

    id: Annotated[str, Text(1, 200)]
    text: Annotated[str, Text(0, 100_000, blanks=True)]
    label: AnswerLabel | None = None
    claims: Annotated[list[LabelledClaimIn], Field(max_length=1_000)] | None = None
    confidence: Annotated[float, Number("from 0 to 1", ge=0, le=1)] | None = None


class SystemIn(RequestModel):
    """One way of answering here, or answers made elsewhere."""

    name: Annotated[str, Text(1, 100)]
    mode: SystemMode | None = None
    model: Annotated[str, Text(1, 200)] | None = None
    k: Annotated[int, Whole(1, 100)] | None = None
    retriever: RetrieverName = "hybrid"
    rerank: Annotated[str, Text(1, 200)] | None = None
    sampling: SamplingIn = SamplingIn()
    policy: Policy = "flag"
    prompt_tokens: Annotated[int, Whole(64, 131_072)] | None = None
    answers: Annotated[list[AnswerMadeIn], Field(max_length=MAX_CASES)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.answers is not None and self.model_fields_set - {"name", "answers"}:
            raise refuse("must have either answers or settings, not both")
        return self


class ComparisonIn(RequestModel):
    """Cases, systems, and how far to go with them."""

    name: Annotated[str, Text(1, 200)] = "comparison"
    collection: CollectionName = "default"
    cases: Annotated[list[CaseIn], Field(min_length=1, max_length=MAX_CASES)]
    systems: Annotated[list[SystemIn], Field(min_length=1, max_length=MAX_SYSTEMS)]
    seed: Annotated[int, Whole(0, 2**31 - 1)] = 0
    judged: bool | None = None
    trace: bool = True
    obedience: Annotated[int, Whole(0, MAX_SWAPS)] = 0

    def plan(self, *, k: int, prompt_tokens: int, max_new_tokens: int, rerankers: Collection[str]) -> Plan:
        """What is to be run; the first three arguments hold where a system names none, `rerankers` may be named.

        Claims are judged where `judged` says so or, where it says nothing, if a system answers here or a collection
        was named.

        Raises:
            InvalidInputError: an id or name is there twice, a system is empty, or a field contradicts another.
        """
        cases = tuple(
            case_from(case.model_dump(exclude_unset=True), f"cases[{number}]") for number, case in enumerate(self.cases)
        )
        systems = tuple(
            System(
                name=system.name,
                mode=None if system.answers is not None else system.mode or "grounded",
                model=system.model,
                k=system.k or k,
                retriever=system.retriever,
                rerank=system.rerank,
                sampling=system.sampling.params(max_new_tokens),
                policy=system.policy,
                prompt_tokens=system.prompt_tokens or prompt_tokens,
                answers=None
                if system.answers is None
                else tuple(
                    answer_from(answer.model_dump(), f"answers[{number}] of system {system.name}")
                    for number, answer in enumerate(system.answers)
                ),
            )
            for system in self.systems
        )
        answers_here = any(system.mode is not None for system in systems)
        judged = answers_here or "collection" in self.model_fields_set if self.judged is None else self.judged
        return check_plan(
            Plan(
                name=self.name,
                collection=self.collection,
                seed=self.seed,
                cases=cases,
                systems=systems,
                judged=judged,
                trace=self.trace,
                n_swaps=self.obedience,
            ),
            rerankers,
        )


class DraftIn(RequestModel):
    """How many cases to draft, and from what."""

    collection: CollectionName = "default"
    n: Annotated[int, Whole(1, MAX_DRAFTED)]
    seed: Annotated[int, Whole(0, 2**31 - 1)] = 0


class CaseOut(ResponseModel):
    """One drafted case, as `POST /v1/comparisons` takes it."""

    id: str
    question: str
    reference_answers: list[str]
    answerable: bool
    document: str | None
    gold_passages: list[str]
    slices: dict[str, str]
    drafted: bool


class DraftOut(ResponseModel):
    """Cases for a person to edit."""

    cases: list[CaseOut]


class ComparisonQueuedOut(ResponseModel):
    """What was queued."""

    comparison_id: str
    job_id: str


class ComparisonRowOut(ResponseModel):
    """A comparison in a list. `seconds_left` is null while nobody knows."""

    comparison_id: str
    job_id: str
    name: str
    collection: str
    status: ComparisonStatus
    progress: float
    n_results: int
    n_expected: int
    n_failures: int
    seconds_left: float | None
    redacted: bool
    error: FailureOut | None
    created_at: str
    updated_at: str


class ComparisonOut(ComparisonRowOut):
    """A comparison; figures are null until it is ready, the manifest until it begins."""

    figures: dict[str, Any] | None
    manifest: dict[str, Any] | None


class ComparisonsOut(ResponseModel):
    """The newest comparisons; `count` is of all."""

    data: list[ComparisonRowOut]
    count: int


class DeletedResultsOut(ResponseModel):
    """What went with a comparison."""

    results: int


class ComparisonDeletedOut(ResponseModel):
    """A comparison that is gone."""

    comparison_id: str
    deleted: DeletedResultsOut


RunFile = Literal["cases", "results", "probes"]


def row_to_json(stored: StoredComparison) -> dict[str, Any]:
    """A comparison in a list."""
    return {
        "comparison_id": stored.comparison_id,
        "job_id": stored.job_id,
        "name": stored.name,
        "collection": stored.collection,
        "status": stored.status,
        "progress": stored.progress,
        "n_results": stored.n_results,
        "n_expected": stored.n_expected,
        "n_failures": stored.n_failures,
        "seconds_left": stored.seconds_left,
        "redacted": stored.redacted,
        "error": failure_to_json(stored.error),
        "created_at": time_to_json(stored.created_at),
        "updated_at": time_to_json(stored.updated_at),
    }


def comparison_to_json(stored: StoredComparison) -> dict[str, Any]:
    """A comparison by itself."""
    return {**row_to_json(stored), "figures": stored.figures, "manifest": stored.manifest}


def case_to_json(case: Case) -> dict[str, Any]:
    """A case as requests have it."""
    return {
        "id": case.case_id,
        "question": case.question,
        "reference_answers": list(case.reference_answers),
        "answerable": case.answerable,
        "document": case.document,
        "gold_passages": list(case.gold_passages),
        "slices": dict(case.slices),
        "drafted": case.drafted,
    }
