"""What is in a document: its bytes, its text, its passages, its pages."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, PlainTextResponse, Response

from api.deps import PartsDep, WithKey, WithKnownParameters
from api.download import Download
from api.routes import examples
from api.routes.openapi import answers
from api.schemas.documents import PageOut, PassagesOut, passages_to_json
from api.schemas.fields import Identifier, Whole
from rag.errors import NotFoundError

router = APIRouter(
    prefix="/v1/documents/{document_id}", tags=["Documents"], dependencies=[WithKey, WithKnownParameters]
)

MAX_NUMBER = 1_000_000
Version = Annotated[
    int | None, Whole(1, MAX_NUMBER, from_text=True), Query(description="A version; default: the searched one.")
]
PageNumber = Annotated[int, Whole(1, MAX_NUMBER, from_text=True)]

# Types that a browser does not run; every other file is served as bytes without a meaning.
SAFE_TYPES = frozenset(
    {
        "application/pdf",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/epub+zip",
        "text/plain",
        "text/csv",
        "text/markdown",
    }
)


@router.get(
    "/content",
    summary="Download the uploaded file",
    responses=answers(None, "(bytes)", 404, media_type="application/octet-stream"),
    response_class=Response,
)
def get_content(parts: PartsDep, document_id: Identifier, version: Version = None) -> Response:
    """The uploaded bytes, as an attachment that no browser runs."""
    document = parts.catalog.documents.get(document_id)
    number = document.version if version is None else version
    path = parts.catalog.files.path(document_id, number)
    if not path.is_file():
        raise NotFoundError(f"the document has versions 1 to {document.version}")
    safe = document.media_type if number == document.version and document.media_type in SAFE_TYPES else None
    ascii_name = "".join(c if c.isascii() and (c.isalnum() or c in "._- ") else "_" for c in document.name)
    disposition = f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(document.name, safe='')}"
    return Download(path, media_type=safe or "application/octet-stream", headers={"Content-Disposition": disposition})


@router.get(
    "/text",
    summary="Read the text",
    responses=answers(None, examples.TEXT, 404, media_type="text/plain"),
    response_class=PlainTextResponse,
)
def get_text(parts: PartsDep, document_id: Identifier, version: Version = None) -> PlainTextResponse:
    """The normalized text that every offset refers to, in code points."""
    return PlainTextResponse(parts.catalog.documents.text(document_id, version))


@router.get("/passages", summary="Read the passages", responses=answers(PassagesOut, examples.PASSAGES, 404))
def get_passages(parts: PartsDep, document_id: Identifier, version: Version = None) -> JSONResponse:
    """The passages that are searched, in order; only the searched version has any."""
    return JSONResponse({"data": passages_to_json(parts.catalog.passages.of_document(document_id, version))})


@router.get(
    "/pages/{page}.png",
    summary="See a page",
    responses=answers(None, "(PNG)", 404, 422, media_type="image/png"),
    response_class=Response,
)
def get_page_image(parts: PartsDep, document_id: Identifier, page: PageNumber, version: Version = None) -> Response:
    """The image of one page of a PDF; box coordinates of citations are fractions of it."""
    return Response(parts.page_images.png(document_id, page, version), media_type="image/png")


@router.get("/pages/{page}", summary="Read a page", responses=answers(PageOut, examples.PAGE, 404, 422))
def get_page(parts: PartsDep, document_id: Identifier, page: PageNumber, version: Version = None) -> JSONResponse:
    """The text of one page or slide and where it stands in the document's text."""
    found, text = parts.catalog.documents.page(document_id, page, version)
    return JSONResponse(
        {
            "page": found.number,
            "text": text,
            "start": found.start,
            "end": found.end,
            "width": found.width,
            "height": found.height,
        }
    )
