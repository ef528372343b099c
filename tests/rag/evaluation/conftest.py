import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from llm.scripted import ScriptedDecoder
from rag.evaluation.evidence import Yardstick
from rag.evaluation.systems import Bench
from rag.index.sync import Indexes
from rag.retrieve import Retriever, Weights
from rag.verify.overlap_judge import OverlapJudge

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
LINES = (
    "Parents may take fourteen weeks of paid parental leave.\n"
    "The canteen serves lunch for six euros.\n"
    "Train journeys are booked in second class.\n"
    "The office in Lisbon opened on 3 May 2019.\n"
)


@dataclass
class Lab:
    """A collection of four one-sentence passages, and what systems answer with over it."""

    retriever: Retriever
    passages: Any
    catalog: Any

    def bench(self, reply: str | Callable[[Any], str]) -> Bench:
        decoder = ScriptedDecoder(reply if callable(reply) else [reply])

        def retriever(name: str) -> Retriever:
            if name == "hybrid":
                return self.retriever
            return self.retriever.weighted(Weights(dense=float(name == "dense"), lexical=float(name == "lexical")))

        return Bench(
            retriever=retriever,
            decoder=lambda name: decoder,
            now=lambda: NOW,
            judge=OverlapJudge(),
            neighbour=self.passages.neighbour,
            document_text=self.catalog.documents.text,
        )

    def yardstick(self) -> Yardstick:
        return Yardstick(OverlapJudge(), self.retriever, "default")


@pytest.fixture
def lab(library: Any) -> Iterator[Lab]:
    library.add(LINES, name="handbook.txt")
    indexes: Indexes = library.indexes()
    indexes.open()
    retriever = Retriever(library.catalog, indexes, library.embedder, Weights())
    yield Lab(retriever=retriever, passages=library.catalog.passages, catalog=library.catalog)
    indexes.close()
