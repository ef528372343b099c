"""OpenAI's dialect: what its clients call, unchanged."""

from functools import partial
from typing import Any

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.deps import PartsDep, WithKey, client_of
from api.openai.chat import frame_of, start_chat, stream_chat, whole_chat
from api.openai.embeddings import Embedding
from api.openai.errors import OpenAiRoute, place_in
from api.openai.models import list_models
from api.routes import openai_examples as examples
from api.routes.openapi import body
from api.schemas.openai import ChatIn, EmbeddingsIn
from api.sse import EventStream
from api.turn import STOP_SECONDS, unless_hung_up
from llm.errors import ModelNotFoundError

router = APIRouter(prefix="/v1", tags=["OpenAI's dialect"], dependencies=[WithKey], route_class=OpenAiRoute)


def _answers(example: Any, *problems: int) -> dict[int | str, dict[str, Any]]:
    shown: dict[int | str, dict[str, Any]] = {
        200: {"description": "Success", "content": {"application/json": {"example": example}}}
    }
    for number in (401, 403, *problems):
        shown[number] = {"description": "Error", "content": {"application/json": {"example": examples.ERROR}}}
    return shown


@router.post(
    "/chat/completions",
    summary="Complete a chat",
    responses=_answers(examples.COMPLETION, 400, 404, 413, 429, 503),
    openapi_extra=body(examples.CHAT_BODY, examples.RAG_BODY),
)
async def chat_completions(request: Request, parts: PartsDep, wanted: ChatIn) -> Response:
    """With the model `rag:COLLECTION` a cited answer from its documents, with the decoder's name plain chat.

    `citations` stand beside OpenAI's own fields and in the last chunk of a stream. The text of a cited answer is
    streamed once it is final. Without a temperature decoding is greedy. Hanging up stops the work.
    """
    client = client_of(request)
    chat = await anyio.to_thread.run_sync(start_chat, wanted, parts, client)
    frame = frame_of(wanted, parts)
    if wanted.stream:
        return EventStream(
            partial(stream_chat, chat, frame, request),
            heartbeat_seconds=parts.settings.heartbeat_seconds,
            closing=parts.closing,
            around=partial(place_in, parts.questions, request, client),
            on_hang_up=chat.hang_up,
            grace_seconds=STOP_SECONDS,
        )
    async with parts.questions.place(client):
        return JSONResponse(
            await unless_hung_up(request, parts.closing, chat.hang_up, partial(whole_chat, chat, frame))
        )


@router.post(
    "/embeddings",
    summary="Embed texts",
    responses=_answers(examples.EMBEDDINGS, 400, 404, 413, 429, 503),
    openapi_extra=body(examples.EMBEDDINGS_BODY),
)
async def embeddings(request: Request, parts: PartsDep, wanted: EmbeddingsIn) -> Response:
    """Vectors of length 1 of a text or of many, with the model that the documents are embedded with."""
    embedding = Embedding(wanted, parts, client_of(request))
    async with parts.questions.place(client_of(request)):
        return JSONResponse(await unless_hung_up(request, parts.closing, embedding.hang_up, embedding.embed))


@router.get("/models", summary="List models", responses=_answers(examples.MODELS))
def models(parts: PartsDep) -> JSONResponse:
    """The decoder, the embedder, and `rag:COLLECTION` for every collection."""
    return JSONResponse({"object": "list", "data": list_models(parts)})


@router.get("/models/{model:path}", summary="Read a model", responses=_answers(examples.MODEL, 404))
def model(parts: PartsDep, model: str) -> JSONResponse:
    """One of the models that are listed."""
    found = next((row for row in list_models(parts) if row["id"] == model), None)
    if found is None:
        raise ModelNotFoundError("there is no model of that name; GET /v1/models lists them")
    return JSONResponse(found)
