import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import OperationalError

from rag.catalog.database import Database, sqlite_url
from rag.catalog.models import MetaRow
from rag.errors import InvalidInputError, StorageError


@pytest.fixture
def empty(database: Database) -> Database:
    database.migrate()
    return database


@pytest.fixture
def sqlite(tmp_path: Path):
    database = Database(sqlite_url(tmp_path / "c.sqlite3"))
    database.migrate()
    yield database
    database.close()


def put(database: Database, key: str, value: str = "") -> None:
    with database.write() as session:
        session.add(MetaRow(key=key, value=value))


def keys(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(MetaRow.key).order_by(MetaRow.key)))


def pragma(session, name: str) -> object:
    return session.execute(text(f"PRAGMA {name}")).scalar_one()


def test_sqlite_pragmas_of_writer_and_reader(sqlite: Database) -> None:
    with sqlite.write() as session:
        writer = {
            name: pragma(session, name)
            for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys", "busy_timeout", "query_only")
        }
    with sqlite.read() as session:
        reader = {
            name: pragma(session, name)
            for name in ("journal_mode", "query_only", "wal_autocheckpoint", "foreign_keys", "busy_timeout")
        }
    # synchronous: 2 is FULL
    assert writer == {
        "journal_mode": "wal",
        "synchronous": 2,
        "secure_delete": 1,
        "foreign_keys": 1,
        "busy_timeout": 10000,
        "query_only": 0,
    }
    assert reader == {
        "journal_mode": "wal",
        "query_only": 1,
        "wal_autocheckpoint": 0,
        "foreign_keys": 1,
        "busy_timeout": 10000,
    }


def test_a_write_that_may_be_lost_in_a_power_cut_leaves_the_next_one_safe(sqlite: Database) -> None:
    with sqlite.write(durable=False) as session:
        assert pragma(session, "synchronous") == 1
    with sqlite.write() as session:
        assert pragma(session, "synchronous") == 2


def test_the_file_and_its_log_are_private(tmp_path: Path, sqlite: Database) -> None:
    put(sqlite, "a")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("c.sqlite3*")}
    assert modes == {"c.sqlite3": 0o600, "c.sqlite3-wal": 0o600, "c.sqlite3-shm": 0o600}


def test_a_reader_cannot_write(empty: Database) -> None:
    with pytest.raises(Exception, match=r"(?i)read-?only"), empty.read() as session:
        session.execute(insert(MetaRow).values(key="a", value="b"))
    assert keys(empty) == []


def test_a_block_that_raises_leaves_nothing(empty: Database) -> None:
    with pytest.raises(KeyError), empty.write() as session:
        session.add(MetaRow(key="a", value=""))
        session.flush()
        raise KeyError
    assert keys(empty) == []
    put(empty, "b")
    assert keys(empty) == ["b"]


def test_a_nested_block_is_a_savepoint_of_the_outer(empty: Database) -> None:
    heard: list[str] = []
    with empty.write() as session:
        session.add(MetaRow(key="outer", value=""))
        with pytest.raises(KeyError), empty.write() as inner:
            inner.add(MetaRow(key="undone", value=""))
            empty.on_commit(lambda: heard.append("undone"))
            raise KeyError
        with empty.write() as inner:
            inner.add(MetaRow(key="inner", value=""))
            empty.on_commit(lambda: heard.append("inner"))
        assert heard == []
    assert keys(empty) == ["inner", "outer"]
    assert heard == ["inner"]


def test_a_read_inside_a_write_sees_it_and_a_snapshot_does_not(empty: Database) -> None:
    with empty.write() as session:
        session.add(MetaRow(key="a", value=""))
        session.flush()
        assert keys(empty) == ["a"]
        with empty.snapshot() as other:
            assert other.scalar(select(func.count()).select_from(MetaRow)) == 0


def test_a_read_is_one_moment(empty: Database) -> None:
    with empty.read() as session:
        before = session.scalar(select(func.count()).select_from(MetaRow))
        thread = threading.Thread(target=put, args=(empty, "a"))
        thread.start()
        thread.join()
        after = session.scalar(select(func.count()).select_from(MetaRow))
    assert (before, after, keys(empty)) == (0, 0, ["a"])


