"""Writes the catalog and its files as one archive, consistent while everything else goes on."""

import datetime
import io
import secrets
import shutil
import tarfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from rag.catalog.archive import (
    COUNTERS,
    MANIFEST,
    TABLES,
    Manifest,
    Member,
    encode_rows,
    file_name,
    hash_file,
    manifest_to_json,
    table_name,
)
from rag.catalog.catalog import Catalog
from rag.catalog.faults import file_faults
from rag.catalog.files import publish_path
from rag.catalog.migrate import current_revision
from rag.catalog.models import DocumentRow, VersionRow
from rag.errors import StorageError

_ROWS_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSummary:
    """What went into an archive."""

    n_documents: int
    n_files: int
    n_bytes: int  # of the archive


def write_backup(catalog: Catalog, target: Path, now: datetime.datetime) -> BackupSummary:
    """Write a backup to `target`, mode 0600; it is there whole or not at all.

    Reads one snapshot. Writers wait only while the uploaded files get a second name; a deletion answers after the
    backup has ended, since the archive may hold a copy of what it deletes.

    Raises:
        StorageError: the disk is full or failing, or an uploaded file is not there.
    """
    with catalog.backup_gate, ExitStack() as stack:
        with catalog.database.exclusive():
            session = stack.enter_context(catalog.database.snapshot())
            versions = [(row[0], row[1]) for row in session.execute(select(VersionRow.document_id, VersionRow.version))]
            staging = catalog.files.link_all(versions, f"backup-{secrets.token_hex(8)}")
            stack.callback(shutil.rmtree, staging, ignore_errors=True)
        paths = _write_tables(session, staging) | _linked_files(versions, staging)
        manifest = Manifest(
            schema=current_revision(session.connection()) or "",
            created_at=now.isoformat(),
            counters={name: counter(session, name) for name in COUNTERS},
            members=tuple(_member(name, path) for name, path in paths.items()),
        )
        n_documents = len(session.scalars(select(DocumentRow.document_id)).all())
        with publish_path(target) as temporary:
            _write_archive(temporary, manifest, paths)
            n_bytes = temporary.stat().st_size
        return BackupSummary(n_documents=n_documents, n_files=len(versions), n_bytes=n_bytes)


def counter(session: Session, table: str) -> int:
    """The highest id that a table ever gave out."""
    if session.connection().dialect.name == "sqlite":
        found = session.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table})
        return int(found or 0)
    sequence = session.scalar(
        text("SELECT pg_get_serial_sequence(:name, :column)"), {"name": table, "column": COUNTERS[table]}
    )
    last_value, is_called = session.execute(text(f"SELECT last_value, is_called FROM {sequence}")).one()
    return int(last_value) if is_called else 0


def _write_tables(session: Session, folder: Path) -> dict[str, Path]:
    paths = {}
    for table in TABLES:
        path = folder / f"{table.name}.jsonl"
        query = select(table).order_by(*table.primary_key.columns)
        with file_faults(), path.open("xb") as file:
            file.writelines(encode_rows(table, session.execute(query).yield_per(_ROWS_AT_ONCE)))
        paths[table_name(table)] = path
    return paths


def _linked_files(versions: list[tuple[str, int]], folder: Path) -> dict[str, Path]:
    paths = {}
    for document_id, version in sorted(versions):
        path = folder / f"{document_id}.{version}"
        if not path.exists():
            raise StorageError(
                f"the file of document {document_id} is missing; delete that document, or restore a backup"
            )
        paths[file_name(document_id, version)] = path
        password = folder / f"{document_id}.{version}.password"
        if password.exists():
            paths[file_name(document_id, version, password=True)] = password
    return paths


def _member(name: str, path: Path) -> Member:
    with file_faults():
        n_bytes, sha256 = hash_file(path)
    return Member(name=name, n_bytes=n_bytes, sha256=sha256)


def _write_archive(path: Path, manifest: Manifest, paths: dict[str, Path]) -> None:
    with file_faults(), tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        data = manifest_to_json(manifest)
        archive.addfile(_header(MANIFEST, len(data)), io.BytesIO(data))
        for member in manifest.members:
            with paths[member.name].open("rb") as file:
                archive.addfile(_header(member.name, member.n_bytes), file)


def _header(name: str, n_bytes: int) -> tarfile.TarInfo:
    """No owner and no time: the same catalog makes the same members."""
    header = tarfile.TarInfo(name)
    header.size, header.mode = n_bytes, 0o600
    return header
