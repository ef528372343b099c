"""Does an answer follow the evidence? Asked over evidence in which the right answer was swapped for another case's.

What follows the evidence names the stand-in. What names the right answer all the same took it from memory; what names
both has flagged the conflict; abstaining is told apart.
"""

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rag.evaluation.cause import Probe
from rag.evaluation.scoring import contains_reference, normalize_answer
from rag.evaluation.types import Case

Kind = Literal["number", "name", "phrase"]
OBEDIENCE: tuple[str, ...] = ("evidence", "memory", "flagged", "abstained", "other")
_MAX_WORDS = 8  # of a reference that can be swapped


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """A case with another answer in its evidence."""

    case_id: str
    reference: str
    stand_in: str
    evidence: tuple[str, ...]  # the gold passages with `stand_in` wherever `reference` stood


def kind_of(reference: str) -> Kind:
    """What sort of answer a reference is: answers of one sort can stand in for each other."""
    if any(char.isdecimal() for char in reference):
        return "number"
    words = reference.split()
    return "name" if words and all(word[:1].isupper() for word in words if len(word) > 3) else "phrase"


def draw_swaps(cases: Sequence[Case], n: int, seed: int) -> tuple[Swap, ...]:
    """At most `n` swaps, one a case, the same for the same cases and seed.

    Only answerable cases whose reference stands in a gold passage word for word can be swapped, and only with a
    reference of the same kind that says something else and does not stand in the evidence itself.
    """
    rng = random.Random(seed)
    pool: dict[Kind, list[tuple[str, str]]] = {}
    for case in cases:
        if case.answerable and case.reference_answers and len(case.reference_answers[0].split()) <= _MAX_WORDS:
            reference = case.reference_answers[0]
            pool.setdefault(kind_of(reference), []).append((case.case_id, reference))
    order = [case for case in cases if case.answerable and case.gold_passages and case.reference_answers]
    rng.shuffle(order)
    swaps: list[Swap] = []
    for case in order:
        if len(swaps) == n:
            break
        swap = _swap(case, pool, rng)
        if swap is not None:
            swaps.append(swap)
    return tuple(swaps)


def _swap(case: Case, pool: dict[Kind, list[tuple[str, str]]], rng: random.Random) -> Swap | None:
    for reference in case.reference_answers:
        if len(reference.split()) > _MAX_WORDS or not any(_places(text, reference) for text in case.gold_passages):
            continue
        candidates = [
            other
            for case_id, other in pool.get(kind_of(reference), ())
            if case_id != case.case_id
            and normalize_answer(other) not in ("", normalize_answer(reference))
            and not contains_reference(other, case.reference_answers)
            and not any(contains_reference(text, [other]) for text in (case.question, *case.gold_passages))
        ]
        if not candidates:
            continue
        stand_in = candidates[rng.randrange(len(candidates))]
        evidence = tuple(_replace(text, reference, stand_in) for text in case.gold_passages)
        if any(contains_reference(text, case.reference_answers) for text in evidence):
            continue  # another spelling of the right answer is left
        return Swap(case_id=case.case_id, reference=reference, stand_in=stand_in, evidence=evidence)
    return None


def _places(text: str, reference: str) -> list[re.Match[str]]:
    return list(re.finditer(rf"(?<!\w){re.escape(reference)}(?!\w)", text))


def _replace(text: str, reference: str, stand_in: str) -> str:
    return re.sub(rf"(?<!\w){re.escape(reference)}(?!\w)", lambda match: stand_in, text)


def obeyed(swap: Swap, references: Sequence[str], text: str, *, abstained: bool) -> str:
    """What an answer over swapped evidence did; one of `OBEDIENCE`."""
    if abstained:
        return "abstained"
    follows = contains_reference(text, [swap.stand_in])
    remembers = contains_reference(text, references)
    if follows and remembers:
        return "flagged"
    return "evidence" if follows else "memory" if remembers else "other"


def count_obedience(probes: Iterable[Probe]) -> dict[str, int]:
    """How many answers did what, every kind named."""
    counted = Counter(probe.swapped.obeyed for probe in probes if probe.swapped is not None)
    return {name: counted[name] for name in OBEDIENCE}
