"""Embeddings with the model that the documents are embedded with."""

import base64
from typing import Any

from api.parts import Parts
from api.schemas.openai import EmbeddingsIn
from api.turn import in_turn
from llm.errors import ModelNotFoundError, PromptTooLongError
from llm.types import Cancel
from rag.embed import Embedder, TokenCounter
from rag.errors import InvalidInputError

_TEXTS_AT_ONCE = 32  # between two looks at `cancel`


class Embedding:
    """One request on its way. Everything it needs is checked when it is made.

    Raises:
        NotReadyError: the embedder is not loaded.
        ModelNotFoundError: the request names another model.
        InvalidInputError: another number of dimensions is asked for.
    """

    def __init__(self, wanted: EmbeddingsIn, parts: Parts, client: str) -> None:
        self._parts, self._client = parts, client
        self._wanted = wanted
        parts.begin()
        self._counter: TokenCounter = parts.search.get().counter
        self._embedder: Embedder = parts.embedder.get()
        name, dimension = self._embedder.name, self._embedder.dimension
        if wanted.model not in (name, name.partition("@")[0]):
            raise ModelNotFoundError(f"texts are embedded with {name} here; name it")
        if wanted.dimensions not in (None, dimension):
            raise InvalidInputError(f"dimensions must be {dimension} or left out: {name} gives no others")
        self._cancel = Cancel()

    def hang_up(self) -> None:
        """Stop as soon as possible."""
        self._cancel.set()

    async def embed(self) -> dict[str, Any]:
        """Wait for the turn, then embed in a worker thread.

        Raises:
            PromptTooLongError: a text has more tokens than the model reads.
            CancelledError: `hang_up` was called.
        """
        return await in_turn(self._parts, self._client, self._cancel, self._work)

    def _work(self) -> dict[str, Any]:
        texts = self._wanted.input
        n_tokens = sum(self._count(number, text) for number, text in enumerate(texts))
        rows: list[dict[str, Any]] = []
        for first in range(0, len(texts), _TEXTS_AT_ONCE):
            self._cancel.raise_if_set()
            for vector in self._embedder.embed_passages(texts[first : first + _TEXTS_AT_ONCE]):
                embedding: str | list[float] = vector.tolist()
                if self._wanted.encoding_format == "base64":
                    embedding = base64.b64encode(vector.astype("<f4").tobytes()).decode()
                rows.append({"object": "embedding", "index": len(rows), "embedding": embedding})
        usage = {"prompt_tokens": n_tokens, "total_tokens": n_tokens}
        return {"object": "list", "data": rows, "model": self._embedder.name, "usage": usage}

    def _count(self, number: int, text: str) -> int:
        self._cancel.raise_if_set()
        n_tokens = len(self._counter.token_ends(text))
        if n_tokens > self._counter.max_tokens:
            raise PromptTooLongError(
                f"input {number} has {n_tokens} tokens, but {self._embedder.name} reads {self._counter.max_tokens}; "
                "cut it into shorter texts"
            )
        return n_tokens
