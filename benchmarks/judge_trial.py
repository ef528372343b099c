"""A judge against people's labels of claims, for the reports that it will judge.

    python benchmarks/judge_trial.py VERIFY_DEV --judge overlap|shipped [--base FOLDER] [--large FOLDER] [--write]

VERIFY_DEV holds `wice/` and `scifact_nli/`. Labels: WiCE dev, claims of Wikipedia against chunks of the cited pages,
where `partially_supported` and `not_supported` both are not supported (Kamoi et al., EMNLP 2023); SciFact dev, claims
against sentences of abstracts (Wadden et al., EMNLP 2020). Nothing is fitted to them. `--write` puts the trials into
`rag/evaluation/judge_trials.json` in place of those of the same judge: counts and rates, no text.
"""

import argparse
import gzip
import json
import pathlib
import sys
from collections.abc import Iterator

from rag.evaluation.judge_trial import TRIALS_FILE, LabelledJudgement, hold_trial
from rag.evaluation.records import read_trials, trials_text
from rag.evaluation.statistics import balanced_accuracy
from rag.evaluation.types import JudgeTrial
from rag.types import VerdictLabel
from rag.verify.overlap_judge import OverlapJudge
from rag.verify.types import Judge, StatedClaim

FILE = pathlib.Path(__file__).parent.parent / "rag" / "evaluation" / TRIALS_FILE


def rows(path: pathlib.Path) -> Iterator[dict[str, object]]:
    """JSON lines of a compressed file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def labelled_sets(folder: pathlib.Path) -> Iterator[tuple[str, list[tuple[str, str, VerdictLabel]]]]:
    """Name of the labels, and claim, evidence, label; the main set first."""
    wice = [
        (
            str(row["claim"]),
            "\n".join(str(text) for text in row["evidence"]),  # type: ignore[attr-defined]
            "supported" if row["label"] == "supported" else "unsupported",
        )
        for row in rows(folder / "wice" / "claim_oracle_chunks_dev.jsonl.gz")
    ]
    scifact = [
        (str(row["claim"]), str(row["evidence"]), "supported" if row["label"] == "entailment" else "unsupported")
        for row in rows(folder / "scifact_nli" / "dev.jsonl.gz")
    ]
    yield f"WiCE dev, {len(wice)} claims with oracle chunks", wice  # type: ignore[misc]
    yield f"SciFact dev, {len(scifact)} claims with evidence sentences", scifact  # type: ignore[misc]


def try_judge(judge: Judge, labels: list[tuple[str, str, VerdictLabel]], measured_on: str) -> JudgeTrial:
    """One trial."""
    judgements = []
    for claim, evidence, label in labels:
        (found,) = judge.judge([StatedClaim(text=claim, start=0, end=len(claim))], [evidence])
        judgements.append(LabelledJudgement(judged=found.label, score=found.score, label=label))
    return hold_trial(judgements, name=judge.info.name, version=judge.info.version, measured_on=measured_on)


def main() -> int:
    """Hold the trials and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--judge", choices=("overlap", "shipped"), required=True)
    parser.add_argument("--base", type=pathlib.Path, help="folder of the base encoder of the shipped judge")
    parser.add_argument("--large", type=pathlib.Path, help="folder of the large encoder's base: the large verifier")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    judge: Judge = OverlapJudge()
    if given.judge == "shipped":
        if given.base is None:
            parser.error("--judge shipped needs --base, the folder of its base encoder")
        from llm.device import probe_device
        from rag.verify.judge import load_judge

        judge = load_judge(given.base, probe_device(), large_base=given.large)
    trials = []
    for measured_on, labels in labelled_sets(given.folder):
        trial = try_judge(judge, labels, measured_on)
        interval = balanced_accuracy(trial.caught, trial.passed_over, trial.cleared, trial.accused)
        shown = f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]" if interval else "undefined"
        print(f"{judge.info.name} on {measured_on}: balanced accuracy {shown}", end="")
        print(f", ECE {trial.ece:.3f}, Brier {trial.brier:.3f}")
        trials.append(trial)
    if given.write:
        kept = [
            one
            for one in read_trials(FILE.read_text(encoding="utf-8"))
            if (one.name, one.version) != (judge.info.name, judge.info.version)
        ]
        FILE.write_text(trials_text([*kept, *trials]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
