"""Questions that some passages do not answer though they look as if they did: what a decoder learns to abstain by.

Half are twins of questions that the passages answer, half were asked of other paragraphs of the article. Of several
that could be asked, the one is taken that tempts most: whose words the passages hold, or, where something reads them,
to which it seems to find an answer. People who write such questions make them so (SQuAD 2.0: Rajpurkar et al., ACL
2018), and those drawn at random teach little: they look like what they are.
"""

import random
from collections.abc import Iterator, Sequence

from rag.paragraphs import Asked, Paragraph
from rag.text import content_words
from rag.twins import twin_of
from rag.verify.found_answers import QuestionReader

_TWIN = 0.5  # of the questions
_NEAR_PARAGRAPHS = 6  # of the article that share most words with what the group is about; their questions are asked
_TEMPTING = 4  # questions of which the one is asked that the shown words account for most
_LOOKED_THROUGH, _READ = 24, 6  # with a reader: questions compared by words, and of these the ones read
_TWINS_READ = 4  # with a reader
_ANY = 0.25  # with a reader, of the questions are drawn at random all the same


class UnansweredQuestions:
    """Draws questions that `shown` does not answer.

    Args:
        shown: The passages.
        left_out: Other paragraphs of the article, those first that are most like what is shown.
        rng: Draws.
        reader: Says to which questions the passages seem to hold an answer; without one, words say it.
    """

    def __init__(
        self,
        shown: Sequence[Paragraph],
        left_out: Sequence[Paragraph],
        rng: random.Random,
        reader: QuestionReader | None = None,
    ) -> None:
        self._rng, self._reader = rng, reader
        self._shown = [(paragraph.text, frozenset(content_words(paragraph.text))) for paragraph in shown]
        self._text = " ".join(text for text, _ in self._shown)
        self._held = frozenset(word for _, words in self._shown for word in words)
        known = self._text.casefold()
        self._here = [asked.question for paragraph in shown for asked in paragraph.questions]
        self._others = [asked.question for paragraph in left_out for asked in paragraph.questions]
        self._near = [
            asked
            for paragraph in left_out[:_NEAR_PARAGRAPHS]
            for asked in paragraph.questions
            if asked.answer.casefold() not in known
        ]

    def twin(self) -> str | None:
        """A question that the passages answer, about something else; None where no question has one."""
        if not self._here:
            return None
        question = self._rng.choice(self._here)
        n_tries = 1 if self._reader is None or self._rng.random() < _ANY else _TWINS_READ
        drawn = (twin_of(question, self._others, self._text, self._rng) for _ in range(n_tries))
        twins = sorted({twin for twin in drawn if twin is not None and twin not in self._here})
        return max(twins, key=lambda twin: self._pull(Asked(question=twin, answer=""))) if twins else None

    def left_out(self) -> str | None:
        """A question to a paragraph that is not shown; None where there is none."""
        if not self._near:
            return None
        if self._reader is None:
            some = self._rng.sample(self._near, min(len(self._near), _TEMPTING))
            return max(some, key=self._share_held).question
        some = self._rng.sample(self._near, min(len(self._near), _LOOKED_THROUGH))
        if self._rng.random() < _ANY:
            return some[0].question
        read = sorted(some, key=self._share_held, reverse=True)[:_READ]
        return max(read, key=self._pull).question

    def draw(self, n: int) -> Iterator[tuple[bool, str]]:
        """At most `n` different questions, each with whether it is a twin."""
        drawn: set[str] = set()
        for _ in range(n):
            is_twin = bool(self._here) and self._rng.random() < _TWIN
            question = self.twin() if is_twin else self.left_out()
            if question is not None and question not in drawn:
                drawn.add(question)
                yield is_twin, question

    def _share_held(self, asked: Asked) -> float:
        """Share of the question's words that the passages have."""
        words = frozenset(content_words(asked.question))
        return len(words & self._held) / len(words) if words else 0.0

    def _pull(self, asked: Asked) -> float:
        """How much the passage that shares most words with the question seems to answer it, as log-odds.

        What seems to be the true answer in other words pulls least: it may be one.
        """
        if self._reader is None:
            return 0.0
        words = frozenset(content_words(asked.question))
        text, _ = max(self._shown, key=lambda one: len(words & one[1]))
        found = self._reader.look_up(asked.question, [text]).compare("")
        known = not frozenset(content_words(found.text)).isdisjoint(content_words(asked.answer))
        return float("-inf") if known else found.best
