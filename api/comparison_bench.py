"""What a comparison's systems are answered with: the service's own parts, and decoders that are named."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llm.types import Decoder
from rag.answer_types import Search
from rag.boxes import PageLocator
from rag.evaluation.systems import Bench
from rag.evaluation.types import RetrieverName
from rag.index.sync import SNAPSHOT_KIND
from rag.retrieve import Retriever, Weights
from rag.verify.types import Judge

if TYPE_CHECKING:  # the comparing worker is a part, and works with all others
    from api.parts import Parts


class Decoders:
    """The service's own decoder and, by name, others that a comparison asks for."""

    def __init__(self, own: Decoder, load: Callable[[str], Decoder]) -> None:
        self._own = own
        self._load = load
        self._others: dict[str, Decoder] = {}

    def __call__(self, name: str | None) -> Decoder:
        """The decoder of that name, loaded once; without a name the service's own."""
        if name is None or name == self._own.info.name:
            return self._own
        if name not in self._others:
            self._others[name] = self._load(name)
        return self._others[name]


def comparison_bench(parts: "Parts", search: Retriever, judge: Judge | None, decoders: Decoders) -> Bench:
    """The bench over the service's parts."""

    def retriever(name: RetrieverName) -> Search:
        if name == "hybrid":
            return search
        return search.weighted(Weights(dense=float(name == "dense"), lexical=float(name == "lexical")))

    return Bench(
        retriever=retriever,
        decoder=decoders,
        judge=judge,
        second_look=parts.second_look(judge),
        reranker=parts.reranking.named,
        now=parts.now,
        settings=parts.answer_settings,
        neighbour=parts.catalog.passages.neighbour,
        locate=PageLocator(parts.catalog.documents),
        confidence=parts.confidence,
        document_text=parts.catalog.documents.text,
    )


def index_identity(parts: "Parts") -> dict[str, Any]:
    """What was searched and how it was read: embedder, reranker, looks, last change, newest index file."""
    snapshot = parts.catalog.changes.snapshot(SNAPSHOT_KIND)
    return {
        "embedder": parts.catalog.passages.embedder(),
        "reranker": parts.reranking.usual_name,
        "second_look": parts.settings.second_look,
        "sure_abstention": parts.answer_settings.sure_abstention,
        "last_change": parts.catalog.changes.last_seq(),
        "snapshot_sha256": None if snapshot is None else snapshot.sha256,
        "snapshot_change": None if snapshot is None else snapshot.seq,
    }
