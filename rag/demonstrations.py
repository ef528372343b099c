"""Demonstrations: worked questions that stand before the one that is asked (in-context learning: Brown et al., 2020).

They show a decoder that was not tuned for the job what an answer looks like, at the price of prompt tokens. Which ones
are shown is a choice: those whose questions are nearest to the one that is asked (Liu et al., 2022), or a fixed set
that answered other questions best (as DSPy's random search does: Khattab et al., 2024).
"""

import gzip
import json
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from llm.types import Message
from rag.embed import Embedder
from rag.errors import InvalidInputError
from rag.prompt import grounded_messages
from rag.prompt_passage import Evidence, from_evidence
from rag.types import FloatArray

_MAX_POOL = 20_000  # demonstrations of one file


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """One question, a passage that answers it (or does not), and what should be written."""

    question: str
    passage: str
    answer: str  # without a marker, or the abstention sentence

    def turns(self) -> tuple[Message, Message]:
        """The question over its passage as the service asks it, and the answer."""
        shown = grounded_messages(self.question, (from_evidence(Evidence(id="1", text=self.passage)),))
        return shown[-1], Message(role="assistant", content=self.answer)


class Demonstrations(Protocol):
    """Chooses what is shown before a question."""

    def choose(self, question: str) -> tuple[Demonstration, ...]:
        """Demonstrations for `question`, the most useful one last, next to it."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same ones before every question."""

    shown: tuple[Demonstration, ...]

    def choose(self, question: str) -> tuple[Demonstration, ...]:
        """All of them."""
        return self.shown


class Nearest:
    """Those whose questions mean nearly what is asked. Thread-safe; the pool is embedded with the first question."""

    def __init__(self, pool: Sequence[Demonstration], embedder: Callable[[], Embedder], n: int) -> None:
        self._pool = tuple(pool)
        self._embedder = embedder
        self._n = n
        self._lock = threading.Lock()
        self._vectors: FloatArray | None = None  # (P, D) of the pool's questions

    def choose(self, question: str) -> tuple[Demonstration, ...]:
        """The `n` nearest, the nearest one last; one that asks the same question is left out."""
        embedder = self._embedder()
        with self._lock:
            if self._vectors is None:
                self._vectors = embedder.embed_passages([one.question for one in self._pool])
        cosines = self._vectors @ embedder.embed_query(question)
        order = sorted(range(len(self._pool)), key=lambda place: -float(cosines[place]))
        same = question.casefold().strip()
        found = [self._pool[place] for place in order if self._pool[place].question.casefold().strip() != same]
        return tuple(found[: self._n][::-1])


def read_demonstrations(path: Path) -> tuple[Demonstration, ...]:
    """Demonstrations of JSON lines with `question`, `passage` and `answer`, gzipped or not.

    Raises:
        InvalidInputError: the file cannot be read, is empty or too long, or a line is not such a row.
    """
    found: list[Demonstration] = []
    open_text = gzip.open if path.suffix == ".gz" else open
    try:
        with open_text(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                found.append(_read(line, f"{path.name} line {number}"))
                if number > _MAX_POOL:
                    raise InvalidInputError(f"{path.name} holds more than {_MAX_POOL} demonstrations; shorten it")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} cannot be read as JSON lines of demonstrations: {error}") from error
    if not found:
        raise InvalidInputError(f"{path.name} holds no demonstration; it needs question, passage and answer a line")
    return tuple(found)


def _read(line: str, place: str) -> Demonstration:
    try:
        row = json.loads(line)
        values = [row[name] for name in ("question", "passage", "answer")]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(f"{place} is no demonstration; it needs question, passage and answer") from error
    if not all(isinstance(value, str) and value.strip() for value in values):
        raise InvalidInputError(f"{place} is no demonstration; question, passage and answer must be texts")
    return Demonstration(question=values[0], passage=values[1], answer=values[2])


def best_set(
    pool: Sequence[Demonstration],
    *,
    n: int,
    n_sets: int,
    score: Callable[[Fixed, int], float],
    n_cases: int,
    rng: random.Random,
) -> Fixed:
    """The set of `n` that answers best, by random search with successive halving (Jamieson & Talwalkar, 2016).

    `n_sets` sets are drawn; each round halves them and doubles the cases that the others are held against, until one
    is left, so that most answers are spent on the sets that promise most.

    Args:
        pool: What sets are drawn from; at least `n`.
        n: Demonstrations of a set.
        n_sets: Sets drawn.
        score: How well the first `m` cases are answered with a set; higher is better.
        n_cases: Cases of the first round.
        rng: Draws the sets.
    """
    left = [Fixed(tuple(rng.sample(list(pool), n))) for _ in range(n_sets)]
    while len(left) > 1:
        scores = [score(one, n_cases) for one in left]
        order = sorted(range(len(left)), key=lambda place: -scores[place])
        left = [left[place] for place in order[: (len(left) + 1) // 2]]
        n_cases *= 2
    return left[0]
