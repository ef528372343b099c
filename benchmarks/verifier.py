"""How good and how quick the shipped verifier is, with the baselines it has to beat beside it.

    python benchmarks/verifier.py DATA --base FOLDER [--large FOLDER] [--weights FOLDER] [--only NAME …] [--limit N]
        [--out REPORT.md] [--plot docs/images/verifier_reliability.svg]

DATA holds the sets of `verifier_sets.py`; --base is all-MiniLM-L6-v2, --large all-mpnet-base-v2 for the large verifier.
The threshold is the shipped one, fixed on held-back pairs of verify_train and SQuAD train; every baseline gets the
threshold that is best on the very set it is measured on. A text is read as `/v1/verify` reads it: split into claims,
and as good as its weakest.
"""

import argparse
import itertools
import pathlib
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from verifier_sets import ADVERSARIAL, SETS, built_test

from llm.device import probe_device
from rag.text import content_words, split_sentences
from rag.verify.calibration import (
    area_under_roc,
    balanced_accuracy,
    best_threshold,
    brier,
    expected_calibration_error,
    f1,
    reliability,
)
from rag.verify.claims import split_claims
from rag.verify.held_back import Case
from rag.verify.judge import ClaimJudge, load_judge
from rag.verify.pairs import CONTRADICTED, NOT_SUPPORTED, SUPPORTED
from rag.verify.shipped import SHIPPED_FOLDER


@dataclass(frozen=True)
class Row:
    """One way of scoring one set."""

    name: str
    balanced_accuracy: float
    auc: float
    threshold: str


def shared(case: Case, units: Callable[[str], Sequence[object]]) -> float:
    """The share of the claim's units (its own words, or pairs of them) that the evidence holds."""
    wanted = set(units(case.claim.text))
    return len(wanted & {unit for text in case.evidence for unit in units(text)}) / len(wanted) if wanted else 0.0


def bigrams(text: str) -> list[tuple[str, str]]:
    """Pairs of neighbouring content words."""
    terms = content_words(text)
    return list(itertools.pairwise(terms))


def cosines(cases: Sequence[Case], base: pathlib.Path) -> np.ndarray:
    """The highest cosine of the claim with a sentence of its evidence, by the base encoder as an embedder."""
    from rag.torch_embedder import load_embedder

    embedder = load_embedder(base, name="base", device=probe_device("auto", "auto", None))
    try:
        sentences = [[s.cut(text) for text in case.evidence for s in split_sentences(text)] for case in cases]
        known = list(dict.fromkeys(text for listed in sentences for text in listed))
        where = {text: index for index, text in enumerate(known)}
        vectors = embedder.embed_passages(known)
        claims = embedder.embed_passages([f"{case.claim.question or ''} {case.claim.text}" for case in cases])
        return np.array(
            [
                max((float(vectors[where[text]] @ one) for text in listed), default=0.0)
                for listed, one in zip(sentences, claims, strict=True)
            ]
        )
    finally:
        embedder.close()


def judged(cases: Sequence[Case], judge: ClaimJudge) -> tuple[np.ndarray, list[str]]:
    """Scores and labels of our verifier, one call a case."""
    found = []
    for case in cases:
        claims = split_claims(case.claim.text, case.claim.question) or (case.claim,)
        found.append(min(judge.judge(claims, case.evidence), key=lambda one: one.score))
    return np.array([one.score for one in found]), [one.label for one in found]


def score(name: str, scores: np.ndarray, labels: np.ndarray, threshold: float | None = None) -> Row:
    """Balanced accuracy at the fixed threshold, or at the best one of the set; and AUC."""
    at = best_threshold(scores, labels) if threshold is None else threshold
    kind = "best here" if threshold is None else f"{threshold} (fixed)"
    return Row(name, balanced_accuracy(scores >= at, labels), area_under_roc(scores, labels), kind)


