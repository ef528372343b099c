"""Zip files (OOXML, EPUB) looked through before a parser sees them: size, ratio, nesting, XML tricks."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ingest.limits import MIB, Limits
from rag.errors import DocumentError

_ARCHIVE_NAMES = re.compile(r"\.(?:zip|docx|docm|pptx|pptm|xlsx|xlsm|epub|odt|ods|odp|jar)$", re.IGNORECASE)
_XML_NAMES = re.compile(r"(?:\.(?:xml|rels|vml|xhtml|html?|opf|ncx|svg)|^\[Content_Types\]\.xml)$", re.IGNORECASE)
_READ_BYTES = MIB
_LONGEST_MARK = 32  # bytes; more than "<!DOCTYPE" in UTF-16
_BAD_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError)


def check_archive(path: Path, limits: Limits) -> None:
    """Raise if unpacking the zip file could cost more than it may, or if its XML declares a DTD or entities.

    Document types without entities are allowed in EPUB, whose XHTML has them; OOXML has none at all.

    Raises:
        DocumentError: `bomb`, `corrupt`, or `encrypted` (entries with a password).
    """
    with path.open("rb") as file:
        _check_entries(file, path.stat().st_size, limits, limits.max_archive_bytes, depth=0)
        with _opened(file) as archive:
            names = set(archive.namelist())
            forbidden = _mark("<!ENTITY") if "META-INF/container.xml" in names else _mark("<!ENTITY", "<!DOCTYPE")
            for entry in archive.infolist():
                if _XML_NAMES.search(entry.filename) and _contains(archive, entry, forbidden):
                    raise DocumentError(
                        "bomb",
                        "The file's XML declares entities, which documents do not need; save it again elsewhere.",
                    )


def _check_entries(file: IO[bytes], n_bytes: int, limits: Limits, budget: int, *, depth: int) -> int:
    """The bytes the archive unpacks to, those of archives inside it included; raises beyond `budget`."""
    if depth > limits.max_archive_nesting:
        raise _bomb(f"archives inside archives, {depth + 1} deep")
    with _opened(file) as archive:
        entries = archive.infolist()
        if len(entries) > limits.max_archive_entries:
            raise _bomb(f"{len(entries)} entries")
        total = sum(entry.file_size for entry in entries)
        packed = sum(entry.compress_size for entry in entries)
        if total > budget:
            raise _bomb(f"{total // MIB} MiB when unpacked")
        if packed > n_bytes:
            raise _bomb("entries that overlap")
        for unpacked_bytes, packed_bytes in [(total, n_bytes), *((e.file_size, e.compress_size) for e in entries)]:
            if unpacked_bytes > MIB and unpacked_bytes > limits.max_archive_ratio * max(packed_bytes, 1):
                raise _bomb(f"data packed {unpacked_bytes // max(packed_bytes, 1)} times over")
        for entry in entries:
            if entry.flag_bits & 1:
                raise DocumentError("encrypted", "The archive has a password; save the file without one.")
            if _ARCHIVE_NAMES.search(entry.filename):
                inner = _read(archive, entry)
                if inner.startswith(b"PK"):
                    total += _check_entries(io.BytesIO(inner), len(inner), limits, budget - total, depth=depth + 1)
        return total


def _opened(file: IO[bytes]) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except _BAD_ZIP as error:
        raise _damaged() from error


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        return archive.read(entry)
    except (*_BAD_ZIP, RuntimeError) as error:
        raise _damaged() from error


def _contains(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, pattern: re.Pattern[bytes]) -> bool:
    tail = b""
    for piece in _pieces(archive, entry):
        if pattern.search(tail + piece):
            return True
        tail = piece[-_LONGEST_MARK:]
    return False


def _pieces(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(entry) as stream:
            while piece := stream.read(_READ_BYTES):
                yield piece
    except (*_BAD_ZIP, RuntimeError) as error:
        raise _damaged() from error


def _mark(*marks: str) -> re.Pattern[bytes]:
    """Finds the marks in UTF-8 and in both kinds of UTF-16."""
    encodings = ("utf-8", "utf-16-le", "utf-16-be")
    return re.compile(b"|".join(re.escape(mark.encode(encoding)) for mark in marks for encoding in encodings))


def _bomb(what: str) -> DocumentError:
    return DocumentError("bomb", f"The archive holds {what}, more than a document needs; upload what is inside it.")


def _damaged() -> DocumentError:
    return DocumentError("corrupt", "The file is a damaged or truncated archive; save or transfer it again.")
