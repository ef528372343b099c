"""Training messages with the serving prompt: what a decoder reads when it is tuned to answer from passages.

From paragraphs with questions (SQuAD 1.1 train: Rajpurkar et al., 2016) come groups of examples. All of a group share
their passages and so the beginning of their prompt, which a trainer then reads once (`llm.training.packing`). A group
holds questions to several of its passages, and questions that it cannot answer: those of a paragraph that was left
out, those whose answer stood in the part of a passage that was cut off, and twins of answerable ones in which a name,
a number or a word was turned.
"""

import collections
import dataclasses
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from llm.types import Message
from rag.altered_paragraphs import SAME_CHARS, with_cut, with_swapped
from rag.made_tables import made_table
from rag.paragraphs import Asked, Paragraph
from rag.prompt import NOT_IN_DOCUMENTS, grounded_messages
from rag.prompt_passage import Evidence, PromptPassage, from_evidence
from rag.talks import Talk, leaning, talk_before
from rag.text import content_words
from rag.unanswered_questions import UnansweredQuestions
from rag.verify.declare import declare
from rag.verify.found_answers import QuestionReader

Kind = Literal["answerable", "sentence", "two", "swapped", "left_out", "twin", "cut", "cell"]

_N_PASSAGES = ((1, 0.15), (2, 0.30), (3, 0.30), (4, 0.15), (5, 0.10))
_MAX_CHARS = ((1_700, 0.8), (3_200, 0.2))  # of a group's passages: what 500 and 1,000 tokens of a prompt hold
_MAX_QUESTIONS = 4  # of one passage
_SENTENCE = 0.04  # of the answers are whole sentences, where the question asks for one
_TWO = 0.04  # of the answerable questions ask two things, mostly of two passages
_UNANSWERABLE = 0.30  # share of the examples
_SWAPPED = 0.10  # of the groups have one passage in which the answer is another: the passage must win over memory
_CUT = 0.20  # of the groups have one passage that stops in its middle, as passages of long documents do
_FOREIGN = 0.15  # of the groups hold one passage of another article
_BEST_LAST = 0.5  # of the groups have the passages in the order of a search; the others at random
_TALK = 0.15  # of the groups follow another question
_GOING_ON = 0.6  # of these go on from its prompt
_LEANING = 0.6  # of the questions that could lean on the one before do

_TABLE = 0.08  # of the groups are about a table that was made up
_BESIDE_TABLE = ((0, 0.3), (1, 0.4), (2, 0.3))  # paragraphs that stand beside it
_ASKED_BESIDE = 1  # question about each of these

_IN_A_SENTENCE = "Answer in a full sentence."


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingExample:
    """One prompt and what should be written after it."""

    messages: tuple[Message, ...]
    answer: str
    kind: Kind
    group: int  # examples of one group share their passages
    question: str
    passages: tuple[PromptPassage, ...]  # marker n stands for passages[n - 1]
    talk: Talk | None = None  # what was asked before

    def as_row(self) -> dict[str, object]:
        """The row of a JSONL file for `citebound train sft`."""
        turns = [{"role": message.role, "content": message.content} for message in self.messages]
        return {
            "messages": [*turns, {"role": "assistant", "content": self.answer}],
            "kind": self.kind,
            "group": self.group,
        }


def make_examples(
    articles: dict[str, tuple[Paragraph, ...]],
    *,
    n_groups: int,
    rng: random.Random,
    reader: QuestionReader | None = None,
) -> Iterator[TrainingExample]:
    """Examples of `n_groups` groups, one group after the other; the same `rng` state, the same examples.

    Args:
        articles: Paragraphs by title.
        n_groups: Of passages that are shown together.
        rng: Draws.
        reader: Chooses the unanswerable questions that tempt most, in about a third of a second a group.
    """
    titles = sorted(title for title, paragraphs in articles.items() if len(paragraphs) >= 2)
    ranks = {title: _Overlap(articles[title]) for title in titles}
    for group in range(n_groups):
        title = rng.choice(titles)
        if rng.random() < _TABLE:
            yield from _table_group(group, articles[title], rng)
            continue
        foreign = articles[rng.choice(titles)] if rng.random() < _FOREIGN else ()
        yield from _group(group, articles[title], ranks[title], foreign, rng, reader)