def measured(
    name: str, cases: Sequence[Case], judge: ClaimJudge, base: pathlib.Path | None
) -> tuple[list[str], np.ndarray]:
    """The lines of one set, and the verifier's scores."""
    labels = np.array([case.label == SUPPORTED for case in cases], dtype=float)
    scores, said = judged(cases, judge)
    table = [
        score("**verifier**", scores, labels, judge.info.threshold),
        score("shared words", np.array([shared(case, content_words) for case in cases]), labels),
        score("shared bigrams", np.array([shared(case, bigrams) for case in cases]), labels),
        score("answer length, shorter is better", np.array([-float(len(case.claim.text)) for case in cases]), labels),
    ]
    if base is not None:
        table.append(score("embedding cosine", cosines(cases, base), labels))
    lines = [
        f"\n### {name}: {len(cases)} claims, {labels.mean():.3f} supported\n",
        "| by | balanced accuracy | AUC | threshold |",
    ]
    lines += ["| --- | --- | --- | --- |"]
    lines += [f"| {row.name} | {row.balanced_accuracy:.3f} | {row.auc:.3f} | {row.threshold} |" for row in table]
    ratio = brier(scores, labels) / (labels.mean() * (1 - labels.mean()))
    ece = expected_calibration_error(scores, labels)
    lines.append(f"\nECE {ece:.3f}, Brier {brier(scores, labels):.3f} ({ratio:.2f} × that of the base rate)")
    known = [at for at, case in enumerate(cases) if case.label not in (SUPPORTED, NOT_SUPPORTED)]
    if known:
        found = np.array([said[at] == "contradicted" for at in known])
        right = np.array([cases[at].label == CONTRADICTED for at in known], dtype=float)
        lines.append(
            f"\nContradicted, among {len(known)} claims known to be contradicted or unsupported: "
            f"F1 {f1(found, right):.3f} "
            f"(saying so always: {f1(np.ones(len(known), dtype=bool), right):.3f})"
        )
    if name.startswith("built"):
        hard = [at for at, case in enumerate(cases) if case.source.removeprefix("squad_") in ADVERSARIAL]
        words = np.array([shared(cases[at], content_words) for at in hard])
        at_fixed = score("", scores[hard], labels[hard], judge.info.threshold)
        lines.append(
            f"\nOf these, {len(hard)} whose wrong claims are made of words of the evidence: verifier "
            f"{at_fixed.balanced_accuracy:.3f} / {at_fixed.auc:.3f}, shared words "
            f"{score('', words, labels[hard]).balanced_accuracy:.3f} / {score('', words, labels[hard]).auc:.3f}"
        )
    return lines, scores


def speed(judge: ClaimJudge, data: pathlib.Path) -> list[str]:
    """Pairs of 40 + 120 tokens a second, and seconds for an answer of three sentences against eight passages."""
    model = judge.model
    pair = ("the old bridge was opened by the town " * 15, "the red tower stands in the town " * 6)
    model.logits([pair] * 64)
    rates = []
    for _ in range(5):
        start = time.perf_counter()
        model.logits([pair] * 128)
        rates.append(128 / (time.perf_counter() - start))
    cases = [case for case in built_test(data) if len(case.claim.text.split()) > 6]
    texts = list(dict.fromkeys(text for case in cases for text in case.evidence if len(text) > 500))
    rng = random.Random(0)
    seconds = []
    for _ in range(12):
        claims = [case.claim for case in rng.sample(cases, 3)]
        passages = rng.sample(texts, 8)
        start = time.perf_counter()
        judge.judge(claims, passages)
        seconds.append(time.perf_counter() - start)
    return [
        "\n## Speed\n",
        f"Pairs of 120 + 40 tokens a second: {np.median(rates):.0f} (5 runs of 128: {min(rates):.0f}–{max(rates):.0f})",
        f"\nThree sentences against eight passages: {np.median(seconds):.2f} s "
        f"(12 runs: {min(seconds):.2f}–{max(seconds):.2f})",
    ]


def windows_lost(judge: ClaimJudge, cases: Sequence[Case]) -> list[str]:
    """What reading at most eight windows costs against reading all of up to three sentences."""
    labels = np.array([case.label == SUPPORTED for case in cases], dtype=float)
    lines = [
        "\n## Windows: the best 8 by shared words against all\n",
        f"{len(cases)} claims of WiCE dev, oracle chunks.\n",
    ]
    lines += ["| windows a claim, at most | balanced accuracy | AUC |", "| --- | --- | --- |"]
    for n_windows in (2, 4, 8, 10_000):
        scores, _ = judged(cases, judge.with_windows(n_windows))
        row = score("", scores, labels, judge.info.threshold)
        lines.append(f"| {'all' if n_windows > 100 else n_windows} | {row.balanced_accuracy:.3f} | {row.auc:.3f} |")
    return lines


