"""API keys: shown once, stored as the SHA-256 of their 256 random bits."""

import datetime
import hashlib
import hmac
import secrets
from dataclasses import dataclass

from sqlalchemy import select

from rag.catalog.database import Database
from rag.catalog.ids import NewId
from rag.catalog.models import ApiKeyRow
from rag.errors import InvalidInputError, NotFoundError

_PREFIX = "cb_"
_MAX_NAME_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key without its secret."""

    key_id: str
    name: str
    created_at: datetime.datetime
    revoked_at: datetime.datetime | None


class Keys:
    """Adds, lists, revokes and checks keys."""

    def __init__(self, database: Database, new_id: NewId) -> None:
        self._database = database
        self._new_id = new_id

    def add(self, name: str, now: datetime.datetime) -> tuple[str, str]:
        """Make a key; returns its id and the key itself, which cannot be had again.

        Raises:
            InvalidInputError: the name is empty or too long.
        """
        if not name.strip() or len(name) > _MAX_NAME_CHARS:
            raise InvalidInputError(f"a key needs a name of 1 to {_MAX_NAME_CHARS} characters")
        plain = _PREFIX + secrets.token_urlsafe(32)
        key_id = self._new_id("key")
        with self._database.write() as session:
            session.add(
                ApiKeyRow(key_id=key_id, name=name, token_sha256=_digest(plain), created_at=now, revoked_at=None)
            )
        return key_id, plain

    def list(self) -> tuple[Key, ...]:
        """Every key, revoked ones as well, oldest first."""
        with self._database.read() as session:
            rows = session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.created_at, ApiKeyRow.key_id))
            return tuple(_key(row) for row in rows)

    def revoke(self, key_id: str, now: datetime.datetime) -> None:
        """Let a key in no more; a key revoked before keeps its time.

        Raises:
            NotFoundError: no such key.
        """
        with self._database.write() as session:
            row = session.get(ApiKeyRow, key_id)
            if row is None:
                raise NotFoundError("no key has that id; see citebound keys list")
            row.revoked_at = row.revoked_at or now

    def verify(self, plain: str) -> Key | None:
        """The active key that `plain` is. Compares with every one, so that the time tells nothing about any."""
        digest = _digest(plain)
        match: ApiKeyRow | None = None
        with self._database.read() as session:
            for row in session.scalars(select(ApiKeyRow).where(ApiKeyRow.revoked_at.is_(None))):
                if hmac.compare_digest(row.token_sha256, digest):
                    match = row
            return None if match is None else _key(match)

    def any_active(self) -> bool:
        """Whether any key lets in, so that one must be asked for."""
        with self._database.read() as session:
            query = select(ApiKeyRow.key_id).where(ApiKeyRow.revoked_at.is_(None)).limit(1)
            return session.scalar(query) is not None


def _digest(plain: str) -> bytes:
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()


def _key(row: ApiKeyRow) -> Key:
    return Key(key_id=row.key_id, name=row.name, created_at=row.created_at, revoked_at=row.revoked_at)
