"""The Embedder protocol: text → unit vectors. Concrete embedders import torch only when they are built."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from rag.types import FloatArray


@runtime_checkable
class TokenCounter(Protocol):
    """Counts and places tokens without loading a model (used to cut passages)."""

    @property
    def max_tokens(self) -> int:
        """Most tokens one passage may have, special tokens not included."""
        ...

    def token_ends(self, text: str) -> tuple[int, ...]:
        """End offset in `text` of every token, ascending; its length is the token count."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Maps text to vectors of length 1, so that an inner product is a cosine."""

    @property
    def name(self) -> str:
        """Model name and revision; vectors of different names are never mixed."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def embed_passages(self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None) -> FloatArray:
        """float32[n, dimension] in the order of `texts`; `on_progress` hears how many are done."""
        ...

    def embed_query(self, text: str) -> FloatArray:
        """float32[dimension]."""
        ...
