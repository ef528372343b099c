"""What only the command line of the data folder's owner may do: keys, reindex, check, backup."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.responses import FileResponse, JSONResponse
from starlette.types import Receive, Scope, Send

from api.bounded_route import BoundedRoute
from api.deps import PartsDep, WithOwnerToken
from api.parts import BACKUP_PREFIX
from api.schemas.documents import time_to_json
from api.schemas.fields import Identifier, RequestModel, Text
from rag.catalog.backup import write_backup
from rag.catalog.keys import Key

router = APIRouter(prefix="/v1", include_in_schema=False, dependencies=[WithOwnerToken], route_class=BoundedRoute)


class KeyIn(RequestModel):
    """A new key."""

    name: Annotated[str, Text(1, 200)]


@router.post("/keys", status_code=201)
def add_key(parts: PartsDep, wanted: KeyIn) -> JSONResponse:
    """Make a key; this answer alone shows it."""
    key_id, plain = parts.catalog.keys.add(wanted.name, parts.now())
    return JSONResponse({"key_id": key_id, "name": wanted.name, "key": plain}, status_code=201)


@router.get("/keys")
def list_keys(parts: PartsDep) -> JSONResponse:
    """Every key without its secret."""
    return JSONResponse({"data": [_key(key) for key in parts.catalog.keys.list()]})


@router.delete("/keys/{key_id}")
def revoke_key(parts: PartsDep, key_id: Identifier) -> JSONResponse:
    """Let a key in no more."""
    parts.catalog.keys.revoke(key_id, parts.now())
    return JSONResponse({"key_id": key_id, "revoked": True})


@router.post("/admin/reindex")
def reindex(parts: PartsDep) -> JSONResponse:
    """Rebuild every index from the catalog; embed again only where the embedder has changed."""
    began = time.perf_counter()
    n_embedded = parts.reindex(parts)
    return JSONResponse(
        {
            "n_passages": parts.catalog.passages.count(),
            "n_embedded": n_embedded,
            "embedder": parts.embedder.get().name,
            "seconds": time.perf_counter() - began,
        }
    )


@router.get("/admin/check")
def check(parts: PartsDep) -> JSONResponse:
    """Whether files, rows, vectors and index entries agree."""
    return JSONResponse(parts.check())


@router.get("/admin/backup", response_class=FileResponse)
async def backup(request: Request, parts: PartsDep) -> FileResponse:
    """Catalog and files as one archive, consistent while everything else goes on."""
    path = parts.folder.cache_path / f"{BACKUP_PREFIX}{secrets.token_hex(8)}.tar"
    await anyio.to_thread.run_sync(write_backup, parts.catalog, path, parts.now())
    return _Temporary(path, media_type="application/x-tar", filename="citebound-backup.tar")


class _Temporary(FileResponse):
    """A file that is removed once it is sent, or cannot be."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with _removed(Path(self.path)):
            await super().__call__(scope, receive, send)


@asynccontextmanager
async def _removed(path: Path) -> AsyncIterator[None]:
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(lambda: path.unlink(missing_ok=True))


def _key(key: Key) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "created_at": time_to_json(key.created_at),
        "revoked_at": None if key.revoked_at is None else time_to_json(key.revoked_at),
    }
