"""Labelled pairs of evidence and claim: what the verifier is trained, calibrated and tested on.

Sources are `verify_train` (FEVER and FoolMeTwice) and claims built from SQuAD train by `rag.verify.built_pairs`. Splits
go by a hash of the evidence text (of the article for built ones), so the same text is always on the same side.
"""

import gzip
import hashlib
import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rag.errors import InvalidInputError
from rag.types import Span

Part = Literal["train", "calibration", "test"]
SUPPORTED, CONTRADICTED, UNSUPPORTED = 0, 1, 2
NOT_SUPPORTED = 3  # contradicted or unsupported, and nobody said which: the loss takes the two together
ASKED = 4  # the claim is a question: what is learnt is where the evidence answers it, if at all
LABELS = {
    "supported": SUPPORTED,
    "contradicted": CONTRADICTED,
    "unsupported": UNSUPPORTED,
    "not_supported": NOT_SUPPORTED,
}
_CALIBRATION_PERCENT = 12
_TEST_PERCENT = 12
_PENN = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}", "``": '"', "''": '"'}
_BEFORE = re.compile(r"\s+(['’]s\b|n't\b|[,.;:!?)\]%])")
_AFTER = re.compile(r"([(\[$£€])\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPair:
    """One labelled pair."""

    evidence: str
    claim: str
    label: int  # SUPPORTED, CONTRADICTED, UNSUPPORTED, NOT_SUPPORTED or ASKED
    source: str  # "fever", "fm2", or what it was built by: "squad_swapped"
    answer: Span | None = None  # of a question: where the evidence answers it


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of a SQuAD paragraph."""

    text: str
    answer: str
    answer_start: int  # in the paragraph


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """One paragraph of a SQuAD article."""

    title: str
    text: str
    questions: tuple[Question, ...]


def part_of(key: str) -> Part:
    """The side on which everything with this key stands, by the first bytes of its SHA-256."""
    percent = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % 100
    if percent < _CALIBRATION_PERCENT:
        return "calibration"
    return "test" if percent < _CALIBRATION_PERCENT + _TEST_PERCENT else "train"


def read_labelled(path: Path) -> list[TrainingPair]:
    """The pairs of `verify_train/pairs.jsonl.gz`, tokenizer notation undone.

    Raises:
        InvalidInputError: the file is missing, or a label is not one of LABELS.
    """
    pairs = []
    for row in _read_lines(path):
        if row["label"] not in LABELS:
            raise InvalidInputError(f"{path.name} has the label {row['label']!r}; known are {', '.join(LABELS)}.")
        pairs.append(
            TrainingPair(
                evidence=detokenize(row["evidence"]),
                claim=detokenize(row["claim"]),
                label=LABELS[row["label"]],
                source=row["source"],
            )
        )
    return pairs


def read_paragraphs(path: Path) -> list[Paragraph]:
    """The paragraphs of `squad_train/paragraphs.jsonl.gz`.

    Raises:
        InvalidInputError: the file is missing.
    """
    return [
        Paragraph(
            title=row["title"],
            text=row["context"],
            questions=tuple(
                Question(text=q["question"].strip(), answer=q["answer"].strip(), answer_start=q["answer_start"])
                for q in row["questions"]
                if q["answer"].strip()
            ),
        )
        for row in _read_lines(path)
    ]


def detokenize(text: str) -> str:
    """Penn Treebank notation as people write it: brackets, quotation marks, no blank before punctuation."""
    for mark, plain in _PENN.items():
        text = text.replace(mark, plain)
    return _AFTER.sub(r"\1", _BEFORE.sub(r"\1", " ".join(text.split())))


def only(pairs: Iterable[TrainingPair], part: Part) -> list[TrainingPair]:
    """The labelled pairs whose evidence text stands on one side."""
    return [pair for pair in pairs if part_of(pair.evidence) == part]


def varied(pairs: Sequence[TrainingPair], rng: random.Random, *, repeat_contradicted: int = 2) -> list[TrainingPair]:
    """Training pairs with a part of them read among foreign text, and unrelated evidence as a lesson of its own.

    A sixth gets evidence of another pair before or after its own, which changes no label; one in twenty more is
    paired with another's evidence (unsupported). `contradicted` is rare in `verify_train` and is repeated.
    """
    result = []
    for pair in pairs:
        for _ in range(repeat_contradicted if pair.label == CONTRADICTED else 1):
            other = pairs[rng.randrange(len(pairs))].evidence
            if rng.random() < 1 / 6 and len(pair.evidence) + len(other) < 900:
                both = (other, pair.evidence) if rng.random() < 0.5 else (pair.evidence, other)
                result.append(replace(pair, evidence=" ".join(both)))
            else:
                result.append(pair)
        if rng.random() < 0.05:
            other = pairs[rng.randrange(len(pairs))].evidence
            if other != pair.evidence:
                result.append(replace(pair, evidence=other, label=UNSUPPORTED, source=f"{pair.source}_foreign"))
    return result


def joined(pairs: Sequence[TrainingPair], rng: random.Random) -> list[TrainingPair]:
    """Claims of two facts, one a pair of labelled pairs: two of one evidence text, or of two that stand together.

    Supported where both facts are and all their evidence is there. With one fact wrong the whole is not supported;
    with the evidence of one fact missing it is unsupported, though most of its words are there.
    """
    by_evidence: dict[str, list[TrainingPair]] = {}
    for pair in pairs:
        by_evidence.setdefault(pair.evidence, []).append(pair)
    result = []
    supported = [pair for pair in pairs if pair.label == SUPPORTED]
    for group in by_evidence.values():
        if len(group) > 1:
            first, second = rng.sample(group, 2)
            label = max(first.label, second.label) if SUPPORTED in (first.label, second.label) else NOT_SUPPORTED
            result.append(_both(first, second, first.evidence, label, rng))
    for pair in supported:
        other = supported[rng.randrange(len(supported))]
        if other.evidence == pair.evidence or len(pair.evidence) + len(other.evidence) > 700:
            continue
        if rng.random() < 0.3:
            evidence = " ".join(rng.sample((pair.evidence, other.evidence), 2))
            result.append(_both(pair, other, evidence, SUPPORTED, rng))
        elif rng.random() < 0.3:
            result.append(_both(pair, other, pair.evidence, UNSUPPORTED, rng))
    return result


def drawn(n_pairs: int, draw: Callable[[], Iterable[TrainingPair]]) -> list[TrainingPair]:
    """`n_pairs` pairs of what `draw` gives, a few each time; some of its draws may give none."""
    pairs: list[TrainingPair] = []
    while len(pairs) < n_pairs:
        pairs += draw()
    return pairs[:n_pairs]


def _both(first: TrainingPair, second: TrainingPair, evidence: str, label: int, rng: random.Random) -> TrainingPair:
    """One claim of two, in either order."""
    one, other = rng.sample((first.claim, second.claim), 2)
    claim = f"{one.rstrip('. ')}, and {other}" if rng.random() < 0.5 else f"{one} {other}"
    return TrainingPair(evidence=evidence, claim=claim, label=label, source=f"{first.source}_joined")


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a gzipped JSONL file."""
    if not path.is_file():
        raise InvalidInputError(f"{path} is missing; --data must name the folder that holds it.")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
