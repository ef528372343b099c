import datetime
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from rag.catalog.archive import TABLES
from rag.catalog.backup import write_backup
from rag.catalog.catalog import Catalog
from rag.catalog.check import check_catalog
from rag.catalog.database import Database
from rag.catalog.files import FileStore
from rag.catalog.restore import restore_backup
from rag.errors import ConflictError, InvalidInputError, StorageError
from rag.types import Failure, Page

NOW = datetime.datetime(2026, 2, 3, tzinfo=datetime.UTC)


def fill(bench) -> None:
    """One of everything: ready, replaced, failed, deleted, queued; a password, a key, an answer's worth of ids."""
    bench.register("alpha beta γ 😀 delta", name="ä.txt", metadata={"year": 2020, "n": None}, password="pw")
    boxes = np.arange(22 * 4, dtype=np.uint16).reshape(22, 4)
    document = bench.publish("alpha beta γ 😀 delta!!", (Page(number=1, start=0, end=22, width=1.5, char_boxes=boxes),))
    bench.replace(document.document_id, "second version")
    bench.publish("second version of it")
    bench.register("broken", collection="other")
    job = bench.catalog.jobs.claim(bench.now)
    failure = Failure(code="corrupt", message="it is damaged; send it again", page=2)
    bench.catalog.documents.fail(job.job_id, job.document_id, failure, None, bench.now)
    gone = bench.ready("deleted long ago, the highest ids")
    bench.catalog.documents.delete(gone.document_id, bench.now)
    bench.register("waits")
    bench.catalog.keys.add("laptop", bench.now)
    bench.catalog.changes.record_snapshot("dense", "dense-1", "ab" * 32, 1, bench.embedder)


def rows(database: Database) -> dict[str, list[tuple]]:
    with database.read() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table).order_by(*table.primary_key.columns))]
            for table in TABLES
        }


def uploads(store: FileStore) -> dict[tuple[str, int], tuple[bytes, str | None]]:
    return {key: (store.path(*key).read_bytes(), store.password(*key)) for key in store.known()}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def target(request: pytest.FixtureRequest, tmp_path: Path, other_database_url: Callable[[str], str]):
    """An empty catalog to restore into."""
    database = Database(other_database_url(request.param))
    yield database, FileStore(tmp_path / "restored")
    database.close()


@pytest.fixture
def archive(sqlite_bench, tmp_path: Path) -> Path:
    fill(sqlite_bench)
    path = tmp_path / "b.tar"
    write_backup(sqlite_bench.catalog, path, NOW)
    return path


def test_a_restored_catalog_is_the_same_on_either_database(bench, target, tmp_path: Path) -> None:
    database, store = target
    fill(bench)
    path = tmp_path / "b.tar"
    made = write_backup(bench.catalog, path, NOW)
    assert (made.n_documents, made.n_files, made.n_bytes) == (3, 4, path.stat().st_size)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list((tmp_path / "incoming").iterdir()) == []
    restored = restore_backup(path, database, store)
    assert (restored.n_documents, restored.n_files) == (3, 4)
    assert rows(database) == rows(bench.catalog.database)
    assert uploads(store) == uploads(bench.catalog.files)
    assert list((tmp_path / "restored" / "incoming").iterdir()) == []
    other = Catalog(database, store)
    assert other.changes.snapshot("dense") is None  # indexes are rebuilt
    assert check_catalog(other).problems == ()
    # a backup of the copy has the same content
    second = tmp_path / "c.tar"
    write_backup(other, second, NOW)
    with tarfile.open(path) as one, tarfile.open(second) as two:
        for name in one.getnames():
            first_member, second_member = one.extractfile(name), two.extractfile(name)
            assert first_member is not None and second_member is not None
            assert first_member.read() == second_member.read()


def test_no_id_is_given_out_again_after_a_restore(sqlite_bench, archive: Path, target) -> None:
    database, store = target
    restore_backup(archive, database, store)
    before = sqlite_bench.catalog
    newest = max(change.last_passage_id for change in before.changes.since(0, 99))
    assert newest > before.passages.ids().max()  # those of the deleted document
    bench = type(sqlite_bench)(Catalog(database, store))
    bench.publish("the one that waited")
    assert bench.catalog.passages.ids().min() < newest < bench.catalog.passages.ids().max()
    assert bench.catalog.changes.since(before.changes.last_seq(), 9)[0].first_passage_id == newest + 1


