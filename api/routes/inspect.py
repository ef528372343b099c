"""A look inside the decoder."""

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.bounded_route import BoundedRoute
from api.deps import PartsDep, WithKey, WithKnownParameters, client_of
from api.inspecting import Inspection
from api.routes import examples
from api.routes.openapi import answers, body
from api.schemas.inspect import InspectIn, InspectOut
from api.turn import unless_hung_up

router = APIRouter(
    prefix="/v1", tags=["Search and answers"], dependencies=[WithKey, WithKnownParameters], route_class=BoundedRoute
)


@router.post(
    "/inspect",
    summary="Look inside the decoder",
    responses=answers(InspectOut, examples.INSPECTED, 400, 404, 409, 410, 413, 415, 422, 429, 503),
    openapi_extra=body(examples.INSPECT_BODY, examples.INSPECT_ANSWER_BODY),
)
async def inspect(request: Request, parts: PartsDep, wanted: InspectIn) -> Response:
    """Per token the probability, the entropy and the alternatives, and what temperature, top-k and top-p make of them.

    A `prompt` (one turn of the user) or `messages` are continued by `steps` tokens (default 16); of an `answer_id` the
    stored tokens are read again in one pass (default: all, at most 256). Hanging up stops the work.
    """
    async with parts.questions.place(client_of(request)):
        inspection = await anyio.to_thread.run_sync(Inspection, wanted, parts, client_of(request))
        return JSONResponse(await unless_hung_up(request, parts.closing, inspection.hang_up, inspection.look))
