"""The uploaded files: staged while they arrive, then published so that a power cut leaves all or nothing."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rag.catalog.faults import file_faults
from rag.catalog.ids import is_id
from rag.errors import DocumentError, NotFoundError

_PASSWORD_SUFFIX = ".password"


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """An upload that has arrived whole but belongs to no document yet."""

    path: Path
    n_bytes: int
    sha256: str

    def discard(self) -> None:
        """Remove it, if it is still there."""
        self.path.unlink(missing_ok=True)


class FileStore:
    """Keeps the bytes of each version in `root/files/ID/VERSION`; uploads arrive in `root/incoming`.

    `root` is the data folder. File names are made of checked ids and numbers, never of an upload's own name.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._files = self.root / "files"
        self._incoming = self.root / "incoming"
        with file_faults():
            for folder in (self.root, self._files, self._incoming):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def stage(self, chunks: Iterable[bytes], max_bytes: int) -> Staged:
        """Write an upload to disk as it arrives; it is safe there when this returns.

        Raises:
            DocumentError: `too_large` beyond `max_bytes`, `empty` without a byte; nothing is kept.
            StorageError: the disk is full or failing; nothing is kept.
        """
        path = self._incoming / f"{secrets.token_hex(16)}.part"
        digest = hashlib.sha256()
        n_bytes = 0
        try:
            with file_faults():
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                for chunk in chunks:
                    n_bytes += len(chunk)
                    if n_bytes > max_bytes:
                        raise DocumentError(
                            "too_large", f"the file is larger than the limit of {max_bytes} bytes; send a smaller one"
                        )
                    digest.update(chunk)
                    with file_faults():
                        file.write(chunk)
                if n_bytes == 0:
                    raise DocumentError("empty", "the file is empty; send one with content")
                with file_faults():
                    file.flush()
                    os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Staged(path=path, n_bytes=n_bytes, sha256=digest.hexdigest())

    def publish(self, staged: Staged, document_id: str, version: int, password: str | None = None) -> Path:
        """Move a staged file to its place; it is there, with its password, after a power cut as well.

        Raises:
            NotFoundError: the id is not one.
            StorageError: the disk is full or failing.
        """
        path = self.path(document_id, version)
        with file_faults():
            if not path.parent.is_dir():
                path.parent.mkdir(mode=0o700)
                sync_folder(self._files)
            if password is None:
                _password_path(path).unlink(missing_ok=True)  # of an upload that was not acknowledged
            else:
                publish_bytes(_password_path(path), password.encode("utf-8", "surrogatepass"))
            staged.path.replace(path)
            sync_folder(path.parent)
            sync_folder(self._incoming)
        return path

    def path(self, document_id: str, version: int) -> Path:
        """Where a version is kept, whether it is there or not; always inside the store.

        Raises:
            NotFoundError: the id is not one.
        """
        return self._folder(document_id) / str(int(version))

    def password(self, document_id: str, version: int) -> str | None:
        """The password the version was uploaded with."""
        try:
            return _password_path(self.path(document_id, version)).read_bytes().decode("utf-8", "surrogatepass")
        except FileNotFoundError:
            return None

    def delete(self, document_id: str) -> int:
        """Remove every version and password of a document; returns how many uploaded files there were.

        Raises:
            StorageError: the disk is failing; call again.
        """
        folder = self._folder(document_id)
        if not folder.is_dir():
            return 0
        n_files = len(self.versions(document_id))
        with file_faults():
            shutil.rmtree(folder)
            sync_folder(self._files)
        return n_files

    def versions(self, document_id: str) -> tuple[int, ...]:
        """The versions whose bytes are there, ascending."""
        folder = self._folder(document_id)
        if not folder.is_dir():
            return ()
        return tuple(sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()))

    def known(self) -> set[tuple[str, int]]:
        """Every (document_id, version) that has bytes here."""
        return {(folder.name, version) for folder in self._document_folders() for version in self.versions(folder.name)}

    def sweep(self, known: set[tuple[str, int]]) -> int:
        """Remove what a crash left behind: unfinished uploads and files no row names. For use at start only.

        Returns:
            How many files and folders went.
        """
        n_removed = 0
        with file_faults():
            for path in self._incoming.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                n_removed += 1
            for folder in tuple(self._document_folders()):
                for path in folder.iterdir():
                    version = path.name.removesuffix(_PASSWORD_SUFFIX)
                    if not version.isdecimal() or (folder.name, int(version)) not in known:
                        path.unlink()
                        n_removed += 1
                if not any(folder.iterdir()):
                    folder.rmdir()
            sync_folder(self._files)
        return n_removed

    def link_all(self, versions: Iterable[tuple[str, int]], folder_name: str) -> Path:
        """Give the versions and their passwords a second name, `ID.VERSION`, which a delete leaves alone.

        Returns:
            The new folder of these names under `incoming`; the caller removes it.
        """
        target = self.scratch(folder_name)
        with file_faults():
            for document_id, version in versions:
                path = self.path(document_id, version)
                for source in (path, _password_path(path)):
                    if source.exists():
                        os.link(source, target / f"{document_id}.{source.name}")
        return target

    def scratch(self, folder_name: str) -> Path:
        """A new folder under `incoming`; what a crash leaves in it, the next start removes."""
        folder = self._incoming / folder_name
        with file_faults():
            folder.mkdir(mode=0o700)
        return folder

    def adopt(self, path: Path, document_id: str, version: int, password: Path | None) -> None:
        """Move a file that is on disk already, and its password, to the place of a version."""
        target = self.path(document_id, version)
        with file_faults():
            target.parent.mkdir(mode=0o700, exist_ok=True)
            if password is not None:
                sync_file(password)
                password.replace(_password_path(target))
            sync_file(path)
            path.replace(target)
            sync_folder(target.parent)
            sync_folder(self._files)

    @staticmethod
    def publish_bytes(path: Path, data: bytes) -> None:
        """The same as the module's `publish_bytes`."""
        publish_bytes(path, data)

    def _document_folders(self) -> Iterator[Path]:
        return (folder for folder in self._files.iterdir() if folder.is_dir())

    def _folder(self, document_id: str) -> Path:
        if not is_id(document_id):
            raise NotFoundError("no document has that id; see GET /v1/documents")
        return self._files / document_id


def publish_bytes(path: Path, data: bytes) -> None:
    """Put `data` at `path`, mode 0600, so that a crash or power cut leaves the old file or the new one, whole.

    Raises:
        StorageError: the disk is full or failing; the old file is still there.
    """
    with publish_path(path) as temporary, file_faults():
        temporary.write_bytes(data)


@contextmanager
def publish_path(path: Path) -> Iterator[Path]:
    """An empty file, mode 0600, to write to; at the end of the block it takes the place of `path`.

    A crash or power cut leaves the old file or the new one, whole; an exception leaves the old one.

    Raises:
        StorageError: the disk is full or failing; the old file is still there.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with file_faults():
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        yield temporary
        with file_faults():
            sync_file(temporary)
            temporary.replace(path)
            sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_file(path: Path) -> None:
    """Make a file's content survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _password_path(path: Path) -> Path:
    return path.with_name(path.name + _PASSWORD_SUFFIX)
