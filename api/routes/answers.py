"""Questions and stored answers."""

from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.answering import Question
from api.bounded_route import BoundedRoute
from api.deps import PartsDep, WithKey, WithKnownParameters, client_of
from api.routes import examples
from api.routes.openapi import answers, body
from api.schemas.answers import AnswerOut, StoredAnswerOut
from api.schemas.fields import Identifier
from api.schemas.requests import AskIn
from api.sse import EventStream
from api.turn import STOP_SECONDS, unless_hung_up

router = APIRouter(
    prefix="/v1", tags=["Search and answers"], dependencies=[WithKey, WithKnownParameters], route_class=BoundedRoute
)


@router.post(
    "/ask",
    summary="Ask a question",
    responses=answers(AnswerOut, examples.ANSWER, 400, 404, 413, 415, 422, 429, 503),
    openapi_extra=body(examples.ASK_BODY, examples.ASK_EVIDENCE_BODY, examples.ASK_STREAM_BODY),
)
async def ask(request: Request, parts: PartsDep, wanted: AskIn) -> Response:
    """Answer from the documents, each sentence with a checked citation, or abstain.

    With `stream`, server-sent events: `retrieval` once, then `token`, `citation` and `verification`, last `answer`
    (the whole answer) and `done`; or `error` with a problem. Hanging up stops the work.
    """
    client = client_of(request)
    question = Question(wanted, parts, client)
    if wanted.stream:
        return EventStream(
            question.stream,
            heartbeat_seconds=parts.settings.heartbeat_seconds,
            closing=parts.closing,
            around=partial(parts.questions.place, client),
            on_hang_up=question.hang_up,
            grace_seconds=STOP_SECONDS,
        )
    async with parts.questions.place(client):
        return JSONResponse(await unless_hung_up(request, parts.closing, question.hang_up, question.answer))


@router.get(
    "/answers/{answer_id}",
    summary="Read a stored answer",
    responses=answers(StoredAnswerOut, examples.STORED_ANSWER, 404),
)
def get_answer(parts: PartsDep, answer_id: Identifier) -> JSONResponse:
    """An answer as it was given; `stale` once a cited version was replaced or deleted, redacted where deleted."""
    stored = parts.catalog.answers.get(answer_id)
    return JSONResponse({**stored.payload, "stale": stored.stale})
