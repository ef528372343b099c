"""Uploaded files: from the request's bytes to registered documents, a row a file, one bad file harming no other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import anyio.from_thread
from starlette.requests import Request
from starlette.types import Message

from api.errors import MalformedError, TooLargeError, problem, status_and_code
from api.filenames import display_name
from api.json_objects import parse_json_object
from api.multipart import Part, read_parts
from api.schemas.fields import bounded_json, collection_name
from ingest.load import detect_media_type
from llm.errors import CancelledError
from rag.catalog.catalog import Catalog
from rag.catalog.documents import Registration
from rag.catalog.files import Staged
from rag.errors import CiteboundError, DocumentError, DuplicateError, InvalidInputError, StorageError
from rag.types import OnDuplicate

MAX_PASSWORD_CHARS = 1_000
FIELDS = ("collection", "on_duplicate", "metadata", "password")
_ON_DUPLICATE = ("skip", "replace", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A file that has arrived, or what is wrong with it."""

    name: str
    staged: Staged | None
    media_type: str | None
    error: DocumentError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """An upload's fields, checked."""

    collection: str
    on_duplicate: OnDuplicate
    metadata: dict[str, Any]
    password: str | None


def body_chunks(request: Request, max_bytes: int) -> Iterator[bytes]:
    """The body as it arrives, for use in a worker thread.

    Raises:
        TooLargeError: it is, or is declared to be, longer than `max_bytes`.
        CancelledError: the client hung up.
    """
    too_large = TooLargeError(f"send at most {max_bytes} bytes in one request, in several requests if need be")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise too_large

    async def receive() -> Message:
        return await request.receive()

    n_bytes = 0
    more = True
    while more:
        message = anyio.from_thread.run(receive)
        if message["type"] == "http.disconnect":
            raise CancelledError("the client hung up before the whole file had arrived")
        chunk: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        n_bytes += len(chunk)
        if n_bytes > max_bytes:
            raise too_large
        if chunk:
            yield chunk


class Receiver:
    """Takes uploads apart and puts them into the catalog. Runs in worker threads."""

    def __init__(
        self, catalog: Catalog, *, max_file_bytes: int, max_request_bytes: int, max_files: int, now: Callable[[], Any]
    ) -> None:
        self._catalog = catalog
        self._max_file_bytes = max_file_bytes
        self._max_request_bytes = max_request_bytes
        self._max_files = max_files
        self._now = now

    def upload(self, request: Request) -> tuple[list[dict[str, Any]], list[CiteboundError]]:
        """Every file of a multipart request, registered.

        Returns:
            A row a file in the contract's shape, and the errors of those that were refused.
        """
        arrived: list[Arrived] = []
        fields: dict[str, str] = {}
        try:
            for part in self._parts(request):
                self._read(part, arrived, fields, FIELDS)
            if not arrived:
                raise InvalidInputError("send at least one part named file, with a filename")
            form = _check(fields)
            return self._register_all(arrived, form)
        finally:
            _discard(arrived)

    def replace(self, request: Request, document_id: str) -> Registration:
        """A new version of a document: the body itself, or a multipart form with one file.

        Raises:
            DocumentError: the file is refused.
            NotFoundError: no such document.
        """
        old = self._catalog.documents.get(document_id)
        fields: dict[str, str] = {}
        files: list[Arrived] = []
        try:
            if request.headers.get("content-type", "").lower().startswith("multipart/"):
                for part in self._parts(request):
                    if files and part.name == "file":
                        raise InvalidInputError("a new version is one file")
                    self._read(part, files, fields, ("password",))
            else:
                declared = request.headers.get("content-type")
                chunks = body_chunks(request, self._max_request_bytes)
                files.append(self._stage(old.name, declared.partition(";")[0] if declared else None, chunks))
            if not files:
                raise InvalidInputError("send one part named file, with a filename")
            file = files[0]
            if file.staged is None or file.media_type is None:
                raise file.error or InvalidInputError("send one file")
            return self._catalog.documents.replace_content(
                document_id,
                file.staged,
                name=file.name,
                media_type=file.media_type,
                password=_password(fields),
                now=self._now(),
            )
        finally:
            _discard(files)

    def _read(self, part: Part, files: list[Arrived], fields: dict[str, str], allowed: tuple[str, ...]) -> None:
        if part.name == "file" and part.file_name is not None:
            files.append(self._stage(part.file_name, part.media_type, part.chunks))
        else:
            _read_field(part, fields, allowed)

    def _parts(self, request: Request) -> Iterator[Part]:
        chunks = body_chunks(request, self._max_request_bytes)
        return read_parts(chunks, request.headers.get("content-type", ""), max_files=self._max_files)

    def _stage(self, given_name: str, declared: str | None, chunks: Iterator[bytes]) -> Arrived:
        name = display_name(given_name)
        staged: Staged | None = None
        try:
            staged = self._catalog.files.stage(chunks, self._max_file_bytes)
            media_type = detect_media_type(staged.path, name, declared)
            return Arrived(name=name, staged=staged, media_type=media_type, error=None)
        except DocumentError as error:
            if staged is not None:
                staged.discard()
            return Arrived(name=name, staged=None, media_type=None, error=error)
        except BaseException:
            if staged is not None:
                staged.discard()
            raise

    def _register_all(self, arrived: list[Arrived], form: Form) -> tuple[list[dict[str, Any]], list[CiteboundError]]:
        rows: list[dict[str, Any]] = []
        errors: list[CiteboundError] = []
        for file in arrived:
            try:
                rows.append(self._register(file, form))
            except (DocumentError, DuplicateError, StorageError) as error:
                errors.append(error)
                rows.append(_refused(file.name, error))
        return rows, errors

    def _register(self, file: Arrived, form: Form) -> dict[str, Any]:
        if file.error is not None:
            raise file.error
        assert file.staged is not None and file.media_type is not None
        registration = self._catalog.documents.register(
            file.staged,
            name=file.name,
            collection=form.collection,
            media_type=file.media_type,
            metadata=form.metadata,
            password=form.password,
            on_duplicate=form.on_duplicate,
            now=self._now(),
        )
        return {
            "document_id": registration.document.document_id,
            "name": file.name,
            "status": registration.document.status,
            "job_id": registration.job_id,
            "duplicate_of": registration.duplicate_of,
            "error": None,
        }


