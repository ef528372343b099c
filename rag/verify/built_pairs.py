"""Claims built from SQuAD's questions and from the sentences that answer them, labelled by how they were built.

A right answer makes a supported claim. It is made wrong by another answer of its kind, best one that stands in the
same paragraph, so that shared words say nothing (contradicted); by the answer to another question (one of the two,
nobody says which); by another number, a negation or swapped names (contradicted); by evidence that does not hold the
answering sentence (unsupported). Claims of two facts of which one is missing are unsupported, as a whole claim is.
"""

import random
from collections.abc import Collection, Sequence

from rag.text import content_words
from rag.verify.altered import (
    ask_whether,
    changed_number,
    negate,
    overlap,
    reordered,
    shortened,
    swap_names,
    without_fact,
)
from rag.verify.declare import declare
from rag.verify.pair_material import Material, Place, sentences_of
from rag.verify.pairs import (
    CONTRADICTED,
    NOT_SUPPORTED,
    SUPPORTED,
    UNSUPPORTED,
    Paragraph,
    TrainingPair,
)

_ONE_ANSWER = frozenset(("year", "number", "date", "who_name_short", "who_name_long"))
_RECIPES = (  # (recipe, weight)
    ("right", 30),
    ("swapped", 20),
    ("other_question", 8),
    ("beside", 7),
    ("choice", 8),
    ("yes_or_no", 8),
    ("cut_off", 4),
    ("foreign", 10),
    ("without_sentence", 7),
    ("sentence", 6),
    ("sentence_number", 3),
    ("sentence_swapped", 6),
    ("negated", 4),
    ("roles", 4),
    ("both", 9),
    ("half_wrong", 6),
    ("half_missing", 9),
    ("shorter", 16),
    ("longer", 16),
    ("longer_wrong", 5),
)
LONG_RECIPES = (  # claims of more than one fact
    "sentence", "sentence_number", "sentence_swapped", "roles", "both", "half_wrong", "half_missing", "shorter",
    "longer", "longer_wrong", "without_sentence",
)  # fmt: skip


