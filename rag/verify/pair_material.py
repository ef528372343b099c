"""What pairs are built from: questions with the sentences that answer them, other answers, and evidence around them."""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.text import content_words, split_sentences
from rag.verify.altered import answer_kind, overlap, same_shape
from rag.verify.pairs import Paragraph, Question


@dataclass(frozen=True, slots=True)
class Place:
    """One question with the paragraph and the sentence that answer it."""

    paragraph: int  # index into the paragraphs
    question: Question
    sentences: tuple[str, ...]
    sentence: int  # index into `sentences`
    at: int  # where the answer begins in that sentence
    kind: str


class Material:
    """Paragraphs by article and kind of answer, and draws from them; the same generator, the same draws."""

    def __init__(self, paragraphs: Sequence[Paragraph], rng: random.Random) -> None:
        self.paragraphs = paragraphs
        self._rng = rng
        self.places = [place for index, paragraph in enumerate(paragraphs) for place in _places(index, paragraph)]
        self.in_paragraph: dict[int, list[Place]] = defaultdict(list)
        self.of_kind: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.in_article: dict[str, list[int]] = defaultdict(list)
        for place in self.places:
            self.in_paragraph[place.paragraph].append(place)
            self.of_kind[paragraphs[place.paragraph].title, place.kind].append(place.question.answer)
        for index, paragraph in enumerate(paragraphs):
            self.in_article[paragraph.title].append(index)

    def around(self, place: Place, said: str) -> str:
        """`said` in the place of the answering sentence: alone, between its neighbours, or among other sentences."""
        before = list(place.sentences[max(0, place.sentence - 1) : place.sentence])
        after = list(place.sentences[place.sentence + 1 : place.sentence + 2])
        chance = self._rng.random()
        if chance < 0.3:
            return said
        if chance < 0.75:
            return " ".join([*before, said, *after])
        indexes = self.in_article[self.paragraphs[place.paragraph].title]
        extra = sentences_of(self.paragraphs[self._rng.choice(indexes)].text)
        extra = [text for text in extra if text != place.sentences[place.sentence]][:2]
        return " ".join([*extra, said] if chance < 0.88 else [said, *extra])

    def partner(self, place: Place) -> Place | None:
        """Another question of the paragraph, answered in another sentence."""
        others = [other for other in self.in_paragraph[place.paragraph] if other.sentence != place.sentence]
        return self._rng.choice(others) if others else None

    def other_answer(self, place: Place) -> str | None:
        """Another answer of the same kind: of this paragraph where there is one, else of the article."""
        answer = place.question.answer
        near = [
            other.question.answer
            for other in self.in_paragraph[place.paragraph]
            if other.kind == place.kind and not overlap(other.question.answer, answer)
        ]
        near += [
            text
            for text in same_shape(self.paragraphs[place.paragraph].text, answer, place.kind)
            if not overlap(text, answer)
        ]
        if near and self._rng.random() < 0.75:
            return self._rng.choice(near)
        title = self.paragraphs[place.paragraph].title
        far = [text for text in self.of_kind[title, place.kind] if not overlap(text, answer)]
        far = far or near
        return self._rng.choice(far) if far else None

    def evidence(self, place: Place, near: str | None = None) -> str:
        """The answering sentence alone, with neighbours, in its paragraph, or among others of the article.

        With `near`, evidence that holds that text as well is taken where the paragraph has it.
        """
        text = self.paragraphs[place.paragraph].text
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
            return " ".join(self.window(place.sentences, place.sentence))
        return text if chance < 0.9 else self._gathered(place)

    def two(self, place: Place, other: Place) -> str:
        """Evidence that holds both answering sentences."""
        first, last = sorted((place.sentence, other.sentence))
        if self._rng.random() < 0.5:
            return " ".join(place.sentences[first : last + 1])
        if self._rng.random() < 0.5:
            return f"{place.sentences[first]} {place.sentences[last]}"
        return self.paragraphs[place.paragraph].text

    def window(self, sentences: Sequence[str], at: int) -> list[str]:
        """Two or three sentences in a row that hold the one at `at`."""
        width = self._rng.choice((2, 3))
        first = max(0, at - self._rng.randrange(width))
        return list(sentences[first : max(first + width, at + 1)])

    def _gathered(self, place: Place) -> str:
        """Sentences from here and there in the article, in order: what a verifier reads of long evidence."""
        own = self.window(place.sentences, place.sentence)
        indexes = self.in_article[self.paragraphs[place.paragraph].title]
        extra = sentences_of(self.paragraphs[self._rng.choice(indexes)].text)
        picked = [extra[at] for at in sorted(self._rng.sample(range(len(extra)), min(2, len(extra))))]
        picked = [said for said in picked if said not in own]
        return " ".join(own + picked if self._rng.random() < 0.5 else picked + own)


def _places(index: int, paragraph: Paragraph) -> Iterator[Place]:
    """The questions of one paragraph with the sentences that answer them."""
    spans = split_sentences(paragraph.text)
    sentences = tuple(span.cut(paragraph.text) for span in spans)
    for question in paragraph.questions:
        for at, span in enumerate(spans):
            if span.start <= question.answer_start < span.end and len(question.answer) < 150:
                kind = answer_kind(question.text, question.answer)
                yield Place(index, question, sentences, at, question.answer_start - span.start, kind)
                break


def sentences_of(text: str) -> list[str]:
    """The sentences of `text`, in order."""
    return [span.cut(text) for span in split_sentences(text)]
