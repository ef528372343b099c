"""Reads stored passages. Only those of a document's live version are kept, and only those are ever returned."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Row, Select, delete, func, select, update
from sqlalchemy.orm import Session

from rag.catalog.database import Database
from rag.catalog.models import DocumentRow, IndexSnapshotRow, MetaRow, PassageRow, VersionRow
from rag.errors import InvalidInputError, NotFoundError
from rag.types import FloatArray, IdArray, Passage

_BATCH = 500  # SQLite allows 32,766 bound parameters a statement
_EMBEDDER_KEY = "embedder"

_COLUMNS = (
    PassageRow.passage_id,
    PassageRow.document_id,
    VersionRow.name.label("document_name"),  # a newer version that is not searched yet may have another
    DocumentRow.collection,
    PassageRow.version,
    PassageRow.ordinal,
    PassageRow.text,
    PassageRow.start,
    PassageRow.end,
    PassageRow.heading,
    PassageRow.table_header,
    PassageRow.first_page,
    PassageRow.last_page,
    PassageRow.n_tokens,
    PassageRow.continues,
)


class Passages:
    """The passages that can be searched now."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get_many(self, passage_ids: Iterable[int]) -> dict[int, Passage]:
        """The live passages among `passage_ids`, in that order; the others are simply not there."""
        ids = [int(passage_id) for passage_id in passage_ids]
        found: dict[int, Passage] = {}
        with self._database.read() as session:
            for start in range(0, len(ids), _BATCH):
                batch = ids[start : start + _BATCH]
                for row in session.execute(_whole().where(PassageRow.passage_id.in_(batch))):
                    found[row.passage_id] = _passage(row)
        return {passage_id: found[passage_id] for passage_id in ids if passage_id in found}

    def of_document(self, document_id: str, version: int | None = None) -> tuple[Passage, ...]:
        """The passages of a document in order; none before it is ready.

        Raises:
            NotFoundError: no such document, or a version whose passages were replaced.
        """
        with self._database.read() as session:
            document = session.get(DocumentRow, document_id)
            if document is None:
                raise NotFoundError("no document has that id; see GET /v1/documents")
            if version is not None and version != document.live_version:
                raise NotFoundError(f"version {version} has no passages; only the searched version of a document has")
            query = _whole().where(PassageRow.document_id == document_id).order_by(PassageRow.ordinal)
            return tuple(_passage(row) for row in session.execute(query))

    def vectors(self, first_id: int, last_id: int) -> tuple[IdArray, FloatArray]:
        """Ids and vectors float32[n, d] of the live passages from `first_id` to `last_id`, both included, ascending.

        Without any, the vectors are float32[0, 0].
        """
        query = (
            _live(PassageRow.passage_id, PassageRow.vector)
            .where(PassageRow.passage_id.between(first_id, last_id))
            .order_by(PassageRow.passage_id)
        )
        with self._database.read() as session:
            rows = session.execute(query).all()
        ids = np.fromiter((row.passage_id for row in rows), dtype=np.int64, count=len(rows))
        if not rows:
            return ids, np.zeros((0, 0), dtype=np.float32)
        vectors = np.frombuffer(b"".join(row.vector for row in rows), dtype="<f4").reshape(len(rows), -1)
        return ids, vectors.astype(np.float32)

    def texts(self, first_id: int, last_id: int) -> tuple[Passage, ...]:
        """The live passages from `first_id` to `last_id`, both included, ascending."""
        query = _whole().where(PassageRow.passage_id.between(first_id, last_id)).order_by(PassageRow.passage_id)
        with self._database.read() as session:
            return tuple(_passage(row) for row in session.execute(query))

    def neighbour(self, passage: Passage, offset: int) -> Passage | None:
        """The passage `offset` places after (or, negative, before) in the same version; None beyond its ends."""
        query = _whole().where(
            PassageRow.document_id == passage.document_id,
            PassageRow.version == passage.version,
            PassageRow.ordinal == passage.ordinal + offset,
        )
        with self._database.read() as session:
            row = session.execute(query).one_or_none()
            return None if row is None else _passage(row)

    def ids(self, collection: str | None = None) -> IdArray:
        """Every live id, or those of one collection, ascending."""
        query = _live(PassageRow.passage_id).order_by(PassageRow.passage_id)
        if collection is not None:
            query = query.where(DocumentRow.collection == collection)
        with self._database.read() as session:
            return np.array(session.scalars(query).all(), dtype=np.int64)

    def ids_of_documents(self, document_ids: Iterable[str]) -> IdArray:
        """Every live id of these documents, ascending."""
        wanted = list(document_ids)
        parts: list[int] = []
        with self._database.read() as session:
            for start in range(0, len(wanted), _BATCH):
                batch = wanted[start : start + _BATCH]
                parts.extend(session.scalars(_live(PassageRow.passage_id).where(PassageRow.document_id.in_(batch))))
        return np.array(sorted(parts), dtype=np.int64)

    def count(self) -> int:
        """How many passages can be searched."""
        with self._database.read() as session:
            return session.scalar(_live(func.count())) or 0

    def embedder(self) -> str | None:
        """The name of the embedder that made the stored vectors; None before the first."""
        with self._database.read() as session:
            return stored_embedder(session)

    def embed_again(
        self, embed: Callable[[Sequence[Passage]], FloatArray], embedder: str, *, batch_size: int = 256
    ) -> int:
        """Replace every vector by `embed` of its passages, all or none; index snapshots are forgotten.

        Holds the write lock throughout. Returns the number of passages.
        """
        n_done = 0
        with self._database.write() as session:
            last_id = 0
            while rows := session.execute(
                _whole().where(PassageRow.passage_id > last_id).order_by(PassageRow.passage_id).limit(batch_size)
            ).all():
                passages = tuple(_passage(row) for row in rows)
                blobs = vector_blobs(embed(passages), len(passages))
                session.execute(
                    update(PassageRow),
                    [
                        {"passage_id": passage.passage_id, "vector": blob}
                        for passage, blob in zip(passages, blobs, strict=True)
                    ],
                )
                last_id = passages[-1].passage_id
                n_done += len(passages)
            session.merge(MetaRow(key=_EMBEDDER_KEY, value=embedder))
            session.execute(delete(IndexSnapshotRow))
        return n_done


