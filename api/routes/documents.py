"""Documents: upload, list, read, replace, retry, cancel, delete."""

from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.deps import PartsDep, WithKey, WithKnownParameters
from api.errors import ProblemResponse
from api.routes import examples
from api.routes.openapi import answers
from api.schemas.documents import (
    CollectionsOut,
    DeletedOut,
    DocumentOut,
    DocumentsOut,
    JobOut,
    QueuedOut,
    UploadsOut,
    document_to_json,
    failure_to_json,
    time_to_json,
)
from api.schemas.fields import CollectionName, Identifier, Text, Whole
from api.uploads import refusal
from rag.catalog.documents import Registration

router = APIRouter(prefix="/v1", tags=["Documents"], dependencies=[WithKey, WithKnownParameters])


def queued_to_json(registration: Registration) -> dict[str, Any]:
    """A document whose newest version was queued."""
    return {**document_to_json(registration.document), "job_id": registration.job_id}


@router.post(
    "/documents",
    status_code=202,
    summary="Upload documents",
    responses=answers(UploadsOut, examples.UPLOADS, 400, 409, 413, 415, 422, status=202),
    openapi_extra=examples.UPLOAD_FORM,
)
async def upload(request: Request, parts: PartsDep) -> Response:
    """Take one or more files; each is queued for ingest. A file that is refused has its own `error`.

    If every file is refused, the status is 4xx and the rows stand under `errors` of the problem.
    """
    rows, errors = await anyio.to_thread.run_sync(parts.receiver.upload, request, limiter=parts.upload_slots)
    if len(errors) == len(rows):
        return ProblemResponse(refusal(rows, errors))
    parts.wake()
    return JSONResponse({"data": rows}, status_code=202)


@router.get("/documents", summary="List documents", responses=answers(DocumentsOut, examples.DOCUMENTS, 422))
def list_documents(
    parts: PartsDep,
    collection: Annotated[CollectionName | None, Query(description="Only this collection.")] = None,
    status: Annotated[
        str | None, Query(description="queued, parsing, embedding, ready, failed or cancelled.", max_length=20)
    ] = None,
    q: Annotated[str | None, Text(1, 200), Query(description="A part of the name.")] = None,
    sort: Annotated[
        str, Query(description="created_at, updated_at, name, n_bytes or status; - for descending.", max_length=20)
    ] = "-created_at",
    limit: Annotated[int, Whole(1, 1000, from_text=True), Query(description="Rows of one page.")] = 100,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before.", max_length=2048)] = None,
) -> JSONResponse:
    """The documents that match, newest first unless sorted otherwise; `count` is of all that match."""
    documents, next_cursor, count = parts.catalog.documents.list(
        collection=collection, status=status, q=q, sort=sort, limit=limit, cursor=cursor
    )
    rows = [document_to_json(document) for document in documents]
    return JSONResponse({"data": rows, "next_cursor": next_cursor, "count": count})


@router.get("/collections", summary="List collections", responses=answers(CollectionsOut, examples.COLLECTIONS))
def list_collections(parts: PartsDep) -> JSONResponse:
    """Every collection that holds a document."""
    rows = [
        {"name": row.name, "n_documents": row.n_documents, "n_passages": row.n_passages}
        for row in parts.catalog.documents.collections()
    ]
    return JSONResponse({"data": rows})


@router.get("/jobs/{job_id}", summary="Read a job", responses=answers(JobOut, examples.JOB, 404))
def get_job(parts: PartsDep, job_id: Identifier) -> JSONResponse:
    """How far a piece of background work is."""
    job = parts.catalog.jobs.get(job_id)
    return JSONResponse(
        {
            "job_id": job.job_id,
            "kind": job.kind,
            "status": job.status,
            "progress": job.progress,
            "document_id": job.document_id,
            "error": failure_to_json(job.error),
            "created_at": time_to_json(job.created_at),
            "updated_at": time_to_json(job.updated_at),
        }
    )


@router.get(
    "/documents/{document_id}", summary="Read a document", responses=answers(DocumentOut, examples.DOCUMENT, 404)
)
def get_document(parts: PartsDep, document_id: Identifier) -> JSONResponse:
    """Its state, progress, and the receipt of its ingest."""
    return JSONResponse(document_to_json(parts.catalog.documents.get(document_id)))


@router.put(
    "/documents/{document_id}/content",
    status_code=202,
    summary="Replace a document's content",
    responses=answers(QueuedOut, examples.QUEUED, 400, 404, 413, 415, 422, status=202),
    openapi_extra=examples.CONTENT_BODY,
)
async def replace_content(request: Request, parts: PartsDep, document_id: Identifier) -> JSONResponse:
    """A new version under the same id: the file as the body, or a form with one part named `file`.

    The old version is searched until the new one is ready, and can be read until the document is deleted.
    """
    registration = await anyio.to_thread.run_sync(
        parts.receiver.replace, request, document_id, limiter=parts.upload_slots
    )
    parts.wake()
    return JSONResponse(queued_to_json(registration), status_code=202)


@router.post(
    "/documents/{document_id}/retry",
    status_code=202,
    summary="Ingest again",
    responses=answers(QueuedOut, examples.QUEUED, 404, 409, status=202),
)
def retry(parts: PartsDep, document_id: Identifier) -> JSONResponse:
    """Queue a document that failed or was cancelled."""
    registration = parts.catalog.documents.retry(document_id, parts.now())
    parts.wake()
    return JSONResponse(queued_to_json(registration), status_code=202)


@router.post(
    "/documents/{document_id}/cancel",
    summary="Stop an ingest",
    responses=answers(DocumentOut, examples.CANCELLED, 404, 409),
)
def cancel(parts: PartsDep, document_id: Identifier) -> JSONResponse:
    """Stop the work on a document; a version that is searched stays searched."""
    document = parts.catalog.documents.cancel(document_id, parts.now())
    parts.wake()
    return JSONResponse(document_to_json(document))


@router.delete(
    "/documents/{document_id}", summary="Delete a document", responses=answers(DeletedOut, examples.DELETED, 404)
)
def delete(parts: PartsDep, document_id: Identifier) -> JSONResponse:
    """Delete a document, its versions, passages, vectors, files and cached page images, and prove it.

    Stored answers keep ids and offsets, but lose its quotes. `remaining` counts what could still be found.
    """
    deleted, remaining = parts.delete(document_id)
    counts = {"passages": deleted.passages, "vectors": deleted.vectors, "files": deleted.files}
    return JSONResponse({"document_id": document_id, "deleted": counts, "remaining": remaining})
