"""Document rows to values and back."""

import dataclasses
import datetime
from typing import Any, cast

from rag.catalog.models import DocumentRow
from rag.types import Document, DocumentStatus, Failure, PageReceipt, Receipt


def to_document(row: DocumentRow) -> Document:
    """The value that leaves the catalog."""
    return Document(
        document_id=row.document_id,
        name=row.name,
        collection=row.collection,
        media_type=row.media_type,
        n_bytes=row.n_bytes,
        sha256=row.sha256,
        version=row.version,
        live_version=row.live_version,
        n_pages=row.n_pages,
        n_passages=row.n_passages,
        status=cast(DocumentStatus, row.status),
        progress=row.progress,
        error=failure_from_json(row.error),
        receipt=receipt_from_json(row.receipt),
        metadata=row.document_metadata,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def set_failed(row: DocumentRow, failure: Failure, receipt: Receipt | None, now: datetime.datetime) -> None:
    """Mark the newest version as failed; a version that was searched before stays searched."""
    if row.live_version is not None:
        failure = dataclasses.replace(
            failure, message=f"{failure.message} (version {row.live_version} is still the one that is searched)"
        )
    row.status, row.progress, row.updated_at = "failed", 1.0, now
    row.error = failure_to_json(failure)
    row.receipt = receipt_to_json(receipt)


def failure_to_json(failure: Failure) -> dict[str, Any]:
    """The contract's `error`."""
    return dataclasses.asdict(failure)


def failure_from_json(value: Any) -> Failure | None:
    """The inverse of `failure_to_json`."""
    return None if value is None else Failure(code=value["code"], message=value["message"], page=value["page"])


def receipt_to_json(receipt: Receipt | None) -> dict[str, Any] | None:
    """The contract's `receipt`."""
    return None if receipt is None else dataclasses.asdict(receipt)


def receipt_from_json(value: Any) -> Receipt | None:
    """The inverse of `receipt_to_json`."""
    if value is None:
        return None
    return Receipt(
        pages=tuple(
            PageReceipt(page=page["page"], n_chars=page["n_chars"], ocr=page["ocr"], flags=tuple(page["flags"]))
            for page in value["pages"]
        ),
        n_truncated_passages=value["n_truncated_passages"],
        encoding=value["encoding"],
        warnings=tuple(value["warnings"]),
    )
