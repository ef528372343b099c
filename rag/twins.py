"""Questions about something else: one that passages answer, with a name, a number or a word of it exchanged."""

import random
import re
from collections.abc import Sequence

from rag.text import content_words

_NAME_AT_HAND = 0.5  # of the exchanged names are of the shown passages, which words alone do not give away

_NAME = re.compile(r"\b[A-Z][\w'’-]*(?:\s+(?:of|the|de|and)?\s*[A-Z][\w'’-]*)*")
_NUMBER = re.compile(r"\b\d[\d,.]*\d\b|\b\d\b")
_TURNED = {  # words whose exchange makes another question
    "first": "last", "last": "first", "before": "after", "after": "before", "most": "fewest", "least": "most",
    "largest": "smallest", "smallest": "largest", "highest": "lowest", "lowest": "highest", "north": "south",
    "south": "north", "east": "west", "west": "east", "northern": "southern", "southern": "northern",
    "eastern": "western", "western": "eastern", "oldest": "newest", "newest": "oldest", "began": "ended",
    "begin": "end", "start": "end", "started": "ended", "born": "buried", "died": "was born", "increase": "decrease",
    "increased": "decreased", "decrease": "increase", "won": "lost", "lost": "won", "win": "lose", "lose": "win",
    "more": "less", "less": "more", "early": "late", "late": "early", "male": "female", "female": "male",
    "major": "minor", "minor": "major", "longest": "shortest", "shortest": "longest", "best": "worst",
    "buy": "sell", "bought": "sold", "sold": "bought", "support": "oppose", "supported": "opposed",
    "allowed": "forbidden", "founded": "abolished", "built": "demolished", "above": "below", "below": "above",
}  # fmt: skip
_WORD = re.compile(r"[A-Za-z]+")


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
    for way in ways:
        twin = way(question, others, text, rng)
        if twin is not None and twin != question:
            return twin
    return None


def _other_name(question: str, others: Sequence[str], text: str, rng: random.Random) -> str | None:
    """`text` as it is written."""
    names = names_in(question)
    at_hand = rng.random() < _NAME_AT_HAND
    known = text.casefold()
    strangers = (
        [name for name in names_in(text) if name.casefold() not in question.casefold()]
        if at_hand
        else [name for other in others for name in names_in(other) if name.casefold() not in known]
    )
    if not names or not strangers:
        return None
    name = rng.choice(names)
    alike = [other for other in strangers if abs(len(other.split()) - len(name.split())) <= 1]
    return question.replace(name, rng.choice(alike or strangers))


def names_in(text: str) -> list[str]:
    """Capitalized words inside sentences, without a possessive ending."""
    return [
        re.sub(r"['’]s?$", "", match[0])
        for match in _NAME.finditer(text)
        if match.start() > 0 and text[:match.start()].rstrip()[-1:] not in set(".?!:\"“")
    ]  # fmt: skip


def _other_word(question: str, others: Sequence[str], text: str, rng: random.Random) -> str | None:
    """One plain word exchanged for one of another question that ends alike, and so is likely of its kind."""
    words = _plain_words(question)
    if not words:
        return None
    word = rng.choice(words)
    known = text.casefold()
    alike = sorted({
        other
        for question_ in others
        for other in _plain_words(question_)
        if other[-2:] == word[-2:] and other[:4] != word[:4] and other not in known
    })  # fmt: skip
    return re.sub(rf"\b{word}\b", rng.choice(alike), question) if alike else None


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


def _turned(question: str, others: Sequence[str], text: str, rng: random.Random) -> str | None:
    words = [match for match in _WORD.finditer(question) if match[0] in _TURNED]
    if not words:
        return None
    word = rng.choice(words)
    return question[: word.start()] + _TURNED[word[0]] + question[word.end() :]
