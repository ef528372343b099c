"""What flows through an evaluation: cases, systems, scored answers, figures, and the record of a run.

Frozen values only. What is unknown is None and counted as undefined, never 0. Texts that come from a document become
None, with `redacted` true, once that document is deleted; ids, offsets and verdicts stay.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from llm.types import SamplingParams
from rag.types import Policy, Span, VerdictLabel
from rag.verify.types import VerifierInfo

SystemMode = Literal["grounded", "closed_book", "oracle"]
RetrieverName = Literal["hybrid", "dense", "lexical"]
AnswerLabel = Literal["correct", "wrong", "abstained"]  # what a person says of an answer
Outcome = Literal["correct", "wrong", "abstained", "right_abstention", "false_confidence"]
DecidedBy = Literal["person", "references", "abstention"]
Cause = Literal["not_in_corpus", "not_retrieved", "cut_by_budget", "present_but_unread", "memory_over_evidence"]
Where = Literal["elsewhere", "absent"]  # of an unsupported claim: in the corpus but not seen by the system, or nowhere

ANSWERABLE_OUTCOMES: tuple[Outcome, ...] = ("correct", "wrong", "abstained")
UNANSWERABLE_OUTCOMES: tuple[Outcome, ...] = ("right_abstention", "false_confidence")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question that every system is asked."""

    case_id: str  # unique in a file
    question: str
    reference_answers: tuple[str, ...] = ()  # any of them is right; () leaves correctness undefined
    answerable: bool = True  # whether the documents hold an answer
    document: str | None = None  # the document that the case is about: what the bootstrap is clustered by
    gold_passages: tuple[str, ...] = ()  # texts that hold the answer
    slices: Mapping[str, str] = field(default_factory=dict)  # further properties to look for weak spots by
    drafted: bool = False  # made from a passage by a machine and not yet edited by a person


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledClaim:
    """One claim of an answer made elsewhere."""

    text: str
    label: VerdictLabel | None = None  # a person's verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalAnswer:
    """An answer made elsewhere, with a person's verdicts where there are any; "" is an abstention."""

    case_id: str
    text: str
    label: AnswerLabel | None = None
    claims: tuple[LabelledClaim, ...] | None = None  # None: to be split here; (): states nothing
    confidence: float | None = None  # 0..1, by the system that answered


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One way of answering, with every setting that differs between systems.

    Raises:
        ValueError: neither or both of `mode` and `answers` are given.
    """

    name: str  # unique in a comparison
    mode: SystemMode | None = None  # None where the answers were made elsewhere
    model: str | None = None  # None: the service's own
    k: int = 8
    retriever: RetrieverName = "hybrid"
    rerank: str | None = None  # name of a reranker, or "none"; None: the service's own, if `retriever` is hybrid
    sampling: SamplingParams = field(default_factory=SamplingParams)
    policy: Policy = "flag"
    prompt_tokens: int = 1000
    answers: tuple[ExternalAnswer, ...] | None = None

    def __post_init__(self) -> None:
        """A system either answers here or has answered elsewhere."""
        if (self.mode is None) == (self.answers is None):
            raise ValueError(f"system {self.name} needs either a mode or answers, and not both")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A stretch of evidence, copied so that a report can be read without the service."""

    text: str | None  # None once redacted
    document_id: str | None = None  # None for gold passages, which belong to no stored document
    document_name: str | None = None
    document_version: int | None = None
    passage_id: int | None = None
    first_page: int | None = None  # None for formats without pages
    last_page: int | None = None
    char_range: Span | None = None  # in the text of that version
    redacted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredClaim:
    """One statement of an answer and what became of it."""

    text: str | None  # None once redacted
    start: int | None  # in the answer's text; None where an answer made elsewhere names no place
    end: int | None
    verdict: VerdictLabel | None  # against the evidence that is the same for every system; None: not judged
    score: float | None = None  # 0..1: probability of `supported`, None for a person's verdict
    shown_verdict: VerdictLabel | None = None  # against what the system itself was shown; None when closed book
    decided_by: Literal["person", "judge"] | None = None
    judged: VerdictLabel | None = None  # the judge's own verdict, where a person's stands in its place
    quote: Quote | None = None  # what supports or contradicts it
    where: Where | None = None  # of unsupported claims
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredCitation:
    """One citation of an answer."""

    marker: int
    quote: Quote
    answer_span: Span  # the citing sentence in the answer's text, without its marker
    label: VerdictLabel | None = None  # the verdict on sentence and quote
    literal: bool | None = None  # whether the quote stands in the document word for word; None: not checked


