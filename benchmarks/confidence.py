"""Collects what is known of answers before they are checked, and fits `rag/confidence.json` to it.

    python benchmarks/confidence.py collect squad_train/paragraphs.jsonl.gz --data-dir FOLDER --out ROWS.jsonl
        [--cases 600] [--unanswerable 0.4] [--twins 0.6] [--seed 0]
    python benchmarks/confidence.py collect qa_dev --data-dir FOLDER --out ROWS.jsonl [--cases 400] [--seed 0]
    python benchmarks/confidence.py fit ROWS.jsonl [--write rag/confidence.json]
    python benchmarks/confidence.py measure ROWS.jsonl [--below 0.2 0.3 0.4]

`collect` ingests the held-out articles of SQuAD train into FOLDER, once, and asks questions of those of them that the
verifier was not trained on, with the service's own parts (CITEBOUND_… settings hold: decoder, adapter, verifier). An
unanswerable case is a question in which a name, number or word was exchanged (`--twins` of them), or one of which every
passage that holds the answer is taken out of what is retrieved. Given a folder with `documents/` and `cases.jsonl`
instead, it asks those cases, in the order of `accept.py`: for `measure`, never for `fit`. A row is written as soon as
its question is answered, and rows that are there already are not asked again, so that it may be stopped at any time.
Rows hold digests, verdicts and numbers, no text.

`fit` needs no model. An answer counts as right where it is scored as correct and a quote holds the reference. Printed
as JSON: for the fitted confidence (cross-validated over articles), today's parameters and each signal alone, AURC and
coverage at 5, 10 and 20 % risk over all cases; ECE and Brier score; the weights; thresholds by target risk.

`measure` prints the same for today's parameters, which those rows had no part in, and what is abstained from below each
confidence of `--below`.
"""

import argparse
import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attribution_threshold import held_out_articles
from held_out_cases import COLLECTION, Drawn, Without, as_documents, draw, given_cases, ingest, read_rows
from ready import ready_service

from api.parts import Parts
from api.settings import load_settings
from rag.answer import answer_question
from rag.answer_types import AskRequest
from rag.confidence import Signals, load_confidence
from rag.evaluation.abstention import Curve, Step
from rag.evaluation.scoring import contains_reference, score_answer
from rag.evaluation.types import Case
from rag.pipeline import Pipeline
from rag.verify.calibration import brier, expected_calibration_error, fit_logistic, sigmoid

RISKS = (0.05, 0.1, 0.2, 0.3)
MIN_ANSWERS = 30  # above a threshold, for its risk to be stated
SIGNS = {  # the side of 0 on which a weight may lie: 0 = either
    "attribution": 1,
    "judge": 1,
    "judge_mean": 1,
    "dense_top": 1,
    "dense_margin": 1,
    "lexical_top": 0,
    "token_probability": 1,
    "n_words": 0,
    "abstention": -1,
}


class Recording:
    """A confidence model that keeps the signals it was asked about."""

    def __init__(self) -> None:
        self.signals: Signals | None = None

    def estimate(self, signals: Signals) -> float:
        """Certainty: nothing is withheld while signals are collected."""
        self.signals = signals
        return 1.0


def collect(args: argparse.Namespace) -> None:
    """Write one row a case."""
    if args.source.is_dir():
        texts = {path.name: path.read_text("utf-8") for path in sorted((args.source / "documents").iterdir())}
        drawn = given_cases(args.source / "cases.jsonl", args.cases, args.seed)
    else:
        articles = held_out_articles(args.source)
        texts = as_documents(articles)
        drawn = draw(articles, seed=args.seed, cases=args.cases, unanswerable=args.unanswerable, twins=args.twins)
    done = {row["key"] for row in read_rows(args.out)}
    cases = [case for case in drawn if case.key not in done]
    print(f"{len(done)} rows are there, {len(cases)} cases to ask")
    with ready_service(load_settings(data_dir=args.data_dir, port=0)) as (service, http):
        ingest(http, texts)
        with args.out.open("a", encoding="utf-8") as file:
            for case in cases:
                file.write(json.dumps({"key": case.key, **ask(service.parts, case)}) + "\n")
                file.flush()


