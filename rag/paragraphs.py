"""Paragraphs with questions, what training and its measurements are made of."""

import collections
import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from rag.errors import InvalidInputError

_HELD_OUT = 26  # of 256, by the first byte of the title's SHA-256


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question and the words of its paragraph that answer it."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """One paragraph of an article and what is asked about it."""

    title: str
    text: str
    questions: tuple[Asked, ...]


def read_paragraphs(path: Path) -> dict[str, tuple[Paragraph, ...]]:
    """Paragraphs by title from JSON lines (`title`, `context`, `questions` of `question` and `answer`), gzipped or not.

    Raises:
        InvalidInputError: a line is not such a paragraph; the message names it.
    """
    articles: dict[str, list[Paragraph]] = collections.defaultdict(list)
    open_text = gzip.open if path.suffix == ".gz" else open
    with open_text(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                asked = tuple(
                    Asked(question=" ".join(one["question"].split()), answer=one["answer"]) for one in row["questions"]
                )
                paragraph = Paragraph(title=row["title"].replace("_", " "), text=row["context"], questions=asked)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InvalidInputError(
                    f"{path.name} line {number} is no paragraph with questions; "
                    "it needs title, context and questions of question and answer"
                ) from error
            articles[paragraph.title].append(paragraph)
    return {title: tuple(paragraphs) for title, paragraphs in articles.items()}


def is_held_out(title: str) -> bool:
    """Whether an article (about one in ten) is kept from training, for thresholds and for watching the loss."""
    return hashlib.sha256(title.replace(" ", "_").encode()).digest()[0] < _HELD_OUT
