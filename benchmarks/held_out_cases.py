"""Questions of articles that neither decoder nor verifier was trained on, or of a case file, and their documents."""

import dataclasses
import hashlib
import json
import pathlib
import random
import time
from collections.abc import Mapping
from typing import Any

from rag.answer_types import Found, Retrieved
from rag.evaluation.scoring import contains_reference
from rag.twins import twin_of
from rag.verify.pairs import part_of

COLLECTION = "held out"
MORE = 24  # passages searched for in place of those that are taken out


@dataclasses.dataclass(frozen=True)
class Drawn:
    """One question. `kind`: answerable; else left_out (its passages are), twin (exchanged), written (by people)."""

    kind: str
    article: str
    question: str
    references: tuple[str, ...]

    @property
    def key(self) -> str:
        """What a row is found by again."""
        return hashlib.sha256(json.dumps([self.article, self.question, self.kind]).encode()).hexdigest()[:24]


class Without:
    """A retriever that does not find the passages that hold an answer."""

    def __init__(self, retriever: Any, answer: str) -> None:
        self._retriever, self._answer = retriever, answer

    def search(self, query: str, *, k: int, collection: str, metadata_filter: Mapping[str, Any] | None) -> Found:
        """The `k` best others."""
        found = self._retriever.search(query, k=k + MORE, collection=collection, metadata_filter=metadata_filter)
        hits = [hit for hit in found.hits if not contains_reference(hit.passage.text, (self._answer,))][:k]
        ranked = tuple(dataclasses.replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1))
        return Retrieved(hits=ranked, seconds=found.seconds)


def as_documents(articles: Mapping[str, list[dict]]) -> dict[str, str]:
    """Every article as one Markdown text, by file name."""
    return {
        f"{title.replace('_', ' ').replace('/', ' ')}.md": "\n\n".join(
            [f"# {title.replace('_', ' ')}", *(row["context"] for row in paragraphs)]
        )
        for title, paragraphs in articles.items()
    }


def draw(
    articles: Mapping[str, list[dict]], *, seed: int, cases: int, unanswerable: float = 0.0, twins: float = 0.0
) -> list[Drawn]:
    """Cases of held-out articles, a share of them unanswerable; the first of n + 1 are the n cases.

    Of these a share are `twins`, where a question can be exchanged; for the others passages are left out.
    """
    rng = random.Random(seed)
    untouched = sorted(title for title in articles if part_of(title) != "train")
    questions = [(title, row, asked) for title in untouched for row in articles[title] for asked in row["questions"]]
    rng.shuffle(questions)
    drawn = []
    for title, row, asked in questions[:cases]:
        kind, question = "answerable", asked["question"]
        if rng.random() < unanswerable:
            others = [one["question"] for other in articles[title] if other is not row for one in other["questions"]]
            twin = twin_of(question, others, row["context"], rng) if rng.random() < twins else None
            kind, question = ("left_out", question) if twin is None else ("twin", twin)
        drawn.append(Drawn(kind=kind, article=title, question=question, references=(asked["answer"],)))
    return drawn


def given_cases(path: pathlib.Path, n: int, seed: int) -> list[Drawn]:
    """The first `n` of the shuffled cases of a file."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    random.Random(seed).shuffle(rows)
    return [
        Drawn(
            kind="answerable" if row["answerable"] else "written",
            article=row["document"],
            question=row["question"],
            references=tuple(row["reference_answers"]),
        )
        for row in rows[:n]
    ]


def ingest(http: Any, texts: Mapping[str, str | bytes]) -> None:
    """Every text as one document, by file name; those that are there are skipped by the service."""
    for name, text in texts.items():
        file = {"file": (name, text.encode() if isinstance(text, str) else text)}
        http.post("/v1/documents", files=file, data={"collection": COLLECTION}).raise_for_status()
    while True:
        rows = http.get("/v1/documents", params={"collection": COLLECTION, "limit": 500}).json()["data"]
        if all(row["status"] in ("ready", "failed", "cancelled") for row in rows):
            return
        time.sleep(0.5)


def read_rows(path: pathlib.Path) -> list[dict[str, Any]]:
    """The rows collected so far."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