def test_work_goes_on_after_a_restore(sqlite_bench, archive: Path, target) -> None:
    restore_backup(archive, *target)
    bench = type(sqlite_bench)(Catalog(*target))
    bench.catalog.start(NOW)
    assert bench.publish("waits no more").status == "ready"
    assert bench.register("second version").duplicate_of is not None
    assert check_catalog(bench.catalog).problems == ()


def test_a_backup_is_one_moment_while_everything_goes_on(sqlite_bench, tmp_path: Path, open_bench) -> None:
    bench = sqlite_bench
    for number in range(5):
        bench.ready(f"document {number}")
    stop = threading.Event()

    def churn() -> None:
        number = 5
        while not stop.is_set():
            bench.ready(f"document {number}")
            victim = bench.catalog.documents.list(sort="created_at", limit=1)[0][0]
            bench.catalog.documents.delete(victim.document_id, bench.now)
            number += 1

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        paths = [tmp_path / f"{number}.tar" for number in range(5)]
        for path in paths:
            write_backup(bench.catalog, path, NOW)
    finally:
        stop.set()
        thread.join()
    for number, path in enumerate(paths):
        copy = open_bench(tmp_path / f"copy{number}")
        restored = restore_backup(path, copy.catalog.database, copy.catalog.files)
        check = check_catalog(copy.catalog)
        assert check.problems == ()
        assert check.n_documents == check.n_files == restored.n_files in (5, 6)


def test_only_an_empty_folder_takes_a_backup(archive: Path, sqlite_bench, open_bench, tmp_path: Path) -> None:
    with pytest.raises(ConflictError):
        restore_backup(archive, sqlite_bench.catalog.database, sqlite_bench.catalog.files)
    other = open_bench(tmp_path / "other")
    other.catalog.keys.add("a", NOW)
    with pytest.raises(ConflictError):
        restore_backup(archive, other.catalog.database, other.catalog.files)


def test_a_backup_that_fails_leaves_the_old_one(sqlite_bench, archive: Path, tmp_path: Path) -> None:
    before = archive.read_bytes()
    document = sqlite_bench.catalog.documents.list(status="ready")[0][0]
    sqlite_bench.catalog.files.path(document.document_id, 1).unlink()
    with pytest.raises(StorageError, match="missing"):
        write_backup(sqlite_bench.catalog, archive, NOW)
    assert archive.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["b.tar"]
    assert list((tmp_path / "sqlite" / "incoming").iterdir()) == []


