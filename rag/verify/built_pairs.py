"""Claims built from SQuAD's questions and from the sentences that answer them, labelled by how they were built.

A right answer makes a supported claim. It is made wrong by another answer of its kind, best one that stands in the
same paragraph, so that shared words say nothing (contradicted); by the answer to another question (one of the two,
nobody says which); by another number, a negation or swapped names (contradicted); by evidence that does not hold the
answering sentence (unsupported). Claims of two facts of which one is missing are unsupported, as a whole claim is.
"""

import random
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from rag.text import content_words, split_sentences
from rag.verify.altered import (
    answer_kind,
    ask_whether,
    changed_number,
    negate,
    overlap,
    reordered,
    same_shape,
    shortened,
    swap_names,
    without_fact,
)
from rag.verify.declare import declare
from rag.verify.pairs import (
    CONTRADICTED,
    NOT_SUPPORTED,
    SUPPORTED,
    UNSUPPORTED,
    Paragraph,
    Question,
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


@dataclass(frozen=True, slots=True)
class _Place:
    """One question with the paragraph and the sentence that answer it."""

    paragraph: int  # index into the paragraphs
    question: Question
    sentences: tuple[str, ...]
    sentence: int  # index into `sentences`
    kind: str


class PairBuilder:
    """Builds pairs from paragraphs of SQuAD; the same paragraphs and generator give the same pairs."""

    def __init__(self, paragraphs: Sequence[Paragraph], rng: random.Random) -> None:
        self._paragraphs = paragraphs
        self._rng = rng
        self._places = [place for index, paragraph in enumerate(paragraphs) for place in _places(index, paragraph)]
        self._in_paragraph: dict[int, list[_Place]] = defaultdict(list)
        self._of_kind: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._in_article: dict[str, list[int]] = defaultdict(list)
        for place in self._places:
            self._in_paragraph[place.paragraph].append(place)
            self._of_kind[paragraphs[place.paragraph].title, place.kind].append(place.question.answer)
        for index, paragraph in enumerate(paragraphs):
            self._in_article[paragraph.title].append(index)

    def build(self, n_pairs: int, only: Collection[str] = ()) -> list[TrainingPair]:
        """`n_pairs` pairs; questions are taken in random order, each with a random recipe (of `only`, where given)."""
        names, weights = zip(*(row for row in _RECIPES if not only or row[0] in only), strict=True)
        pairs: list[TrainingPair] = []
        seen: set[tuple[str, str]] = set()
        order = self._places.copy()
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

    def _right(self, place: _Place) -> TrainingPair | None:
        evidence = self._evidence(place)
        return self._pair("right", evidence, self._worded(place.question.text, place.question.answer), SUPPORTED)

    def _swapped(self, place: _Place) -> TrainingPair | None:
        wrong = self._other_answer(place)
        if wrong is None:
            return None
        evidence = self._evidence(place, near=wrong)
        # "What is X known for?" may have two right answers; a year, a number or a person has one.
        label = CONTRADICTED if place.kind in _ONE_ANSWER else NOT_SUPPORTED
        return self._pair("swapped", evidence, self._worded(place.question.text, wrong), label)

    def _other_question(self, place: _Place) -> TrainingPair | None:
        others = [
            other.question.answer
            for other in self._in_paragraph[place.paragraph]
            if other.kind != place.kind and not overlap(other.question.answer, place.question.answer)
        ]
        if not others:
            return None
        claim = self._worded(place.question.text, self._rng.choice(others))
        return self._pair("other_question", self._evidence(place), claim, NOT_SUPPORTED)

    def _beside(self, place: _Place) -> TrainingPair | None:
        """A true statement after a question that it does not answer."""
        others = [
            other
            for other in self._in_paragraph[place.paragraph]
            if not overlap(other.question.answer, place.question.answer)
        ]
        other = self._rng.choice(others) if others else None
        said = declare(other.question.text, other.question.answer) if other is not None else None
        if other is None or said is None or place.question.answer.casefold() in said.casefold():
            return None
        return self._pair("beside", self._two(place, other), f"{place.question.text} {said}", UNSUPPORTED)

    def _choice(self, place: _Place) -> TrainingPair | None:
        """A question that names two answers, and one of them."""
        right, wrong = place.question.answer, self._other_answer(place)
        if wrong is None or len(right.split()) > 6 or len(wrong.split()) > 6:
            return None
        one, other = self._rng.sample((right, wrong), 2)
        asked = f"{place.question.text.rstrip(' ?')}, {one} or {other}?"
        said, label = (right, SUPPORTED) if self._rng.random() < 0.5 else (wrong, NOT_SUPPORTED)
        return self._pair("choice", self._evidence(place, near=wrong), f"{asked} {said}", label)

    def _yes_or_no(self, place: _Place) -> TrainingPair | None:
        """A question whether something is so, of a right or a wrong fact, and "yes" or "no"."""
        wrong = self._other_answer(place)
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
        return self._pair("yes_or_no", self._evidence(place, near=None if is_so else wrong), f"{asked} {reply}", label)

    def _cut_off(self, place: _Place) -> TrainingPair | None:
        """The beginning of a statement that stops before it answers the question."""
        said = declare(place.question.text, place.question.answer)
        before = said.partition(place.question.answer)[0].split() if said is not None else []
        if len(before) < 3:
            return None
        kept = before[: self._rng.randrange(2, len(before) + 1)]
        told = set(content_words(" ".join(kept)))
        if not told or not told.issubset(content_words(place.question.text)):
            return None
        return self._pair("cut_off", self._evidence(place), f"{place.question.text} {' '.join(kept)}", UNSUPPORTED)

    def _foreign(self, place: _Place) -> TrainingPair | None:
        """A paragraph of the same article that shares most words of the question but not the answer."""
        asked = set(content_words(place.question.text))
        own = place.paragraph
        indexes = [index for index in self._in_article[self._paragraphs[own].title] if index != own]
        if not indexes:
            return None
        candidates = self._rng.sample(indexes, min(8, len(indexes)))
        answer = place.question.answer.casefold()
        texts = [self._paragraphs[index].text for index in candidates]
        texts = [text for text in texts if answer not in text.casefold()]
        if not texts:
            return None
        text = max(texts, key=lambda text: len(asked.intersection(content_words(text))))
        sentences = _cut(text)
        best = max(range(len(sentences)), key=lambda at: len(asked.intersection(content_words(sentences[at]))))
        evidence = text if self._rng.random() < 0.15 else " ".join(self._window(sentences, best))
        return self._pair("foreign", evidence, self._worded(place.question.text, place.question.answer), UNSUPPORTED)

    def _without_sentence(self, place: _Place) -> TrainingPair | None:
        """What stands around the answering sentence, without it."""
        rest = [text for at, text in enumerate(place.sentences) if at != place.sentence]
        if not rest or any(place.question.answer.casefold() in text.casefold() for text in rest):
            return None
        at = min(place.sentence, len(rest) - 1)
        evidence = " ".join(rest if self._rng.random() < 0.4 else self._window(rest, at))
        if self._rng.random() < 0.5:
            claim = self._worded(place.question.text, place.question.answer)
        else:
            claim = shortened(place.sentences[place.sentence])
        return self._pair("without_sentence", evidence, claim, UNSUPPORTED)

    def _sentence(self, place: _Place) -> TrainingPair | None:
        claim = shortened(place.sentences[place.sentence])
        return self._pair("sentence", self._evidence(place), claim, SUPPORTED)

    def _sentence_number(self, place: _Place) -> TrainingPair | None:
        claim = changed_number(shortened(place.sentences[place.sentence]), self._rng)
        return self._pair("sentence_number", self._evidence(place), claim, CONTRADICTED) if claim else None

    def _sentence_swapped(self, place: _Place) -> TrainingPair | None:
        said = place.sentences[place.sentence]
        wrong = self._other_answer(place)
        if wrong is None or said.count(place.question.answer) != 1:
            return None
        claim = shortened(said.replace(place.question.answer, wrong))
        if wrong not in claim:
            return None
        return self._pair("sentence_swapped", self._evidence(place), claim, CONTRADICTED)

    def _negated(self, place: _Place) -> TrainingPair | None:
        said = declare(place.question.text, place.question.answer)
        if said is None or self._rng.random() < 0.4:
            said = shortened(place.sentences[place.sentence])
        claim = negate(said)
        return self._pair("negated", self._evidence(place), claim, CONTRADICTED) if claim else None

    def _roles(self, place: _Place) -> TrainingPair | None:
        claim = swap_names(shortened(place.sentences[place.sentence]), self._rng)
        return self._pair("roles", self._evidence(place), claim, NOT_SUPPORTED) if claim else None

    def _both(self, place: _Place) -> TrainingPair | None:
        other = self._partner(place)
        if other is None:
            return None
        claim = self._joined(place.question.answer, place, other)
        evidence = self._two(place, other)
        return self._pair("both", evidence, claim, SUPPORTED) if claim else None

    def _half_wrong(self, place: _Place) -> TrainingPair | None:
        other, wrong = self._partner(place), self._other_answer(place)
        if other is None or wrong is None:
            return None
        claim = self._joined(wrong, place, other)
        return self._pair("half_wrong", self._two(place, other), claim, CONTRADICTED) if claim else None

    def _half_missing(self, place: _Place) -> TrainingPair | None:
        other = self._partner(place)
        if other is None:
            return None
        rest = [text for at, text in enumerate(place.sentences) if at != place.sentence]
        claim = self._joined(place.question.answer, place, other)
        if claim is None or any(place.question.answer.casefold() in text.casefold() for text in rest):
            return None
        return self._pair("half_missing", " ".join(rest), claim, UNSUPPORTED)

    def _shorter(self, place: _Place) -> TrainingPair | None:
        """A sentence less one of its facts follows from the sentence."""
        said = place.sentences[place.sentence]
        cut = without_fact(said, self._rng)
        if cut is None:
            return None
        return self._pair("shorter", self._around(place, said), reordered(cut[0], self._rng), SUPPORTED)

    def _longer(self, place: _Place) -> TrainingPair | None:
        """The whole sentence does not follow from what is left of it without one of its facts."""
        said = place.sentences[place.sentence]
        cut = without_fact(said, self._rng)
        if cut is None:
            return None
        evidence = self._around(place, cut[0])
        if not set(content_words(cut[1])) - set(content_words(evidence)):
            return None
        return self._pair("longer", evidence, reordered(said, self._rng), UNSUPPORTED)

    def _longer_wrong(self, place: _Place) -> TrainingPair | None:
        """A sentence without one of its facts, and with another number or two names exchanged."""
        cut = without_fact(place.sentences[place.sentence], self._rng)
        if cut is None:
            return None
        wrong = changed_number(cut[0], self._rng) or swap_names(cut[0], self._rng)
        if wrong is None:
            return None
        evidence = self._around(place, place.sentences[place.sentence])
        return self._pair("longer_wrong", evidence, reordered(wrong, self._rng), NOT_SUPPORTED)

    def _around(self, place: _Place, said: str) -> str:
        """`said` in the place of the answering sentence: alone, between its neighbours, or among other sentences."""
        before = list(place.sentences[max(0, place.sentence - 1) : place.sentence])
        after = list(place.sentences[place.sentence + 1 : place.sentence + 2])
        chance = self._rng.random()
        if chance < 0.3:
            return said
        if chance < 0.75:
            return " ".join([*before, said, *after])
        indexes = self._in_article[self._paragraphs[place.paragraph].title]
        extra = _cut(self._paragraphs[self._rng.choice(indexes)].text)
        extra = [text for text in extra if text != place.sentences[place.sentence]][:2]
        return " ".join([*extra, said] if chance < 0.88 else [said, *extra])

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

    def _joined(self, answer: str, place: _Place, other: _Place) -> str | None:
        """Two facts of one paragraph in one claim."""
        first = declare(place.question.text, answer)
        second = declare(other.question.text, other.question.answer)
        if first is None or second is None:
            return None
        if self._rng.random() < 0.5:
            first, second = second, first
        return f"{first[:-1]}, and {second}" if self._rng.random() < 0.6 else f"{first} {second}"

    def _partner(self, place: _Place) -> _Place | None:
        """Another question of the paragraph, answered in another sentence."""
        others = [other for other in self._in_paragraph[place.paragraph] if other.sentence != place.sentence]
        return self._rng.choice(others) if others else None

    def _other_answer(self, place: _Place) -> str | None:
        """Another answer of the same kind: of this paragraph where there is one, else of the article."""
        answer = place.question.answer
        near = [
            other.question.answer
            for other in self._in_paragraph[place.paragraph]
            if other.kind == place.kind and not overlap(other.question.answer, answer)
        ]
        near += [
            text
            for text in same_shape(self._paragraphs[place.paragraph].text, answer, place.kind)
            if not overlap(text, answer)
        ]
        if near and self._rng.random() < 0.75:
            return self._rng.choice(near)
        title = self._paragraphs[place.paragraph].title
        far = [text for text in self._of_kind[title, place.kind] if not overlap(text, answer)]
        far = far or near
        return self._rng.choice(far) if far else None

    def _evidence(self, place: _Place, near: str | None = None) -> str:
        """The answering sentence alone, with neighbours, in its paragraph, or among others of the article.

        With `near`, evidence that holds that text as well is taken where the paragraph has it.
        """
        text = self._paragraphs[place.paragraph].text
        chance = self._rng.random()
        if near is not None and near in text and chance < 0.6:
            found = [at for at, said in enumerate(place.sentences) if near in said and abs(at - place.sentence) <= 2]
            if found:
                first, last = min(found[0], place.sentence), max(found[0], place.sentence)
                return " ".join(place.sentences[first : last + 1])
        alone = place.sentences[place.sentence]
        asked = set(content_words(place.question.text))
        known = len(asked.intersection(content_words(alone))) / max(1, len(asked))
        if chance < 0.4 and known >= 0.5:
            return alone
        if chance < 0.8 and known >= 0.25:
            return " ".join(self._window(place.sentences, place.sentence))
        return text if chance < 0.9 else self._gathered(place)

    def _gathered(self, place: _Place) -> str:
        """Sentences from here and there in the article, in order: what a verifier reads of long evidence."""
        own = self._window(place.sentences, place.sentence)
        indexes = self._in_article[self._paragraphs[place.paragraph].title]
        extra = _cut(self._paragraphs[self._rng.choice(indexes)].text)
        picked = [extra[at] for at in sorted(self._rng.sample(range(len(extra)), min(2, len(extra))))]
        picked = [said for said in picked if said not in own]
        return " ".join(own + picked if self._rng.random() < 0.5 else picked + own)

    def _two(self, place: _Place, other: _Place) -> str:
        """Evidence that holds both answering sentences."""
        first, last = sorted((place.sentence, other.sentence))
        if self._rng.random() < 0.5:
            return " ".join(place.sentences[first : last + 1])
        if self._rng.random() < 0.5:
            return f"{place.sentences[first]} {place.sentences[last]}"
        return self._paragraphs[place.paragraph].text

    def _window(self, sentences: Sequence[str], at: int) -> list[str]:
        """Two or three sentences in a row that hold the one at `at`."""
        width = self._rng.choice((2, 3))
        first = max(0, at - self._rng.randrange(width))
        return list(sentences[first : max(first + width, at + 1)])


def _places(index: int, paragraph: Paragraph) -> Iterator[_Place]:
    """The questions of one paragraph with the sentences that answer them."""
    spans = split_sentences(paragraph.text)
    sentences = tuple(span.cut(paragraph.text) for span in spans)
    for question in paragraph.questions:
        for at, span in enumerate(spans):
            if span.start <= question.answer_start < span.end and len(question.answer) < 150:
                kind = answer_kind(question.text, question.answer)
                yield _Place(index, question, sentences, at, kind)
                break


def _cut(text: str) -> list[str]:
    return [span.cut(text) for span in split_sentences(text)]