def refusal(rows: list[dict[str, Any]], errors: list[CiteboundError]) -> dict[str, Any]:
    """The problem that stands for an upload of which every file was refused: the common status, 422 where mixed."""
    kinds = {status_and_code(error) for error in errors}
    statuses = {status for status, _ in kinds}
    status = statuses.pop() if len(statuses) == 1 else 422
    code = kinds.pop()[1] if len(kinds) == 1 else "refused"
    detail = str(errors[0]) if len(rows) == 1 else f"All {len(rows)} files were refused; each row says why."
    return problem(status, code, detail, errors=rows)


def _discard(files: list[Arrived]) -> None:
    for file in files:
        if file.staged is not None:
            file.staged.discard()


def _refused(name: str, error: CiteboundError) -> dict[str, Any]:
    return {
        "document_id": None,
        "name": name,
        "status": "failed",
        "job_id": None,
        "duplicate_of": error.document_id if isinstance(error, DuplicateError) else None,
        "error": {"code": status_and_code(error)[1], "message": str(error), "page": getattr(error, "page", None)},
    }


def _read_field(part: Part, fields: dict[str, str], allowed: tuple[str, ...]) -> None:
    if part.name == "file":
        raise InvalidInputError("a part named file must have a filename")
    if part.name not in allowed or part.file_name is not None:
        raise InvalidInputError(f"the form takes files in parts named file, and the fields {', '.join(allowed)}")
    if part.name in fields:
        raise MalformedError(f"field {part.name} was sent twice")
    fields[part.name] = part.text()


def _check(fields: dict[str, str]) -> Form:
    try:
        collection = collection_name(fields.get("collection") or "default")
    except ValueError as error:
        raise InvalidInputError(f"collection {error}") from error
    on_duplicate = fields.get("on_duplicate") or "skip"
    if on_duplicate not in _ON_DUPLICATE:
        raise InvalidInputError("on_duplicate must be skip, replace or error")
    metadata = parse_json_object(fields.get("metadata") or "{}", "metadata")
    try:
        bounded_json(metadata)
    except ValueError as error:
        raise InvalidInputError(f"metadata {error}") from error
    return Form(
        collection=collection,
        on_duplicate=cast(OnDuplicate, on_duplicate),
        metadata=metadata,
        password=_password(fields),
    )


def _password(fields: dict[str, str]) -> str | None:
    password = fields.get("password") or None
    if password is not None and (len(password) > MAX_PASSWORD_CHARS or "\0" in password):
        raise InvalidInputError(f"password must have at most {MAX_PASSWORD_CHARS:,} characters")
    return password
