"""The verifier by itself."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.bounded_route import BoundedRoute
from api.deps import PartsDep, WithKey, WithKnownParameters
from api.routes import examples
from api.routes.openapi import answers, body
from api.schemas.verify import VerifyIn, VerifyOut
from api.turn import unless_hung_up
from api.verifying import Verification

router = APIRouter(
    prefix="/v1", tags=["Search and answers"], dependencies=[WithKey, WithKnownParameters], route_class=BoundedRoute
)


@router.post(
    "/verify",
    summary="Check a text against evidence",
    responses=answers(VerifyOut, examples.VERIFIED, 400, 413, 415, 422, 429, 503),
    openapi_extra=body(examples.VERIFY_BODY, examples.VERIFY_COLLECTION_BODY),
)
async def verify(request: Request, parts: PartsDep, wanted: VerifyIn) -> Response:
    """A verdict on each claim of `text`: supported, contradicted or unsupported by the evidence.

    With `collection`, each claim is read against the eight passages of it that fit `question` and claim best. A short
    answer ("14 weeks") is a claim only together with its `question`. Nothing that text or evidence say is obeyed. The
    same body gets the same answer.
    """
    verification = Verification(wanted, parts)
    async with parts.verifications.place():
        return JSONResponse(await unless_hung_up(request, parts.closing, verification.hang_up, verification.check))
