"""Collects pairs of drafts of held-out questions, and fits `rag/second_look.json` to which of the two was right.

    python benchmarks/second_look.py collect squad_train/paragraphs.jsonl.gz --data-dir FOLDER --out ROWS.jsonl
        [--cases 700] [--seed 0]
    python benchmarks/second_look.py fit ROWS.jsonl [--write rag/second_look.json]

`collect` asks answerable questions of articles that neither decoder nor verifier was trained on (see `confidence.py`),
each once with the first draft kept and, where the decoder is asked again, once more with the second. A row is written
as soon as its question is answered, and rows that are there already are not asked again. Rows hold numbers, no text.

`fit` needs no model: a logistic function over the questions of which one draft alone is right, cross-validated. Printed
as JSON: how many are right with the first draft, the second wherever there is one, the one that is chosen, and the
better one, and how often the decoder is asked again, for several least gaps.
"""

import argparse
import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from attribution_threshold import held_out_articles
from held_out_cases import COLLECTION, Drawn, as_documents, draw, ingest, read_rows
from ready import ready_service

from api.parts import Parts
from api.settings import load_settings
from rag.answer import answer_question
from rag.answer_types import AskRequest
from rag.evaluation.scoring import score_answer
from rag.evaluation.types import Case
from rag.pipeline import Pipeline
from rag.second_look import Choice, SecondLook
from rag.verify.calibration import fit_logistic, sigmoid

SIGNS = {  # the side of 0 on which a weight may lie: 0 = either
    "said_more": 1,
    "gap": 0,
    "found": 0,
    "first_probability": -1,
    "second_probability": 1,
    "first_abstention": 1,
    "second_abstention": -1,
}
GAPS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
N_FOLDS = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fixed(Choice):
    """Always takes one of the drafts, wherever another place is likelier at all, and keeps what it was asked by."""

    takes: bool
    asked: dict[str, float] = dataclasses.field(default_factory=dict)

    def takes_second(self, values: Mapping[str, float]) -> bool:
        """The same answer whatever the values are."""
        self.asked.update(values)
        return self.takes


def fixed(takes: bool) -> Fixed:
    """One that has not been asked."""
    return Fixed(fitted_on="nothing", least_gap=GAPS[0], bias=0.0, weights={}, takes=takes)


def collect(args: argparse.Namespace) -> None:
    """Write one row a case."""
    articles = held_out_articles(args.source)
    drawn = draw(articles, seed=args.seed, cases=args.cases)
    done = {row["key"] for row in read_rows(args.out)}
    cases = [case for case in drawn if case.key not in done]
    print(f"{len(done)} rows are there, {len(cases)} cases to ask")
    with ready_service(load_settings(data_dir=args.data_dir, port=0)) as (service, http):
        ingest(http, as_documents(articles))
        with args.out.open("a", encoding="utf-8") as file:
            for case in cases:
                file.write(json.dumps({"key": case.key, **ask(service.parts, case)}) + "\n")
                file.flush()


def ask(parts: Parts, drawn: Drawn) -> dict[str, Any]:
    """One case with the first draft and, where there is one, with the second."""
    keeping = fixed(takes=False)
    first = _is_right(parts, drawn, keeping)
    row = {"values": keeping.asked or None, "first": first, "second": first}
    return row | {"second": _is_right(parts, drawn, fixed(takes=True))} if keeping.asked else row


def _is_right(parts: Parts, drawn: Drawn, choice: Choice) -> bool:
    """Whether the answer is right with this choice, whatever its confidence."""
    judge = parts.judge.get()
    reader = judge.reader
    if reader is None:
        raise SystemExit("the verifier of the settings looks no questions up; set verifier to shipped")
    pipeline = Pipeline(
        retriever=parts.retriever(),
        decoder=parts.decoder.get(),
        judge=judge,
        reranker=parts.reranking.usual(),
        second_look=SecondLook(reader=reader, choice=choice),
        settings=dataclasses.replace(parts.answer_settings, abstain_below=None),
        neighbour=parts.catalog.passages.neighbour,
    )
    request = AskRequest(question=drawn.question, collection=COLLECTION, prompt_tokens=parts.settings.prompt_tokens)
    answer = answer_question(request, pipeline, answer_id="a", now=parts.now())
    case = Case(case_id="c", question=drawn.question, reference_answers=drawn.references, answerable=True)
    return score_answer(case, answer.text, abstained=answer.abstained).outcome == "correct"


def fit(args: argparse.Namespace) -> None:
    """Print the figures; with `--write`, write the parameters."""
    rows = read_rows(args.rows)
    first, second = (np.array([row[name] for row in rows], dtype=float) for name in ("first", "second"))
    names = list(SIGNS)
    values = np.array([[(row["values"] or dict.fromkeys(names, 0.0))[name] for name in names] for row in rows])
    asked = np.array([row["values"] is not None for row in rows])
    decisive = asked & (first != second)
    if decisive.sum() < N_FOLDS or not 0 < second[decisive].sum() < decisive.sum():
        raise SystemExit(f"{int(decisive.sum())} questions tell the drafts apart: collect more before fitting")
    folds = np.arange(len(rows)) % N_FOLDS
    chances = np.zeros(len(rows))
    signs = list(SIGNS.values())
    for fold in range(N_FOLDS):
        here = decisive & (folds != fold)
        fitted = fit_logistic(values[here], second[here], signs, penalty=args.penalty)
        chances[folds == fold] = sigmoid(values[folds == fold] @ fitted.weights + fitted.bias)
    gap = -values[:, names.index("gap")]
    takes = asked & (chances > 0.5)
    fitted = fit_logistic(values[decisive], second[decisive], signs, penalty=args.penalty)
    weights = {name: round(float(weight), 5) for name, weight in zip(names, fitted.weights, strict=True)}
    figures = {
        "cases": len(rows),
        "asked_again": round(float(asked.mean()), 4),
        "decisive": int(decisive.sum()),
        "right_first": round(float(first.mean()), 4),
        "right_second": round(float(second.mean()), 4),
        "right_chosen": round(float(np.where(takes, second, first).mean()), 4),
        "by_least_gap": {
            str(least): {
                "asked_again": round(float((asked & (gap >= least)).mean()), 4),
                "right_chosen": round(float(np.where(takes & (gap >= least), second, first).mean()), 4),
            }
            for least in GAPS
        },
        "right_better": round(float(np.maximum(first, second).mean()), 4),
        "weights": weights,
        "bias": round(fitted.bias, 5),
    }
    print(json.dumps(figures, indent=1))
    if args.write is not None:
        about = f"{args.name}, {len(rows)} cases, {int(decisive.sum())} decisive"
        choice = Choice(fitted_on=about, least_gap=args.least_gap, bias=round(fitted.bias, 5), weights=weights)
        args.write.write_text(json.dumps(dataclasses.asdict(choice), indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("collect")
    one.add_argument("source", type=pathlib.Path)
    one.add_argument("--data-dir", type=pathlib.Path, required=True)
    one.add_argument("--out", type=pathlib.Path, required=True)
    one.add_argument("--cases", type=int, default=700)
    one.add_argument("--seed", type=int, default=0)
    one.set_defaults(run=collect)
    two = commands.add_parser("fit")
    two.add_argument("rows", type=pathlib.Path)
    two.add_argument("--write", type=pathlib.Path)
    two.add_argument("--name", default="held-out articles of SQuAD train")
    two.add_argument("--least-gap", type=float, default=1.0)
    two.add_argument("--penalty", type=float, default=3.0)
    two.set_defaults(run=fit)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
