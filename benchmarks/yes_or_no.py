"""Questions whether something is so, asked of the service: how often it says yes, no, something else, or refuses.

    python benchmarks/yes_or_no.py docs/samples --data-dir FOLDER --out ROWS.jsonl
    python benchmarks/yes_or_no.py squad_train/paragraphs.jsonl.gz --data-dir FOLDER --out ROWS.jsonl [--each 4]

With a folder, the questions of `yes_or_no_questions.jsonl`, written by hand about docs/samples, are asked of its
documents. With SQuAD, questions are built from articles that neither decoder nor verifier was trained on: of a fact
and of the same fact with another answer of its kind, `--each` facts an article; their grammar is that of rules.

A row is written as soon as its question is answered, and rows that are there are not asked again. The CITEBOUND_…
settings hold. Printed are, for what is so, what is not, and what the documents do not tell: how many answers begin with
yes and with no, say something else, and abstain.
"""

import argparse
import collections
import json
import pathlib
import random
import re
from collections.abc import Iterator
from typing import Any

from attribution_threshold import held_out_articles
from held_out_cases import COLLECTION, as_documents, ingest, read_rows
from ready import ready_service

from api.settings import load_settings
from rag.verify.altered import answer_kind, ask_whether, overlap
from rag.verify.declare import declare
from rag.verify.pairs import part_of

QUESTIONS = pathlib.Path(__file__).with_name("yes_or_no_questions.jsonl")
REPLY = re.compile(r"(yes|no(?!\s+\w))\b", re.IGNORECASE)  # "no shares are traded" is none
KINDS = frozenset(("year", "number", "date", "who_name_short", "who_name_long"))  # of answers of which one is right


def main() -> None:
    """Ask, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("--data-dir", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--each", type=int, default=4)
    args = parser.parse_args()
    if args.source.is_dir():
        files = [path for path in sorted(args.source.iterdir()) if path.suffix in (".pdf", ".docx", ".md")]
        texts: dict[str, str | bytes] = {path.name: path.read_bytes() for path in files}
        questions = [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]
    else:
        articles = {title: rows for title, rows in held_out_articles(args.source).items() if part_of(title) != "train"}
        texts = dict(as_documents(articles))
        questions = [question for title in sorted(articles) for question in built(articles[title], args.each)]
    done = {row["question"] for row in read_rows(args.out)}
    left = [question for question in questions if question["question"] not in done]
    print(f"{len(done)} rows are there, {len(left)} questions to ask")
    with ready_service(load_settings(data_dir=args.data_dir, port=0)) as (_, http):
        ingest(http, texts)
        with args.out.open("a", encoding="utf-8") as file:
            for question in left:
                file.write(json.dumps(asked(http, question)) + "\n")
                file.flush()
    print(json.dumps(counted(read_rows(args.out)), indent=1))


def built(paragraphs: list[dict], each: int) -> Iterator[dict[str, str]]:
    """At most `each` facts of one article, each asked for as it is and with another answer."""
    questions = [asked for row in paragraphs for asked in row["questions"]]
    random.Random(4).shuffle(questions)
    kinds = [answer_kind(one["question"], one["answer"]) for one in questions]
    n_facts = 0
    for one, kind in zip(questions, kinds, strict=True):
        others = [
            other["answer"]
            for other, its in zip(questions, kinds, strict=True)
            if its == kind and not overlap(other["answer"], one["answer"])
        ]
        if n_facts == each or kind not in KINDS or not others:
            continue
        said = [declare(one["question"], answer) for answer in (one["answer"], random.Random(n_facts).choice(others))]
        texts = [ask_whether(statement) if statement is not None else None for statement in said]
        if None in texts:
            continue
        n_facts += 1
        for text, expected in zip(texts, ("yes", "no"), strict=True):
            yield {"question": str(text), "expected": expected}


def asked(http: Any, question: dict[str, str]) -> dict[str, Any]:
    """The question with its answer."""
    body = {"question": question["question"], "collection": COLLECTION}
    answer = http.post("/v1/ask", json=body, timeout=600).raise_for_status().json()
    return {
        **question,
        "text": answer["text"],
        "said": said(answer),
        "confidence": answer["confidence"],
        "seconds": answer["timings"]["total_seconds"],
    }


def said(answer: dict[str, Any]) -> str:
    """What an answer says to a question whether something is so."""
    if answer["abstained"]:
        return "abstained"
    reply = REPLY.match(answer["text"])
    return reply[1].casefold() if reply else "something else"


def counted(rows: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """How many answers of each kind, by what is right."""
    found = collections.Counter((row["expected"], row["said"]) for row in rows)
    says = ("yes", "no", "something else", "abstained")
    return {
        expected: {one: found[expected, one] for one in says}
        for expected in ("yes", "no", "unknown")
        if any(found[expected, one] for one in says)
    }


if __name__ == "__main__":
    main()
