"""The log of passages added and removed, which every index follows, and the newest snapshot of each index."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from rag.catalog.database import Database
from rag.catalog.models import ChangeRow, IndexSnapshotRow

ChangeKind = Literal["add", "remove"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The passages `first_passage_id` to `last_passage_id`, both included, came or went."""

    seq: int
    kind: ChangeKind
    collection: str
    document_id: str
    version: int
    first_passage_id: int
    last_passage_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """An index file that holds every change up to and including `seq`."""

    kind: str
    file_name: str
    sha256: str
    seq: int
    embedder: str


class Changes:
    """Reads the change log and keeps the stamps of index files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last_seq(self) -> int:
        """The number of the newest change, 0 before the first."""
        with self._database.read() as session:
            return session.scalar(select(func.max(ChangeRow.seq))) or 0

    def since(self, seq: int, limit: int) -> tuple[Change, ...]:
        """At most `limit` changes after `seq`, in order.

        A passage that an `add` names may be gone again; its `remove` follows.
        """
        query = select(ChangeRow).where(ChangeRow.seq > seq).order_by(ChangeRow.seq).limit(limit)
        with self._database.read() as session:
            return tuple(_change(row) for row in session.scalars(query))

    def record_snapshot(self, kind: str, file_name: str, sha256: str, seq: int, embedder: str) -> None:
        """Name the index file to load at the next start, in place of the one before."""
        row = IndexSnapshotRow(kind=kind, file_name=file_name, sha256=sha256, seq=seq, embedder=embedder)
        with self._database.write() as session:
            session.merge(row)

    def snapshot(self, kind: str) -> Snapshot | None:
        """The newest index file of that kind."""
        with self._database.read() as session:
            row = session.get(IndexSnapshotRow, kind)
            if row is None:
                return None
            return Snapshot(
                kind=row.kind, file_name=row.file_name, sha256=row.sha256, seq=row.seq, embedder=row.embedder
            )

    def forget_snapshot(self, kind: str) -> None:
        """Load no file of that kind at the next start; does nothing where there is none."""
        with self._database.write() as session:
            session.execute(delete(IndexSnapshotRow).where(IndexSnapshotRow.kind == kind))


def log_change(
    session: Session,
    kind: ChangeKind,
    *,
    collection: str,
    document_id: str,
    version: int,
    first_passage_id: int,
    last_passage_id: int,
) -> None:
    """Add a line to the log, in the transaction that changes the passages."""
    session.add(
        ChangeRow(
            kind=kind,
            collection=collection,
            document_id=document_id,
            version=version,
            first_passage_id=first_passage_id,
            last_passage_id=last_passage_id,
        )
    )


def _change(row: ChangeRow) -> Change:
    return Change(
        seq=row.seq,
        kind="add" if row.kind == "add" else "remove",
        collection=row.collection,
        document_id=row.document_id,
        version=row.version,
        first_passage_id=row.first_passage_id,
        last_passage_id=row.last_passage_id,
    )


def was_here(session: Session, document_id: str) -> bool:
    """Whether a document that is gone ever had passages; the change log outlives it."""
    return session.scalar(select(ChangeRow.seq).where(ChangeRow.document_id == document_id).limit(1)) is not None
