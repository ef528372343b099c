"""Paragraphs changed for training: stopped in the middle, or with an answer exchanged for another of its kind."""

import random
import re
from collections.abc import Sequence

from rag.paragraphs import Asked, Paragraph
from rag.text import split_sentences

SAME_CHARS = 80  # first characters that tell a paragraph among those of its article, also where its end was cut off
_MAX_LOST = 2  # questions of one group that lost their answer
_NUMBER = re.compile(r"\b\d[\d,.]*\d\b|\b\d\b")


def with_cut(shown: Sequence[Paragraph], rng: random.Random) -> tuple[list[Paragraph], list[str]]:
    """`shown` with one paragraph stopped after one of its sentences, and the questions that lost their answer by it."""
    place = rng.randrange(len(shown))
    paragraph = shown[place]
    ends = [sentence.end for sentence in split_sentences(paragraph.text)][:-1]
    ends = [end for end in ends if end >= SAME_CHARS]
    if not ends:
        return list(shown), []
    end = rng.choice(ends)
    kept, gone = paragraph.text[:end], paragraph.text[end:]
    still = tuple(asked for asked in paragraph.questions if asked.answer in kept and asked.answer not in gone)
    text = " ".join([kept, *(one.text for number, one in enumerate(shown) if number != place)]).casefold()
    lost = [asked.question for asked in paragraph.questions if asked.answer.casefold() not in text]
    stopped = Paragraph(title=paragraph.title, text=kept, questions=still)
    left = [stopped if number == place else one for number, one in enumerate(shown)]
    return left, rng.sample(lost, min(len(lost), _MAX_LOST))


def with_swapped(
    shown: Sequence[Paragraph], paragraphs: Sequence[Paragraph], rng: random.Random
) -> tuple[list[Paragraph], Paragraph | None]:
    """`shown` with one answer in one paragraph exchanged for another of its kind; only that is asked about it."""
    candidates = [(place, asked) for place, paragraph in enumerate(shown) for asked in paragraph.questions]
    rng.shuffle(candidates)
    others = [asked.answer for paragraph in paragraphs for asked in paragraph.questions]
    for place, asked in candidates:
        alike = [other for other in others if same_kind(other, asked.answer) and other not in shown[place].text]
        elsewhere = any(asked.answer in one.text for number, one in enumerate(shown) if number != place)
        if alike and asked.answer in shown[place].text and not elsewhere:
            other = rng.choice(alike)
            paragraph = Paragraph(
                title=shown[place].title,
                text=shown[place].text.replace(asked.answer, other),
                questions=(Asked(question=asked.question, answer=other),),
            )
            return [paragraph if number == place else one for number, one in enumerate(shown)], paragraph
    return list(shown), None


def same_kind(one: str, other: str) -> bool:
    """Whether two answers are of one kind: numbers, names or plain words, and of similar length."""
    return (
        one.casefold() != other.casefold()
        and bool(_NUMBER.search(one)) == bool(_NUMBER.search(other))
        and one[:1].isupper() == other[:1].isupper()
        and abs(len(one.split()) - len(other.split())) <= 1
    )
