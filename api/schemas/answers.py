"""What hits and answers look like from outside."""

from typing import Any, Literal

from api.schemas.documents import CharRangeOut, PagesRangeOut, ResponseModel
from rag.types import VerdictLabel


class ScoresOut(ResponseModel):
    """Scores by source, comparable only within one source; null where the source did not find the passage."""

    dense: float | None
    lexical: float | None
    fused: float | None
    rerank: float | None


class HitOut(ResponseModel):
    """One stored passage. `text` is null and `redacted` true once its document was deleted."""

    rank: int
    passage_id: int
    document_id: str
    document_name: str | None
    document_version: int
    page: PagesRangeOut | None
    heading: str | None
    text: str | None
    char_range: CharRangeOut
    score: float
    scores: ScoresOut
    redacted: bool = False


class SearchTimingsOut(ResponseModel):
    """Seconds."""

    retrieve_seconds: float
    total_seconds: float


class SearchOut(ResponseModel):
    """The hits, best first."""

    hits: list[HitOut]
    timings: SearchTimingsOut


class BoxOut(ResponseModel):
    """A rectangle in fractions of the page, origin top left."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


class SupportOut(ResponseModel):
    """The verdict on one citation."""

    label: VerdictLabel
    score: float
    verifier: str


class CitationOut(ResponseModel):
    """A checked pointer from a sentence of the answer to a span of a document."""

    marker: int
    passage_id: int | None
    document_id: str
    document_name: str | None
    document_version: int
    page: PagesRangeOut | None
    char_range: CharRangeOut
    quote: str | None
    answer_span: CharRangeOut
    boxes: list[BoxOut]
    support: SupportOut | None
    score: float
    redacted: bool = False


class ClaimOut(ResponseModel):
    """One checkable statement and its verdict."""

    text: str | None
    start: int
    end: int
    verdict: VerdictLabel
    score: float
    passage_id: int | None
    elsewhere: int | None
    reasons: list[str] | None
    redacted: bool = False


class RemovedOut(ResponseModel):
    """A sentence the strict policy took out."""

    text: str | None
    verdict: VerdictLabel
    score: float
    reason: str | None
    redacted: bool = False


class DroppedOut(ResponseModel):
    """A hit that did not enter the prompt."""

    passage_id: int
    reason: Literal["budget", "duplicate", "redacted"]


class CarriedOut(ResponseModel):
    """What the prompt shows under one marker from the turns before it."""

    marker: int
    passage_ids: list[int]
    document_id: str
    document_name: str | None
    document_version: int
    text: str | None
    redacted: bool = False


class ModelOut(ResponseModel):
    """Which model answered; null where none was needed."""

    name: str
    engine: str
    device: str
    dtype: str
    context_tokens: int
    adapter: str | None = None


class UsageOut(ResponseModel):
    """Tokens spent."""

    prompt_tokens: int
    completion_tokens: int


class TimingsOut(ResponseModel):
    """Seconds; null where a step did not run."""

    retrieve_seconds: float | None
    first_token_seconds: float | None
    generate_seconds: float | None
    verify_seconds: float | None
    elsewhere_seconds: float | None
    total_seconds: float


class AnswerOut(ResponseModel):
    """A question, its answer, and the account of how it came to be."""

    answer_id: str
    question: str
    mode: Literal["grounded", "closed_book"]
    collection: str
    text: str | None
    abstained: bool
    citations: list[CitationOut]
    invalid_markers: list[int]
    claims: list[ClaimOut]
    removed: list[RemovedOut]
    faithfulness: float | None
    confidence: float | None
    retrieved: list[HitOut]
    dropped: list[DroppedOut]
    carried: list[CarriedOut]
    model: ModelOut | None
    usage: UsageOut
    timings: TimingsOut
    created_at: str
    redacted: bool = False


class StoredAnswerOut(AnswerOut):
    """An answer read again; `stale` once a cited version was replaced or deleted."""

    stale: bool


class ProblemOut(ResponseModel):
    """RFC 9457. `code` is stable, `detail` says what to do."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    page: int | None = None
    document_id: str | None = None
    errors: list[dict[str, Any]] | None = None