def ask(parts: Parts, drawn: Drawn) -> dict[str, Any]:
    """One case answered as the service answers, with everything that the confidence may look at."""
    recording = Recording()
    retriever: Any = parts.retriever()
    hidden = drawn.kind == "left_out"
    judge = parts.judge.get()
    pipeline = Pipeline(
        retriever=Without(retriever, drawn.references[0]) if hidden else retriever,
        decoder=parts.decoder.get(),
        judge=judge,
        second_look=parts.second_look(judge),
        reranker=parts.reranking.usual(),
        settings=dataclasses.replace(parts.answer_settings, abstain_below=None),
        neighbour=None if hidden else parts.catalog.passages.neighbour,
        confidence=recording,  # type: ignore[arg-type]
    )
    request = AskRequest(question=drawn.question, collection=COLLECTION, prompt_tokens=parts.settings.prompt_tokens)
    answer = answer_question(request, pipeline, answer_id="a", now=parts.now())
    answerable = drawn.kind == "answerable"
    references = drawn.references if answerable else ()
    case = Case(case_id="c", question=drawn.question, reference_answers=references, answerable=answerable)
    outcome = score_answer(case, answer.text, abstained=answer.abstained).outcome
    return {
        "article": hashlib.sha256(drawn.article.encode()).hexdigest()[:12],
        "kind": drawn.kind,
        "answerable": answerable,
        "abstained": answer.abstained,
        "outcome": outcome,
        "grounded": any(contains_reference(citation.quote, references) for citation in answer.citations),
        "n_supported": sum(claim.verdict == "supported" for claim in answer.claims),
        "n_claims": len(answer.claims),
        "signals": None if recording.signals is None else dataclasses.asdict(recording.signals),
        "seconds": answer.timings.total_seconds,
        "verify_seconds": answer.timings.verify_seconds,
    }


def fit(args: argparse.Namespace) -> None:
    """Print the figures; with `--write`, write the parameters."""
    rows = read_rows(args.rows)
    given = [row for row in rows if not row["abstained"] and row["signals"] is not None]
    right = np.array([float(row["outcome"] == "correct" and row["grounded"]) for row in given])
    values = [Signals(**row["signals"]).values() for row in given]
    if len(given) < MIN_ANSWERS or not 0 < right.sum() < len(given):
        raise SystemExit(f"{len(given)} answers, {int(right.sum())} of them right: collect more cases before fitting")
    names = [name for name in SIGNS if sum(name in value for value in values) >= 0.9 * len(values)]
    centres = {name: float(np.mean([value[name] for value in values if name in value])) for name in names}
    table = np.array([[value.get(name, centres[name]) for name in names] for value in values])
    folds = np.array([int(row["article"], 16) for row in given])
    held_back = cross_validated(table, right, folds, names)
    today = np.array([load_confidence().estimate(Signals(**row["signals"])) for row in given])
    ranked = {"fitted": held_back, "today": today, **{name: table[:, at] for at, name in enumerate(names)}}
    model = parameters(table, right, names, centres, held_back, f"{args.name}, {len(rows)} cases")
    figures = {
        "cases": len(rows),
        "answerable": sum(row["answerable"] for row in rows),
        "answers": len(given),
        "right_and_grounded": int(right.sum()),
        "over_refusal": share([row["abstained"] for row in rows if row["answerable"]]),
        "abstained_when_unanswerable": share([row["abstained"] for row in rows if not row["answerable"]]),
        "rankings": {name: ranking(scores, right, len(rows)) for name, scores in ranked.items()},
        "ece": round(expected_calibration_error(held_back, right), 4),
        "brier": round(brier(held_back, right), 4),
        "brier_of_base_rate": round(float(right.mean() * (1 - right.mean())), 4),
        "weights": {name: round(row["weight"], 3) for name, row in model["weights"].items()},
        "thresholds": model["thresholds"],
    }
    print(json.dumps(figures, indent=1))
    if args.write is not None:
        args.write.write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")


def measure(args: argparse.Namespace) -> None:
    """Print what today's confidence is worth on rows that it was not fitted to."""
    rows = read_rows(args.rows)
    given = [row for row in rows if not row["abstained"] and row["signals"] is not None]
    right = np.array([float(row["outcome"] == "correct" and row["grounded"]) for row in given])
    model = load_confidence()
    scores = np.array([model.estimate(Signals(**row["signals"])) for row in given])
    values = [Signals(**row["signals"]).values() for row in given]
    alone = {
        name: np.array([sign * value.get(name, -np.inf) for value in values])
        for name, sign in {name: sign or 1 for name, sign in SIGNS.items()}.items()
        if any(name in value for value in values)
    }
    below = {}
    for least in (0.0, *args.below):
        answered = {id(row) for row, score in zip(given, scores, strict=True) if score >= least}
        below[f"{least:g}"] = {
            "over_refusal": share([id(row) not in answered for row in rows if row["answerable"]]),
            "abstained_when_unanswerable": share([id(row) not in answered for row in rows if not row["answerable"]]),
            "right_of_answerable": share(
                [id(row) in answered and row["outcome"] == "correct" for row in rows if row["answerable"]]
            ),
        }
    figures = {
        "cases": len(rows),
        "answers": len(given),
        "confidence": model.version,
        "abstain_below": below,
        "rankings": {name: ranking(one, right, len(rows)) for name, one in {"confidence": scores, **alone}.items()},
        "ece": round(expected_calibration_error(scores, right), 4),
        "brier": round(brier(scores, right), 4),
        "brier_of_base_rate": round(float(right.mean() * (1 - right.mean())), 4),
    }
    print(json.dumps(figures, indent=1))