def stored_embedder(session: Session) -> str | None:
    """The embedder whose vectors the catalog holds."""
    row = session.get(MetaRow, _EMBEDDER_KEY)
    return None if row is None else row.value


def store_embedder(session: Session, embedder: str) -> None:
    """Note the embedder whose vectors the catalog holds."""
    session.merge(MetaRow(key=_EMBEDDER_KEY, value=embedder))


def vector_blobs(vectors: FloatArray, n: int) -> list[bytes]:
    """Each row of float32[n, d] as it is stored.

    Raises:
        InvalidInputError: the shape is another, or a number is not finite.
    """
    array = np.ascontiguousarray(vectors, dtype="<f4")
    if array.ndim != 2 or array.shape[0] != n or array.shape[1] == 0:
        raise InvalidInputError(f"{n} passages need vectors of shape ({n}, d), got {array.shape}")
    if not np.isfinite(array).all():
        raise InvalidInputError("a vector has a number that is not finite; check the embedder")
    return [row.tobytes() for row in array]


def _live(*columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .select_from(PassageRow)
        .join(DocumentRow, DocumentRow.document_id == PassageRow.document_id)
        .where(DocumentRow.live_version == PassageRow.version)
    )


def _whole() -> Select[Any]:
    """Everything of the live passages."""
    its_version = (VersionRow.document_id == PassageRow.document_id) & (VersionRow.version == PassageRow.version)
    return _live(*_COLUMNS).join(VersionRow, its_version)


def _passage(row: Row[Any]) -> Passage:
    return Passage(**row._mapping)
