"""A corpus as token ids on disk, so that training reads what it needs and memory stays flat."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from llm.errors import InvalidTrainingDataError
from llm.prompt_encoding import PromptEncoder
from llm.training.corpus import Piece

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HELD_OUT_EVERY = 50  # of the documents, one is kept from training
_ABOUT, _TRAIN, _HELD_OUT = "tokens.json", "train.bin", "held_out.bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFile:
    """What lies in one folder: documents one after the other, each followed by the end token."""

    folder: Path
    source: str  # digest of the texts and the tokenizer
    dtype: str  # uint16 or uint32, little-endian
    n_documents: int
    n_bytes: int  # of the texts, UTF-8
    n_train: int  # tokens
    n_held_out: int
    sha256: str  # of the tokens to train on

    def train(self) -> "NDArray[Any]":
        """(n_train,) the ids to learn, mapped from disk."""
        return self._mapped(_TRAIN)

    def held_out(self) -> "NDArray[Any]":
        """(n_held_out,) the ids to measure on; empty where there are too few documents."""
        return self._mapped(_HELD_OUT) if self.n_held_out else np.empty(0, dtype=self.dtype)

    def _mapped(self, name: str) -> "NDArray[Any]":
        return np.memmap(self.folder / name, dtype=self.dtype, mode="r")


def write_tokens(
    pieces: Iterable[Piece], encoder: PromptEncoder, *, end_id: int, vocabulary: int, source: str, folder: Path
) -> TokenFile:
    """Encode `pieces` into `folder`; special tokens in the texts count as ordinary text.

    Raises:
        InvalidTrainingDataError: there is no text.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _ABOUT).unlink(missing_ok=True)  # written last: without it the folder counts as unfinished
    dtype = "<u2" if vocabulary <= 1 << 16 else "<u4"
    n_documents = n_bytes = 0
    counts = {_TRAIN: 0, _HELD_OUT: 0}
    digest = hashlib.sha256()
    with (folder / _TRAIN).open("wb") as train, (folder / _HELD_OUT).open("wb") as held_out:
        for piece in pieces:
            is_held_out = n_documents % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1
            ids = encoder.encode_text(piece.text) + ([end_id] if piece.ends_document else [])
            written = _write(held_out if is_held_out else train, ids, dtype)
            if not is_held_out:
                digest.update(written)
            counts[_HELD_OUT if is_held_out else _TRAIN] += len(ids)
            n_bytes += len(piece.text.encode())
            n_documents += piece.ends_document
    if not counts[_TRAIN]:
        raise InvalidTrainingDataError("the files hold no text to learn from")
    made = TokenFile(
        folder=folder,
        source=source,
        dtype=dtype,
        n_documents=n_documents,
        n_bytes=n_bytes,
        n_train=counts[_TRAIN],
        n_held_out=counts[_HELD_OUT],
        sha256=digest.hexdigest(),
    )
    about = {name: value for name, value in asdict(made).items() if name != "folder"}
    (folder / _ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return made


def read_tokens(folder: Path, *, source: str) -> TokenFile | None:
    """What was written into `folder` from the same `source`; None if there is nothing of the kind."""
    try:
        found = TokenFile(folder=folder, **json.loads((folder / _ABOUT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.source == source else None


def _write(stream: BinaryIO, ids: list[int], dtype: str) -> bytes:
    written = np.asarray(ids, dtype=dtype).tobytes()
    stream.write(written)
    return written