def plot(path: pathlib.Path, sets: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Reliability: how often claims of a score were supported. A plain SVG: the same figures give the same bytes."""
    size, left = 360, 46
    colours = ("#1f5fa8", "#b5482a", "#3d7d4f")

    def place(x: float, y: float) -> tuple[float, float]:
        return left + x * size, 14 + (1 - y) * size

    def text(x: float, y: float, said: str, look: str) -> str:
        return f'<text x="{x:.0f}" y="{y:.0f}" {look}>{said}</text>'

    (x0, y0), (x1, y1) = place(0, 0), place(1, 1)
    box = f'viewBox="0 0 {size + 66} {size + 60}" font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f'<rect x="{left}" y="14" width="{size}" height="{size}" fill="white" stroke="#888"/>',
        f'<line x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}" stroke="#aaa" stroke-dasharray="4 4"/>',
        text(left + size / 2, size + 46, "score", 'text-anchor="middle"'),
        text(left + size - 8, size - 8, "dots: share of claims that were supported", 'text-anchor="end" fill="#666"'),
    ]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(text(place(tick, 0)[0], y0 + 16, f"{tick}", 'text-anchor="middle"'))
        parts.append(text(x0 - 6, place(0, tick)[1] + 4, f"{tick}", 'text-anchor="end"'))
    for number, (name, (scores, labels)) in enumerate(sets.items()):
        bins, colour = reliability(scores, labels), colours[number % 3]
        points = [place(row.mean_score, row.share_right) for row in bins]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for (x, y), row in zip(points, bins, strict=True):
            radius = 2 + 8 * (row.n / len(scores)) ** 0.5
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}" fill-opacity="0.6"/>')
        parts.append(text(left + 10, 32 + 16 * number, f"{name}, n = {len(scores)}", f'fill="{colour}"'))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def main() -> None:
    """Measure and print, and write the report where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--base", type=pathlib.Path, required=True)
    parser.add_argument("--large", type=pathlib.Path, help="all-mpnet-base-v2: what is unsure is read again")
    parser.add_argument("--weights", type=pathlib.Path, default=SHIPPED_FOLDER)
    parser.add_argument("--only", nargs="*", default=[], help="sets whose names contain one of these")
    parser.add_argument("--limit", type=int, help="claims of each set, drawn at random")
    parser.add_argument("--no-embedding", action="store_true")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--plot", type=pathlib.Path)
    arguments = parser.parse_args()
    device = probe_device("auto", "auto", None)
    judge = load_judge(arguments.base, device, arguments.weights, arguments.large)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    lines = [
        "# The verifier, measured",
        f"\n`python benchmarks/verifier.py {' '.join(sys.argv[1:])}`, commit {commit.strip()}; {device.name}, "
        f"{device.n_threads} threads, {device.dtype}, {platform.system()}; {judge.info.name} {judge.info.version}, "
        f"threshold {judge.info.threshold}. The baselines have their best threshold of each set.",
    ]
    reliable = {}
    for name, make in SETS.items():
        if arguments.only and not any(part in name for part in arguments.only):
            continue
        cases = make(arguments.data)
        if arguments.limit is not None and len(cases) > arguments.limit:
            cases = random.Random(0).sample(cases, arguments.limit)
        found, scores = measured(name, cases, judge, None if arguments.no_embedding else arguments.base)
        lines += found
        print("\n".join(found), flush=True)
        if "test part" in name:
            reliable[name] = (scores, np.array([case.label == SUPPORTED for case in cases], dtype=float))
    if not arguments.only or "windows" in arguments.only:
        chunks = SETS["WiCE dev, oracle chunks"](arguments.data)
        found = windows_lost(judge, random.Random(1).sample(chunks, min(150, len(chunks))))
        lines += found
        print("\n".join(found), flush=True)
    if not arguments.only or "speed" in arguments.only:
        found = speed(judge, arguments.data)
        lines += found
        print("\n".join(found), flush=True)
    if arguments.plot and reliable:
        plot(arguments.plot, reliable)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
