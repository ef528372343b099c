"""Lists of documents: filters, sorting, and a cursor that survives insertions."""

import base64
import binascii
import datetime
import json
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from rag.catalog.document_rows import to_document
from rag.catalog.labels import name_key
from rag.catalog.models import DocumentRow
from rag.errors import InvalidInputError
from rag.types import Document, DocumentStatus

MAX_LIMIT = 1000
_SORTS: dict[str, InstrumentedAttribute[Any]] = {
    "created_at": DocumentRow.created_at,
    "updated_at": DocumentRow.updated_at,
    "name": DocumentRow.name_key,
    "n_bytes": DocumentRow.n_bytes,
    "status": DocumentRow.status,
}
_STATUSES = get_args(DocumentStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A collection that has documents."""

    name: str
    n_documents: int
    n_passages: int  # that can be searched


def list_documents(
    session: Session,
    *,
    collection: str | None,
    status: str | None,
    q: str | None,
    sort: str,
    limit: int,
    cursor: str | None,
) -> tuple[tuple[Document, ...], str | None, int]:
    """See `Documents.list`."""
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    column = _SORTS.get(name)
    if column is None:
        raise InvalidInputError(f"documents are sorted by {', '.join(_SORTS)}, each with - before it for descending")
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInputError(f"limit must be 1 to {MAX_LIMIT}")
    where = _filters(collection, status, q)
    count = session.scalar(select(func.count()).select_from(DocumentRow).where(*where)) or 0
    if cursor is not None:
        where.append(_after(column, _decode(cursor, sort), descending))
    order = (column.desc(), DocumentRow.document_id.desc()) if descending else (column, DocumentRow.document_id)
    rows = session.scalars(select(DocumentRow).where(*where).order_by(*order).limit(limit + 1)).all()
    following = (
        _encode(sort, getattr(rows[limit - 1], column.key), rows[limit - 1].document_id) if len(rows) > limit else None
    )
    return tuple(to_document(row) for row in rows[:limit]), following, count


def list_collections(session: Session) -> tuple[Collection, ...]:
    """Every collection with a document, by name."""
    query = (
        select(DocumentRow.collection, func.count(), func.sum(DocumentRow.n_passages))
        .group_by(DocumentRow.collection)
        .order_by(DocumentRow.collection)
    )
    return tuple(
        Collection(name=name, n_documents=n_documents, n_passages=int(n_passages))
        for name, n_documents, n_passages in session.execute(query)
    )


def _filters(collection: str | None, status: str | None, q: str | None) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if collection is not None:
        where.append(DocumentRow.collection == collection)
    if status is not None:
        if status not in _STATUSES:
            raise InvalidInputError(f"status must be one of {', '.join(_STATUSES)}")
        where.append(DocumentRow.status == status)
    if q:
        if "\0" in q:
            raise InvalidInputError("q may not contain the character U+0000")
        where.append(DocumentRow.name_key.contains(name_key(q), autoescape=True))
    return where


def _after(column: InstrumentedAttribute[Any], place: tuple[Any, str], descending: bool) -> ColumnElement[bool]:
    value, document_id = place
    if descending:
        return or_(column < value, and_(column == value, DocumentRow.document_id < document_id))
    return or_(column > value, and_(column == value, DocumentRow.document_id > document_id))


def _encode(sort: str, value: Any, document_id: str) -> str:
    plain = value.isoformat() if isinstance(value, datetime.datetime) else value
    return base64.urlsafe_b64encode(json.dumps([sort, plain, document_id]).encode()).decode().rstrip("=")


def _decode(cursor: str, sort: str) -> tuple[Any, str]:
    refusal = InvalidInputError("the cursor does not fit; use next_cursor of the page before, with the same sort")
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        made_for, value, document_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if made_for != sort or not isinstance(document_id, str) or "\0" in document_id:
            raise refusal
        kind = sort.removeprefix("-")
        if kind in ("created_at", "updated_at"):
            value = datetime.datetime.fromisoformat(value)
            if value.tzinfo is None:
                raise refusal
        elif kind == "n_bytes":
            if type(value) is not int or not 0 <= value < 2**63:
                raise refusal
        elif not isinstance(value, str) or "\0" in value:
            raise refusal
        (document_id + str(value)).encode()
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise refusal from error
    return value, document_id
