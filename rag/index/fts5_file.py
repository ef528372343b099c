"""The SQLite file of the lexical index: opened, made, begun again, and its write-ahead log emptied."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import structlog

from rag.catalog.faults import file_faults
from rag.errors import StorageError

_log = structlog.get_logger(__name__)

FILE_VERSION = 2  # of the tables and of what is put into them; another one in the file begins it again
_BUSY_MILLISECONDS = 10_000
_SCHEMA = """
CREATE TABLE stamp (value INTEGER NOT NULL);
INSERT INTO stamp VALUES (0);
CREATE TABLE collections (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
"""


@contextmanager
def apsw_faults() -> Iterator[None]:
    """Raise `StorageError` for whatever SQLite complains about.

    The statements are fixed, so that it can only be the file or the disk.
    """
    try:
        yield
    except apsw.FullError as error:
        raise StorageError("the disk is full; free some space and try again") from error
    except apsw.Error as error:
        raise StorageError(
            f"the lexical index cannot be used ({type(error).__name__}); check the disk, then run citebound reindex"
        ) from error


def open_database(path: Path, *, read_only: bool = False) -> Any:
    """A connection to the file, which is made where it is missing and begun again where it is damaged or old.

    Raises:
        StorageError: the file cannot be made or opened.
    """
    with apsw_faults():
        if read_only:
            return _connect(path, read_only=True)
        try:
            connection = _connect(path, read_only=False)
            version = int(connection.pragma("user_version"))
        except (apsw.NotADBError, apsw.CorruptError):
            connection, version = None, -1
        if connection is not None and version == FILE_VERSION:
            return connection
        if connection is not None:
            connection.close()
        if version != 0:
            _log.warning("lexical_index_begun_again", file_version=version)
        with file_faults():
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        connection = _connect(path, read_only=False)
        with connection:
            connection.execute(_SCHEMA).fetchall()
            connection.pragma("user_version", FILE_VERSION)
        return connection


def truncate_log(connection: Any) -> bool:
    """Empty the write-ahead log, waiting for readers of older snapshots; returns whether it is empty."""
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def _connect(path: Path, *, read_only: bool) -> Any:
    with file_faults():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # its log files get the same mode
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(_BUSY_MILLISECONDS)
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "normal")  # a power cut may undo a commit with its stamp; it is replayed
    connection.pragma("secure_delete", True)
    connection.pragma("temp_store", "memory")  # no words in temporary files
    connection.pragma("cache_size", -16_000)  # KiB
    if read_only:
        connection.wal_autocheckpoint(0)  # only the writer checkpoints
        connection.pragma("query_only", True)
    return connection
