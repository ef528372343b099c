"""Questions and stored answers."""

import anyio
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.answering import Question
from api.bounded_route import BoundedRoute
from api.deps import PartsDep, WithKey, WithKnownParameters
from api.errors import respond
from api.routes import examples
from api.routes.openapi import answers, body
from api.schemas.answers import AnswerOut, StoredAnswerOut
from api.schemas.fields import Identifier
from api.schemas.requests import AskIn
from api.sse import EventStream, until_hang_up
from llm.errors import CancelledError

router = APIRouter(
    prefix="/v1", tags=["Search and answers"], dependencies=[WithKey, WithKnownParameters], route_class=BoundedRoute
)

_STOP_SECONDS = 2.0  # within which a question that was told to stop has stopped


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
    question = Question(wanted, parts)
    if wanted.stream:
        return EventStream(
            question.stream,
            heartbeat_seconds=parts.settings.heartbeat_seconds,
            closing=parts.closing,
            around=parts.questions.place,
            on_hang_up=question.hang_up,
            grace_seconds=_STOP_SECONDS,
        )
    async with parts.questions.place():
        return await _answer_or_hang_up(request, question, parts.closing)


async def _answer_or_hang_up(request: Request, question: Question, closing: anyio.Event) -> Response:
    response: Response | None = None
    failure: Exception | None = None

    async def watch() -> None:
        await until_hang_up(request.receive)
        question.hang_up()
        tasks.cancel_scope.cancel()

    async def close() -> None:
        await closing.wait()
        question.hang_up()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        tasks.start_soon(close)
        try:
            response = JSONResponse(await question.answer())
        except Exception as error:  # raised below: a task group would wrap it
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return response or respond(CancelledError("the client hung up"))


@router.get(
    "/answers/{answer_id}",
    summary="Read a stored answer",
    responses=answers(StoredAnswerOut, examples.STORED_ANSWER, 404),
)
def get_answer(parts: PartsDep, answer_id: Identifier) -> JSONResponse:
    """An answer as it was given; `stale` once a cited version was replaced or deleted, redacted where deleted."""
    stored = parts.catalog.answers.get(answer_id)
    return JSONResponse({**stored.payload, "stale": stored.stale})
