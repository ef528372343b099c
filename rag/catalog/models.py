"""The tables. Ids are opaque strings, save those of passages, changes and jobs, which count up and are never reused."""

import datetime
from typing import Any

from sqlalchemy import Float, ForeignKey, ForeignKeyConstraint, Index, Integer, LargeBinary, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rag.catalog.columns import BigId, JsonValue, SortedText, UtcTime


class Base(DeclarativeBase):
    """Names every constraint, so that a later migration can change it."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        }
    )


class DocumentRow(Base):
    """One document; size, hash and media type are those of `version`, the newest."""

    __tablename__ = "documents"
    __table_args__ = (
        Index(None, "collection", "created_at", "document_id"),
        Index(None, "created_at", "document_id"),
    )

    document_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    name_key: Mapped[str] = mapped_column(SortedText)  # case-folded, for search and sorting
    collection: Mapped[str] = mapped_column(SortedText)
    media_type: Mapped[str] = mapped_column(Text)
    n_bytes: Mapped[int] = mapped_column(BigId)
    sha256: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(Integer)
    live_version: Mapped[int | None] = mapped_column(Integer)
    n_pages: Mapped[int | None] = mapped_column(Integer)
    n_passages: Mapped[int] = mapped_column(Integer)  # of the live version
    status: Mapped[str] = mapped_column(SortedText)
    progress: Mapped[float] = mapped_column(Float)
    error: Mapped[Any | None] = mapped_column(JsonValue)
    receipt: Mapped[Any | None] = mapped_column(JsonValue)
    document_metadata: Mapped[Any] = mapped_column("metadata", JsonValue)
    created_at: Mapped[datetime.datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime.datetime] = mapped_column(UtcTime)


class VersionRow(Base):
    """One accepted upload of a document; `text` is null until it was parsed."""

    __tablename__ = "versions"
    __table_args__ = (Index(None, "sha256"),)

    document_id: Mapped[str] = mapped_column(ForeignKey("documents.document_id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    media_type: Mapped[str] = mapped_column(Text)
    title: Mapped[str | None] = mapped_column(Text)
    n_bytes: Mapped[int] = mapped_column(BigId)
    sha256: Mapped[str] = mapped_column(String(64))
    text: Mapped[str | None] = mapped_column(Text)
    receipt: Mapped[Any | None] = mapped_column(JsonValue)
    created_at: Mapped[datetime.datetime] = mapped_column(UtcTime)


class PageRow(Base):
    """One page of one version; `char_boxes` is zlib over little-endian uint16[n_chars, 4]."""

    __tablename__ = "pages"
    __table_args__ = (
        ForeignKeyConstraint(
            ["document_id", "version"], ["versions.document_id", "versions.version"], ondelete="CASCADE"
        ),
    )

    document_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    start: Mapped[int] = mapped_column(Integer)
    end: Mapped[int] = mapped_column(Integer)
    width: Mapped[float | None] = mapped_column(Float)
    height: Mapped[float | None] = mapped_column(Float)
    char_boxes: Mapped[bytes | None] = mapped_column(LargeBinary)


class PassageRow(Base):
    """One passage of a live version; `vector` is little-endian float32[d], last because it is long."""

    __tablename__ = "passages"
    __table_args__ = (
        ForeignKeyConstraint(
            ["document_id", "version"], ["versions.document_id", "versions.version"], ondelete="CASCADE"
        ),
        Index(None, "document_id", "version", "ordinal", unique=True),
        {"sqlite_autoincrement": True},
    )

    passage_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    document_id: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(Integer)
    ordinal: Mapped[int] = mapped_column(Integer)
    start: Mapped[int] = mapped_column(Integer)
    end: Mapped[int] = mapped_column(Integer)
    first_page: Mapped[int | None] = mapped_column(Integer)
    last_page: Mapped[int | None] = mapped_column(Integer)
    n_tokens: Mapped[int] = mapped_column(Integer)
    continues: Mapped[bool]
    heading: Mapped[str | None] = mapped_column(Text)
    table_header: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    vector: Mapped[bytes] = mapped_column(LargeBinary)


class ChangeRow(Base):
    """One line of the log that indexes follow; it names ids only and outlives the document."""

    __tablename__ = "changes"
    __table_args__ = (Index(None, "document_id"), {"sqlite_autoincrement": True})

    seq: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(8))
    collection: Mapped[str] = mapped_column(Text)
    document_id: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(Integer)
    first_passage_id: Mapped[int] = mapped_column(BigId)
    last_passage_id: Mapped[int] = mapped_column(BigId)


class JobRow(Base):
    """One piece of work; no foreign key, since it can still be asked for after its document is gone."""

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "status", "number"), Index(None, "document_id"), {"sqlite_autoincrement": True})

    number: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)  # the order of the queue
    job_id: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(32))
    document_id: Mapped[str | None] = mapped_column(String(64))
    version: Mapped[int | None] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(16))
    progress: Mapped[float] = mapped_column(Float)
    attempts: Mapped[int] = mapped_column(Integer)
    payload: Mapped[Any] = mapped_column(JsonValue)
    error: Mapped[Any | None] = mapped_column(JsonValue)
    created_at: Mapped[datetime.datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime.datetime] = mapped_column(UtcTime)


class AnswerRow(Base):
    """One stored answer, in the contract's JSON."""

    __tablename__ = "answers"

    answer_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    payload: Mapped[Any] = mapped_column(JsonValue)
    created_at: Mapped[datetime.datetime] = mapped_column(UtcTime)


