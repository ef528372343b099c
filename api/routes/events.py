"""News of documents as server-sent events."""

import asyncio
from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import APIRouter, Query

from api.deps import PartsDep, WithKey, WithKnownParameters
from api.parts import Parts
from api.routes import examples
from api.routes.openapi import answers
from api.schemas.documents import document_to_json
from api.schemas.fields import CollectionName, Identifier
from api.sse import EventStream, Outbox, encode
from rag.catalog.events import DocumentEvent
from rag.errors import NotFoundError
from rag.types import Document

router = APIRouter(prefix="/v1", tags=["Documents"], dependencies=[WithKey, WithKnownParameters])


@router.get(
    "/events",
    status_code=200,
    summary="Follow all documents",
    responses=answers(None, examples.DOCUMENT_EVENT, 422, 429, media_type="text/event-stream"),
    response_class=EventStream,
)
async def all_events(
    parts: PartsDep, collection: Annotated[CollectionName | None, Query(description="Only this collection.")] = None
) -> EventStream:
    """A `document` event for each change of status or progress, `deleted` when one is gone.

    Somebody who reads slowly gets the newest state of each document, not every step.
    """
    return _stream(parts, collection=collection, document_id=None)


@router.get(
    "/documents/{document_id}/events",
    status_code=200,
    summary="Follow one document",
    responses=answers(None, examples.DOCUMENT_EVENT, 404, 429, media_type="text/event-stream"),
    response_class=EventStream,
)
async def document_events(parts: PartsDep, document_id: Identifier) -> EventStream:
    """The document as it is now, then a `document` event for each change; ends when the document is deleted."""
    await anyio.to_thread.run_sync(parts.catalog.documents.get, document_id)
    return _stream(parts, collection=None, document_id=document_id)


def _stream(parts: Parts, *, collection: str | None, document_id: str | None) -> EventStream:
    async def produce(outbox: Outbox) -> None:
        await _follow(parts, outbox, collection, document_id)

    return EventStream(
        produce,
        heartbeat_seconds=parts.settings.heartbeat_seconds,
        closing=parts.closing,
        around=parts.event_streams.place,
        max_waiting=1,
    )


def _get(parts: Parts, document_id: str) -> Document | None:
    try:
        return parts.catalog.documents.get(document_id)
    except NotFoundError:
        return None


async def _follow(parts: Parts, outbox: Outbox, collection: str | None, document_id: str | None) -> None:
    waiting: dict[str, DocumentEvent] = {}  # the newest of each document
    news = anyio.Event()
    loop = asyncio.get_running_loop()

    def keep(event: DocumentEvent) -> None:
        waiting[event.document.document_id] = event
        news.set()

    def hear(event: DocumentEvent) -> None:  # in the thread that committed the change
        document = event.document
        if document_id not in (None, document.document_id) or collection not in (None, document.collection):
            return
        loop.call_soon_threadsafe(keep, event)

    unsubscribe = parts.catalog.events.subscribe(hear)
    try:
        if document_id is not None:
            now = await anyio.to_thread.run_sync(_get, parts, document_id)
            if now is None:
                await outbox.send(encode("deleted", {"document_id": document_id}))
                return
            await outbox.send(encode("document", document_to_json(now)))
        while True:
            await news.wait()
            news = anyio.Event()
            events, waiting = tuple(waiting.values()), {}
            for event in events:
                name = "deleted" if event.deleted else "document"
                body = (
                    {"document_id": event.document.document_id} if event.deleted else document_to_json(event.document)
                )
                await outbox.send(encode(name, body))
                if event.deleted and document_id is not None:
                    return
    finally:
        unsubscribe()
