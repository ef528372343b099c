"""Demonstrations against tuning: the untouched decoder with worked questions before its own, and the tuned one without.

    python benchmarks/demonstrations.py squad_train/paragraphs.jsonl.gz qa_dev --data-dir FOLDER --out ROWS.jsonl
        [--shown 3] [--pool 400] [--sets 8] [--cases 100] [--tuned shipped] [--seed 0]

The pool and the cases that sets of demonstrations are chosen by are articles of SQuAD train that no decoder here was
tuned on, each article on one side. What is chosen is then measured on qa_dev, whose questions choose nothing: each is
answered by the whole service under `plain` (no demonstrations), `nearest` (those nearest to the question), `searched`
(the set that random search with successive halving found best) and `tuned` (the adapter, no demonstrations), every
system over the same passages of the same documents. Rows that are there already are not asked again.

Printed as JSON: for each system the share of answerable questions whose answer contains the reference, token F1, over-
refusal, abstentions on unanswerable ones, prompt tokens and seconds; and beside `plain` the questions that only one of
the two got right, with McNemar's exact test.
"""

import argparse
import contextlib
import dataclasses
import json
import pathlib
import random
import statistics
from collections.abc import Iterator
from typing import Any

from attribution_threshold import held_out_articles
from held_out_cases import COLLECTION, given_cases, ingest
from ready import ready_service

from api.parts import Parts
from api.settings import load_settings
from llm.types import Decoder, Request, SamplingParams
from rag.answer import answer_question
from rag.answer_types import AskRequest
from rag.demonstrations import Demonstration, Demonstrations, Fixed, Nearest, best_set
from rag.evaluation.scoring import contains_reference, token_f1
from rag.evaluation.statistics import mcnemar
from rag.pipeline import Pipeline
from rag.prompt import NOT_IN_DOCUMENTS, build_evidence_prompt
from rag.prompt_passage import Evidence

MAX_PASSAGE_CHARS = 500  # of a demonstration: several must fit in half of the prompt
UNANSWERABLE = 0.2  # share of the pool
SHOWN_BESIDE = 1  # other paragraphs of its article beside the right one, where sets are tried
MAX_NEW_TOKENS = 40
PROMPT_TOKENS = 1000  # of which demonstrations may take half


@dataclasses.dataclass(frozen=True)
class Trial:
    """A question that sets are tried on."""

    question: str
    answer: str
    evidence: tuple[str, ...]