class _Overlap:
    """Which paragraphs of one article share most words with a question, rare words counting more."""

    def __init__(self, paragraphs: Sequence[Paragraph]) -> None:
        self._terms = [frozenset(content_words(paragraph.text)) for paragraph in paragraphs]
        self._counts = collections.Counter(term for terms in self._terms for term in terms)

    def rank(self, question: str) -> list[int]:
        """Places of all paragraphs, best first."""
        asked = frozenset(content_words(question))
        n = len(self._terms)
        scores = [  # fsum: a set has no order that two runs share, and a plain sum depends on it
            math.fsum(math.log((n + 1) / (self._counts[term] + 0.5)) for term in asked & terms) for terms in self._terms
        ]
        return sorted(range(n), key=scores.__getitem__, reverse=True)


def _group(
    group: int,
    paragraphs: Sequence[Paragraph],
    overlap: _Overlap,
    foreign: Sequence[Paragraph],
    rng: random.Random,
    reader: QuestionReader | None,
) -> Iterator[TrainingExample]:
    """The examples of one group of passages from one article."""
    anchor = rng.choice([place for place, paragraph in enumerate(paragraphs) if paragraph.questions] or [0])
    asked = rng.choice(paragraphs[anchor].questions) if paragraphs[anchor].questions else None
    ranked = overlap.rank(asked.question) if asked else list(range(len(paragraphs)))
    (n_passages,) = rng.choices([n for n, _ in _N_PASSAGES], [share for _, share in _N_PASSAGES])
    (max_chars,) = rng.choices([n for n, _ in _MAX_CHARS], [share for _, share in _MAX_CHARS])
    places = _fitting([anchor, *(place for place in ranked if place != anchor)], paragraphs, n_passages, max_chars)
    shown = [paragraphs[place] for place in sorted(places, key=ranked.index)]
    if foreign and len(shown) > 1:
        shown[-1] = rng.choice(foreign)
    if rng.random() >= _BEST_LAST:
        rng.shuffle(shown)
    swapped: Paragraph | None = None
    if rng.random() < _SWAPPED:
        shown, swapped = with_swapped(shown, paragraphs, rng)
    lost: list[str] = []
    if swapped is None and rng.random() < _CUT:
        shown, lost = with_cut(shown, rng)
    passages = tuple(_passage(number, paragraph) for number, paragraph in enumerate(shown, start=1))
    titles = {paragraph.text[:SAME_CHARS] for paragraph in shown}
    left_out = [paragraphs[place] for place in ranked if paragraphs[place].text[:SAME_CHARS] not in titles]
    examples = list(_answerable(shown, swapped, rng))
    examples += [("cut", question, NOT_IN_DOCUMENTS) for question in lost]
    n_more = round(len(examples) * _UNANSWERABLE / (1 - _UNANSWERABLE) + rng.random() - 0.5) - len(lost)
    unanswered = UnansweredQuestions(shown, left_out, rng, reader)
    examples += [
        ("twin" if is_twin else "left_out", question, NOT_IN_DOCUMENTS)
        for is_twin, question in unanswered.draw(max(n_more, 1 if not examples else 0))
    ]
    rng.shuffle(examples)
    talk = _talk(shown, rng) if rng.random() < _TALK else None
    for kind, asked_now, answer in examples:
        question = asked_now
        if talk is not None:
            if question == talk.question:
                continue
            if rng.random() < _LEANING:
                question = leaning(question, talk.question, " ".join(one.text for one in shown)) or question
        yield TrainingExample(
            messages=talk.messages(question, passages) if talk else grounded_messages(question, passages),
            answer=answer,
            kind=kind,
            group=group,
            question=question,
            passages=passages,
            talk=talk,
        )