def test_writes_of_many_threads_follow_each_other(empty: Database) -> None:
    put(empty, "n", "0")

    def add() -> None:
        for _ in range(10):
            with empty.write() as session:
                row = session.get_one(MetaRow, "n")
                row.value = str(int(row.value) + 1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with empty.read() as session:
        assert session.get_one(MetaRow, "n").value == "40"


def test_hooks_run_after_the_commit_and_never_after_a_rollback(empty: Database) -> None:
    heard: list[list[str]] = []
    with empty.write() as session:
        session.add(MetaRow(key="a", value=""))
        empty.on_commit(lambda: heard.append(keys(empty)))
    with pytest.raises(KeyError), empty.write():
        empty.on_commit(lambda: heard.append([]))
        raise KeyError
    with empty.write():
        pass
    assert heard == [["a"]]
    with pytest.raises(RuntimeError):
        empty.on_commit(lambda: None)


def test_a_full_disk_is_a_storage_error_and_the_next_write_works(sqlite: Database) -> None:
    with sqlite.write() as session:
        pages = int(str(pragma(session, "page_count")))
    with sqlite.write() as session:
        session.execute(text(f"PRAGMA max_page_count={pages + 2}"))
    with pytest.raises(StorageError, match="full") as caught:
        put(sqlite, "big", "x" * 100_000)
    assert "xxx" not in str(caught.value) and "xxx" not in str(caught.value.__cause__)
    assert keys(sqlite) == []
    with sqlite.write() as session:
        session.execute(text("PRAGMA max_page_count=1000000"))
    put(sqlite, "big", "x" * 100_000)
    assert keys(sqlite) == ["big"]


_FAILING_DISK = """
import pathlib, resource, sys
from rag.catalog.database import Database, sqlite_url
from rag.catalog.models import MetaRow
from rag.errors import StorageError

path = pathlib.Path(sys.argv[1])
database = Database(sqlite_url(path))
database.migrate()

def put(key, value):
    with database.write() as session:
        session.add(MetaRow(key=key, value=value))

put("kept", "")
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name(path.name + "-wal").stat().st_size, hard))
messages = []
for value in ("x" * 100_000, "small"):
    try:
        put("lost", value)
    except StorageError as error:
        messages.append(str(error))
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
with database.read() as session:
    print([row.key for row in session.query(MetaRow)])
print("\\n".join(messages))
"""


def test_after_a_failed_write_to_disk_nothing_is_written_and_all_is_still_read(tmp_path: Path) -> None:
    # A limit of file size makes the kernel refuse the write, which SQLite reports as an I/O error.
    done = subprocess.run(
        [sys.executable, "-c", _FAILING_DISK, str(tmp_path / "c.sqlite3")], capture_output=True, text=True, check=True
    )
    found, first, second = done.stdout.splitlines()
    assert found == "['kept']"
    assert "disk of the catalog failed" in first
    assert "nothing is written any more" in second


def test_the_log_is_emptied_once_its_readers_are_gone(tmp_path: Path, sqlite: Database) -> None:
    log = tmp_path / "c.sqlite3-wal"
    with sqlite.read():
        put(sqlite, "a", "canary")
        assert not sqlite.truncate_log(timeout_seconds=0.2)
        assert log.stat().st_size > 0
    assert sqlite.truncate_log()
    assert log.stat().st_size == 0
    with sqlite.write(), pytest.raises(RuntimeError):
        sqlite.truncate_log()


def test_readers_never_checkpoint(tmp_path: Path, sqlite: Database) -> None:
    for number in range(20):
        put(sqlite, f"k{number}")
    before = (tmp_path / "c.sqlite3").read_bytes()
    for _ in range(5):
        keys(sqlite)
    assert (tmp_path / "c.sqlite3").read_bytes() == before


def test_a_locked_catalog_says_so(tmp_path: Path, sqlite: Database) -> None:
    other = Database(sqlite_url(tmp_path / "c.sqlite3"))
    with sqlite.write() as session:
        session.execute(text("PRAGMA busy_timeout=50"))
    with other.write(), pytest.raises(StorageError, match="locked"):
        put(sqlite, "a")
    other.close()


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    path.write_bytes(b"this is not a database" * 100)
    database = Database(sqlite_url(path))
    with pytest.raises(StorageError, match="not a database"):
        database.migrate()
    database.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://u@h/d", "nonsense", ""])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(InvalidInputError):
        Database(url)


def test_a_missing_folder_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="folder"):
        Database(sqlite_url(tmp_path / "none" / "c.sqlite3"))


def test_a_path_of_any_characters(tmp_path: Path) -> None:
    folder = tmp_path / "a b?c#d%41é"
    folder.mkdir()
    database = Database(sqlite_url(folder / "c.sqlite3"))
    database.migrate()
    put(database, "a")
    database.close()
    assert (folder / "c.sqlite3").stat().st_size > 0


def test_a_wrong_statement_is_no_storage_error(empty: Database) -> None:
    with pytest.raises(Exception) as caught, empty.read() as session:
        session.execute(text("SELECT * FROM nothing"))
    assert not isinstance(caught.value, StorageError)
    assert isinstance(caught.value, OperationalError) or "nothing" in str(caught.value)
