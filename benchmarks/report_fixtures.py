"""Known answers of published human labels, through the public command.

    python benchmarks/report_fixtures.py DATA_FOLDER [--out FOLDER] [--report benchmarks/reports/report_fixtures.md]

DATA_FOLDER holds `report_fixtures/` and `qa_dev/`. Cases and answers are written as files that `citebound compare`
reads, each comparison is run with `--no-judge` in a data folder of its own, and what its `report.json` says is held
against what is known. Exit 1 if anything differs.
"""

import argparse
import collections
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from typing import Any

FINANCEBENCH_LABELS = {"Correct Answer": "correct", "Incorrect Answer": "wrong", "Refusal": "abstained"}
REFCHECKER_LABELS = {"Entailment": "supported", "Neutral": "unsupported", "Contradiction": "contradicted"}
SHARED, LLAMA, CLOSED = "gpt-4-1106-preview_sharedStore", "llama2_sharedStore", "gpt-4-1106-preview_closedBook"
SQUAD_2 = {"BERT": "BERT", "nlnet": "nlnet", "BiDAF+ELMo": "BiDAF_+_Self_Attention_+_ELMo"}
CONTEXTS = {"zero": 0.685, "noisy": 0.187, "accurate": 0.161}


class Checks:
    """What came out, beside what should."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str, bool]] = []

    def equal(self, what: str, found: object, known: object) -> None:
        """The same."""
        self.rows.append((what, str(found), str(known), found == known))

    def close(self, what: str, found: float | None, known: float, within: float) -> None:
        """No further apart than `within`."""
        holds = found is not None and abs(found - known) <= within + 1e-9
        self.rows.append((what, "null" if found is None else f"{found:.4f}", f"{known:g} ± {within:g}", holds))


def read_gz(path: pathlib.Path) -> str:
    """The text of a compressed file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read()


def write_lines(path: pathlib.Path, rows: Iterable[Mapping[str, Any]]) -> pathlib.Path:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def compare(
    folder: pathlib.Path, name: str, cases: pathlib.Path, systems: Mapping[str, pathlib.Path]
) -> dict[str, Any]:
    """Run `citebound compare` and read the report that it wrote; one that is there already is not made again."""
    command = [str(pathlib.Path(sys.executable).parent / "citebound"), "compare", "--cases", str(cases), "--no-judge"]
    for system, path in systems.items():
        command += ["--system", f"{system}={path}"]
    run = folder / f"run_{name}"
    command += ["--out", str(run), "--data-dir", str(folder / "data"), "--name", name]
    if not (run / "report.json").exists():
        started = time.perf_counter()
        subprocess.run([*command, *(["--resume"] if run.exists() else [])], check=True, stdout=subprocess.DEVNULL)
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return dict(json.loads((run / "report.json").read_text(encoding="utf-8")))


