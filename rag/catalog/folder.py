"""The data folder and the one process that owns it."""

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rag.catalog.database import sqlite_url
from rag.catalog.faults import file_faults
from rag.errors import FolderOwnedError

_LOCK_NAME = "owner.lock"
_TRIES = 25  # a look by `owner` holds the lock for an instant; only a real owner holds it for half a second
_TRY_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The live process that owns a folder. `address` and `token` are None until it serves."""

    pid: int | None
    address: str | None
    token: str | None


class DataFolder:
    """A folder with everything Citebound keeps. Folders are made with mode 0700, files with 0600.

    The lock is of the kernel's (flock): it ends with the process, however that ends. A child that keeps the
    descriptor open over a fork keeps the lock as well; it is closed on exec.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.catalog_path = self.path / "catalog.sqlite3"
        self.files_path = self.path / "files"
        self.incoming_path = self.path / "incoming"
        self.indexes_path = self.path / "indexes"
        self.cache_path = self.path / "cache"
        self._descriptor: int | None = None

    @property
    def database_url(self) -> str:
        """Where the catalog is unless the settings name another database."""
        return sqlite_url(self.catalog_path)

    @property
    def is_locked(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def lock(self) -> None:
        """Make the folder where it is missing and own it until `close`.

        Raises:
            FolderOwnedError: another process owns it; the message says where it is.
            StorageError: the folder cannot be written.
        """
        if self._descriptor is not None:
            return
        with file_faults():
            for folder in (self.path, self.files_path, self.incoming_path, self.indexes_path, self.cache_path):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock_soon(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            raise FolderOwnedError(_owned_message(self.path, DataFolder.owner(self.path))) from None
        self._descriptor = descriptor
        self._write(address=None, token=None)

    def set_address(self, address: str | None, token: str | None) -> None:
        """Say where the owner answers; `token` proves to it that a caller can read this folder.

        Raises:
            RuntimeError: the folder is not locked by this object.
        """
        if self._descriptor is None:
            raise RuntimeError("lock the folder before giving its address")
        self._write(address=address, token=token)

    @staticmethod
    def owner(path: Path) -> Owner | None:
        """The live owner of the folder at `path`; None where nobody holds the lock, whatever the file says."""
        try:
            descriptor = os.open(path / _LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            owner = Owner(pid=None, address=None, token=None)
            for _ in range(_TRIES):
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    return None
                except BlockingIOError:
                    content = os.pread(descriptor, 65536, 0)
                parsed = _parse(content)
                if parsed is not None:
                    return parsed
                time.sleep(_TRY_SECONDS)  # its owner is just writing it
            return owner
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Give the folder up."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.lock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, *, address: str | None, token: str | None) -> None:
        assert self._descriptor is not None
        content = json.dumps({"pid": os.getpid(), "address": address, "token": token}).encode()
        with file_faults():
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, content, 0)


def _lock_soon(descriptor: int) -> None:
    for attempt in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if attempt == _TRIES - 1:
                raise
            time.sleep(_TRY_SECONDS)


def _parse(content: bytes) -> Owner | None:
    try:
        value = json.loads(content)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    return Owner(pid=value.get("pid"), address=value.get("address"), token=value.get("token"))


def _owned_message(path: Path, owner: Owner | None) -> str:
    who = f"process {owner.pid}" if owner and owner.pid else "another process"
    where = f" at {owner.address}" if owner and owner.address else ""
    return f"the data folder {path} is in use by {who}{where}; use that one, stop it, or name another --data-dir"
