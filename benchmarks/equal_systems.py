"""How often a system is called better or worse than itself, and how often a real difference is found.

    python benchmarks/equal_systems.py DATA_FOLDER [--splits 20] [--more 400] [--seed 0] [--report FILE]

DATA_FOLDER holds `report_fixtures/`. Three trials, each over `--splits` splits and again over `--more`:

- FinanceBench: the answers of one system with people's labels, its 84 documents split at random into two halves that
  are taken for two systems asked about the same documents.
- Simulated: 300 cases about 24 or 100 documents; a system is asked twice. Some documents are harder than others, an
  answer is right, wrong or withheld by chance, and a claim is unsupported by chance, so both runs have the same rates.
- Simulated with a true difference of 10 points of accuracy and of hallucination rate, for power.

A split counts as a false alarm if the word of any of its figures is better or worse, McNemar's test among them: the
hard reading of the bar, which allows 2 of 20. Printed as one JSON object.
"""

import argparse
import gzip
import json
import pathlib
import random
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from rag.evaluation.comparison import compare
from rag.evaluation.decisions import decide
from rag.evaluation.differences import Settings
from rag.evaluation.report_types import ComparisonView
from rag.evaluation.types import Case, CaseResult, Outcome, ScoredClaim

Run = tuple[list[Case], dict[str, CaseResult], dict[str, CaseResult]]
LABELS: dict[str, Outcome] = {"Correct Answer": "correct", "Incorrect Answer": "wrong", "Refusal": "abstained"}


def result(case_id: str, outcome: Outcome, unsupported: bool | None = None) -> CaseResult:
    """A scored answer with one claim, or none where `unsupported` is None."""
    claims = None
    if unsupported is not None and outcome != "abstained":
        verdict = "unsupported" if unsupported else "supported"
        claims = (ScoredClaim(text="", start=None, end=None, verdict=verdict, decided_by="person"),)  # type: ignore[arg-type]
    return CaseResult(
        case_id=case_id, system="", text="", abstained=outcome == "abstained", outcome=outcome, claims=claims
    )


def financebench(data: pathlib.Path, seed: int) -> Run:
    """Two halves of one system's labelled answers, paired document by document."""
    folder = data / "report_fixtures" / "financebench"
    with gzip.open(folder / "financebench_open_source.jsonl.gz", "rt", encoding="utf-8") as file:
        documents = {row["financebench_id"]: row["doc_name"] for row in map(json.loads, file)}
    with gzip.open(folder / "results__llama2_singleStore.jsonl.gz", "rt", encoding="utf-8") as file:
        outcomes = [(documents[row["financebench_id"]], LABELS[row["label"]]) for row in map(json.loads, file)]
    by_document: dict[str, list[Outcome]] = {}
    for document, outcome in outcomes:
        by_document.setdefault(document, []).append(outcome)
    names = sorted(by_document)
    random.Random(seed).shuffle(names)
    cases, first, second = [], {}, {}
    for pair in zip(names[::2], names[1::2], strict=True):
        for number, two in enumerate(zip(*(by_document[name] for name in pair), strict=False)):
            case = Case(case_id=f"{pair[0]}/{number}", question="?", document=pair[0])
            cases.append(case)
            first[case.case_id], second[case.case_id] = (result(case.case_id, one) for one in two)
    return cases, first, second


def simulated(seed: int, *, n_documents: int, effect: float = 0.0, n_cases: int = 300) -> Run:
    """Two runs over the same cases; the second is better by `effect`, a difference of rates."""
    rng = np.random.default_rng([seed, n_documents])
    hard = rng.beta(4, 4, size=n_documents)  # rate of right answers of a document
    cases, runs = [], ({}, {})
    for number in range(n_cases):
        document = int(rng.integers(n_documents))
        case = Case(case_id=f"{number:04}", question="?", document=f"d{document:03}")
        cases.append(case)
        ease = min(1.0, max(0.0, hard[document] + rng.normal(0, 0.2)))
        for place, run in enumerate(runs):
            right = 0.85 * ease + place * effect
            draw = rng.random()
            outcome: Outcome = "correct" if draw < right else "abstained" if rng.random() < 0.3 else "wrong"
            run[case.case_id] = result(case.case_id, outcome, bool(rng.random() < 0.6 - 0.4 * ease - place * effect))
    return cases, *runs


def words_of(run: Run, n_resamples: int) -> ComparisonView:
    """The comparison with its words."""
    cases, first, second = run
    view = compare(cases, ("first", "second"), first, second, Settings(seed=0, n_resamples=n_resamples))
    return decide([view], judge_decides=True)[0]


def alarms(comparison: ComparisonView) -> tuple[bool, bool]:
    """Whether a primary figure, and whether any figure at all, is called better or worse."""
    called = {view.figure for view in comparison.differences if view.word in ("better", "worse")}
    primary = bool(called & {"hallucination_rate", "accuracy", "wrong_given_answered"})
    return primary, bool(called) or comparison.mcnemar.word in ("better", "worse")


def trial(make: Callable[[int], Run], seeds: Iterable[int], n_resamples: int) -> dict[str, Any]:
    """Alarms over splits."""
    found = [alarms(words_of(make(seed), n_resamples)) for seed in seeds]
    n = len(found)
    return {"splits": n, "primary": sum(one for one, _ in found), "any": sum(one for _, one in found)}


def main() -> int:
    """Run the trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--more", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--report", type=pathlib.Path)
    given = parser.parse_args()
    makers: dict[str, Callable[[int], Run]] = {
        "financebench halves": lambda seed: financebench(given.data, seed),
        "equal, 24 documents": lambda seed: simulated(seed, n_documents=24),
        "equal, 100 documents": lambda seed: simulated(seed, n_documents=100),
        "10 points better, 24 documents": lambda seed: simulated(seed, n_documents=24, effect=0.1),
    }
    found = {}
    for name, make in makers.items():
        found[name] = [
            trial(make, range(given.seed, given.seed + n), given.resamples) for n in (given.splits, given.more) if n
        ]
        print(name, found[name], file=sys.stderr)
    text = json.dumps({"resamples": given.resamples, "seed": given.seed, "trials": found}, indent=1)
    print(text)
    if given.report:
        given.report.write_text(text + "\n", encoding="utf-8")
    equal = [rows[0]["any"] for name, rows in found.items() if "better" not in name]
    return 0 if all(2 * given.splits >= 20 * n for n in equal) else 1


if __name__ == "__main__":
    sys.exit(main())
