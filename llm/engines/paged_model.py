"""What continuous batching needs of a model: one reading of pieces of many sequences, over a cache in blocks."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Part = tuple[Sequence[int], int, Sequence[int]]  # new ids, tokens in the cache before them, blocks
Logits = NDArray[np.float32]


class PagedModel(Protocol):
    """A model whose cache is kept in blocks. Not thread-safe."""

    @property
    def block_tokens(self) -> int:
        """Tokens a block holds."""
        ...

    @property
    def n_blocks(self) -> int:
        """Blocks in all."""
        ...

    def read(self, parts: Sequence[Part], wanted: Sequence[int]) -> Logits:
        """Read the new ids of every part; (wanted, V) logits after the places `wanted` of all ids in a row."""
        ...
