"""Questions with evidence that answers them or does not: what the verifier learns to find answers by.

An answerable question comes with its paragraph or a few sentences of it and the place of the answer. A fourth have no
answer: the question is another (`rag.twins`), its sentence was taken out, or the paragraph is another of the article,
the one of a few that shares most words with the question.
"""

import random
from collections.abc import Sequence

from rag.paragraphs import is_held_out
from rag.text import content_words
from rag.twins import twin_of
from rag.types import Span
from rag.verify.pair_material import Material, Place
from rag.verify.pairs import ASKED, Paragraph, TrainingPair

_UNANSWERED = 0.28  # of the questions; SQuAD 2.0 has a third in training and half in its development set
_WHOLE = 0.6  # of the answered ones come with their whole paragraph
_MAX_WORDS = 130  # of evidence; with the question it stays within what training reads
_N_OTHERS = 8  # paragraphs from which another is taken


class AskedBuilder:
    """Builds question pairs from paragraphs of SQuAD; the same paragraphs and generator give the same pairs."""

    def __init__(self, paragraphs: Sequence[Paragraph], rng: random.Random) -> None:
        kept = [paragraph for paragraph in paragraphs if not is_held_out(paragraph.title)]
        self._material = Material(kept, rng)
        self._rng = rng

    def build(self, n_pairs: int) -> list[TrainingPair]:
        """At most `n_pairs` pairs, each question once."""
        places = self._material.places.copy()
        self._rng.shuffle(places)
        pairs: list[TrainingPair] = []
        for place in places:
            pair = self._unanswered(place) if self._rng.random() < _UNANSWERED else self._answered(place)
            if pair is not None:
                pairs.append(pair)
            if len(pairs) >= n_pairs:
                break
        return pairs

    def _answered(self, place: Place) -> TrainingPair | None:
        """The question, evidence around its answer, and where it stands there."""
        first, last = place.sentence, place.sentence + 1
        most = _MAX_WORDS if self._rng.random() < _WHOLE else self._rng.randrange(25, _MAX_WORDS)
        while True:
            n_words = sum(len(text.split()) for text in place.sentences[first:last])
            ways = [at for at in (first - 1, last) if 0 <= at < len(place.sentences)]
            ways = [at for at in ways if n_words + len(place.sentences[at].split()) <= most]
            if not ways:
                break
            at = self._rng.choice(ways)
            first, last = min(first, at), max(last, at + 1)
        before = " ".join(place.sentences[first : place.sentence])
        start = len(before) + bool(before) + place.at
        answer = place.question.answer
        evidence = " ".join(place.sentences[first:last])
        if evidence[start : start + len(answer)] != answer:
            return None  # the answer runs on into the next sentence
        span = Span(start=start, end=start + len(answer))
        return TrainingPair(
            evidence=evidence, claim=place.question.text, label=ASKED, source="squad_answered", answer=span
        )

    def _unanswered(self, place: Place) -> TrainingPair | None:
        """The question, or one like it, with evidence that does not answer it."""
        way = self._rng.choice((self._twin, self._twin, self._without_sentence, self._other_paragraph))
        found = way(place)
        if found is None:
            return None
        question, evidence = found
        evidence = " ".join(evidence.split()[:_MAX_WORDS])
        return TrainingPair(evidence=evidence, claim=question, label=ASKED, source="squad_unanswered")

    def _twin(self, place: Place) -> tuple[str, str] | None:
        paragraphs = self._material.paragraphs
        own = paragraphs[place.paragraph]
        indexes = [index for index in self._material.in_article[own.title] if index != place.paragraph]
        others = [one.text for index in indexes for one in paragraphs[index].questions]
        twin = twin_of(place.question.text, others, own.text, self._rng)
        return None if twin is None else (twin, own.text)

    def _without_sentence(self, place: Place) -> tuple[str, str] | None:
        rest = " ".join(text for at, text in enumerate(place.sentences) if at != place.sentence)
        if not rest or place.question.answer.casefold() in rest.casefold():
            return None
        return place.question.text, rest

    def _other_paragraph(self, place: Place) -> tuple[str, str] | None:
        paragraphs = self._material.paragraphs
        answer, asked = place.question.answer.casefold(), set(content_words(place.question.text))
        indexes = [
            index
            for index in self._material.in_article[paragraphs[place.paragraph].title]
            if index != place.paragraph and answer not in paragraphs[index].text.casefold()
        ]
        if not indexes:
            return None
        tried = self._rng.sample(indexes, min(_N_OTHERS, len(indexes)))
        best = max(tried, key=lambda index: len(asked.intersection(content_words(paragraphs[index].text))))
        return place.question.text, paragraphs[best].text
