"""What a reranker learns from and is measured on: questions with the hits of the service's own search.

The paragraphs of some articles are searched as a collection is: embedded, indexed by words, fused. Articles are
searched with their title as heading or without any, since documents come with headings and without.
"""

import json
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.embed import Embedder
from rag.errors import InvalidInputError
from rag.fusion import fuse
from rag.index.faiss import FaissIndex
from rag.index.lexical import LexicalIndex
from rag.paragraphs import Paragraph
from rag.passage_text import embedding_text
from rag.retrieve import Weights
from rag.types import Hit, Passage, Scores

MAX_DEPTH = 12  # hits kept of a search
_SEARCHED = 50  # hits asked of each index, as the retriever does for as many
_CORPUS = "corpus"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedQuestion:
    """A question, its search, and the paragraph that it was asked about."""

    question: str
    answer: str
    right: Passage
    hits: tuple[Hit, ...]  # best first, at most MAX_DEPTH

    @property
    def labels(self) -> tuple[bool, ...]:
        """Which hit is the right paragraph; at most one."""
        return tuple(hit.passage.passage_id == self.right.passage_id for hit in self.hits)


def search_questions(
    articles: Mapping[str, Sequence[Paragraph]],
    embedder: Embedder,
    *,
    n_questions: int,
    headed: bool,
    rng: random.Random,
) -> list[RankedQuestion]:
    """At most `n_questions`, drawn from all that are asked about `articles`, with what the search for each finds.

    Args:
        articles: the collection, by title.
        embedder: of the passages and questions.
        n_questions: how many.
        headed: whether passages have the title as their heading.
        rng: draws.

    Raises:
        InvalidInputError: nothing is asked about the articles.
    """
    paragraphs = [paragraph for title in sorted(articles) for paragraph in articles[title]]
    passages = [_passage(number, paragraph, headed) for number, paragraph in enumerate(paragraphs)]
    asked = [(place, one) for place, paragraph in enumerate(paragraphs) for one in paragraph.questions]
    if not asked:
        raise InvalidInputError("nothing is asked about the paragraphs; give articles with questions")
    texts = [embedding_text(passage) for passage in passages]
    dense = FaissIndex(embedder.dimension)
    dense.add(_CORPUS, np.arange(len(passages)), embedder.embed_passages(texts))
    with tempfile.TemporaryDirectory() as folder:
        lexical = LexicalIndex(Path(folder) / "lexical.sqlite3")
        try:
            lexical.add(_CORPUS, list(enumerate(texts)))
            return [
                RankedQuestion(
                    question=one.question,
                    answer=one.answer,
                    right=passages[place],
                    hits=_search(one.question, passages, embedder, dense, lexical),
                )
                for place, one in rng.sample(asked, min(n_questions, len(asked)))
            ]
        finally:
            lexical.close()


def write_lists(lists: Sequence[RankedQuestion], path: Path) -> None:
    """Keeps searched questions, each passage once, so that a run that was stopped need not search again."""
    passages = {hit.passage.passage_id: hit.passage for one in lists for hit in one.hits}
    passages |= {one.right.passage_id: one.right for one in lists}
    rows = [
        {
            "question": one.question,
            "answer": one.answer,
            "right": one.right.passage_id,
            "hits": [(h.passage.passage_id, h.scores.dense, h.scores.lexical, h.score) for h in one.hits],
        }
        for one in lists
    ]
    kept = {"passages": {key: (one.heading, one.text) for key, one in sorted(passages.items())}, "lists": rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
    fresh.replace(path)


def read_lists(path: Path) -> list[RankedQuestion]:
    """The inverse of `write_lists`."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    passages = {int(key): _stored(int(key), heading, text) for key, (heading, text) in kept["passages"].items()}
    return [
        RankedQuestion(
            question=row["question"],
            answer=row["answer"],
            right=passages[row["right"]],
            hits=tuple(
                _hit(rank, passages[key], dense, lexical, fused)
                for rank, (key, dense, lexical, fused) in enumerate(row["hits"], start=1)
            ),
        )
        for row in kept["lists"]
    ]


def _search(
    question: str, passages: Sequence[Passage], embedder: Embedder, dense: FaissIndex, lexical: LexicalIndex
) -> tuple[Hit, ...]:
    weights = Weights()
    found = {
        "dense": dense.search(_CORPUS, embedder.embed_query(question), _SEARCHED),
        "lexical": lexical.search(_CORPUS, question, _SEARCHED),
    }
    fused = fuse(
        {source: [one.passage_id for one in ranking] for source, ranking in found.items()},
        {"dense": weights.dense, "lexical": weights.lexical},
        c=weights.c,
    )
    by_source = {source: {one.passage_id: one.score for one in ranking} for source, ranking in found.items()}
    return tuple(
        _hit(
            rank,
            passages[one.passage_id],
            by_source["dense"].get(one.passage_id),
            by_source["lexical"].get(one.passage_id),
            one.score,
        )
        for rank, one in enumerate(fused[:MAX_DEPTH], start=1)
    )


def _hit(rank: int, passage: Passage, dense: float | None, lexical: float | None, fused: float) -> Hit:
    return Hit(rank=rank, passage=passage, score=fused, scores=Scores(dense=dense, lexical=lexical, fused=fused))


def _passage(number: int, paragraph: Paragraph, headed: bool) -> Passage:
    return _stored(number, paragraph.title if headed else None, paragraph.text)


def _stored(number: int, heading: str | None, text: str) -> Passage:
    return Passage(
        passage_id=number,
        document_id=_CORPUS,
        document_name=_CORPUS,
        collection=_CORPUS,
        version=1,
        ordinal=number,
        text=text,
        start=0,
        end=len(text),
        heading=heading,
        table_header=None,
        first_page=None,
        last_page=None,
        n_tokens=len(text.split()),
        continues=False,
    )