def of_system(report: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One system of a report."""
    return next(system for system in report["systems"] if system["name"] == name)


def difference(comparison: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One figure of a comparison."""
    return next(view for view in comparison["differences"] if view["figure"] == name)


def outcomes(report: Mapping[str, Any], name: str) -> str:
    """correct–wrong–abstained."""
    counted = of_system(report, name)["outcomes"]
    return f"{counted['correct']}–{counted['wrong']}–{counted['abstained']}"


def financebench(source: pathlib.Path, folder: pathlib.Path, checks: Checks) -> None:
    """150 questions with people's labels; documents are the clusters."""
    questions = [json.loads(line) for line in read_gz(source / "financebench_open_source.jsonl.gz").splitlines()]
    cases = write_lines(
        folder / "financebench.jsonl",
        (
            {
                "id": one["financebench_id"],
                "question": one["question"],
                "reference_answers": [one["answer"]],
                "document": one["doc_name"],
            }
            for one in questions
        ),
    )
    answers = {}
    for system in (SHARED, LLAMA, CLOSED):
        rows = [json.loads(line) for line in read_gz(source / f"results__{system}.jsonl.gz").splitlines()]
        answers[system] = write_lines(
            folder / f"financebench_{system}.jsonl",
            (
                {
                    "id": row["financebench_id"],
                    "text": row["model_answer"] or "",
                    "label": FINANCEBENCH_LABELS[row["label"]],
                }
                for row in rows
            ),
        )
    models = compare(folder, "models", cases, {name: answers[name] for name in (SHARED, LLAMA)})
    checks.equal("FinanceBench, GPT-4-Turbo, shared store", outcomes(models, SHARED), "29–20–101")
    checks.equal("FinanceBench, Llama-2, shared store", outcomes(models, LLAMA), "29–104–17")
    comparison = models["comparisons"][0]
    checks.equal("  McNemar on correct, p", comparison["mcnemar"]["p_value"], 1.0)
    net = difference(comparison, "net_score")
    checks.equal("  documents", net["n_clusters"], 84)
    checks.close("  (correct − wrong) / 150, difference", net["difference"], -0.56, 0.0005)
    checks.close("  95 %, clustered, low", net["low"], -0.69, 0.01)
    checks.close("  95 %, clustered, high", net["high"], -0.45, 0.01)
    checks.close("  95 %, unclustered, low", net["low_unclustered"], -0.67, 0.01)
    checks.close("  95 %, unclustered, high", net["high_unclustered"], -0.44, 0.01)
    books = compare(folder, "books", cases, {name: answers[name] for name in (CLOSED, SHARED)})
    checks.equal("FinanceBench, GPT-4-Turbo, closed book", outcomes(books, CLOSED), "14–5–131")
    checks.equal("FinanceBench, GPT-4-Turbo, shared store", outcomes(books, SHARED), "29–20–101")
    comparison = books["comparisons"][0]
    checks.close("  McNemar on correct, p", comparison["mcnemar"]["p_value"], 0.008, 0.0005)
    wrong = difference(comparison, "wrong_given_answered")
    checks.close("  wrong given answered, closed book", wrong["baseline"], 0.26, 0.005)
    checks.close("  wrong given answered, shared store", wrong["system"], 0.41, 0.005)


def refchecker(source: pathlib.Path, folder: pathlib.Path, checks: Checks) -> None:
    """Claims of 7 models labelled by people, under three kinds of context; a case is a prompt and a model."""
    for context, known in CONTEXTS.items():
        cases, answers = [], []
        for path in sorted(source.glob(f"{context}_context__*.json.gz")):
            for row in json.loads(read_gz(path)):
                case_id = f"{path.name.removesuffix('_answers.json.gz')}/{row['id']}"
                cases.append({"id": case_id, "question": f"Prompt {row['id']}", "document": row["id"]})
                claims = [
                    {"text": " ".join(one["triplet"]), "label": REFCHECKER_LABELS[one["human_label"]]}
                    for one in row["claude2_response_kg"]
                ]
                answers.append({"id": case_id, "text": row["response"], "claims": claims})
        report = compare(
            folder,
            f"refchecker_{context}",
            write_lines(folder / f"refchecker_{context}.jsonl", cases),
            {context: write_lines(folder / f"refchecker_{context}_answers.jsonl", answers)},
        )
        rate = of_system(report, context)["figures"]["unsupported_claim_rate"]
        checks.close(f"RefChecker, {context} context: claims not entailed", rate["value"], known, 0.0005)


def squad(data: pathlib.Path, folder: pathlib.Path, checks: Checks) -> None:
    """Predictions for the questions of qa_dev: abstentions on the unanswerable ones, exact match on the others."""
    cases = [json.loads(line) for line in (data / "qa_dev" / "cases.jsonl").read_text(encoding="utf-8").splitlines()]
    by_class = collections.defaultdict(list)
    for case in cases:
        by_class[case["answerable"]].append(case)
    source = data / "report_fixtures" / "squad_model_predictions"

    def predictions(name: str, asked: list[dict[str, Any]]) -> pathlib.Path:
        found = json.loads(read_gz(source / f"{name}.json.gz"))
        rows = ({"id": case["id"], "text": found[case["id"]]} for case in asked)
        return write_lines(folder / f"squad_{name}_answers.jsonl", rows)

    refused = compare(
        folder,
        "squad_unanswerable",
        write_lines(folder / "squad_unanswerable.jsonl", by_class[False]),
        {name: predictions(f"v2.0__{file}", by_class[False]) for name, file in SQUAD_2.items()},
    )
    checks.equal("SQuAD 2.0 questions without an answer", refused["cases"]["n_unanswerable"], 2810)
    for name, known in (("BERT", 2301), ("nlnet", 2307), ("BiDAF+ELMo", 2002)):
        counted = of_system(refused, name)["outcomes"]["right_abstention"]
        checks.equal(f"  abstentions of {name}", counted, known)
    answered = compare(
        folder,
        "squad_answerable",
        write_lines(folder / "squad_answerable.jsonl", by_class[True]),
        {"BERT": predictions("1.1__BERT", by_class[True])},
    )
    figure = of_system(answered, "BERT")["figures"]["exact_match"]
    checks.equal("SQuAD 1.1 questions", figure["denominator"], 4575)
    checks.close("  exact match of BERT", figure["value"], 0.862, 0.0005)


def main() -> int:
    """Run all of it, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path, help="the folder that holds report_fixtures/ and qa_dev/")
    parser.add_argument(
        "--out", type=pathlib.Path, help="keep cases, answers and runs here; finished runs are used again"
    )
    parser.add_argument("--report", type=pathlib.Path, help="write the table there, too")
    given = parser.parse_args()
    checks = Checks()
    with tempfile.TemporaryDirectory() as spare:
        folder = given.out or pathlib.Path(spare)
        folder.mkdir(parents=True, exist_ok=True)
        financebench(given.data / "report_fixtures" / "financebench", folder, checks)
        refchecker(given.data / "report_fixtures" / "refchecker_human", folder, checks)
        squad(given.data, folder, checks)
    lines = ["| figure | found | known | |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {what} | {found} | {known} | {'holds' if holds else '**differs**'} |"
        for what, found, known, holds in checks.rows
    ]
    print("\n".join(lines))
    if given.report:
        given.report.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    return 0 if all(row[3] for row in checks.rows) else 1


HEAD = """# Known answers of published human labels, through `citebound compare`

`python benchmarks/report_fixtures.py DATA --report benchmarks/reports/report_fixtures.md`; seed 0, 10,000 resamples.
The data stay outside the project: FinanceBench (people's labels of answers, 150 questions about 84 documents),
RefChecker (people's labels of claims, 7 models × 100 prompts a context; a rate is over the claims of all models
together), and predictions on SQuAD, scored here. A known value is exact unless a tolerance stands beside it.

"""


if __name__ == "__main__":
    sys.exit(main())
