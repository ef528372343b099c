"""Files of passage vectors in the safetensors format, which holds numbers only and is checked as it is read.

FAISS can write its own files, but reading them is memory-unsafe (faiss#5400, #5485); a flat index is nothing but its
vectors, so that none is needed.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from rag.catalog.faults import file_faults
from rag.errors import IndexMismatchError, InvalidInputError
from rag.index.protocol import StoredVectors

_FORMAT = "citebound-vectors-1"
_MAX_PARTS = 100_000


def write_vectors(path: Path, dimension: int, parts: Iterable[StoredVectors]) -> str:
    """Write `parts` to `path`, in place, without a second copy in memory; returns the file's SHA-256.

    Raises:
        StorageError: the disk is full or failing.
    """
    kept = tuple(parts)
    header: dict[str, Any] = {
        "__metadata__": {
            "format": _FORMAT,
            "dimension": str(dimension),
            "collections": json.dumps([part.collection for part in kept]),
        }
    }
    end = 0
    blocks: list[memoryview] = []
    for number, part in enumerate(kept):
        for name, dtype, block in (
            (f"ids.{number}", "I64", np.ascontiguousarray(part.passage_ids, dtype="<i8")),
            (f"vectors.{number}", "F32", np.ascontiguousarray(part.vectors, dtype="<f4")),
        ):
            header[name] = {"dtype": dtype, "shape": list(block.shape), "data_offsets": [end, end + block.nbytes]}
            end += block.nbytes
            blocks.append(block.reshape(-1).data.cast("B"))
    encoded = json.dumps(header).encode("ascii")
    encoded += b" " * (-len(encoded) % 8)
    digest = hashlib.sha256()
    with file_faults(), path.open("wb") as file:
        pieces: list[bytes | memoryview] = [len(encoded).to_bytes(8, "little"), encoded, *blocks]
        for piece in pieces:
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def read_vectors(path: Path, dimension: int) -> Iterator[StoredVectors]:
    """What `write_vectors` wrote, part by part.

    Raises:
        IndexMismatchError: the vectors have another length.
        InvalidInputError: the file is not a whole file of vectors.
        StorageError: the file cannot be read.
    """
    try:
        with file_faults(), safe_open(str(path), framework="np") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise InvalidInputError("the snapshot is not a file of vectors; run citebound reindex")
            if metadata.get("dimension") != str(dimension):
                raise IndexMismatchError(
                    f"the snapshot holds vectors of length {metadata.get('dimension')}, the embedder makes "
                    f"{dimension}; run citebound reindex"
                )
            collections = json.loads(metadata.get("collections", ""))
            if not isinstance(collections, list) or len(collections) > _MAX_PARTS:
                raise InvalidInputError("the snapshot names no collections; run citebound reindex")
            for number, collection in enumerate(collections):
                ids, vectors = file.get_tensor(f"ids.{number}"), file.get_tensor(f"vectors.{number}")
                if (
                    not isinstance(collection, str)
                    or (ids.dtype, vectors.dtype) != (np.int64, np.float32)
                    or ids.ndim != 1
                    or vectors.shape != (len(ids), dimension)
                ):
                    raise InvalidInputError("the snapshot is damaged; run citebound reindex")
                yield StoredVectors(collection, ids, vectors)
    except (SafetensorError, ValueError) as error:
        raise InvalidInputError("the snapshot is damaged; run citebound reindex") from error