def members_of(path: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(path) as archive:
        found = []
        for member in archive:
            content = archive.extractfile(member)
            found.append((member, content.read() if content else b""))
        return found


def rewrite(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def forge(path: Path, name: str, change: Callable[[bytes], bytes], *, rename: str | None = None) -> None:
    """Change a member and let the manifest agree, as a forger would."""
    members = members_of(path)
    manifest = json.loads(members[0][1])
    for index, (member, data) in enumerate(members):
        if member.name == name:
            data = change(data)
            entry = manifest["members"][index - 1]
            entry |= {"n_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "name": rename or name}
            member.name = rename or name
            members[index] = (member, data)
    members[0] = (members[0][0], json.dumps(manifest).encode())
    rewrite(path, members)


def first_upload(path: Path) -> str:
    return next(member.name for member, _ in members_of(path) if member.name.startswith("files/"))


def set_in_manifest(path: Path, **values: object) -> None:
    members = members_of(path)
    manifest = json.loads(members[0][1]) | values
    rewrite(path, [(members[0][0], json.dumps(manifest).encode()), *members[1:]])


def replace_word(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new)

    return change


def damage(path: Path, case: str) -> None:
    members = members_of(path)
    upload = first_upload(path)
    if case == "empty":
        path.write_bytes(b"")
    elif case == "noise":
        path.write_bytes(bytes(range(256)) * 100)
    elif case == "gzip":
        with tarfile.open(path, "w:gz") as archive:
            for member, data in members:
                archive.addfile(member, io.BytesIO(data))
    elif case == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif case == "missing":
        rewrite(path, members[:-1])
    elif case == "more":
        rewrite(path, [*members, (tarfile.TarInfo("files/doc_x/1"), b"x")])
    elif case == "swapped":
        rewrite(path, [members[0], members[2], members[1], *members[3:]])
    elif case == "changed":
        rewrite(path, [(member, data[::-1] if member.name == upload else data) for member, data in members])
    elif case == "link":
        for member, _ in members:
            if member.name == upload:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        rewrite(path, members)
    elif case == "format":
        set_in_manifest(path, citebound_backup=2)
    elif case == "schema":
        set_in_manifest(path, schema="0000")
    elif case == "counter":
        set_in_manifest(path, counters={"passages": -1, "changes": 0, "jobs": 0})
    elif case == "traversal":
        forge(path, upload, bytes, rename="files/../../../evil")
    elif case == "absolute":
        forge(path, upload, bytes, rename="/evil")
    elif case == "unknown member":
        forge(path, upload, bytes, rename="indexes/dense.faiss")
    elif case == "other bytes":
        forge(path, upload, lambda data: data + b"!")
    elif case == "nobody's file":
        forge(path, upload, bytes, rename="files/doc_nobody/1")
    elif case == "bad id":
        forge(path, "tables/jobs.jsonl", replace_word(b'"job_id": "job_', b'"job_id": "../job_'))
    elif case == "no column":
        forge(path, "tables/jobs.jsonl", replace_word(b'"attempts"', b'"nothing"'))
    elif case == "wrong type":
        forge(path, "tables/jobs.jsonl", replace_word(b'"attempts": ', b'"attempts": 0.5e'))
    elif case == "NaN":
        forge(path, "tables/jobs.jsonl", replace_word(b'"progress": 1.0', b'"progress": NaN'))
    elif case == "vector":
        forge(path, "tables/passages.jsonl", replace_word(b'"vector": "', b'"vector": "AAAA'))
    elif case == "orphan":
        forge(path, "tables/documents.jsonl", lambda data: b"")
    elif case == "twice":
        forge(path, "tables/api_keys.jsonl", lambda data: data + data)
    else:
        raise AssertionError(case)


@pytest.mark.parametrize(
    "case",
    [
        "empty",
        "noise",
        "gzip",
        "cut",
        "missing",
        "more",
        "swapped",
        "changed",
        "link",
        "format",
        "schema",
        "counter",
        "traversal",
        "absolute",
        "unknown member",
        "other bytes",
        "nobody's file",
        "bad id",
        "no column",
        "wrong type",
        "NaN",
        "vector",
        "orphan",
        "twice",
    ],
)
def test_a_wrong_archive_is_refused_and_leaves_nothing(archive: Path, tmp_path: Path, open_bench, case: str) -> None:
    damage(archive, case)
    other = open_bench(tmp_path / "other")
    with pytest.raises(InvalidInputError):
        restore_backup(archive, other.catalog.database, other.catalog.files)
    assert all(not found for found in rows(other.catalog.database).values())
    assert [path for path in (tmp_path / "other").rglob("*") if path.is_file() and "catalog" not in path.name] == []
    assert not (tmp_path / "evil").exists()


def test_after_a_refusal_a_good_archive_is_taken(archive: Path, tmp_path: Path, open_bench) -> None:
    good = archive.read_bytes()
    damage(archive, "other bytes")
    other = open_bench(tmp_path / "other")
    with pytest.raises(InvalidInputError):
        restore_backup(archive, other.catalog.database, other.catalog.files)
    archive.write_bytes(good)
    assert restore_backup(archive, other.catalog.database, other.catalog.files).n_documents == 3


def test_no_such_file(tmp_path: Path, open_bench) -> None:
    other = open_bench(tmp_path / "other")
    for path in (tmp_path / "none.tar", tmp_path):
        with pytest.raises(InvalidInputError):
            restore_backup(path, other.catalog.database, other.catalog.files)
