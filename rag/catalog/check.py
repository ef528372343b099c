"""Proves that files, rows and vectors of a catalog agree."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from rag.catalog.archive import hash_file
from rag.catalog.catalog import Catalog
from rag.catalog.models import DocumentRow, PassageRow, VersionRow


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogCheck:
    """What was counted, and one sentence for each disagreement; () means that all agree."""

    n_documents: int
    n_versions: int
    n_files: int
    n_passages: int
    n_vectors: int
    problems: tuple[str, ...]


def check_catalog(catalog: Catalog) -> CatalogCheck:
    """Compare everything, the hash of each uploaded file included.

    Reads one snapshot. Writers wait only while the files are listed.
    """
    with catalog.backup_gate, catalog.database.snapshot() as session:
        with catalog.database.exclusive():
            files = catalog.files.known()
            versions = catalog.documents.versions()
        problems = (
            *_database_problems(session, catalog.database.is_sqlite),
            *(f"no row names the file of document {name}, version {version}" for name, version in files - versions),
            *_file_problems(catalog, session, files),
            *_document_problems(session),
            *_passage_problems(session),
        )
        n_vectors = select(func.count()).select_from(PassageRow).where(func.length(PassageRow.vector) > 0)
        return CatalogCheck(
            n_documents=_count(session, DocumentRow),
            n_versions=_count(session, VersionRow),
            n_files=len(files),
            n_passages=_count(session, PassageRow),
            n_vectors=session.scalar(n_vectors) or 0,
            problems=problems,
        )


def _count(session: Session, table: type[DocumentRow | VersionRow | PassageRow]) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def _database_problems(session: Session, is_sqlite: bool) -> Iterator[str]:
    if is_sqlite:
        for (line,) in session.execute(text("PRAGMA integrity_check")):
            if line != "ok":
                yield f"the database file is damaged: {line}"
        for row in session.execute(text("PRAGMA foreign_key_check")):
            yield f"a row of {row[0]} refers to a row of {row[2]} that is not there"


def _file_problems(catalog: Catalog, session: Session, files: set[tuple[str, int]]) -> Iterator[str]:
    for row in session.execute(
        select(VersionRow.document_id, VersionRow.version, VersionRow.n_bytes, VersionRow.sha256)
    ):
        name = f"document {row.document_id}, version {row.version}"
        if (row.document_id, row.version) not in files:
            yield f"the file of {name} is missing"
        elif hash_file(catalog.files.path(row.document_id, row.version)) != (row.n_bytes, row.sha256):
            yield f"the file of {name} has changed"


def _document_problems(session: Session) -> Iterator[str]:
    query = select(PassageRow.document_id, func.count()).group_by(PassageRow.document_id)
    counts = {document_id: n for document_id, n in session.execute(query)}
    for row in session.execute(
        select(
            DocumentRow.document_id,
            DocumentRow.status,
            DocumentRow.version,
            DocumentRow.live_version,
            DocumentRow.n_passages,
        )
    ):
        n_passages = counts.get(row.document_id, 0)
        if n_passages != row.n_passages:
            yield f"document {row.document_id} says {row.n_passages} passages and has {n_passages}"
        if row.status == "ready" and (row.live_version != row.version or not n_passages):
            yield f"document {row.document_id} is ready but its newest version cannot be searched"


def _passage_problems(session: Session) -> Iterator[str]:
    dimensions = session.scalars(select(func.length(PassageRow.vector)).distinct()).all()
    if len(dimensions) > 1:
        yield f"the vectors have {len(dimensions)} different lengths"
    live = select(DocumentRow.document_id, DocumentRow.live_version).where(DocumentRow.live_version.is_not(None))
    for document_id, version in session.execute(live).all():
        content = session.scalar(
            select(VersionRow.text).where(VersionRow.document_id == document_id, VersionRow.version == version)
        )
        query = select(PassageRow.passage_id, PassageRow.version, PassageRow.start, PassageRow.end, PassageRow.text)
        for row in session.execute(query.where(PassageRow.document_id == document_id)):
            if row.version != version:
                yield f"passage {row.passage_id} is of version {row.version}, which is not searched any more"
            elif content is None or content[row.start : row.end] != row.text:
                yield f"passage {row.passage_id} is not the text at its offsets"
