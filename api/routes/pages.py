"""The web page and the API's documentation. Everything they load comes from here."""

import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from api.deps import WithoutKey
from api.routes.openapi import restore_nulls
from rag.errors import NotFoundError

WEB_FOLDER = Path(__file__).parent.parent / "web"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".json": "application/json",
}
# Scripts and styles from here alone, none inline; no frame may hold the page, no form may leave it.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; frame-src 'self' blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
# The frame in which a report runs its own scripts: without an origin, a network, or a way to open anything.
FRAME = "frame.html"
FRAME_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_FRAME_HEADERS = {**_HEADERS, "Content-Security-Policy": FRAME_POLICY, "X-Frame-Options": "SAMEORIGIN"}

_DOCS_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Citebound API</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_DOCS_START = """SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null, tryItOutEnabled: true
});
"""

router = APIRouter(include_in_schema=False, dependencies=[WithoutKey])


@cache
def _files(folder: Path) -> Mapping[str, Path]:
    """What may be served out of a folder, by name: a request's path is looked up, never joined."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in _TYPES
    }


@cache
def swagger_folder() -> Path:
    """Where the package fastapi-offline keeps its copy of Swagger UI (Apache-2.0); only its files are used."""
    spec = importlib.util.find_spec("fastapi_offline")
    if spec is None or spec.origin is None:
        raise NotFoundError("the package fastapi-offline is not installed; run make install")
    return Path(spec.origin).parent / "static"


def _serve(folder: Path, name: str) -> Response:
    path = _files(folder).get(name)
    if path is None:
        raise NotFoundError("there is no file of that name; the page is at /")
    headers = _FRAME_HEADERS if path == WEB_FOLDER / FRAME else _HEADERS
    return Response(path.read_bytes(), headers={**headers, "Content-Type": _TYPES[path.suffix]})


@router.get("/")
def index() -> Response:
    """The web page."""
    return _serve(WEB_FOLDER, "index.html")


@router.get("/static/{name:path}")
def static(name: str) -> Response:
    """A file of the web page."""
    return _serve(WEB_FOLDER, name)


@router.get("/docs")
def docs() -> HTMLResponse:
    """Swagger UI over this service's own OpenAPI document."""
    return HTMLResponse(_DOCS_PAGE, headers=_HEADERS)


@router.get("/docs/start.js")
def docs_start() -> Response:
    """Starts Swagger UI; a file of its own, since the policy forbids inline scripts."""
    return Response(_DOCS_START, headers={**_HEADERS, "Content-Type": _TYPES[".js"]})


@router.get("/docs/{name}")
def docs_file(name: str) -> Response:
    """A file of Swagger UI."""
    return _serve(swagger_folder(), name)


@router.get("/openapi.json")
def openapi(request: Request) -> JSONResponse:
    """The description of every route."""
    described = restore_nulls(request.app.openapi())
    described["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    described["security"] = [{"key": []}, {}]  # none is needed where none is configured
    return JSONResponse(described)
