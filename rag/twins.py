"""Questions about something else: one that passages answer, with a name, a number or a word of it exchanged."""

import collections
import random
import re
from collections.abc import Iterator, Sequence

from rag.opposites import OPPOSITES
from rag.text import content_words

_NAME_AT_HAND = 0.5  # of the exchanged names are of the shown passages, which words alone do not give away

_NAME = re.compile(r"\b[A-Z][\w'’-]*(?:\s+(?:of|the|de|and)?\s*[A-Z][\w'’-]*)*")
_NUMBER = re.compile(r"\b\d[\d,.]*\d\b|\b\d\b")
_WORD = re.compile(r"[A-Za-z]+")
_YEAR = re.compile(r"\b(?:1[0-9]|20)[0-9]{2}\b")
_PLACED = re.compile(  # already asks when or where, or would with "in" after its last word
    r"\d|\b(?:when|where|year|years|date|century|decade|country|city|place)\b|\b(?:in|at|on|of|to|for|by|from)\s*\?$",
    re.IGNORECASE,
)
_NEGATED = 0.08  # of the twins are denied where that can be, about the share among questions that people made for it
_LEAST_WORDS = 3  # content words of a question that is narrowed
_NARROWED = 0.1  # ask about a year or a place of which the passages say nothing
_DENIED = {
    "did": "didn't", "does": "doesn't", "do": "don't", "is": "isn't", "are": "aren't", "was": "wasn't",
    "were": "weren't", "has": "hasn't", "have": "haven't", "had": "hadn't", "can": "can't", "could": "couldn't",
    "would": "wouldn't",
}  # fmt: skip


def twin_of(question: str, others: Sequence[str], text: str, rng: random.Random) -> str | None:
    """`question` about something else: another name, number or word; None if nothing in it can be exchanged.

    Args:
        question: One that `text` answers.
        others: Questions about other passages of the same article, whose words are taken.
        text: The passages that the decoder is shown.
        rng: Draws what is exchanged.
    """
    ways = [_other_name, _other_number, _turned, _other_word]
    rng.shuffle(ways)
    chance = rng.random()
    if chance < _NEGATED:
        ways.insert(0, _denied)
    elif chance < _NEGATED + _NARROWED:
        ways.insert(0, _narrowed)
    for way in ways:
        twin = way(question, others, text, rng)
        if twin is not None and twin != question:
            return twin
    return None


def _other_name(question: str, others: Sequence[str], text: str, rng: random.Random) -> str | None:
    """A name for another that follows the same word there, so that the question stays one that people ask."""
    at_hand = rng.random() < _NAME_AT_HAND
    known = text.casefold()
    strangers = _placed_names(text) if at_hand else [placed for other in others for placed in _placed_names(other)]
    fit = [
        (name, other)
        for before, name in _placed_names(question)
        for before_other, other in strangers
        if before == before_other
        and other.casefold() not in question.casefold()
        and name.casefold() not in other.casefold()
        and (at_hand or other.casefold() not in known)
    ]
    if not fit:
        return None
    name, other = rng.choice([pair for pair in fit if len(pair[0].split()) == len(pair[1].split())] or fit)
    return question.replace(name, other)


def _placed_names(text: str) -> list[tuple[str, str]]:
    """Names inside sentences, each after the word before it."""
    return [
        (before[-1].casefold(), re.sub(r"['’]s?$", "", match[0]))
        for match in _NAME.finditer(text)
        if (before := text[: match.start()].split()) and before[-1][-1] not in '.?!:"“'
    ]


def names_in(text: str) -> list[str]:
    """Capitalized words inside sentences, without a possessive ending."""
    return [name for _, name in _placed_names(text)]


def _other_word(question: str, others: Sequence[str], text: str, rng: random.Random) -> str | None:
    """One plain word exchanged for one that stands between the same two words in another question."""
    known = text.casefold()
    framed = collections.defaultdict(list)
    for other in others:
        for frame, word in _framed_words(other):
            framed[frame].append(word)
    fit = [
        (word, other)
        for frame, word in _framed_words(question)
        for other in framed[frame]
        if other[:4] != word[:4] and other not in known
    ]
    if not fit:
        return None
    word, other = rng.choice(fit)
    return re.sub(rf"\b{word}\b", other, question)


def _framed_words(question: str) -> Iterator[tuple[tuple[str, str], str]]:
    """The plain words of a question, each with the words before and after it."""
    plain = frozenset(_plain_words(question))
    all_words = _WORD.findall(question)
    for before, word, after in zip(all_words, all_words[1:], [*all_words[2:], ""], strict=False):
        if word in plain:
            yield (before.casefold(), after.casefold()), word


def _plain_words(question: str) -> list[str]:
    """Its lower-case content words of at least five letters."""
    return [word for word in _WORD.findall(question) if len(word) >= 5 and word.islower() and content_words(word)]


def _other_number(question: str, others: Sequence[str], text: str, rng: random.Random) -> str | None:
    numbers = list(_NUMBER.finditer(question))
    if not numbers:
        return None
    number = rng.choice(numbers)
    if not number[0].isdigit():
        return None
    value = int(number[0])
    other = str(value + rng.choice((-30, -11, -7, -3, 3, 7, 11, 30))) if value > 40 else str(value + rng.randint(1, 9))
    return None if other in text.casefold() else question[: number.start()] + other + question[number.end() :]


def _denied(question: str, others: Sequence[str], text: str, rng: random.Random) -> str | None:
    """With "not" at its first auxiliary: "When didn't he reign?"."""
    auxiliary = next((match for match in _WORD.finditer(question) if match[0] in _DENIED), None)
    if auxiliary is None or re.search(r"\b(?:not|never)\b|n['’]t\b", question):
        return None
    return question[: auxiliary.start()] + _DENIED[auxiliary[0]] + question[auxiliary.end() :]


def _narrowed(question: str, others: Sequence[str], text: str, rng: random.Random) -> str | None:
    """With a year or a place at its end of which `text` says nothing: "Who led the school in 1904?"."""
    known = text.casefold()
    years = [int(match) for match in _YEAR.findall(text)]
    if _PLACED.search(question) or not question.endswith("?") or len(content_words(question)) < _LEAST_WORDS:
        return None
    places = [
        name
        for other in others
        for before, name in _placed_names(other)
        if before == "in" and name.casefold() not in known and name not in question
    ]
    told = [name for name in places if rng.random() < 0.5] or [str(year + rng.randint(-40, 40)) for year in years]
    told = [one for one in told if one not in text]
    return f"{question.rstrip(' ?')} in {rng.choice(told)}?" if told else None


def _turned(question: str, others: Sequence[str], text: str, rng: random.Random) -> str | None:
    """One word exchanged for its opposite."""
    words = [match for match in _WORD.finditer(question) if match[0] in OPPOSITES]
    if not words:
        return None
    word = rng.choice(words)
    return question[: word.start()] + OPPOSITES[word[0]] + question[word.end() :]