class PairBuilder:
    """Builds pairs from paragraphs of SQuAD; the same paragraphs and generator give the same pairs."""

    def __init__(self, paragraphs: Sequence[Paragraph], rng: random.Random) -> None:
        self._material = Material(paragraphs, rng)
        self._rng = rng

    def build(self, n_pairs: int, only: Collection[str] = ()) -> list[TrainingPair]:
        """`n_pairs` pairs; questions are taken in random order, each with a random recipe (of `only`, where given)."""
        names, weights = zip(*(row for row in _RECIPES if not only or row[0] in only), strict=True)
        pairs: list[TrainingPair] = []
        seen: set[tuple[str, str]] = set()
        order = self._material.places.copy()
        while order and len(pairs) < n_pairs:
            self._rng.shuffle(order)
            n_before = len(pairs)
            for place in order:
                recipe = self._rng.choices(names, weights)[0]
                pair = getattr(self, f"_{recipe}")(place)
                if pair is not None and (pair.evidence, pair.claim) not in seen:
                    seen.add((pair.evidence, pair.claim))
                    pairs.append(pair)
                    if len(pairs) == n_pairs:
                        break
            if len(pairs) == n_before:
                break
        return pairs

    def _right(self, place: Place) -> TrainingPair | None:
        evidence = self._material.evidence(place)
        return self._pair("right", evidence, self._worded(place.question.text, place.question.answer), SUPPORTED)

    def _swapped(self, place: Place) -> TrainingPair | None:
        wrong = self._material.other_answer(place)
        if wrong is None:
            return None
        evidence = self._material.evidence(place, near=wrong)
        # "What is X known for?" may have two right answers; a year, a number or a person has one.
        label = CONTRADICTED if place.kind in _ONE_ANSWER else NOT_SUPPORTED
        return self._pair("swapped", evidence, self._worded(place.question.text, wrong), label)

    def _other_question(self, place: Place) -> TrainingPair | None:
        others = [
            other.question.answer
            for other in self._material.in_paragraph[place.paragraph]
            if other.kind != place.kind and not overlap(other.question.answer, place.question.answer)
        ]
        if not others:
            return None
        claim = self._worded(place.question.text, self._rng.choice(others))
        return self._pair("other_question", self._material.evidence(place), claim, NOT_SUPPORTED)

    def _beside(self, place: Place) -> TrainingPair | None:
        """A true statement after a question that it does not answer."""
        others = [
            other
            for other in self._material.in_paragraph[place.paragraph]
            if not overlap(other.question.answer, place.question.answer)
        ]
        other = self._rng.choice(others) if others else None
        said = declare(other.question.text, other.question.answer) if other is not None else None
        if other is None or said is None or place.question.answer.casefold() in said.casefold():
            return None
        return self._pair("beside", self._material.two(place, other), f"{place.question.text} {said}", UNSUPPORTED)

    def _choice(self, place: Place) -> TrainingPair | None:
        """A question that names two answers, and one of them."""
        right, wrong = place.question.answer, self._material.other_answer(place)
        if wrong is None or len(right.split()) > 6 or len(wrong.split()) > 6:
            return None
        one, other = self._rng.sample((right, wrong), 2)
        asked = f"{place.question.text.rstrip(' ?')}, {one} or {other}?"
        said, label = (right, SUPPORTED) if self._rng.random() < 0.5 else (wrong, NOT_SUPPORTED)
        return self._pair("choice", self._material.evidence(place, near=wrong), f"{asked} {said}", label)

    def _yes_or_no(self, place: Place) -> TrainingPair | None:
        """A question whether something is so, of a right or a wrong fact, and "yes" or "no"."""
        wrong = self._material.other_answer(place)
        is_so = wrong is None or self._rng.random() < 0.5
        said = declare(place.question.text, place.question.answer if is_so or wrong is None else wrong)
        asked = ask_whether(said) if said is not None else None
        if asked is None:
            return None
        yes = self._rng.random() < 0.5
        # To a question with several right answers the other one may be right as well.
        if not is_so and not yes and place.kind not in _ONE_ANSWER:
            return None
        label = SUPPORTED if is_so == yes else CONTRADICTED if place.kind in _ONE_ANSWER or is_so else NOT_SUPPORTED
        reply = self._rng.choice(("Yes", "Yes.", "yes") if yes else ("No", "No.", "no"))
        return self._pair(
            "yes_or_no", self._material.evidence(place, near=None if is_so else wrong), f"{asked} {reply}", label
        )

    def _cut_off(self, place: Place) -> TrainingPair | None:
        """The beginning of a statement that stops before it answers the question."""
        said = declare(place.question.text, place.question.answer)
        before = said.partition(place.question.answer)[0].split() if said is not None else []
        if len(before) < 3:
            return None
        kept = before[: self._rng.randrange(2, len(before) + 1)]
        told = set(content_words(" ".join(kept)))
        if not told or not told.issubset(content_words(place.question.text)):
            return None
        return self._pair(
            "cut_off", self._material.evidence(place), f"{place.question.text} {' '.join(kept)}", UNSUPPORTED
        )

    def _foreign(self, place: Place) -> TrainingPair | None:
        """A paragraph of the same article that shares most words of the question but not the answer."""
        asked = set(content_words(place.question.text))
        own = place.paragraph
        indexes = [index for index in self._material.in_article[self._material.paragraphs[own].title] if index != own]
        if not indexes:
            return None
        candidates = self._rng.sample(indexes, min(8, len(indexes)))
        answer = place.question.answer.casefold()
        texts = [self._material.paragraphs[index].text for index in candidates]
        texts = [text for text in texts if answer not in text.casefold()]
        if not texts:
            return None
        text = max(texts, key=lambda text: len(asked.intersection(content_words(text))))
        sentences = sentences_of(text)
        best = max(range(len(sentences)), key=lambda at: len(asked.intersection(content_words(sentences[at]))))
        evidence = text if self._rng.random() < 0.15 else " ".join(self._material.window(sentences, best))
        return self._pair("foreign", evidence, self._worded(place.question.text, place.question.answer), UNSUPPORTED)

    def _without_sentence(self, place: Place) -> TrainingPair | None:
        """What stands around the answering sentence, without it."""
        rest = [text for at, text in enumerate(place.sentences) if at != place.sentence]
        if not rest or any(place.question.answer.casefold() in text.casefold() for text in rest):
            return None
        at = min(place.sentence, len(rest) - 1)
        evidence = " ".join(rest if self._rng.random() < 0.4 else self._material.window(rest, at))
        if self._rng.random() < 0.5:
            claim = self._worded(place.question.text, place.question.answer)
        else:
            claim = shortened(place.sentences[place.sentence])
        return self._pair("without_sentence", evidence, claim, UNSUPPORTED)

    def _sentence(self, place: Place) -> TrainingPair | None:
        claim = shortened(place.sentences[place.sentence])
        return self._pair("sentence", self._material.evidence(place), claim, SUPPORTED)

    def _sentence_number(self, place: Place) -> TrainingPair | None:
        claim = changed_number(shortened(place.sentences[place.sentence]), self._rng)
        return self._pair("sentence_number", self._material.evidence(place), claim, CONTRADICTED) if claim else None

    def _sentence_swapped(self, place: Place) -> TrainingPair | None:
        said = place.sentences[place.sentence]
        wrong = self._material.other_answer(place)
        if wrong is None or said.count(place.question.answer) != 1:
            return None
        claim = shortened(said.replace(place.question.answer, wrong))
        if wrong not in claim:
            return None
        return self._pair("sentence_swapped", self._material.evidence(place), claim, CONTRADICTED)

    def _negated(self, place: Place) -> TrainingPair | None:
        said = declare(place.question.text, place.question.answer)
        if said is None or self._rng.random() < 0.4:
            said = shortened(place.sentences[place.sentence])
        claim = negate(said)
        return self._pair("negated", self._material.evidence(place), claim, CONTRADICTED) if claim else None

    def _roles(self, place: Place) -> TrainingPair | None:
        claim = swap_names(shortened(place.sentences[place.sentence]), self._rng)
        return self._pair("roles", self._material.evidence(place), claim, NOT_SUPPORTED) if claim else None

    def _both(self, place: Place) -> TrainingPair | None:
        other = self._material.partner(place)
        if other is None:
            return None
        claim = self._joined(place.question.answer, place, other)
        evidence = self._material.two(place, other)
        return self._pair("both", evidence, claim, SUPPORTED) if claim else None

    def _half_wrong(self, place: Place) -> TrainingPair | None:
        other, wrong = self._material.partner(place), self._material.other_answer(place)
        if other is None or wrong is None:
            return None
        claim = self._joined(wrong, place, other)
        return self._pair("half_wrong", self._material.two(place, other), claim, CONTRADICTED) if claim else None

    def _half_missing(self, place: Place) -> TrainingPair | None:
        other = self._material.partner(place)
        if other is None:
            return None
        rest = [text for at, text in enumerate(place.sentences) if at != place.sentence]
        claim = self._joined(place.question.answer, place, other)
        if claim is None or any(place.question.answer.casefold() in text.casefold() for text in rest):
            return None
        return self._pair("half_missing", " ".join(rest), claim, UNSUPPORTED)

    def _shorter(self, place: Place) -> TrainingPair | None:
        """A sentence less one of its facts follows from the sentence."""
        said = place.sentences[place.sentence]
        cut = without_fact(said, self._rng)
        if cut is None:
            return None
        return self._pair("shorter", self._material.around(place, said), reordered(cut[0], self._rng), SUPPORTED)

    def _longer(self, place: Place) -> TrainingPair | None:
        """The whole sentence does not follow from what is left of it without one of its facts."""
        said = place.sentences[place.sentence]
        cut = without_fact(said, self._rng)
        if cut is None:
            return None
        evidence = self._material.around(place, cut[0])
        if not set(content_words(cut[1])) - set(content_words(evidence)):
            return None
        return self._pair("longer", evidence, reordered(said, self._rng), UNSUPPORTED)

    def _longer_wrong(self, place: Place) -> TrainingPair | None:
        """A sentence without one of its facts, and with another number or two names exchanged."""
        cut = without_fact(place.sentences[place.sentence], self._rng)
        if cut is None:
            return None
        wrong = changed_number(cut[0], self._rng) or swap_names(cut[0], self._rng)
        if wrong is None:
            return None
        evidence = self._material.around(place, place.sentences[place.sentence])
        return self._pair("longer_wrong", evidence, reordered(wrong, self._rng), NOT_SUPPORTED)

    def _pair(self, recipe: str, evidence: str, claim: str, label: int) -> TrainingPair | None:
        """The pair, where something is left to read."""
        if len(evidence) < 20 or len(content_words(claim)) < 2:
            return None
        return TrainingPair(evidence=evidence, claim=claim, label=label, source=f"squad_{recipe}")

    def _worded(self, question: str, answer: str) -> str:
        """As a statement, as a statement after its question, or as the answer after its question."""
        said = declare(question, answer) if self._rng.random() < 0.65 else None
        if said is None:
            return f"{question} {answer}"
        return f"{question} {said}" if self._rng.random() < 0.4 else said

    def _joined(self, answer: str, place: Place, other: Place) -> str | None:
        """Two facts of one paragraph in one claim."""
        first = declare(place.question.text, answer)
        second = declare(other.question.text, other.question.answer)
        if first is None or second is None:
            return None
        if self._rng.random() < 0.5:
            first, second = second, first
        return f"{first[:-1]}, and {second}" if self._rng.random() < 0.6 else f"{first} {second}"
