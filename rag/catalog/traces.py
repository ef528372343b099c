"""What the decoder read and wrote for stored answers, kept beside them until a document that was in it is deleted."""

from dataclasses import dataclass

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from llm.types import Message
from rag.catalog.models import AnswerSourceRow, AnswerTraceRow
from rag.types import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrace:
    """A trace as it is kept; `trace` is None once it was redacted."""

    model: str
    trace: Trace | None


def save_trace(session: Session, answer_id: str, trace: Trace, *, redacted: bool) -> None:
    """Keep a trace in the caller's transaction; `redacted` keeps only that there was one."""
    turns = [message for message in trace.messages if message.role != "system"]
    session.add(
        AnswerTraceRow(
            answer_id=answer_id,
            model=trace.model,
            has_history=len(turns) > 1,
            messages=None
            if redacted
            else [{"role": message.role, "content": message.content} for message in trace.messages],
            token_ids=None if redacted else list(trace.token_ids),
        )
    )


def load_trace(session: Session, answer_id: str) -> StoredTrace | None:
    """The trace of an answer; None where the decoder was not asked, or the answer is older than traces."""
    row = session.get(AnswerTraceRow, answer_id)
    if row is None:
        return None
    if row.messages is None or row.token_ids is None:
        return StoredTrace(model=row.model, trace=None)
    messages = tuple(Message(role=turn["role"], content=turn["content"]) for turn in row.messages)
    return StoredTrace(model=row.model, trace=Trace(model=row.model, messages=messages, token_ids=tuple(row.token_ids)))


def redact_traces(session: Session, document_id: str) -> None:
    """Empty every trace that may hold words of a document, in the caller's transaction.

    Those are the traces of answers that were given its passages, and all with earlier turns: a turn may be an answer
    from any document.
    """
    given = select(AnswerSourceRow.answer_id).where(AnswerSourceRow.document_id == document_id)
    session.execute(
        update(AnswerTraceRow)
        .where(or_(AnswerTraceRow.has_history, AnswerTraceRow.answer_id.in_(given)))
        .values(messages=None, token_ids=None)
        .execution_options(synchronize_session=False)
    )