def cross_validated(table: np.ndarray, right: np.ndarray, groups: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Probability of each answer by a fit on the other articles."""
    found = np.zeros(len(right))
    for group in np.unique(groups):
        outside = groups != group
        if not 0 < right[outside].sum() < outside.sum():
            raise SystemExit("all answers to the other articles are right, or none: collect more cases before fitting")
        model = fit_logistic(table[outside], right[outside], [SIGNS[name] for name in names])
        found[~outside] = sigmoid(model.log_odds(table[~outside]))
    return found


def parameters(
    table: np.ndarray,
    right: np.ndarray,
    names: Sequence[str],
    centres: Mapping[str, float],
    held_back: np.ndarray,
    fitted_on: str,
) -> dict[str, Any]:
    """What `rag/confidence.json` holds: a fit on all answers, thresholds from the cross-validated ones."""
    model = fit_logistic(table, right, [SIGNS[name] for name in names])
    scales = [float(spread) if spread > 1e-6 else 1.0 for spread in table.std(axis=0)]
    weights = {
        name: {"weight": float(weight * scale), "centre": centres[name], "scale": scale}
        for name, weight, scale in zip(names, model.weights, scales, strict=True)
    }
    bias = model.bias + float(sum(weight * centres[name] for name, weight in zip(names, model.weights, strict=True)))
    thresholds = {str(risk): least for risk in RISKS if (least := threshold(held_back, right, risk)) is not None}
    return {"version": "fit-6", "fitted_on": fitted_on, "bias": bias, "weights": weights, "thresholds": thresholds}


def threshold(scores: np.ndarray, right: np.ndarray, risk: float) -> float | None:
    """The lowest confidence at and above which no more than `risk` of at least MIN_ANSWERS answers are wrong."""
    for least in np.unique(scores):
        above = scores >= least
        if above.sum() >= MIN_ANSWERS and 1 - right[above].mean() <= risk:
            return round(float(least), 4)
    return None


def ranking(scores: np.ndarray, right: np.ndarray, n_cases: int) -> dict[str, float | None]:
    """Risk against coverage where answers are taken by falling `scores`."""
    steps = [
        Step(
            confidence=float(least),
            n_answers=int((scores >= least).sum()),
            n_wrong=int((right[scores >= least] == 0).sum()),
        )
        for least in np.unique(scores)[::-1]
    ]
    curve = Curve(n_cases=n_cases, steps=tuple(steps))
    found = {"aurc": curve.aurc, **{f"coverage_at_{risk:g}": curve.coverage_at(risk) for risk in RISKS[:3]}}
    return {name: None if value is None else round(value, 4) for name, value in found.items()}


def share(values: Sequence[bool]) -> float | None:
    """The share that is true; None of nothing."""
    return round(sum(values) / len(values), 4) if values else None


def main() -> None:
    """Collect or fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(required=True)
    collecting = steps.add_parser("collect")
    collecting.set_defaults(run=collect)
    collecting.add_argument("source", type=pathlib.Path)
    collecting.add_argument("--data-dir", type=pathlib.Path, required=True)
    collecting.add_argument("--out", type=pathlib.Path, required=True)
    collecting.add_argument("--cases", type=int, default=600)
    collecting.add_argument("--unanswerable", type=float, default=0.4)
    collecting.add_argument("--twins", type=float, default=0.6)
    collecting.add_argument("--seed", type=int, default=0)
    fitting = steps.add_parser("fit")
    fitting.set_defaults(run=fit)
    fitting.add_argument("rows", type=pathlib.Path)
    fitting.add_argument("--write", type=pathlib.Path)
    fitting.add_argument("--name", default="held-out SQuAD train", help="what it was fitted on, for the file")
    measuring = steps.add_parser("measure")
    measuring.set_defaults(run=measure)
    measuring.add_argument("rows", type=pathlib.Path)
    measuring.add_argument("--below", type=float, nargs="+", default=[0.2, 0.3, 0.4])
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
