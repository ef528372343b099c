"""Is it up, can it answer, and how is it doing."""

from importlib.metadata import version

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from api.deps import PartsDep, WithKey, WithoutKey
from api.errors import respond
from api.routes import examples
from api.routes.openapi import answers
from rag.errors import NotReadyError

router = APIRouter(tags=["Operations"])


@router.get("/healthz", summary="Liveness", responses=answers(None, examples.HEALTHY), dependencies=[WithoutKey])
def healthz() -> JSONResponse:
    """200 while the process runs."""
    return JSONResponse({"status": "ok", "version": version("citebound")})


@router.get("/readyz", summary="Readiness", responses=answers(None, examples.READY, 503), dependencies=[WithoutKey])
def readyz(parts: PartsDep) -> Response:
    """200 once questions can be taken; 503 with the reason until then."""
    reason = parts.not_ready()
    return JSONResponse({"status": "ready"}) if reason is None else respond(NotReadyError(reason))


@router.get(
    "/metrics",
    summary="Metrics",
    responses=answers(None, examples.METRICS, media_type="text/plain"),
    response_class=Response,
    dependencies=[WithKey],
)
def metrics(parts: PartsDep) -> Response:
    """Figures in Prometheus' text format."""
    return Response(parts.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
