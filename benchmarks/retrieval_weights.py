"""What each source should count for in the fusion, and what the lexical index costs, on questions of SQuAD train.

    OMP_NUM_THREADS=1 python benchmarks/retrieval_weights.py --data FOLDER --model FOLDER
        [--articles 50] [--questions 600] [--seed 0] [--json OUT]

FOLDER of the data holds `squad_train/paragraphs.jsonl.gz`; the model is an encoder as sentence-transformers writes it.
A passage is a paragraph; a question counts as found at k if its own paragraph is among the first k. The articles are
cut in two halves, so that a weight chosen on one can be seen on the other. The spread is the standard error of a share;
`won_at_8` and `lost_at_8` are the questions found and not found against equal weights with c = 60.

These questions were written by people who saw the paragraph, so that they share more words with it than the
questions of a reader do: of two weights that find as much, the one with less lexical weight is the safer.
"""

import argparse
import gzip
import itertools
import json
import pathlib
import random
import sys
import tempfile
import time
from dataclasses import dataclass

import numpy as np

from llm.types import Device
from rag.fusion import fuse
from rag.index.faiss import FaissIndex
from rag.index.lexical import LexicalIndex
from rag.torch_embedder import load_embedder

KS = (1, 5, 8, 20)
CS = (60.0, 20.0, 10.0, 5.0)
DEPTH = 80  # as the retriever has it for k = 20
WEIGHTS = (
    (1.0, 0.0),
    (1.0, 0.25),
    (1.0, 0.5),
    (1.0, 0.75),
    (1.0, 1.0),
    (0.75, 1.0),
    (0.5, 1.0),
    (0.25, 1.0),
    (0.0, 1.0),
)


@dataclass(frozen=True)
class Question:
    """A question, the id of its paragraph, and the half its article is in."""

    text: str
    passage_id: int
    half: int


def read_corpus(path: pathlib.Path, n_articles: int, n_questions: int, seed: int) -> tuple[list[str], list[Question]]:
    """Paragraphs (id = place) of articles drawn at random, and questions about them."""
    articles: dict[str, list[dict]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            articles.setdefault(row["title"], []).append(row)
    rng = random.Random(seed)
    paragraphs: list[str] = []
    questions: list[Question] = []
    for number, title in enumerate(rng.sample(sorted(articles), n_articles)):
        for row in articles[title]:
            questions += [Question(q["question"], len(paragraphs), number % 2) for q in row["questions"]]
            paragraphs.append(row["context"])
    return paragraphs, rng.sample(questions, n_questions)


def found_at(rankings: list[list[int]], questions: list[Question], k: int) -> float:
    """The share of questions whose paragraph is among the first `k`."""
    return sum(q.passage_id in ranking[:k] for q, ranking in zip(questions, rankings, strict=True)) / len(questions)


def hits_at_8(
    sources: list[dict[str, list[int]]], questions: list[Question], weights: dict[str, float], c: float
) -> set[int]:
    """The places of the questions whose paragraph is among the first 8."""
    return {
        n
        for n, (ranked, question) in enumerate(zip(sources, questions, strict=True))
        if question.passage_id in [hit.passage_id for hit in fuse(ranked, weights, c=c)[:8]]
    }


def mean_reciprocal_rank(rankings: list[list[int]], questions: list[Question]) -> float:
    """Mean of 1 / rank, 0 beyond the first 20."""
    ranks = [
        r[:20].index(q.passage_id) + 1 if q.passage_id in r[:20] else 0
        for q, r in zip(questions, rankings, strict=True)
    ]
    return sum(1 / rank for rank in ranks if rank) / len(ranks)


def percentile_ms(seconds: list[float], share: float) -> float:
    """A percentile in milliseconds."""
    return round(1000 * float(np.quantile(seconds, share)), 2)


def main() -> None:
    """Print a line of JSON a setting, and write all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--articles", type=int, default=50)
    parser.add_argument("--questions", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()

    paragraphs, questions = read_corpus(
        options.data / "squad_train" / "paragraphs.jsonl.gz", options.articles, options.questions, options.seed
    )
    print(f"{len(paragraphs)} paragraphs, {len(questions)} questions", file=sys.stderr)
    device = Device(kind="cpu", name="cpu", dtype="bf16", n_threads=1)
    embedder = load_embedder(options.model, name=options.model.name, device=device)
    dense = FaissIndex(embedder.dimension)
    dense.add("squad", np.arange(len(paragraphs)), embedder.embed_passages(paragraphs))
    report: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        lexical = LexicalIndex(pathlib.Path(folder) / "lexical.sqlite3")
        lexical.add("squad", list(enumerate(paragraphs)))
        by_source: dict[str, list[list[int]]] = {"dense": [], "lexical": []}
        seconds: dict[str, list[float]] = {"dense": [], "lexical": []}
        for question in questions:
            vector = embedder.embed_query(question.text)
            for source, search in (
                ("dense", lambda: dense.search("squad", vector, DEPTH)),  # noqa: B023
                ("lexical", lambda: lexical.search("squad", question.text, DEPTH)),  # noqa: B023
            ):
                started = time.perf_counter()
                hits = search()
                seconds[source].append(time.perf_counter() - started)
                by_source[source].append([hit.passage_id for hit in hits])
        lexical.close()
    for source, taken in seconds.items():
        report.append({"source": source, "ms_p50": percentile_ms(taken, 0.5), "ms_p95": percentile_ms(taken, 0.95)})
    for half in (None, 0, 1):
        places = [n for n, question in enumerate(questions) if half in (None, question.half)]
        asked = [questions[n] for n in places]
        sources = [{source: rankings[n] for source, rankings in by_source.items()} for n in places]
        published = hits_at_8(sources, asked, {"dense": 1.0, "lexical": 1.0}, 60.0)
        for c, (dense_weight, lexical_weight) in itertools.product(CS, WEIGHTS):
            weights = {"dense": dense_weight, "lexical": lexical_weight}
            rankings = [[hit.passage_id for hit in fuse(ranked, weights, c=c)] for ranked in sources]
            recall = {f"recall_at_{k}": round(found_at(rankings, asked, k), 4) for k in KS}
            found = hits_at_8(sources, asked, weights, c)
            report.append(
                {"half": half, "n": len(asked), "c": c, **weights, **recall}
                | {
                    "mrr_at_20": round(mean_reciprocal_rank(rankings, asked), 4),
                    "se_at_8": round((recall["recall_at_8"] * (1 - recall["recall_at_8"]) / len(asked)) ** 0.5, 4),
                    "won_at_8": len(found - published),
                    "lost_at_8": len(published - found),
                }
            )
    for line in report:
        print(json.dumps(line))
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