def main() -> None:
    """Choose, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paragraphs", type=pathlib.Path)
    parser.add_argument("qa", type=pathlib.Path)
    parser.add_argument("--data-dir", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--shown", type=int, default=3)
    parser.add_argument("--pool", type=int, default=400)
    parser.add_argument("--sets", type=int, default=8)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--tuned", default="shipped", help="setting decoder_adapter of the tuned system")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    pool, trials = material(held_out_articles(args.paragraphs), args.pool, random.Random(args.seed))
    with service(args, "none") as parts:
        searched = search(pool, trials, parts.decoder.get(), args)
        systems: dict[str, Demonstrations | None] = {
            "plain": None,
            "nearest": Nearest(pool, parts.embedder.get, args.shown),
            "searched": searched,
        }
        for name, chosen in systems.items():
            measure(name, chosen, parts, args)
    with service(args, args.tuned) as parts:
        measure("tuned", None, parts, args)
    print(json.dumps(summary(read(args.out)), indent=1))


@contextlib.contextmanager
def service(args: argparse.Namespace, adapter: str) -> Iterator[Parts]:
    """The service over the documents of qa_dev, with one adapter."""
    texts = {path.name: path.read_text("utf-8") for path in sorted((args.qa / "documents").iterdir())}
    settings = load_settings(data_dir=args.data_dir, port=0, decoder_adapter=adapter, log_level="error")
    with ready_service(settings) as (started, http):
        ingest(http, texts)
        yield started.parts


def material(
    articles: dict[str, list[dict[str, Any]]], n_pool: int, rng: random.Random
) -> tuple[list[Demonstration], list[Trial]]:
    """The pool and the trials, of different articles."""
    titles = sorted(articles)
    rng.shuffle(titles)
    pool: list[Demonstration] = []
    trials: list[Trial] = []
    for number, title in enumerate(titles):
        rows = articles[title]
        for row in rows:
            others = [other["context"] for other in rows if other is not row]
            asked = rng.choice(row["questions"]) if row["questions"] else None
            if asked is None or not others:
                continue
            if number % 2:
                evidence = [row["context"], *rng.sample(others, min(SHOWN_BESIDE, len(others)))]
                rng.shuffle(evidence)
                trials.append(Trial(asked["question"], asked["answer"], tuple(evidence)))
            elif len(row["context"]) <= MAX_PASSAGE_CHARS:
                absent = rng.random() < UNANSWERABLE
                passage = rng.choice(others)[:MAX_PASSAGE_CHARS] if absent else row["context"]
                absent = absent and not contains_reference(passage, (asked["answer"],))
                pool.append(
                    Demonstration(
                        question=asked["question"],
                        passage=passage if absent else row["context"],
                        answer=NOT_IN_DOCUMENTS if absent else asked["answer"],
                    )
                )
    rng.shuffle(pool)
    rng.shuffle(trials)
    return pool[:n_pool], trials


def search(pool: list[Demonstration], trials: list[Trial], decoder: Decoder, args: argparse.Namespace) -> Fixed:
    """The set that the decoder answers trials best with, by token F1."""

    def score(shown: Fixed, n_cases: int) -> float:
        requests = [
            Request(
                messages=build_evidence_prompt(
                    trial.question,
                    [Evidence(id=str(number), text=text) for number, text in enumerate(trial.evidence)],
                    token_budget=2000,
                    count_tokens=decoder.count_prompt_tokens,
                    demonstrations=[one.turns() for one in shown.choose(trial.question)],
                ).messages,
                sampling=SamplingParams(max_new_tokens=MAX_NEW_TOKENS),
            )
            for trial in trials[:n_cases]
        ]
        found = decoder.generate(requests)
        value = statistics.mean(
            token_f1(one.text, (trial.answer,)) for one, trial in zip(found, trials[:n_cases], strict=True)
        )
        print(f"a set on {n_cases} trials: token F1 {value:.3f}", flush=True)
        return value

    return best_set(pool, n=args.shown, n_sets=args.sets, score=score, n_cases=12, rng=random.Random(args.seed))


def measure(name: str, chosen: Demonstrations | None, parts: Parts, args: argparse.Namespace) -> None:
    """Ask every case of qa_dev that this system has no row of."""
    done = {row["key"] for row in read(args.out) if row["system"] == name}
    pipeline = Pipeline(
        retriever=parts.retriever(),
        decoder=parts.decoder.get(),
        judge=parts.judge.get(),
        settings=dataclasses.replace(parts.answer_settings, demonstrations=chosen),
        neighbour=parts.catalog.passages.neighbour,
    )
    with args.out.open("a", encoding="utf-8") as file:
        for case in given_cases(args.qa / "cases.jsonl", args.cases, args.seed):
            if case.key in done:
                continue
            request = AskRequest(
                question=case.question,
                collection=COLLECTION,
                sampling=SamplingParams(max_new_tokens=MAX_NEW_TOKENS),
                prompt_tokens=PROMPT_TOKENS,
            )
            answer = answer_question(request, pipeline, answer_id="a", now=parts.now())
            row = {
                "key": case.key,
                "system": name,
                "answerable": case.kind == "answerable",
                "abstained": answer.abstained,
                "right": not answer.abstained and contains_reference(answer.text, case.references),
                "f1": 0.0 if answer.abstained else token_f1(answer.text, case.references),
                "prompt_tokens": answer.usage.prompt_tokens,
                "seconds": answer.timings.total_seconds,
            }
            file.write(json.dumps(row) + "\n")
            file.flush()


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of each system."""
    by_system: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        by_system.setdefault(row["system"], {})[row["key"]] = row
    found = {}
    for name, own in by_system.items():
        answerable = [row for row in own.values() if row["answerable"]]
        others = [row for row in own.values() if not row["answerable"]]
        plain = {key: row for key, row in by_system["plain"].items() if row["answerable"] and key in own}
        gained = sum(own[key]["right"] and not row["right"] for key, row in plain.items())
        lost = sum(row["right"] and not own[key]["right"] for key, row in plain.items())
        found[name] = {
            "cases": len(own),
            "contains_reference": round(statistics.mean(row["right"] for row in answerable), 4),
            "token_f1": round(statistics.mean(row["f1"] for row in answerable), 4),
            "over_refusal": round(statistics.mean(row["abstained"] for row in answerable), 4),
            "abstained_when_unanswerable": round(statistics.mean(row["abstained"] for row in others), 4),
            "prompt_tokens_p50": statistics.median(row["prompt_tokens"] for row in own.values()),
            "seconds_p50": round(statistics.median(row["seconds"] for row in own.values()), 2),
            "right_only_here": gained,
            "right_only_in_plain": lost,
            "p": round(mcnemar(gained, lost), 4),
        }
    return found


def read(path: pathlib.Path) -> list[dict[str, Any]]:
    """The rows so far."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


if __name__ == "__main__":
    main()
