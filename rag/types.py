"""What flows through the core. Frozen values only; offsets are half-open, in code points of the document's text."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from llm.types import Message, ModelInfo

FloatArray = npt.NDArray[np.float32]
IdArray = npt.NDArray[np.int64]
Metadata = Mapping[str, Any]

DocumentStatus = Literal["queued", "parsing", "embedding", "ready", "failed", "cancelled"]
JobStatus = Literal["queued", "running", "done", "failed", "cancelled"]
OnDuplicate = Literal["skip", "replace", "error"]
Mode = Literal["grounded", "closed_book"]
Policy = Literal["flag", "strict"]
VerdictLabel = Literal["supported", "contradicted", "unsupported"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A half-open range of code points."""

    start: int
    end: int

    def __post_init__(self) -> None:
        """Refuse a range that runs backwards or starts before the text."""
        if not 0 <= self.start <= self.end:
            raise ValueError(f"a span must satisfy 0 <= start <= end, got [{self.start}, {self.end})")

    def cut(self, text: str) -> str:
        """The characters of `text` inside this span."""
        return text[self.start : self.end]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle on a page image, in fractions of the page, origin top left."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a document has no passages."""

    code: str
    message: str
    page: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageReceipt:
    """What came out of one page; `page` is None for formats without pages."""

    page: int | None
    n_chars: int
    ocr: bool = False
    flags: tuple[str, ...] = ()  # e.g. image_only, no_text, rotated, repaired, instructions


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The account of what ingest made of a file."""

    pages: tuple[PageReceipt, ...] = ()
    n_truncated_passages: int = 0  # passages longer than the embedder reads
    encoding: str | None = None  # of text formats
    warnings: tuple[str, ...] = ()  # sentences for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One uploaded document, as of its newest version."""

    document_id: str
    name: str
    collection: str
    media_type: str
    n_bytes: int
    sha256: str
    version: int  # 1-based; grows with every replacement
    live_version: int | None  # the version whose passages are searched now; None before the first is ready
    n_pages: int | None  # None for formats without pages
    n_passages: int
    status: DocumentStatus
    progress: float  # 0..1
    error: Failure | None
    receipt: Receipt | None
    metadata: Metadata
    created_at: datetime.datetime
    updated_at: datetime.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page or slide of a parsed document; `number` is None for formats without pages."""

    number: int | None
    start: int
    end: int
    width: float | None = None  # points
    height: float | None = None
    # uint16[n_chars, 4]: x0, y0, x1, y1 of each character of the page's text in 1/65535 of the page,
    # origin top left; all zero where a character has no place (a line break). None without a page image.
    char_boxes: npt.NDArray[np.uint16] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A stretch of a parsed text that belongs together. Blocks cover the text in order and never overlap."""

    kind: Literal["heading", "paragraph", "list", "table", "code"]
    start: int
    end: int
    heading: str | None  # the section path the block stands under: "3 Leave › 3.2 Parental leave"
    table_header: str | None = None  # the header row of a table, as it stands in the text


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedDocument:
    """What a loader made of a file: the normalized text and where things are in it."""

    text: str  # NFC, "\n" line ends, no control characters but "\n" and "\t"
    pages: tuple[Page, ...]  # () for formats without pages
    blocks: tuple[Block, ...]
    media_type: str
    receipt: Receipt
    title: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPassage:
    """A passage that has no id yet. `text == document_text[start:end]`, always."""

    ordinal: int  # 0-based place in the document
    text: str
    start: int
    end: int
    heading: str | None
    table_header: str | None  # repeated before `text` for the embedder and the prompt, never part of it
    first_page: int | None
    last_page: int | None
    n_tokens: int  # by the embedder's tokenizer, heading and table header included
    continues: bool  # starts inside a paragraph or row that the passage before it began


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A stored passage. The id is the row id and the index id and is never used again."""

    passage_id: int
    document_id: str
    document_name: str
    collection: str
    version: int
    ordinal: int
    text: str
    start: int
    end: int
    heading: str | None
    table_header: str | None
    first_page: int | None
    last_page: int | None
    n_tokens: int
    continues: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores by source; comparable only within one source. None where the source did not find the passage."""

    dense: float | None = None  # cosine
    lexical: float | None = None  # BM25
    fused: float | None = None  # weighted reciprocal rank
    rerank: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One stored passage that answers a query."""

    rank: int  # 1 = best
    passage: Passage
    score: float  # the score it was ranked by
    scores: Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A hit that did not enter the prompt."""

    passage_id: int
    reason: Literal["budget", "duplicate", "redacted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a prompt shows under one marker since it goes on from the one before it."""

    marker: int
    passage_ids: tuple[int, ...]
    document_id: str
    document_name: str
    document_version: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """The verdict on one citation."""

    label: VerdictLabel
    score: float
    verifier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A checked pointer from a sentence of an answer to a span of one version of a document."""

    marker: int
    passage_id: int | None  # None for evidence given with the question
    document_id: str
    document_name: str
    document_version: int
    first_page: int | None
    last_page: int | None
    char_range: Span  # in the text of that version
    quote: str  # == text[char_range]
    answer_span: Span  # the sentence without its marker, in the final answer text
    boxes: tuple[Box, ...] = ()
    support: Support | None = None
    score: float = 0.0  # how much of the sentence the quote accounts for, 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One checkable statement of an answer and its verdict."""

    text: str
    start: int
    end: int
    verdict: VerdictLabel
    score: float
    passage_id: int | None = None  # that supports or contradicts it
    elsewhere: int | None = None  # of an unsupported claim: a passage of the corpus that supports it, not retrieved
    reasons: tuple[str, ...] = ()  # for people: "42 is not in the evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A sentence that the strict policy took out."""

    text: str
    verdict: VerdictLabel
    score: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens spent."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds; None where the step did not run."""

    retrieve_seconds: float | None = None
    first_token_seconds: float | None = None
    generate_seconds: float | None = None
    verify_seconds: float | None = None
    elsewhere_seconds: float | None = None  # the second search, for unsupported claims only
    total_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What the decoder read and wrote for an answer, word for word, so that its insides can be shown later."""

    model: str  # `ModelInfo.full_name`
    messages: tuple[Message, ...]
    token_ids: tuple[int, ...]  # as generated, before anything was tidied, attributed or removed


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A question, its answer, and the account of how it came to be."""

    answer_id: str
    question: str
    mode: Mode
    collection: str
    text: str
    abstained: bool
    citations: tuple[Citation, ...]
    invalid_markers: tuple[int, ...]
    claims: tuple[Claim, ...]
    removed: tuple[Removed, ...]
    faithfulness: float | None
    confidence: float | None
    retrieved: tuple[Hit, ...]
    dropped: tuple[Dropped, ...]
    model: ModelInfo | None  # None when no decoder was needed (nothing was retrieved)
    usage: Usage
    timings: Timings
    created_at: datetime.datetime
    carried: tuple[Carried, ...] = ()  # nothing where the prompt does not go on from the turn before
