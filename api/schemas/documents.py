"""What documents, jobs and collections look like from outside."""

import datetime
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict

from rag.types import Document, DocumentStatus, Failure, JobStatus, Passage, Receipt


class ResponseModel(BaseModel):
    """A response body, as the OpenAPI document shows it."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class FailureOut(ResponseModel):
    """Why something did not work; `page` where one page is to blame."""

    code: str
    message: str
    page: int | None


class UploadOut(ResponseModel):
    """What became of one uploaded file."""

    document_id: str | None
    name: str
    status: DocumentStatus
    job_id: str | None
    duplicate_of: str | None
    error: FailureOut | None


class UploadsOut(ResponseModel):
    """One row a file, in the order they were sent."""

    data: list[UploadOut]


class PageReceiptOut(ResponseModel):
    """What came out of one page."""

    page: int | None
    n_chars: int
    ocr: bool
    flags: list[str]


class ReceiptOut(ResponseModel):
    """The account of what ingest made of a file."""

    pages: list[PageReceiptOut]
    n_truncated_passages: int
    encoding: str | None
    warnings: list[str]


class DocumentOut(ResponseModel):
    """One document, as of its newest version."""

    document_id: str
    name: str
    collection: str
    media_type: str
    n_bytes: int
    sha256: str
    version: int
    live_version: int | None
    n_pages: int | None
    n_passages: int
    status: DocumentStatus
    progress: float
    error: FailureOut | None
    receipt: ReceiptOut | None
    metadata: dict[str, Any]
    created_at: str
    updated_at: str


class QueuedOut(DocumentOut):
    """A document and the job that was queued for it."""

    job_id: str | None


class DocumentsOut(ResponseModel):
    """One page of the catalog; `count` is of all that match."""

    data: list[DocumentOut]
    next_cursor: str | None
    count: int


class CollectionOut(ResponseModel):
    """A collection and what it holds."""

    name: str
    n_documents: int
    n_passages: int


class CollectionsOut(ResponseModel):
    """Every collection that holds a document."""

    data: list[CollectionOut]


class JobOut(ResponseModel):
    """One piece of background work."""

    job_id: str
    kind: str
    status: JobStatus
    progress: float
    document_id: str | None
    error: FailureOut | None
    created_at: str
    updated_at: str


class DeletedCountsOut(ResponseModel):
    """How much went."""

    passages: int
    vectors: int
    files: int


class DeletedOut(ResponseModel):
    """The proof of a deletion; `remaining` counts what could still be found, and is 0."""

    document_id: str
    deleted: DeletedCountsOut
    remaining: int


class PageOut(ResponseModel):
    """One page or slide; `width` and `height` in points."""

    page: int
    text: str
    start: int
    end: int
    width: float | None
    height: float | None


class CharRangeOut(ResponseModel):
    """A half-open range of code points."""

    start: int
    end: int


class PagesRangeOut(ResponseModel):
    """The first and the last page something stands on."""

    start: int
    end: int


class PassageOut(ResponseModel):
    """One stored passage."""

    passage_id: int
    document_id: str
    version: int
    ordinal: int
    text: str
    char_range: CharRangeOut
    page: PagesRangeOut | None
    heading: str | None
    n_tokens: int


class PassagesOut(ResponseModel):
    """The passages of a document, in order."""

    data: list[PassageOut]


def time_to_json(time: datetime.datetime) -> str:
    """UTC, ISO 8601."""
    return time.astimezone(datetime.UTC).isoformat()


def failure_to_json(failure: Failure | None) -> dict[str, Any] | None:
    """A failure, or null."""
    return None if failure is None else {"code": failure.code, "message": failure.message, "page": failure.page}


def receipt_to_json(receipt: Receipt | None) -> dict[str, Any] | None:
    """A receipt, or null before there is one."""
    if receipt is None:
        return None
    return {
        "pages": [
            {"page": page.page, "n_chars": page.n_chars, "ocr": page.ocr, "flags": list(page.flags)}
            for page in receipt.pages
        ],
        "n_truncated_passages": receipt.n_truncated_passages,
        "encoding": receipt.encoding,
        "warnings": list(receipt.warnings),
    }


def document_to_json(document: Document) -> dict[str, Any]:
    """A document in the contract's shape."""
    return {
        "document_id": document.document_id,
        "name": document.name,
        "collection": document.collection,
        "media_type": document.media_type,
        "n_bytes": document.n_bytes,
        "sha256": document.sha256,
        "version": document.version,
        "live_version": document.live_version,
        "n_pages": document.n_pages,
        "n_passages": document.n_passages,
        "status": document.status,
        "progress": document.progress,
        "error": failure_to_json(document.error),
        "receipt": receipt_to_json(document.receipt),
        "metadata": dict(document.metadata),
        "created_at": time_to_json(document.created_at),
        "updated_at": time_to_json(document.updated_at),
    }


def passages_to_json(passages: Iterable[Passage]) -> list[dict[str, Any]]:
    """The passages of one document."""
    return [
        {
            "passage_id": passage.passage_id,
            "document_id": passage.document_id,
            "version": passage.version,
            "ordinal": passage.ordinal,
            "text": passage.text,
            "char_range": {"start": passage.start, "end": passage.end},
            "page": None
            if passage.first_page is None
            else {"start": passage.first_page, "end": passage.last_page or passage.first_page},
            "heading": passage.heading,
            "n_tokens": passage.n_tokens,
        }
        for passage in passages
    ]