class AnswerTraceRow(Base):
    """What the decoder read and wrote for an answer; both are null once a document that was in it is deleted."""

    __tablename__ = "answer_traces"

    answer_id: Mapped[str] = mapped_column(ForeignKey("answers.answer_id", ondelete="CASCADE"), primary_key=True)
    model: Mapped[str] = mapped_column(Text)
    has_history: Mapped[bool]  # earlier turns, which may repeat documents that are not sources of this answer
    messages: Mapped[Any | None] = mapped_column(JsonValue)
    token_ids: Mapped[Any | None] = mapped_column(JsonValue)


class AnswerSourceRow(Base):
    """A version that an answer cites or was given; no foreign key to it, since the answer outlives it."""

    __tablename__ = "answer_sources"
    __table_args__ = (Index(None, "document_id"),)

    answer_id: Mapped[str] = mapped_column(ForeignKey("answers.answer_id", ondelete="CASCADE"), primary_key=True)
    document_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    cited: Mapped[bool]


class ComparisonRow(Base):
    """One comparison of systems over the same cases; its results are rows of their own."""

    __tablename__ = "comparisons"
    __table_args__ = (Index(None, "created_at", "comparison_id"),)

    comparison_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    job_id: Mapped[str] = mapped_column(String(64), index=True)  # the newest job that works on it
    name: Mapped[str] = mapped_column(Text)
    collection: Mapped[str] = mapped_column(SortedText)
    status: Mapped[str] = mapped_column(String(16))
    n_results: Mapped[int] = mapped_column(Integer)
    n_expected: Mapped[int] = mapped_column(Integer)  # cases times systems
    n_failures: Mapped[int] = mapped_column(Integer)  # results without an answer
    seconds_left: Mapped[float | None] = mapped_column(Float)
    redacted: Mapped[bool]
    error: Mapped[Any | None] = mapped_column(JsonValue)
    manifest: Mapped[Any | None] = mapped_column(JsonValue)  # null until the work begins
    figures: Mapped[Any | None] = mapped_column(JsonValue)
    created_at: Mapped[datetime.datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime.datetime] = mapped_column(UtcTime)


class ComparisonInputRow(Base):
    """What a comparison was asked to do, long where it has many cases."""

    __tablename__ = "comparison_inputs"

    comparison_id: Mapped[str] = mapped_column(
        ForeignKey("comparisons.comparison_id", ondelete="CASCADE"), primary_key=True
    )
    payload: Mapped[Any] = mapped_column(JsonValue)


class ComparisonResultRow(Base):
    """What one system made of one case, or what reruns of it told; the numbers are places in the input."""

    __tablename__ = "comparison_results"

    comparison_id: Mapped[str] = mapped_column(
        ForeignKey("comparisons.comparison_id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)  # result or probe
    case_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    system_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    payload: Mapped[Any] = mapped_column(JsonValue)


class ComparisonSourceRow(Base):
    """A document whose words the results of a case may hold; no foreign key to it, since they outlive it."""

    __tablename__ = "comparison_sources"
    __table_args__ = (Index(None, "document_id"),)

    comparison_id: Mapped[str] = mapped_column(
        ForeignKey("comparisons.comparison_id", ondelete="CASCADE"), primary_key=True
    )
    case_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    document_id: Mapped[str] = mapped_column(String(64), primary_key=True)


class ApiKeyRow(Base):
    """One API key, by the SHA-256 of its secret."""

    __tablename__ = "api_keys"

    key_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    token_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime.datetime] = mapped_column(UtcTime)
    revoked_at: Mapped[datetime.datetime | None] = mapped_column(UtcTime)


class IndexSnapshotRow(Base):
    """The newest index file of a kind: its hash and the last change it holds."""

    __tablename__ = "index_snapshots"

    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    file_name: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    seq: Mapped[int] = mapped_column(BigId)
    embedder: Mapped[str] = mapped_column(Text)


class MetaRow(Base):
    """A fact about the whole catalog, such as the embedder behind its vectors."""

    __tablename__ = "meta"

    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
