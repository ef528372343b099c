"""What a failing disk or database looks like, told as `StorageError`."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, TimeoutError

from rag.errors import StorageError

# Primary result codes, https://sqlite.org/rescode.html
_SQLITE_MESSAGES = {
    5: "the catalog is locked by another program; stop it and try again",
    8: "the catalog is read-only; make its folder writable and restart",
    10: "the disk of the catalog failed; check the disk and restart",
    11: "the catalog file is damaged; restore a backup",
    13: "the disk of the catalog is full; free some space and try again",
    14: "the catalog file cannot be opened; check that its folder exists and is writable",
    26: "the catalog file is not a database; restore a backup",
}
_SQLITE_BROKEN = frozenset({10, 11, 26})  # after these nothing that was written can be trusted to be there

_OS_MESSAGES = {
    errno.ENOSPC: "the disk is full; free some space and try again",
    errno.EDQUOT: "the disk quota is used up; free some space and try again",
    errno.EIO: "the disk failed; check the disk and restart",
    errno.EROFS: "the disk is read-only; make it writable and restart",
    errno.EACCES: "the data folder may not be written; give its owner the right to",
    errno.EMFILE: "too many files are open; raise the limit of open files and restart",
}


def is_broken(error: BaseException | None) -> bool:
    """Whether the medium itself failed, so that writing must stop until a restart."""
    if isinstance(error, OSError):
        return error.errno == errno.EIO
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "sqlite_errorcode", None)
    if isinstance(code, int):
        return (code & 0xFF) in _SQLITE_BROKEN
    return getattr(error.orig, "sqlstate", None) in ("58030", "XX001", "XX002")


def storage_error(error: DBAPIError) -> StorageError | None:
    """The storage fault behind a database error; None where the statement itself was wrong."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if isinstance(code, int):
        message = _SQLITE_MESSAGES.get(code & 0xFF)
        return StorageError(message) if message else None
    state = getattr(error.orig, "sqlstate", None)
    # PostgreSQL appendix A: 53 insufficient resources, 57P shutdown, 58 system error, 08 connection, XX corruption
    if state == "53100":
        return StorageError("the disk of the database server is full; free some space and try again")
    if error.connection_invalidated or state is None or state[:2] in ("08", "53", "58", "XX") or state[:3] == "57P":
        return StorageError("the database server cannot be reached or is failing; check it and try again")
    return None


@contextmanager
def database_faults() -> Iterator[None]:
    """Raise `StorageError` for faults of the database behind SQLAlchemy."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        fault = storage_error(error)
        if fault is None:
            raise
        raise fault from error
    except TimeoutError as error:
        raise StorageError("every database connection is busy; try again in a moment") from error


@contextmanager
def file_faults() -> Iterator[None]:
    """Raise `StorageError` for faults of the file system that are not the caller's."""
    try:
        yield
    except OSError as error:
        message = _OS_MESSAGES.get(error.errno or 0)
        if message is None:
            raise
        raise StorageError(message) from error
