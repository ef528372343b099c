"""Plain text to learn from: text files, and JSON lines with a `text`; read piece by piece, whatever their size."""

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from llm.errors import InvalidTrainingDataError

_TEXT, _LINES = (".txt", ".md"), ".jsonl"
_PIECE_CHARS = 1 << 20  # of a text file held in memory at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of one document."""

    text: str
    ends_document: bool


def corpus_files(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The text and JSONL files (`.gz` too) among `paths` and below the folders among them, in the order of their names.

    Raises:
        InvalidTrainingDataError: a path is no such file, or there is none.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += [inside for inside in sorted(path.rglob("*")) if inside.is_file() and _is_text(inside)]
        elif path.is_file() and _is_text(path):
            found.append(path)
        else:
            raise InvalidTrainingDataError(f"{path} is no .txt, .md or .jsonl file; make one by citebound train corpus")
    if not found:
        raise InvalidTrainingDataError("there is no .txt, .md or .jsonl file to learn from; name files or folders")
    return tuple(found)


def read_pieces(files: Iterable[Path]) -> Iterator[Piece]:
    """Every document of `files`: a text file is one, a line of a JSONL file is one. Empty ones are left out.

    Raises:
        InvalidTrainingDataError: a line has no `text`, or a file is no UTF-8; the message names it.
    """
    for path in files:
        try:
            with (
                gzip.open(path, "rt", encoding="utf-8")
                if path.suffix == ".gz"
                else path.open(encoding="utf-8") as stream
            ):
                yield from _rows(path, stream) if _kind(path) == _LINES else _whole(stream)
        except UnicodeDecodeError as error:
            raise InvalidTrainingDataError(f"{path.name} is not UTF-8; save it as UTF-8") from error
        except (gzip.BadGzipFile, EOFError) as error:
            raise InvalidTrainingDataError(f"{path.name} is no whole gzip file; get it again") from error


def corpus_digest(files: Sequence[Path]) -> str:
    """SHA-256 over the contents of `files` in their order; names do not count."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _rows(path: Path, stream: IO[str]) -> Iterator[Piece]:
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)["text"]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidTrainingDataError(f"{path.name} line {number} is no JSON object with a text") from error
        if not isinstance(text, str):
            raise InvalidTrainingDataError(f"{path.name} line {number} has a text that is no string")
        if text.strip():
            yield Piece(text=text, ends_document=True)


def _whole(stream: IO[str]) -> Iterator[Piece]:
    """The file in pieces that end with a line."""
    text = stream.read(_PIECE_CHARS)
    while text:
        text += stream.readline()
        following = stream.read(_PIECE_CHARS)
        if text.strip() or following:
            yield Piece(text=text, ends_document=not following)
        text = following


def _kind(path: Path) -> str:
    return Path(path.stem).suffix.lower() if path.suffix == ".gz" else path.suffix.lower()


def _is_text(path: Path) -> bool:
    return _kind(path) in (*_TEXT, _LINES) and not path.name.startswith(".")
