"""Stored answers: kept with the versions they stand on, so that a deletion finds every one of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rag.catalog.answer_json import answer_to_json
from rag.catalog.changes import was_here
from rag.catalog.database import Database
from rag.catalog.models import AnswerRow, AnswerSourceRow, DocumentRow
from rag.catalog.redact import redact
from rag.catalog.traces import StoredTrace, load_trace, redact_traces, save_trace
from rag.errors import NotFoundError
from rag.types import Answer, Trace

_UNKNOWN = "no answer has that id; POST /v1/ask returns the id of its answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """An answer in the contract's JSON; `stale` once a cited version was replaced or deleted."""

    payload: dict[str, Any]
    stale: bool


class Answers:
    """Saves answers and reads them again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, answer: Answer, trace: Trace | None = None) -> None:
        """Store an answer. What it says of a document that was deleted meanwhile is redacted at once.

        Args:
            answer: The answer.
            trace: What the decoder read and wrote for it.

        Raises:
            StorageError: the disk is full or failing.
        """
        payload = answer_to_json(answer)
        cited = {(citation.document_id, citation.document_version) for citation in answer.citations}
        given = {(hit.passage.document_id, hit.passage.version) for hit in answer.retrieved}
        given |= {(one.document_id, one.document_version) for one in answer.carried}
        with self._database.write() as session:
            sources = {}  # document_id → whether it is still there; evidence given with the question is neither
            for document_id in {document_id for document_id, _ in cited | given}:
                if session.get(DocumentRow, document_id) is not None:
                    sources[document_id] = True
                elif was_here(session, document_id):
                    sources[document_id] = False
                    payload = redact(payload, document_id)
            session.add(AnswerRow(answer_id=answer.answer_id, payload=payload, created_at=answer.created_at))
            session.flush()  # sources and trace refer to it
            if trace is not None:
                save_trace(session, answer.answer_id, trace, redacted=not all(sources.values()))
            session.add_all(
                AnswerSourceRow(
                    answer_id=answer.answer_id,
                    document_id=document_id,
                    version=version,
                    cited=(document_id, version) in cited,
                )
                for document_id, version in sorted(cited | given)
                if document_id in sources
            )

    def get(self, answer_id: str) -> StoredAnswer:
        """A stored answer.

        Raises:
            NotFoundError: no such answer.
        """
        with self._database.read() as session:
            row = session.get(AnswerRow, answer_id)
            if row is None:
                raise NotFoundError(_UNKNOWN)
            query = (
                select(func.count())
                .select_from(AnswerSourceRow)
                .outerjoin(DocumentRow, DocumentRow.document_id == AnswerSourceRow.document_id)
                .where(
                    AnswerSourceRow.answer_id == answer_id,
                    AnswerSourceRow.cited,
                    DocumentRow.live_version.is_distinct_from(AnswerSourceRow.version),
                )
            )
            return StoredAnswer(payload=dict(row.payload), stale=bool(session.scalar(query)))

    def trace(self, answer_id: str) -> StoredTrace | None:
        """What the decoder read and wrote for an answer; None where it was not asked.

        Raises:
            NotFoundError: no such answer.
        """
        with self._database.read() as session:
            if session.get(AnswerRow, answer_id) is None:
                raise NotFoundError(_UNKNOWN)
            return load_trace(session, answer_id)


def redact_answers(session: Session, document_id: str) -> int:
    """Take a document's words out of every stored answer, in the caller's transaction; returns how many changed."""
    redact_traces(session, document_id)
    ids = session.scalars(
        select(AnswerSourceRow.answer_id).where(AnswerSourceRow.document_id == document_id).distinct()
    )
    n_changed = 0
    for answer_id in ids.all():
        row = session.get_one(AnswerRow, answer_id)
        redacted: Mapping[str, Any] = redact(row.payload, document_id)
        if redacted != row.payload:
            row.payload = redacted
            n_changed += 1
        session.flush()
        session.expunge(row)
    return n_changed
