"""What one call of the embedder is made of: passages of several documents, within a token budget."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from rag.catalog.jobs import Job
from rag.passage_text import embedding_text
from rag.types import FloatArray, NewPassage, ParsedDocument


@dataclass(slots=True, kw_only=True, eq=False)
class OpenDocument:
    """A parsed document on its way through the embedder."""

    job: Job
    document_id: str
    version: int
    parsed: ParsedDocument
    passages: tuple[NewPassage, ...]  # at least one
    cancelled: threading.Event
    vectors: FloatArray | None = None  # float32[len(passages), d]; rows up to n_embedded are filled
    n_embedded: int = 0
    n_tokens_left: int = field(init=False)
    reported_at: float = 0.0  # monotonic seconds of the last written progress

    def __post_init__(self) -> None:
        """Count what is to be embedded."""
        self.n_tokens_left = sum(passage.n_tokens for passage in self.passages)

    @property
    def n_chars(self) -> int:
        """What holding this document costs, in characters."""
        return len(self.parsed.text)

    @property
    def is_embedded(self) -> bool:
        """Whether every passage has its vector."""
        return self.n_embedded == len(self.passages)

    @property
    def share_done(self) -> float:
        """Embedded ÷ all passages."""
        return self.n_embedded / len(self.passages)

    def store(self, vectors: FloatArray) -> None:
        """Take the vectors of the next `len(vectors)` passages."""
        if self.vectors is None:
            self.vectors = np.empty((len(self.passages), vectors.shape[1]), dtype=np.float32)
        end = self.n_embedded + len(vectors)
        self.n_tokens_left -= sum(passage.n_tokens for passage in self.passages[self.n_embedded : end])
        self.vectors[self.n_embedded : end] = vectors
        self.n_embedded = end


@dataclass(slots=True, kw_only=True, eq=False)
class Slice:
    """The next passages of one document."""

    document: OpenDocument
    end: int  # exclusive; starts at document.n_embedded

    def texts(self) -> list[str]:
        """What the embedder reads."""
        return [embedding_text(passage) for passage in self.document.passages[self.document.n_embedded : self.end]]


def choose_slices(documents: Sequence[OpenDocument], budget: int) -> list[Slice]:
    """Passages of about `budget` tokens from `documents`, which are in order of arrival.

    The oldest document gets half of the budget first, so that it always gets on; then come the shortest, so that a
    page never waits for the book before it. At least one passage is chosen where there is one.
    """
    if not documents:
        return []
    slices = {id(document): Slice(document=document, end=document.n_embedded) for document in documents}
    oldest = documents[0]
    left = budget - _extend(slices[id(oldest)], budget // 2)
    for document in sorted(documents, key=lambda document: document.n_tokens_left):
        if left <= 0:
            break
        left -= _extend(slices[id(document)], left)
    return [chosen for chosen in slices.values() if chosen.end > chosen.document.n_embedded]


def embedded_texts(slices: Iterable[Slice]) -> list[str]:
    """The texts of all slices, in order."""
    return [text for chosen in slices for text in chosen.texts()]


def _extend(chosen: Slice, budget: int) -> int:
    """Add passages until `budget` tokens are reached; returns how many tokens were added."""
    n_tokens = 0
    passages = chosen.document.passages
    while chosen.end < len(passages) and n_tokens < budget:
        n_tokens += passages[chosen.end].n_tokens
        chosen.end += 1
    return n_tokens
