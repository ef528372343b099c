"""The database behind the catalog: one writing connection, pooled readers, SQLite or PostgreSQL."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from rag.catalog.faults import database_faults, file_faults, is_broken
from rag.errors import InvalidInputError, StorageError

_PRAGMAS = {
    "journal_mode": "WAL",
    "synchronous": "FULL",  # NORMAL loses acknowledged commits in a power cut
    "secure_delete": "ON",
    "foreign_keys": "ON",
    "busy_timeout": "10000",
    "temp_store": "MEMORY",  # no document text in temporary files
}
# SQLite 3.7.0 to 3.51.2 can corrupt when two connections checkpoint at once: readers never do.
_READER_PRAGMAS = _PRAGMAS | {"query_only": "ON", "wal_autocheckpoint": "0"}
_WRITER_LOCK_KEY = 0x63697465  # "cite": keeps a second process out of a PostgreSQL write


class Database:
    """Gives out sessions. `url` is `sqlite:///PATH` or `postgresql+psycopg://…`.

    Every write holds one lock (re-entrant within its thread) and one transaction; every read is a consistent
    snapshot that waits for no writer.

    Raises:
        InvalidInputError: the URL is neither.
    """

    def __init__(self, url: str) -> None:
        self._url = _checked(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._lock = threading.RLock()
        self._session: Session | None = None
        self._writer_thread: int | None = None
        self._hooks: list[Callable[[], None]] = []
        self._failed = False
        self._durable = True
        if self.is_sqlite:
            _create_private(Path(str(self._url.database)))
            self._writer = _sqlite_engine(self._url, _PRAGMAS, "BEGIN IMMEDIATE", pool={"poolclass": StaticPool})
            self._reader = _sqlite_engine(
                self._url, _READER_PRAGMAS, "BEGIN", pool={"pool_size": 8, "max_overflow": 56}
            )
        else:
            common: dict[str, Any] = {"hide_parameters": True, "pool_pre_ping": True}
            self._writer = create_engine(self._url, pool_size=1, max_overflow=0, **common)
            reader = create_engine(self._url, pool_size=8, max_overflow=24, **common)
            self._reader = reader.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def write(self, *, durable: bool = True) -> AbstractContextManager[Session]:
        """A transaction that can change things; commits at the end of the block, rolls back when it raises.

        Inside another `write` of the same thread it is a savepoint of that one.

        Args:
            durable: False lets a power cut (not a crash) undo the transaction, and spares the wait for the disk.

        Raises:
            StorageError: the disk is full or failing; nothing was kept.
        """
        return self._write(durable)

    @contextmanager
    def _write(self, durable: bool) -> Iterator[Session]:
        with self._lock:
            if self._session is not None:
                n_hooks = len(self._hooks)
                try:
                    with database_faults(), self._session.begin_nested():
                        yield self._session
                except BaseException:
                    del self._hooks[n_hooks:]
                    raise
                return
            self._refuse_if_failed()
            try:
                with database_faults():
                    yield from self._transaction(durable)
            except StorageError as error:
                if is_broken(error.__cause__):
                    self._failed = True
                raise
            finally:
                hooks, self._hooks = self._hooks, []
        for hook in hooks:
            hook()

    def _transaction(self, durable: bool) -> Iterator[Session]:
        with self._writer.connect() as connection:
            if self.is_sqlite and durable != self._durable:
                _set_synchronous(connection, "FULL" if durable else "NORMAL")
                self._durable = durable
            with connection.begin(), Session(bind=connection, expire_on_commit=False) as session:
                if not self.is_sqlite:
                    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK_KEY})
                self._session, self._writer_thread = session, threading.get_ident()
                try:
                    yield session
                    session.flush()
                finally:
                    self._session = self._writer_thread = None

    @property
    def in_write(self) -> bool:
        """Whether this thread is inside a `write`."""
        return self._writer_thread == threading.get_ident()

    def on_commit(self, hook: Callable[[], None]) -> None:
        """Call `hook` once the present write is committed and its lock released; never if it is rolled back."""
        if not self.in_write:
            raise RuntimeError("on_commit is for use inside a write")
        self._hooks.append(hook)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent snapshot; keep it short. Inside a `write` of the same thread it sees that write.

        Raises:
            StorageError: the database cannot be read.
        """
        if self.in_write and self._session is not None:
            yield self._session
            return
        with self.snapshot() as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A consistent snapshot of what is committed, even inside a `write` of the same thread."""
        with database_faults(), self._reader.connect() as connection, connection.begin():
            if self.is_sqlite:  # BEGIN alone takes no snapshot, the first read does
                connection.execute(text("SELECT 1 FROM sqlite_master LIMIT 1"))
            with Session(bind=connection, expire_on_commit=False) as session:
                yield session

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the write lock without a transaction: nothing is committed meanwhile."""
        with self._lock:
            yield

    def migrate(self) -> None:
        """Bring the schema up to date; does nothing where it is.

        Raises:
            ConflictError: the schema is newer than this program.
            StorageError: the disk is full or failing.
        """
        from rag.catalog.migrate import migrate  # alembic takes long to import

        migrate(self)

    def truncate_log(self, timeout_seconds: float = 30.0) -> bool:
        """Empty SQLite's write-ahead log, so that it holds nothing that was deleted.

        Waits for readers of older snapshots; returns whether the log is empty. Always true on PostgreSQL.
        """
        if self.in_write:
            raise RuntimeError("the log cannot be emptied inside a write")
        if not self.is_sqlite:
            return True
        deadline = time.monotonic() + timeout_seconds
        while True:
            with self._lock, database_faults(), self._writer.connect() as connection:
                cursor = connection.connection.cursor()
                cursor.execute("PRAGMA busy_timeout=100")  # other writers wait for this lock meanwhile
                busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                cursor.execute(f"PRAGMA busy_timeout={_PRAGMAS['busy_timeout']}")
            if not busy:
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)

    def close(self) -> None:
        """Give every connection back; the writer last, since the last to close checkpoints."""
        self._reader.dispose()
        with self._lock:
            self._writer.dispose()

    def _refuse_if_failed(self) -> None:
        if self._failed:
            raise StorageError("the disk of the catalog failed and nothing is written any more; check it and restart")


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file, whatever characters its path has."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InvalidInputError(
            "the database URL does not parse; use sqlite:///PATH or postgresql+psycopg://…"
        ) from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        if not parsed.database or parsed.database == ":memory:":
            raise InvalidInputError("an in-memory catalog cannot be shared between connections; name a file")
        return parsed
    if parsed.drivername != "postgresql+psycopg":
        raise InvalidInputError(f"no catalog in {parsed.drivername}; use sqlite:///PATH or postgresql+psycopg://…")
    return parsed


def _create_private(path: Path) -> None:
    """Make the file readable by its owner alone; SQLite gives its log files the same mode."""
    with file_faults():
        if not path.parent.is_dir():
            raise StorageError("the folder of the catalog does not exist; create it first")
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _set_synchronous(connection: Connection, level: str) -> None:
    connection.connection.cursor().execute(f"PRAGMA synchronous={level}")  # outside the transaction, where it works


def _sqlite_engine(url: URL, pragmas: dict[str, str], begin: str, *, pool: dict[str, Any]) -> Engine:
    engine = create_engine(url, hide_parameters=True, connect_args={"check_same_thread": False}, **pool)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins no transaction by itself
        cursor = connection.cursor()
        for name, value in pragmas.items():
            cursor.execute(f"PRAGMA {name}={value}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
