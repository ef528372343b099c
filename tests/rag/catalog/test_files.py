import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.catalog.faults import file_faults
from rag.catalog.files import FileStore, publish_bytes
from rag.errors import DocumentError, NotFoundError, StorageError

FULL = Path("/dev/full")  # a device that has no room


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_stage_then_publish(tmp_path: Path, store: FileStore) -> None:
    staged = store.stage(iter([b"ab", b"", b"c"]), 3)
    assert (staged.n_bytes, staged.sha256) == (3, hashlib.sha256(b"abc").hexdigest())
    store.publish(staged, "doc_1", 2, "s3cret\r\nä")
    assert everything(tmp_path) == {"files/doc_1/2": b"abc", "files/doc_1/2.password": "s3cret\r\nä".encode()}
    assert store.password("doc_1", 2) == "s3cret\r\nä"
    assert store.password("doc_1", 1) is None
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()}
    folders = {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_dir()}
    assert (modes, folders) == ({0o600}, {0o700})


@pytest.mark.parametrize(("chunks", "code"), [([b"abc", b"d"], "too_large"), ([], "empty"), ([b""], "empty")])
def test_what_cannot_be_accepted_leaves_nothing(
    tmp_path: Path, store: FileStore, chunks: list[bytes], code: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        store.stage(chunks, 3)
    assert caught.value.code == code
    if code == "too_large":
        assert "3 bytes" in str(caught.value)
    assert everything(tmp_path) == {}


def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path, store: FileStore) -> None:
    def chunks():
        yield b"ab"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        store.stage(chunks(), 10)
    assert everything(tmp_path) == {}


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match="full"), file_faults(), FULL.open("wb", buffering=0) as file:
        file.write(b"x")


def test_without_a_password_one_left_by_an_unacknowledged_upload_goes(store: FileStore) -> None:
    store.publish(store.stage([b"a"], 9), "doc_1", 1, "old")
    store.publish(store.stage([b"a"], 9), "doc_1", 1)
    assert store.password("doc_1", 1) is None


def test_delete_counts_uploads_and_removes_all(tmp_path: Path, store: FileStore) -> None:
    store.publish(store.stage([b"a"], 9), "doc_1", 1, "pw")
    store.publish(store.stage([b"b"], 9), "doc_1", 2)
    store.publish(store.stage([b"c"], 9), "doc_2", 1)
    assert store.versions("doc_1") == (1, 2)
    assert store.delete("doc_1") == 2
    assert store.delete("doc_1") == 0
    assert everything(tmp_path) == {"files/doc_2/1": b"c"}


def test_sweep_keeps_exactly_what_is_known(tmp_path: Path, store: FileStore) -> None:
    store.publish(store.stage([b"a"], 9), "doc_1", 1, "pw")
    store.publish(store.stage([b"b"], 9), "doc_1", 2, "pw")
    store.publish(store.stage([b"c"], 9), "doc_2", 1)
    store.stage([b"unfinished"], 99)
    (tmp_path / "incoming" / "backup-1").mkdir()
    (tmp_path / "incoming" / "backup-1" / "x").write_bytes(b"x")
    (tmp_path / "files" / "doc_1" / ".2.password.tmp").write_bytes(b"half")
    store.sweep({("doc_1", 1), ("doc_9", 1)})
    assert everything(tmp_path) == {"files/doc_1/1": b"a", "files/doc_1/1.password": b"pw"}
    assert store.known() == {("doc_1", 1)}
    assert store.sweep({("doc_1", 1)}) == 0


@given(name=st.text(max_size=80), version=st.integers(-5, 10**9))
def test_no_id_leads_out_of_the_folder(tmp_path_factory: pytest.TempPathFactory, name: str, version: int) -> None:
    root = tmp_path_factory.getbasetemp() / "store"
    store = FileStore(root)
    try:
        path = store.path(name, version)
    except NotFoundError:
        return
    assert path.parent.parent == root / "files"
    assert path.resolve().parent.parent == (root / "files").resolve()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a.b", "a\0b", "a\n", "é", "x" * 65])
def test_odd_ids_are_unknown_ones(store: FileStore, name: str) -> None:
    for call in (lambda: store.path(name, 1), lambda: store.delete(name), lambda: store.password(name, 1)):
        with pytest.raises(NotFoundError):
            call()


def test_publish_bytes_replaces_or_leaves(tmp_path: Path) -> None:
    path = tmp_path / "x"
    publish_bytes(path, b"one")
    FileStore.publish_bytes(path, b"two")
    assert everything(tmp_path) == {"x": b"two"}
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(OSError):
        publish_bytes(tmp_path / "none" / "x", b"three")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        publish_bytes(tmp_path / "folder", b"three")
    assert everything(tmp_path) == {"x": b"two"}
