"""An embedder without weights: a bag of hashed words. For tests, and for a store that must start without torch."""

import hashlib
import re
from collections.abc import Callable, Sequence

import numpy as np

from rag.types import FloatArray

_WORD = re.compile(r"\w+")


class HashingEmbedder:
    """Each word adds ±1 to one of `dimension` places; texts that share words point the same way.

    The hashing trick of Weinberger et al., ICML 2009, with BLAKE2b, so that every process and machine agrees.
    """

    def __init__(self, dimension: int = 64) -> None:
        if dimension < 1:
            raise ValueError(f"dimension must be at least 1, got {dimension}")
        self._dimension = dimension

    @property
    def name(self) -> str:
        """`hashing-` and the dimension."""
        return f"hashing-{self._dimension}"

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._dimension

    def embed_passages(self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None) -> FloatArray:
        """float32[n, dimension], rows of length 1 in the order of `texts`."""
        vectors = np.zeros((len(texts), self._dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self.embed_query(text)
            if on_progress is not None:
                on_progress(row + 1)
        return vectors

    def embed_query(self, text: str) -> FloatArray:
        """float32[dimension] of length 1; a text without words points along the first axis."""
        vector = np.zeros(self._dimension, dtype=np.float32)
        for match in _WORD.finditer(text.casefold()):
            digest = int.from_bytes(hashlib.blake2b(match.group().encode(), digest_size=8).digest(), "little")
            vector[(digest >> 1) % self._dimension] += 1.0 if digest & 1 else -1.0
        length = float(np.linalg.norm(vector))
        if length == 0.0:
            vector[0] = 1.0
            return vector
        return vector / np.float32(length)
