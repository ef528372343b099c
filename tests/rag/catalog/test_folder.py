import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rag.catalog.folder import DataFolder, Owner
from rag.errors import FolderOwnedError

_OWNER = """
import pathlib, sys
from rag.catalog.folder import DataFolder
folder = DataFolder(pathlib.Path(sys.argv[1]))
folder.lock()
folder.set_address("http://127.0.0.1:8123", "t0ken")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path):
    """Another process that owns the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(tmp_path / "data")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.communicate()


def test_lock_makes_a_private_folder(tmp_path: Path) -> None:
    with DataFolder(tmp_path / "a" / "b") as folder:
        assert folder.is_locked
        assert {path.name for path in folder.path.iterdir()} == {"owner.lock", "files", "incoming", "indexes", "cache"}
        assert {path.stat().st_mode & 0o777 for path in (folder.path, *folder.path.iterdir())} == {0o700, 0o600}
        content = json.loads((folder.path / "owner.lock").read_text())
        assert content == {"pid": os.getpid(), "address": None, "token": None}
        assert DataFolder.owner(folder.path) == Owner(pid=os.getpid(), address=None, token=None)
    assert not folder.is_locked
    assert DataFolder.owner(folder.path) is None


def test_a_second_owner_in_the_same_process_is_refused(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder:
        folder.lock()  # again by the same object: nothing happens
        with pytest.raises(FolderOwnedError):
            DataFolder(tmp_path).lock()
    with DataFolder(tmp_path):
        pass


def test_the_owner_in_another_process_is_named(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    path = tmp_path / "data"
    assert DataFolder.owner(path) == Owner(pid=other.pid, address="http://127.0.0.1:8123", token="t0ken")
    with pytest.raises(FolderOwnedError, match=r"http://127\.0\.0\.1:8123") as caught:
        DataFolder(path).lock()
    assert "t0ken" not in str(caught.value)
    assert (path / "owner.lock").stat().st_mode & 0o777 == 0o600


def test_what_a_killed_owner_leaves_owns_nothing(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    path = tmp_path / "data"
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert "8123" in (path / "owner.lock").read_text()
    assert DataFolder.owner(path) is None
    with DataFolder(path):
        assert DataFolder.owner(path) == Owner(pid=os.getpid(), address=None, token=None)


def test_a_look_does_not_disturb(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder:
        folder.set_address("http://[::1]:1", "x" * 500)
        for _ in range(100):
            owner = DataFolder.owner(tmp_path)
            assert owner is not None and owner.address == "http://[::1]:1"
        folder.set_address(None, None)
        owner = DataFolder.owner(tmp_path)
        assert owner is not None and owner.token is None


def test_no_folder_no_owner(tmp_path: Path) -> None:
    assert DataFolder.owner(tmp_path / "none") is None
    (tmp_path / "file").write_text("")
    assert DataFolder.owner(tmp_path / "file") is None
    with pytest.raises(RuntimeError):
        DataFolder(tmp_path).set_address("a", "b")


def test_paths(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert [
        path.name
        for path in (
            folder.catalog_path,
            folder.files_path,
            folder.incoming_path,
            folder.indexes_path,
            folder.cache_path,
        )
    ] == ["catalog.sqlite3", "files", "incoming", "indexes", "cache"]
    assert folder.database_url == f"sqlite:///{tmp_path}/catalog.sqlite3"
