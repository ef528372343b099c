"""The second question of a conversation through the service: time to its first token against the first one's.

    python benchmarks/follow_ups.py QA_DEV_FOLDER --data-dir FOLDER --out RUN.json [--questions 20] [--disjoint 5]
        [--seed 7] [--collection "grounded prompts"]

The documents of the folder are in the collection already (`benchmarks/grounded_prompts.py` with the same FOLDER puts
them there). A pair are two questions about one document whose searches share at least six of eight passages, or none
(`--disjoint`). Each pair is asked over HTTP, streamed: the first question; the second one with the first as its
history; and the second one in a conversation that the service cannot know (its answer has another word), so that the
prompt is the ordinary one. The two ways of the second question change places from pair to pair. The CITEBOUND_…
settings hold.

Printed are, for each kind of pair, the ratio of the second question's first token to the first one's: as the client
sees it, and in processor time of the whole process until then; and how often the answer holds a reference, both ways.
"""

import argparse
import collections
import json
import pathlib
import random
import statistics
import time
from typing import Any

import httpx
from ready import ready_service

from api.settings import load_settings
from llm.types import Message
from rag.answer_types import search_query

LEAST_SHARED = 6
MOST_TRIED = 4000  # pairs that are searched for


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--data-dir", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--disjoint", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--collection", default="grounded prompts")
    args = parser.parse_args()
    cases = [json.loads(line) for line in (args.folder / "cases.jsonl").read_text("utf-8").splitlines()]
    with (
        ready_service(load_settings(data_dir=args.data_dir, port=0, continue_prompts=True)) as (service, _),
        httpx.Client(base_url=service.address, timeout=600, trust_env=False) as http,
    ):
        asker = Asker(http, args.collection)
        wanted = {"shared": args.questions, "disjoint": args.disjoint}
        pairs = choose(asker, cases, wanted, random.Random(args.seed))
        asker.ask("What is this about?")  # kernels are made with the first request
        rows = [measure(asker, pair, number) for number, pair in enumerate(pairs)]
        info = service.parts.decoder.get().info
    result = {
        "model": info.name,
        "engine": info.engine,
        "dtype": info.dtype,
        "kinds": {kind: figures([row for row in rows if row["kind"] == kind]) for kind in wanted},
        "rows": rows,
    }
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["kinds"], indent=1))


class Asker:
    """A client of the service."""

    def __init__(self, http: httpx.Client, collection: str) -> None:
        self._http = http
        self._collection = collection

    def search(self, query: str) -> set[int]:
        """The ids of the eight best passages."""
        body = {"query": query, "k": 8, "collection": self._collection}
        hits = self._http.post("/v1/search", json=body).raise_for_status().json()["hits"]
        return {hit["passage_id"] for hit in hits}

    def ask(self, question: str, history: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
        """The answer, and seconds and processor seconds until its first token."""
        turns = [
            {"role": role, "content": content}
            for pair in history
            for role, content in zip(("user", "assistant"), pair, strict=True)
        ]
        body = {"question": question, "collection": self._collection, "history": turns, "stream": True}
        began, used = time.perf_counter(), time.process_time()
        first: tuple[float, float] | None = None
        answer: dict[str, Any] = {}
        with self._http.stream("POST", "/v1/ask", json=body) as response:
            response.raise_for_status()
            event = ""
            for line in response.iter_lines():
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: ") and event == "token":
                    first = first or (time.perf_counter() - began, time.process_time() - used)
                elif line.startswith("data: ") and event == "answer":
                    answer = json.loads(line.removeprefix("data: "))
        first = first or (time.perf_counter() - began, time.process_time() - used)
        return {"answer": answer, "seconds": first[0], "cpu": first[1]}


def choose(
    asker: Asker, cases: list[dict[str, Any]], wanted: dict[str, int], rng: random.Random
) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Pairs of questions about one document that a search answers with nearly the same passages, or with others."""
    by_document = collections.defaultdict(list)
    for case in cases:
        if case["answerable"]:
            by_document[case["document"]].append(case)
    names = sorted(name for name, some in by_document.items() if len(some) > 1)
    left, found = dict(wanted), []
    for _ in range(MOST_TRIED):
        if not any(left.values()):
            break
        first, second = rng.sample(by_document[rng.choice(names)], 2)
        history = (Message(role="user", content=first["question"]), Message(role="assistant", content=""))
        n_shared = len(asker.search(first["question"]) & asker.search(search_query(second["question"], history)))
        kind = "shared" if n_shared >= LEAST_SHARED else "disjoint" if not n_shared else None
        if kind is not None and left[kind]:
            left[kind] -= 1
            found.append((kind, first, second))
    return found


def measure(asker: Asker, pair: tuple[str, dict[str, Any], dict[str, Any]], number: int) -> dict[str, Any]:
    """One pair, both ways."""
    kind, first, second = pair
    row: dict[str, Any] = {"kind": kind, "first": first["id"], "second": second["id"]}
    ways = ["continued", "ordinary"] if number % 2 == 0 else ["ordinary", "continued"]
    opened = asker.ask(first["question"])
    text = opened["answer"]["text"]
    row |= {"n_first": opened["answer"]["usage"]["prompt_tokens"], "cpu_first": opened["cpu"]}
    row["seconds_first"] = opened["seconds"]
    for way in ways:
        given = text if way == "continued" else f"So: {text}"
        asked = asker.ask(second["question"], ((first["question"], given),))
        answer = asked["answer"]
        row |= {
            f"n_{way}": answer["usage"]["prompt_tokens"],
            f"seconds_{way}": asked["seconds"],
            f"cpu_{way}": asked["cpu"],
            f"right_{way}": any(one.casefold() in answer["text"].casefold() for one in second["reference_answers"]),
            f"carried_{way}": len(answer["carried"]),
        }
    return row


def figures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians and quartiles of one kind of pair."""
    if not rows:
        return {"n": 0}
    gone_on = [row for row in rows if row["carried_continued"]]
    return {
        "n": len(rows),
        "n_gone_on": len(gone_on),
        "seconds_second_of_first": spread([row["seconds_continued"] / row["seconds_first"] for row in rows]),
        "cpu_second_of_first": spread([row["cpu_continued"] / row["cpu_first"] for row in rows]),
        "seconds_second_of_first_where_gone_on": spread(
            [row["seconds_continued"] / row["seconds_first"] for row in gone_on]
        ),
        "cpu_second_of_first_where_gone_on": spread([row["cpu_continued"] / row["cpu_first"] for row in gone_on]),
        "seconds_second_of_first_ordinary": spread([row["seconds_ordinary"] / row["seconds_first"] for row in rows]),
        "cpu_second_of_first_ordinary": spread([row["cpu_ordinary"] / row["cpu_first"] for row in rows]),
        "tokens_first": spread([row["n_first"] for row in rows]),
        "tokens_second": spread([row["n_continued"] for row in rows]),
        "right": sum(row["right_continued"] for row in rows),
        "right_ordinary": sum(row["right_ordinary"] for row in rows),
    }


def spread(values: list[float]) -> list[float] | None:
    """Median, lower and upper quartile."""
    if len(values) < 2:
        return None
    low, middle, high = statistics.quantiles(values, n=4)
    return [round(middle, 3), round(low, 3), round(high, 3)]


if __name__ == "__main__":
    main()
