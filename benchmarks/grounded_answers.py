"""Grounded answers to questions of SQuAD train's held-out articles: for choosing a prompt, never for reporting.

    python benchmarks/grounded_answers.py squad_train/paragraphs.jsonl.gz MODEL_FOLDER [--adapter FOLDER]
        [--prompt-tokens 1000] [--unanswerable 0.3] [--cases 60] [--seed 7]

Each question gets the eight paragraphs of its article that share most words with it, as evidence in that order, cut to
the prompt; from the unanswerable ones every paragraph that holds the answer is taken out. Printed as one JSON object:
cases of both kinds, answers invented where there is none, answers given, right ones (they hold the reference), right
ones withheld because nothing supported them, right ones whose quotes hold the reference, quotes that do, and words and
seconds.
"""

import argparse
import datetime
import json
import pathlib
import random
import statistics
import time

from attribution_threshold import held_out_articles, nearest

from llm.adapters import read_adapter
from llm.device import probe_device
from llm.engines.torch import load_decoder
from llm.types import SamplingParams
from rag.answer import stream_answer
from rag.answer_types import Answered, AskRequest, Drafted, Retrieved
from rag.pipeline import Pipeline
from rag.text import content_words
from rag.types import Hit, Passage, Scores

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Paragraphs:
    """A retriever that always finds the same paragraphs."""

    def __init__(self, texts: list[str]) -> None:
        self.hits = tuple(
            Hit(rank=rank, passage=as_passage(rank, text), score=1 / rank, scores=Scores())
            for rank, text in enumerate(texts, start=1)
        )

    def search(self, query: str, **options: object) -> Retrieved:
        """All of them."""
        return Retrieved(hits=self.hits, seconds=0.0)


def as_passage(rank: int, text: str) -> Passage:
    """A paragraph as the only passage of a document."""
    return Passage(
        passage_id=rank,
        document_id=f"d{rank}",
        document_name=f"d{rank}",
        collection="default",
        version=1,
        ordinal=0,
        text=text,
        start=0,
        end=len(text),
        heading=None,
        table_header=None,
        first_page=None,
        last_page=None,
        n_tokens=len(text.split()),
        continues=False,
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paragraphs", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--adapter", type=pathlib.Path)
    parser.add_argument("--prompt-tokens", type=int, default=1000)
    parser.add_argument("--unanswerable", type=float, default=0.0, help="share of cases without their answer")
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    articles = held_out_articles(args.paragraphs)
    adapter = None if args.adapter is None else read_adapter(args.adapter)
    decoder = load_decoder(args.model, name=args.model.name, device=probe_device(), adapter=adapter)
    n_unanswerable = n_invented = n_given = n_right = n_withheld = n_citing = n_quotes = n_holding = 0
    n_words, seconds = [], []
    for _ in range(args.cases):
        paragraphs = articles[rng.choice(sorted(articles))]
        row = rng.choice([paragraph for paragraph in paragraphs if paragraph["questions"]])
        asked = rng.choice(row["questions"])
        texts = nearest(asked["question"], paragraphs, row)
        answerable = rng.random() >= args.unanswerable
        if not answerable:
            texts = [text for text in texts if not holds(text, asked["answer"])]
        began = time.perf_counter()
        events = list(
            stream_answer(
                AskRequest(
                    question=asked["question"],
                    sampling=SamplingParams(max_new_tokens=64),
                    prompt_tokens=args.prompt_tokens,
                ),
                Pipeline(retriever=Paragraphs(texts), decoder=decoder),
                answer_id="a",
                now=NOW,
            )
        )
        seconds.append(time.perf_counter() - began)
        draft = "".join(event.text for event in events if isinstance(event, Drafted))
        (answer,) = (event.answer for event in events if isinstance(event, Answered))
        if not answerable:
            n_unanswerable += 1
            n_invented += not answer.abstained
            continue
        right = holds(draft if answer.abstained else answer.text, asked["answer"])
        n_withheld += answer.abstained and right
        if not answer.abstained:
            n_given += 1
            n_right += right
            n_words.append(len(answer.text.split()))
            if right:
                holding = [holds(citation.quote, asked["answer"]) for citation in answer.citations]
                n_citing += any(holding)
                n_quotes += len(holding)
                n_holding += sum(holding)
    figures = {
        "answerable": args.cases - n_unanswerable,
        "unanswerable": n_unanswerable,
        "invented": n_invented,
        "given": n_given,
        "right": n_right,
        "right_withheld": n_withheld,
        "right_citing": n_citing,
        "quotes_of_right": n_quotes,
        "quotes_holding": n_holding,
        "words_p50": statistics.median(n_words) if n_words else None,
        "seconds_p50": round(statistics.median(seconds), 2),
    }
    print(json.dumps(figures))


def holds(text: str, reference: str) -> bool:
    """Whether the words of `reference` stand in `text` in a row."""
    return f" {' '.join(content_words(reference))} " in f" {' '.join(content_words(text))} "


if __name__ == "__main__":
    main()
