"""Pairs of answers of which one is to be preferred, with the serving prompt: what a decoder is aligned by.

Each pair differs in one thing that a reader would mind. Where the passages answer: their answer against an invented one
of the same kind, the answer to another question, what the world knows where the passages say otherwise, the marker of
another passage, or a needless abstention. Where they do not: the abstention against an answer.
"""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from llm.types import Message
from rag.altered_paragraphs import same_kind
from rag.examples import TrainingExample, make_examples
from rag.markers import drop_markers, find_markers
from rag.paragraphs import Paragraph
from rag.prompt import NOT_IN_DOCUMENTS
from rag.prompt_passage import PromptPassage

# What is wrong with the answer that is not preferred.
PairKind = Literal["invented", "misread", "remembered", "miscited", "withheld", "answered"]

_WRONG = (("invented", 0.2), ("misread", 0.25), ("miscited", 0.3), ("withheld", 0.25))  # shares, where they answer
_KNOWN = 0.5  # of the questions to a paragraph that was left out are answered from it, the others from what is shown
_PLAIN = ("answerable", "swapped")  # kinds whose answer is a few words of one passage
_MAX_TRIES = 50  # for another answer of the same kind


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferencePair:
    """One prompt, the answer to prefer, and one that is worse in the way `kind` says."""

    messages: tuple[Message, ...]
    chosen: str
    rejected: str
    kind: PairKind
    group: int  # pairs of one group share their passages

    def as_row(self) -> dict[str, object]:
        """The row of a JSONL file for `citebound train dpo`."""
        return {
            "messages": [{"role": message.role, "content": message.content} for message in self.messages],
            "chosen": self.chosen,
            "rejected": self.rejected,
            "kind": self.kind,
            "group": self.group,
        }


def make_pairs(
    articles: dict[str, tuple[Paragraph, ...]], *, n_groups: int, rng: random.Random
) -> Iterator[PreferencePair]:
    """At most one pair for each example of `n_groups` groups; the same `rng` state, the same pairs."""
    asked = [asked for paragraphs in articles.values() for paragraph in paragraphs for asked in paragraph.questions]
    known = {one.question: one.answer.strip() for one in asked}
    pool = sorted(set(known.values()))
    for _, group in itertools.groupby(make_examples(articles, n_groups=n_groups, rng=rng), lambda one: one.group):
        examples = tuple(group)
        for example in examples:
            wrong = (
                _instead_of_abstaining(example, examples, known, rng)
                if example.answer == NOT_IN_DOCUMENTS
                else _instead_of_answering(example, examples, known, pool, rng)
            )
            if wrong is not None:
                kind, rejected = wrong
                yield PreferencePair(
                    messages=example.messages,
                    chosen=example.answer,
                    rejected=rejected,
                    kind=kind,
                    group=example.group,
                )


def _instead_of_answering(
    example: TrainingExample,
    group: Sequence[TrainingExample],
    known: Mapping[str, str],
    pool: Sequence[str],
    rng: random.Random,
) -> tuple[PairKind, str] | None:
    """A worse answer where the passages answer."""
    words = drop_markers(example.answer).strip()
    shown = " ".join(_text(passage) for passage in example.passages)
    if example.kind == "swapped":
        remembered = known.get(example.question)
        if remembered is None or remembered.casefold() in shown:
            return None
        return "remembered", example.answer.replace(words, remembered, 1)
    if example.kind not in _PLAIN:  # no rule of below makes a worse one of it
        return None
    (kind,) = rng.choices([name for name, _ in _WRONG], [share for _, share in _WRONG])
    if kind == "withheld":
        return "withheld", NOT_IN_DOCUMENTS
    if kind == "miscited":
        others = [n for n, passage in enumerate(example.passages, start=1) if words.casefold() not in _text(passage)]
        if others:
            (marker,) = find_markers(example.answer)
            return "miscited", f"{example.answer[: marker.start]}[{rng.choice(others)}]{example.answer[marker.end :]}"
    if kind == "misread":
        misread = [other.answer for other in group if _is_another(other, words)]
        if misread:
            return "misread", rng.choice(misread)
    for _ in range(_MAX_TRIES):
        other = rng.choice(pool)
        if same_kind(other, words) and other.casefold() not in shown:
            return "invented", example.answer.replace(words, other, 1)
    return None


def _instead_of_abstaining(
    example: TrainingExample, group: Sequence[TrainingExample], known: Mapping[str, str], rng: random.Random
) -> tuple[PairKind, str] | None:
    """An answer where the passages have none: from memory, or the answer to another question about them."""
    remembered = known.get(example.question)
    if remembered is not None and rng.random() < _KNOWN:
        return "answered", f"{remembered} [{rng.randint(1, len(example.passages))}]"
    misread = [other.answer for other in group if other.kind in _PLAIN]
    return ("answered", rng.choice(misread)) if misread else None


def _is_another(example: TrainingExample, words: str) -> bool:
    """Whether the answer of `example` is of the kind of `words` and says something else."""
    other = drop_markers(example.answer).strip()
    return (
        example.kind in _PLAIN
        and same_kind(other, words)
        and other.casefold() not in words.casefold()
        and words.casefold() not in other.casefold()
    )


def _text(passage: PromptPassage) -> str:
    return " ".join(run.text for run in passage.runs).casefold()
