"""What routes depend on: the parts of the running service, and the gate each request passes."""

from typing import Annotated, cast

from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request

from api.parts import Parts


def parts_of(request: Request) -> Parts:
    """The parts of the service that got this request."""
    return cast(Parts, request.app.state.parts)


async def _parts(request: Request) -> Parts:
    """The same as a dependency; not a plain function, which would cost each request a worker thread."""
    return parts_of(request)


def with_key(request: Request) -> None:
    """Let in whoever may use the service. Runs in a worker thread: it reads the catalog."""
    request.state.client = parts_of(request).gate.check(request, needs_key=True)


def client_of(request: Request) -> str:
    """Who sent a request that `with_key` let in: its key, the owner, or this machine."""
    return str(request.state.client)


def without_key(request: Request) -> None:
    """Let in whoever may see the page, the docs and the health of the service."""
    parts_of(request).gate.check(request, needs_key=False)


def with_owner_token(request: Request) -> None:
    """Let in the command line of the data folder's owner."""
    parts_of(request).gate.check_owner(request)


async def with_known_parameters(request: Request) -> None:
    """Refuse a query parameter that the route has not: a misspelt `collection` would list every document."""
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    known = {field.alias for field in route.dependant.query_params}
    unknown = [name for name in dict.fromkeys(request.query_params) if name not in known]
    if unknown:
        raise RequestValidationError([{"type": "extra_forbidden", "loc": ("query", name)} for name in unknown])


PartsDep = Annotated[Parts, Depends(_parts)]
WithKey = Depends(with_key)
WithKnownParameters = Depends(with_known_parameters)
WithoutKey = Depends(without_key)
WithOwnerToken = Depends(with_owner_token)
