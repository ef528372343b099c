"""Right answers and rivals of theirs over the same evidence, built from SQuAD.

The evidence holds the answering sentence beside sentences that answer other questions of the article with something of
the same kind, as the digest of long evidence does. Each question comes with its answer and with a rival; in some of the
texts the answering sentence is left out, and then nothing is supported, though the rival stands there. Answer and
rival follow their question, or are statements of their own.
"""

import random
from collections.abc import Iterator, Sequence

from rag.verify.altered import overlap
from rag.verify.declare import declare
from rag.verify.made_up_facts import SMALL_NUMBERS
from rag.verify.pair_material import Material, Place
from rag.verify.pairs import CONTRADICTED, NOT_SUPPORTED, SUPPORTED, UNSUPPORTED, Paragraph, TrainingPair

_ONE_ANSWER = frozenset(("year", "number", "date", "who_name_short", "who_name_long"))
_WORDS = (60, 150)  # of the evidence, at most; drawn anew for each text
_WITHOUT = 0.2  # of the texts leave the answering sentence out
_MAX_RIVALS = 4
_NEIGHBOUR = 0.5  # of the answering sentences stand after the one before it
_REWRITTEN = 0.3  # of the answers that are small numbers are written the other way


class RivalBuilder:
    """Builds pairs from paragraphs of SQuAD; the same paragraphs and generator give the same pairs.

    With `is_stated` only statements, and only of questions of which one can be made.
    """

    def __init__(self, paragraphs: Sequence[Paragraph], rng: random.Random, *, is_stated: bool = False) -> None:
        self._material = Material(paragraphs, rng)
        self._rng = rng
        self._is_stated = is_stated
        self._of_kind: dict[tuple[str, str], list[Place]] = {}
        for place in self._material.places:
            self._of_kind.setdefault((self._title(place), place.kind), []).append(place)

    def build(self, n_pairs: int) -> list[TrainingPair]:
        """At most `n_pairs` pairs, each question once: its answer and a rival after each other."""
        places = self._material.places.copy()
        self._rng.shuffle(places)
        pairs: list[TrainingPair] = []
        for place in places:
            if len(pairs) >= n_pairs:
                break
            pairs += self._of_one_question(place)
        return pairs[:n_pairs]

    def _title(self, place: Place) -> str:
        return self._material.paragraphs[place.paragraph].title

    def _of_one_question(self, place: Place) -> Iterator[TrainingPair]:
        """The answer and a rival; nothing where there is no rival in another sentence."""
        answer, own = place.question.answer, _said(place)
        if self._is_stated and declare(place.question.text, answer) is None:
            return
        others = [
            other
            for other in self._of_kind[self._title(place), place.kind]
            if not overlap(other.question.answer, answer) and answer.casefold() not in _said(other).casefold()
        ]
        rivals = [other for other in others if other.paragraph == place.paragraph and _said(other) != own]
        far = [other for other in others if other.paragraph != place.paragraph]
        rivals += self._rng.sample(far, min(len(far), _MAX_RIVALS))
        rivals = rivals[: self._rng.randrange(1, _MAX_RIVALS + 1)]
        if not rivals:
            return
        is_without = self._rng.random() < _WITHOUT
        evidence = self._gathered(None if is_without else place, rivals, place)
        if is_without and answer.casefold() in evidence.casefold():
            return
        rival = self._rng.choice(rivals).question.answer
        wrong = CONTRADICTED if place.kind in _ONE_ANSWER else NOT_SUPPORTED
        for said, label in ((answer, SUPPORTED), (rival, wrong)):
            if said == rival and rival.casefold() not in evidence.casefold():
                continue
            claim = self._worded(place.question.text, said)
            if claim is None:
                continue
            yield TrainingPair(
                evidence=evidence,
                claim=claim,
                label=UNSUPPORTED if is_without else label,
                source="squad_rival_stated" if self._is_stated else "squad_rival",
            )

    def _gathered(self, place: Place | None, rivals: Sequence[Place], near: Place) -> str:
        """The sentences in the order of the article, as many of the rivals' as there is room for."""
        most = self._rng.randrange(*_WORDS)
        kept: dict[tuple[int, int], str] = {}
        if place is not None:
            kept[place.paragraph, place.sentence] = _said(place)
            if place.sentence and self._rng.random() < _NEIGHBOUR:
                kept[place.paragraph, place.sentence - 1] = place.sentences[place.sentence - 1]
        for rival in rivals:
            n_words = sum(len(text.split()) for text in kept.values())
            at = (rival.paragraph, rival.sentence)
            if at != (near.paragraph, near.sentence) and n_words + len(_said(rival).split()) <= most:
                kept[at] = _said(rival)
        return " ".join(kept[at] for at in sorted(kept))

    def _worded(self, question: str, answer: str) -> str | None:
        """The answer after its question, as a statement after it, or as a statement."""
        if self._rng.random() < _REWRITTEN:
            answer = _rewritten(answer)
        if self._is_stated:
            return declare(question, answer)
        chance = self._rng.random()
        said = declare(question, answer) if chance < 0.5 else None
        if said is None:
            return f"{question} {answer}"
        return f"{question} {said}" if chance < 0.2 else said


def is_rival(source: str) -> bool:
    """Whether a pair was built here."""
    return source.startswith("squad_rival")


def _said(place: Place) -> str:
    """The answering sentence."""
    return place.sentences[place.sentence]


def _rewritten(answer: str) -> str:
    """A small number in words or in digits, whichever it is not."""
    first, _, rest = answer.partition(" ")
    if first.casefold() in SMALL_NUMBERS:
        first = str(SMALL_NUMBERS.index(first.casefold()))
    elif first.isdecimal() and int(first) < len(SMALL_NUMBERS):
        first = SMALL_NUMBERS[int(first)]
    return f"{first} {rest}".strip()
