"""What the decoder's signal adds to a judge, on held-back pairs of `verify_train`.

    python benchmarks/decoder_signal.py verify_train/pairs.jsonl.gz DECODER_FOLDER [--judge overlap|shipped]
        [--encoder ENCODER_FOLDER] [--pairs 100] [--seed 0] [--out signals.jsonl]

Pairs are drawn evenly from the supported and the others of the verifier's test part (split by evidence text). Printed
as one JSON object a form of the signal: its AUC alone, and AUC and Brier score of the judge alone and of both together
in a logistic regression, cross-validated over five folds, with the difference of AUC and its bootstrap interval.
Signals already in `--out`, which holds digests and numbers and no text, are not computed again.
"""

import argparse
import hashlib
import json
import pathlib
import random
import time

import numpy as np

from llm.device import probe_device
from llm.engines.torch import load_decoder
from rag.confidence import log_odds
from rag.verify.calibration import area_under_roc, brier, fit_logistic, sigmoid
from rag.verify.decoder_signal import likelihoods
from rag.verify.overlap_judge import OverlapJudge
from rag.verify.pairs import SUPPORTED, TrainingPair, only, read_labelled
from rag.verify.types import Judge, StatedClaim

SIGNALS = ("mean_gain", "least_gain", "least_shown")
N_FOLDS = 5
N_RESAMPLES = 2000


def main() -> None:
    """Collect the signals and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs_file", type=pathlib.Path)
    parser.add_argument("decoder", type=pathlib.Path)
    parser.add_argument("--judge", choices=("overlap", "shipped"), default="overlap")
    parser.add_argument("--encoder", type=pathlib.Path, help="base encoder of the shipped judge")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("decoder_signals.jsonl"))
    args = parser.parse_args()
    chosen = draw(only(read_labelled(args.pairs_file), "test"), args.pairs, random.Random(args.seed))
    rows = read_rows(args.out)
    missing = [pair for pair in chosen if key_of(pair) not in rows]
    if missing:
        decoder = load_decoder(args.decoder, name=args.decoder.name, device=probe_device())
        with args.out.open("a", encoding="utf-8") as file:
            for pair in missing:
                began = time.perf_counter()
                (found,) = likelihoods([claim_of(pair)], [[pair.evidence]], decoder)
                signals = {name: getattr(found, name) or 0.0 for name in SIGNALS}
                row = {"key": key_of(pair), **signals, "seconds": time.perf_counter() - began}
                file.write(json.dumps(row) + "\n")
                file.flush()
                rows[key_of(pair)] = row
    judge = load(args.judge, args.encoder)
    scores = np.array([judge.judge([claim_of(pair)], [pair.evidence])[0].score for pair in chosen])
    labels = np.array([float(pair.label == SUPPORTED) for pair in chosen])
    seconds = [rows[key_of(pair)]["seconds"] for pair in chosen]
    said = {"pairs": len(chosen), "judge": judge.info.name, "decoder": args.decoder.name}
    print(json.dumps({**said, "seconds_a_pair_p50": round(float(np.median(seconds)), 3)}))
    for name in SIGNALS:
        signal = np.array([rows[key_of(pair)][name] for pair in chosen])
        print(json.dumps({"signal": name, **figures(scores, signal, labels, args.seed)}))


def figures(scores: np.ndarray, gains: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, object]:
    """AUC and Brier score of judge, signal and both."""
    odds = np.array([log_odds(float(score)) for score in scores])
    alone = cross_validated(odds[:, None], labels, seed)
    both = cross_validated(np.stack([odds, gains], axis=1), labels, seed)
    rng = np.random.default_rng(seed)
    differences = []
    for _ in range(N_RESAMPLES):
        drawn = rng.integers(0, len(labels), len(labels))
        if 0 < labels[drawn].mean() < 1:
            differences.append(area_under_roc(both[drawn], labels[drawn]) - area_under_roc(alone[drawn], labels[drawn]))
    low, high = np.quantile(differences, [0.025, 0.975])
    return {
        "auc_judge": round(area_under_roc(scores, labels), 4),
        "auc_signal": round(area_under_roc(gains, labels), 4),
        "auc_judge_cross_validated": round(area_under_roc(alone, labels), 4),
        "auc_both_cross_validated": round(area_under_roc(both, labels), 4),
        "auc_difference_95": [round(float(low), 4), round(float(high), 4)],
        "brier_judge_cross_validated": round(brier(alone, labels), 4),
        "brier_both_cross_validated": round(brier(both, labels), 4),
    }


def cross_validated(signals: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Probabilities for each pair by a fit on the folds that it is not in."""
    folds = np.random.default_rng(seed).permutation(len(labels)) % N_FOLDS
    found = np.zeros(len(labels))
    for fold in range(N_FOLDS):
        inside, outside = folds == fold, folds != fold
        model = fit_logistic(signals[outside], labels[outside], [0] * signals.shape[1])
        found[inside] = sigmoid(model.log_odds(signals[inside]))
    return found


def draw(pairs: list[TrainingPair], n: int, rng: random.Random) -> list[TrainingPair]:
    """`n` pairs, half of them supported."""
    supported = [pair for pair in pairs if pair.label == SUPPORTED]
    others = [pair for pair in pairs if pair.label != SUPPORTED]
    return [*rng.sample(supported, n // 2), *rng.sample(others, n - n // 2)]


def claim_of(pair: TrainingPair) -> StatedClaim:
    """The pair's claim as the judge reads it."""
    return StatedClaim(text=pair.claim, start=0, end=len(pair.claim))


def key_of(pair: TrainingPair) -> str:
    """What a row of the signals file is found by."""
    return hashlib.sha256(json.dumps([pair.evidence, pair.claim]).encode()).hexdigest()


def read_rows(path: pathlib.Path) -> dict[str, dict]:
    """The signals collected so far."""
    if not path.exists():
        return {}
    rows = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    return {row["key"]: row for row in rows}


def load(name: str, encoder: pathlib.Path | None) -> Judge:
    """The judge by name."""
    if name == "overlap" or encoder is None:
        return OverlapJudge()
    from rag.verify.judge import load_judge

    return load_judge(encoder, probe_device())


if __name__ == "__main__":
    main()
