"""What routes depend on: the parts of the running service, and the gate each request passes."""

from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import Request

from api.parts import Parts


def parts_of(request: Request) -> Parts:
    """The parts of the service that got this request."""
    return cast(Parts, request.app.state.parts)


def with_key(request: Request) -> None:
    """Let in whoever may use the service. Runs in a worker thread: it reads the catalog."""
    parts_of(request).gate.check(request, needs_key=True)


def without_key(request: Request) -> None:
    """Let in whoever may see the page, the docs and the health of the service."""
    parts_of(request).gate.check(request, needs_key=False)


def with_owner_token(request: Request) -> None:
    """Let in the command line of the data folder's owner."""
    parts_of(request).gate.check_owner(request)


PartsDep = Annotated[Parts, Depends(parts_of)]
WithKey = Depends(with_key)
WithoutKey = Depends(without_key)
WithOwnerToken = Depends(with_owner_token)
