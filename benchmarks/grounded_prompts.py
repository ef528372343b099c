"""Grounded prompts as the service builds them, for benchmarks of decoders: retrieval and prompt, no answers.

    python benchmarks/grounded_prompts.py QA_DEV_FOLDER --data-dir FOLDER --out PROMPTS.jsonl
        [--cases 200] [--pairs 24] [--prompt-tokens 1000] [--seed 3]

The folder has `documents/*.md` and `cases.jsonl` with `question`, `answerable` and `document`. The documents are
ingested into FOLDER once; the CITEBOUND_… settings hold. A row is one prompt: its messages, its question's id, and
the messages of a second question about the same document that retrieves at least six of the same passages
(`next_messages`, only looked for in the first rows, else None). The second prompt begins as the first one: with all of
its passages, in their places; what is new stands after them, before the question. In these rows no passage is
shortened.
"""

import argparse
import dataclasses
import json
import pathlib
import random
import time
from typing import Any

from ready import ready_service

from api.parts import Parts
from api.settings import load_settings
from llm.types import Decoder
from rag.prompt import Prompt, build_prompt
from rag.types import Hit

COLLECTION = "grounded prompts"
LEAST_SHARED = 6
MOST_TRIED = 100  # questions


def main() -> None:
    """Write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--data-dir", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=24, help="rows that a second question is looked for")
    parser.add_argument("--prompt-tokens", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=3)
    args = parser.parse_args()
    cases = [json.loads(line) for line in (args.folder / "cases.jsonl").read_text("utf-8").splitlines()]
    drawn = random.Random(args.seed).sample(cases, min(args.cases, len(cases)))
    with ready_service(load_settings(data_dir=args.data_dir, port=0, verifier="none")) as (service, http):
        ingest(http, sorted((args.folder / "documents").glob("*.md")))
        with args.out.open("w", encoding="utf-8") as file:
            for number, case in enumerate(drawn):
                others = [other for other in cases if other["document"] == case["document"] and other != case]
                others = others[:MOST_TRIED] if number < args.pairs else []
                file.write(json.dumps(row(service.parts, case, others, args.prompt_tokens)) + "\n")


def ingest(http: Any, paths: list[pathlib.Path]) -> None:
    """Every document; those that are there are skipped by the service."""
    for path in paths:
        file = {"file": (path.name, path.read_bytes())}
        http.post("/v1/documents", files=file, data={"collection": COLLECTION}).raise_for_status()
    while True:
        rows = http.get("/v1/documents", params={"collection": COLLECTION, "limit": 500}).json()["data"]
        if all(found["status"] in ("ready", "failed", "cancelled") for found in rows):
            return
        time.sleep(0.5)


def row(parts: Parts, case: dict[str, Any], others: list[dict[str, Any]], budget: int) -> dict[str, Any]:
    """One prompt and the one that follows it."""
    decoder = parts.decoder.get()
    hits = search(parts, case["question"])
    shown = whole(parts, decoder, case["question"], hits, budget) if others else ()
    return {
        "id": case["id"],
        "answerable": case["answerable"],
        "references": case["reference_answers"],
        "messages": as_rows(prompt(parts, decoder, case["question"], shown or hits, budget)),
        "next_messages": next(
            (
                as_rows(prompt(parts, decoder, other["question"], follow, 2 * budget))
                for other in others
                if (follow := following(parts, decoder, other["question"], hits, shown, budget)) is not None
            ),
            None,
        ),
    }


def search(parts: Parts, question: str) -> tuple[Hit, ...]:
    """What the service retrieves."""
    return parts.retriever().search(question, k=8, collection=COLLECTION).hits


def whole(parts: Parts, decoder: Decoder, question: str, hits: tuple[Hit, ...], budget: int) -> tuple[Hit, ...]:
    """The best hits that fit without one of them being shortened."""
    for n in range(len(hits), 1, -1):
        if prompt(parts, decoder, question, hits[:n], 100 * budget).n_tokens <= budget:
            return hits[:n]
    return hits[:1]


def following(
    parts: Parts, decoder: Decoder, question: str, hits: tuple[Hit, ...], shown: tuple[Hit, ...], budget: int
) -> tuple[Hit, ...] | None:
    """What was shown, in its places, and what is new of a second question's; None where they share too little.

    The prompt shows the last hit first.
    """
    found = search(parts, question)
    before, known = ({hit.passage.passage_id for hit in some} for some in (hits, shown))
    if sum(hit.passage.passage_id in before for hit in found) < LEAST_SHARED:
        return None
    new = [hit for hit in whole(parts, decoder, question, found, budget) if hit.passage.passage_id not in known]
    return tuple(dataclasses.replace(hit, rank=rank) for rank, hit in enumerate([*new, *shown], start=1))


def prompt(parts: Parts, decoder: Decoder, question: str, hits: tuple[Hit, ...], budget: int) -> Prompt:
    """The grounded prompt."""
    return build_prompt(
        question,
        hits,
        token_budget=budget,
        count_tokens=decoder.count_prompt_tokens,
        neighbour=parts.catalog.passages.neighbour,
    )


def as_rows(built: Prompt) -> list[dict[str, str]]:
    """The messages of a prompt as JSON."""
    return [{"role": message.role, "content": message.content} for message in built.messages]


if __name__ == "__main__":
    main()
