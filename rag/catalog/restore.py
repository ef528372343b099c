"""Reads a backup into an empty catalog: everything is checked before anything can be seen, all or nothing."""

import secrets
import shutil
import tarfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Table, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from rag.catalog.archive import (
    COUNTERS,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    TABLES,
    Manifest,
    copy_hashed,
    decode_rows,
    manifest_from_json,
    parse_file_name,
    table_name,
)
from rag.catalog.database import Database
from rag.catalog.faults import file_faults
from rag.catalog.files import FileStore
from rag.catalog.ids import is_id
from rag.catalog.migrate import current_revision
from rag.catalog.models import VersionRow
from rag.errors import ConflictError, InvalidInputError

_ROWS_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSummary:
    """What came out of an archive."""

    n_documents: int
    n_files: int


def restore_backup(source: Path, database: Database, files: FileStore) -> RestoreSummary:
    """Restore a backup of either kind of database; indexes are rebuilt from the result at the next start.

    Raises:
        ConflictError: the catalog or the file store is not empty.
        InvalidInputError: the archive is damaged, of another format or schema, or holds what no backup holds.
        StorageError: the disk is full or failing.
    """
    database.migrate()
    _refuse_unless_empty(database, files)
    folder = files.scratch(f"restore-{secrets.token_hex(8)}")
    try:
        manifest, paths = _unpack(source, folder)
        with database.write() as session:
            if manifest.schema != current_revision(session.connection()):
                raise InvalidInputError(
                    f"the backup has schema {manifest.schema!r}; restore it with the version of citebound that made it"
                )
            n_rows = {table.name: _insert(session, table, paths[table_name(table)]) for table in TABLES}
            for name, value in manifest.counters.items():
                _set_counter(session, name, value)
            uploads = _uploads(session, manifest, paths)
            # The last step before the commit. Should that fail, the next start sweeps the files away.
            for (document_id, version), (path, password) in uploads.items():
                files.adopt(path, document_id, version, password)
    except IntegrityError as error:
        raise InvalidInputError("the rows of the backup contradict each other; use another backup") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return RestoreSummary(n_documents=n_rows["documents"], n_files=len(uploads))


def _refuse_unless_empty(database: Database, files: FileStore) -> None:
    with database.read() as session:
        full = [table.name for table in TABLES if session.execute(select(table).limit(1)).first() is not None]
    if full or files.known():
        raise ConflictError("a backup is restored into an empty data folder only; name a new --data-dir")


def _unpack(source: Path, folder: Path) -> tuple[Manifest, dict[str, Path]]:
    """Copy every member into `folder` under a number, its hash checked; no name of the archive becomes a path."""
    try:
        with source.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
            members = iter(archive)
            manifest = manifest_from_json(_read_manifest(archive, next(members, None)))
            paths: dict[str, Path] = {}
            for number, expected in enumerate(manifest.members):
                found = next(members, None)
                if found is None or found.name != expected.name or found.size != expected.n_bytes:
                    raise InvalidInputError(f"{expected.name} is missing from the backup; use another backup")
                path = folder / str(number)
                with file_faults(), path.open("xb") as copy:
                    if copy_hashed(_content(archive, found), copy) != (expected.n_bytes, expected.sha256):
                        raise InvalidInputError(f"{expected.name} in the backup is damaged; use another backup")
                path.chmod(0o600)
                paths[expected.name] = path
            if next(members, None) is not None:
                raise InvalidInputError("the backup holds more than its manifest names; use another backup")
            return manifest, paths
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise InvalidInputError("the file is not a whole backup; use one made by citebound backup") from error
    except (FileNotFoundError, IsADirectoryError) as error:
        raise InvalidInputError("there is no backup file of that name") from error


def _read_manifest(archive: tarfile.TarFile, member: tarfile.TarInfo | None) -> bytes:
    if member is None or member.name != MANIFEST or member.size > MAX_MANIFEST_BYTES:
        raise InvalidInputError("the file is not a backup; use one made by citebound backup")
    return _content(archive, member).read()


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """The bytes of a plain file; links, devices and sparse files are refused."""
    plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and member.sparse is None
    content = archive.extractfile(member) if plain else None
    if content is None:
        raise InvalidInputError("the backup holds what is not a plain file; use another backup")
    return content


def _insert(session: Session, table: Table, path: Path) -> int:
    n_rows = 0
    with path.open("rb") as lines:
        rows = decode_rows(table, lines)
        while batch := list(islice(rows, _ROWS_AT_ONCE)):
            for row in batch:
                _check_row(table, row)
            session.execute(insert(table), batch)
            n_rows += len(batch)
    return n_rows


def _check_row(table: Table, row: dict[str, Any]) -> None:
    if not all(
        is_id(row[name])
        for name in ("document_id", "answer_id", "comparison_id", "job_id", "key_id")
        if row.get(name) is not None
    ):
        raise InvalidInputError(f"a row of {table.name} in the backup has an id that is none; use another backup")
    if "vector" in row and (not row["vector"] or len(row["vector"]) % 4):
        raise InvalidInputError("a vector in the backup is not one; use another backup")


def _uploads(
    session: Session, manifest: Manifest, paths: dict[str, Path]
) -> dict[tuple[str, int], tuple[Path, Path | None]]:
    """File and password of every version; each version has its very file, each file its version."""
    sha256 = {member.name: member.sha256 for member in manifest.members}
    rows = session.execute(select(VersionRow.document_id, VersionRow.version, VersionRow.sha256))
    wanted = {(document_id, version): digest for document_id, version, digest in rows}
    contents: dict[tuple[str, int], Path] = {}
    passwords: dict[tuple[str, int], Path] = {}
    for name, path in paths.items():
        parsed = parse_file_name(name)
        if parsed is None:
            continue
        document_id, version, is_password = parsed
        key = (document_id, version)
        if key not in wanted or (not is_password and wanted[key] != sha256[name]):
            raise InvalidInputError("a file in the backup is not the one its row names; use another backup")
        (passwords if is_password else contents)[key] = path
    if contents.keys() != wanted.keys():
        raise InvalidInputError("the backup lacks an uploaded file; use another backup")
    return {key: (path, passwords.get(key)) for key, path in sorted(contents.items())}


def _set_counter(session: Session, table: str, value: int) -> None:
    """Never give out an id again that the table gave out before the backup."""
    column = COUNTERS[table]
    highest = session.scalar(text(f"SELECT max({column}) FROM {table}")) or 0
    value = max(value, highest)
    if session.connection().dialect.name == "sqlite":
        session.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table})
        session.execute(
            text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :seq)"), {"name": table, "seq": value}
        )
    elif value:
        sequence = session.scalar(
            text("SELECT pg_get_serial_sequence(:name, :column)"), {"name": table, "column": column}
        )
        session.execute(text("SELECT setval(:sequence, :value)"), {"sequence": sequence, "value": value})