def _table_group(group: int, paragraphs: Sequence[Paragraph], rng: random.Random) -> Iterator[TrainingExample]:
    """The examples of one group about the cells of a table, which stands among paragraphs of one article."""
    table = made_table(rng)
    (n_beside,) = rng.choices([n for n, _ in _BESIDE_TABLE], [share for _, share in _BESIDE_TABLE])
    beside = rng.sample(paragraphs, min(n_beside, len(paragraphs)))
    shown = rng.sample([table.paragraph, *beside], len(beside) + 1)
    examples: list[tuple[Kind, str, str]] = []
    for marker, paragraph in enumerate(shown, start=1):
        kind: Kind = "cell" if paragraph is table.paragraph else "answerable"
        most = len(paragraph.questions) if kind == "cell" else min(len(paragraph.questions), _ASKED_BESIDE)
        asked = rng.sample(paragraph.questions, most)
        examples += [(kind, one.question, f"{one.answer.strip()} [{marker}]") for one in asked]
    n_more = round(len(examples) * _UNANSWERABLE / (1 - _UNANSWERABLE))
    examples += [("left_out", question, NOT_IN_DOCUMENTS) for question in table.unanswered[:n_more]]
    rng.shuffle(examples)
    passages = tuple(_passage(number, paragraph) for number, paragraph in enumerate(shown, start=1))
    for kind_asked, question, answer in examples:
        yield TrainingExample(
            messages=grounded_messages(question, passages),
            answer=answer,
            kind=kind_asked,
            group=group,
            question=question,
            passages=passages,
        )


def _talk(shown: Sequence[Paragraph], rng: random.Random) -> Talk | None:
    """What was asked before about some of the paragraphs shown: about all but the last one, or about all."""
    n_known = max(1, len(shown) - rng.choice((0, 1, 1)))
    known = [asked for paragraph in shown[:n_known] for asked in paragraph.questions]
    return talk_before(known, n_known, rng, going_on=rng.random() < _GOING_ON)


def _fitting(places: Sequence[int], paragraphs: Sequence[Paragraph], n_passages: int, max_chars: int) -> list[int]:
    """The first of `places` that are at most `n_passages` and take at most `max_chars` together."""
    kept: list[int] = []
    n_chars = 0
    for place in places:
        n_chars += len(paragraphs[place].text)
        if kept and n_chars > max_chars:
            break
        kept.append(place)
        if len(kept) == n_passages:
            break
    return kept


def _passage(number: int, paragraph: Paragraph) -> PromptPassage:
    evidence = from_evidence(Evidence(id=str(number), text=paragraph.text))
    return dataclasses.replace(evidence, heading=paragraph.title)


def _answerable(
    shown: Sequence[Paragraph], swapped: Paragraph | None, rng: random.Random
) -> Iterator[tuple[Kind, str, str]]:
    earlier: tuple[str, str] | None = None
    for marker, paragraph in enumerate(shown, start=1):
        for asked in rng.sample(paragraph.questions, min(len(paragraph.questions), _MAX_QUESTIONS)):
            answer = f"{asked.answer.strip()} [{marker}]"
            way = rng.random()
            if paragraph is swapped:
                yield "swapped", asked.question, answer
            elif way < _SENTENCE and (sentence := _in_a_sentence(asked)):
                yield "sentence", f"{asked.question} {_IN_A_SENTENCE}", f"{sentence} [{marker}]"
            elif way > 1 - _TWO and earlier is not None:
                yield "two", f"{earlier[0]} {asked.question}", f"{earlier[1]} and {answer}"
            else:
                yield "answerable", asked.question, answer
                earlier = asked.question, answer


def _in_a_sentence(asked: Asked) -> str | None:
    """Question and answer as one statement; None where no rule makes good English of them."""
    helped = {"do", "does", "did"} & set(asked.question.casefold().split())  # their verb would have to be bent
    return None if helped else declare(asked.question, asked.answer.strip())