@dataclass(frozen=True, slots=True, kw_only=True)
class CitationCounts:
    """What the citations of one answer came to (see `rag.evaluation.citation_metrics`).

    ALCE (Gao et al., EMNLP 2023): a sentence is recalled when all it cites, taken together, support it; a citation is
    precise when its sentence is recalled and it supports it alone, or the others do not support it without it.
    """

    n_sentences: int  # that ought to cite
    n_recalled: int
    n_citations: int
    n_precise: int
    n_out_of_range: int = 0  # markers that name no passage
    n_missed: int = 0  # sentences not recalled although a passage shown to the system supports them
    n_misplaced: int = 0  # citations that support another sentence of the answer and not their own
    n_quotes: int = 0  # that were compared with their document
    n_literal: int = 0  # that stand in it word for word


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFailure:
    """Why a system has no answer to a case; kept as data."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One system's scored answer to one case: one line of `results.jsonl`."""

    case_id: str
    system: str
    text: str | None  # None: failed or redacted
    abstained: bool
    outcome: Outcome | None  # None: failed, or correctness is undefined
    decided_by: DecidedBy | None = None
    label: AnswerLabel | None = None  # a person's verdict, where there is one
    exact_match: bool | None = None  # None: no reference, or abstained
    token_f1: float | None = None  # 0..1, best over the references
    contains_reference: bool | None = None
    # The judge finds a reference in it, False where abstained; beside the outcome, not in its place. None: not judged.
    judged_equivalent: bool | None = None
    claims: tuple[ScoredClaim, ...] | None = None  # None: not judged
    citations: tuple[ScoredCitation, ...] = ()
    invalid_markers: tuple[int, ...] = ()
    citation_counts: CitationCounts | None = None  # None: not judged
    confidence: float | None = None  # 0..1
    retrieved_passage_ids: tuple[int, ...] = ()
    total_seconds: float | None = None  # None for answers made elsewhere
    first_token_seconds: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cause: Cause | None = None  # of a wrong or hallucinated answer
    failure: CaseFailure | None = None
    redacted: bool = False

    @property
    def answered(self) -> bool:
        """Whether it states something: neither failed nor abstained."""
        return self.failure is None and not self.abstained

    @property
    def hallucinates(self) -> bool | None:
        """Whether an answer given holds an unsupported or contradicted claim; None where that is not known."""
        if not self.answered or not self.claims:
            return None
        if any(claim.verdict in ("unsupported", "contradicted") for claim in self.claims):
            return True
        return None if any(claim.verdict is None for claim in self.claims) else False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A share or a mean, with what it is made of.

    `n` things were looked at; `denominator` of them count; `undefined` should count but nobody knows their value; the
    rest is not what the figure is about (an abstention in a figure about answers). `numerator` is a sum of values, for
    shares each 0 or 1.

    Raises:
        ValueError: the counts contradict each other or are not finite.
    """

    numerator: float
    denominator: int
    undefined: int
    n: int

    def __post_init__(self) -> None:
        """Refuse figures that cannot be."""
        ok = math.isfinite(self.numerator) and min(self.denominator, self.undefined) >= 0
        if not ok or self.denominator + self.undefined > self.n or (self.denominator == 0 and self.numerator != 0):
            raise ValueError(f"no figure has these counts: {self}")

    @property
    def value(self) -> float | None:
        """Numerator ÷ denominator; None where nothing counts."""
        return self.numerator / self.denominator if self.denominator else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Scores of a judge between `low` and `high`, and how often people agree."""

    low: float
    high: float
    n: int
    mean_score: float | None
    share_supported: float | None  # by the people's labels


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeTrial:
    """A judge against people's labels. Positive is what it must catch: a claim that is not supported."""

    name: str  # of the judge
    version: str = ""
    measured_on: str  # the labels, by name
    caught: int  # not supported, and the judge says so
    passed_over: int  # not supported, and the judge says supported
    cleared: int  # supported, and the judge says so
    accused: int  # supported, and the judge says not supported
    ece: float | None  # expected calibration error of `score`, ten bins of equal width
    brier: float | None
    bins: tuple[ReliabilityBin, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything that a run depends on, written before its first answer."""

    name: str
    collection: str
    seed: int
    created_at: str  # UTC, ISO-8601
    cases_sha256: str
    systems: tuple[System, ...]  # the answers of external systems are in the results; here they are ()
    prompt_version: str | None = None
    verifier: VerifierInfo | None = None  # None where nothing was judged
    judge_trial: JudgeTrial | None = None  # None where it was not tried on labels
    models: Mapping[str, Any] = field(default_factory=dict)  # system name → name, engine, device, dtype, sha256
    index: Mapping[str, Any] = field(default_factory=dict)  # hashes and the last catalog change they hold
    version: str = ""  # of Citebound


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A stored run: what `report` reads. Results may be missing where a run was stopped."""

    manifest: Manifest
    cases: tuple[Case, ...]
    results: tuple[CaseResult, ...]
