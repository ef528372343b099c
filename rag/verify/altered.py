"""Other statements made of one: with another number, a negation, exchanged names, a fact less, or in other words."""

import random
import re
from collections.abc import Iterable

from rag.text import content_words

_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
_YEAR = re.compile(r"(?:1[0-9]|20)\d\d")
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][\w'’-]+(?:\s+(?:(?:of|the|de|von|van)\s+)?[A-Z][\w'’-]+)*")
_NEGATED = re.compile(
    r"\b(is|was|are|were|has been|have been|had been|can|could|will|would|did|does|do)\b(?!\s+not|n't)"
)
_VERB_FIRST = re.compile(r"^((?:\S+ ){0,5}?\S+) (is|was|are|were|can|could|will|would|has|have|had) (?!not\b)(.+)$")
_ARTICLES = frozenset(("The", "A", "An", "His", "Her", "Its", "Their", "This", "These", "In", "On", "At"))
_ASIDE = re.compile(r"\s*\([^()]{1,80}\)|, (?:which|who|where|when)\b[^,.;]{3,80}(?=,)")
_WH = re.compile(r"\b(who|whom|whose|when|where|why|how many|how much|how|what year|what|which)\b", re.IGNORECASE)
_FACTS = (
    re.compile(r",\s[^,.;()]{8,90}(?=[,;])"),
    re.compile(r",\s(?!and\b)[^,.;()]{8,90}(?=\.$)"),
    re.compile(
        r"\s(?:in|on|at|by|from|for|with|during|to|of|since|until|after|before|between)\s(?:(?:the|a|an|early|late|about)\s)?"
        r"(?:[A-Z][\w'’-]*|\d[\d,.]*)(?:\s(?:of|and|the|[A-Z][\w'’-]*|\d+))*(?=[\s,.;])(?<!\sof)(?<!\sand)(?<!\sthe)"
    ),
    re.compile(r",?\sand\s[^,.;()]{8,90}(?=[,.;])"),
)
_OPENING = re.compile(r"^((?:In|On|At|During|After|Before|Since|By|From|As of)\s[^,]{3,40}),\s(.{20,})$", re.DOTALL)
_FILLERS = re.compile(r"\b(?:also|however,|however|then|very|often|usually|generally|largely|mainly|famously) ", re.I)


def changed_number(text: str, rng: random.Random) -> str | None:
    """`text` with one number changed by a little or exchanged for another of the text; None where there is none."""
    found = list(_DIGITS.finditer(text))
    if not found:
        return None
    at = rng.choice(found)
    others = [match.group() for match in found if match.group() != at.group()]
    if others and rng.random() < 0.4:
        new = rng.choice(others)
    else:
        digits = at.group()
        place = rng.choice([index for index, char in enumerate(digits) if char.isdigit()][-2:])
        new = digits[:place] + str((int(digits[place]) + rng.randrange(1, 9)) % 10) + digits[place + 1 :]
    return text[: at.start()] + new + text[at.end() :]


def negate(text: str) -> str | None:
    """`text` with its first auxiliary verb negated, or a negation taken out; None where there is neither."""
    plain = re.sub(r"\b(did|does|do|is|was|are|were|could|would|can)(?:n't| not)\b", r"\1", text)
    if plain != text:
        return plain
    found = _NEGATED.search(text)
    if found is None:
        return None
    first = found.group().split()[0]
    return f"{text[: found.start()]}{first} not{found.group()[len(first) :]}{text[found.end() :]}"


def swap_names(text: str, rng: random.Random) -> str | None:
    """`text` with two of its names exchanged; None where it holds no two different ones."""
    found = [match for match in _NAME.finditer(text) if len(match.group()) > 2]
    pairs = [
        (a, b)
        for i, a in enumerate(found)
        for b in found[i + 1 :]
        if not overlap(a.group(), b.group()) and not re.fullmatch(r",?\s*(?:and|or|,)\s*", text[a.end() : b.start()])
    ]
    if not pairs:
        return None
    a, b = rng.choice(pairs)
    return text[: a.start()] + b.group() + text[a.end() : b.start()] + a.group() + text[b.end() :]


def ask_whether(statement: str) -> str | None:
    """The question whether `statement` is so; None where its verb is not found near its beginning."""
    found = _VERB_FIRST.match(statement)
    if found is None:
        return None
    subject, verb, rest = found.groups()
    opens = subject.split()[0]
    if opens in _ARTICLES:
        subject = subject[0].lower() + subject[1:]
    return f"{verb.capitalize()} {subject} {rest.rstrip('. ')}?"


def without_fact(sentence: str, rng: random.Random) -> tuple[str, str] | None:
    """`sentence` less one of the things it says, and that thing; None where nothing can be taken out.

    What is taken out is a stretch between commas, a phrase of a preposition with a name or a number, or what follows
    an "and"; each leaves at least five words.
    """
    found = [match for pattern in _FACTS for match in pattern.finditer(sentence) if content_words(match.group())]
    found = [match for match in found if len(sentence.split()) - len(match.group().split()) >= 5]
    if not found:
        return None
    cut = rng.choice(found)
    rest = f"{sentence[: cut.start()]}{sentence[cut.end() :]}"
    return " ".join(rest.replace(" .", ".").replace(" ,", ",").split()), cut.group()


def reordered(sentence: str, rng: random.Random) -> str:
    """`sentence` with an opening phrase at its end, or without filling words: the same statement, less of a copy."""
    if rng.random() < 0.5:
        sentence = _FILLERS.sub("", sentence)
    opening = _OPENING.match(sentence)
    if opening is not None and rng.random() < 0.6:
        phrase, rest = opening.groups()
        sentence = f"{rest[0].upper()}{rest[1:].rstrip('. ')} {phrase[0].lower()}{phrase[1:]}."
    return sentence


def answer_kind(question: str, answer: str) -> str:
    """What sort of answer this is: the word that asks, and the shape of the answer."""
    found = _WH.search(question)
    asked = found.group().casefold() if found is not None else "what"
    if _YEAR.fullmatch(answer):
        return "year"
    if _DIGITS.search(answer):
        return "number" if asked.startswith("how") or _DIGITS.fullmatch(answer) else "date"
    named = answer[:1].isupper() or sum(word[:1].isupper() for word in answer.split()) >= 2
    length = "short" if len(answer.split()) <= 4 else "long"
    return f"{'who' if asked.startswith('who') else 'what'}_{'name' if named else 'words'}_{length}"


def same_shape(text: str, answer: str, kind: str) -> Iterable[str]:
    """Other years, numbers or names of `text`, where `answer`, of this `answer_kind`, is one."""
    if _YEAR.fullmatch(answer):
        return [match.group() for match in _YEAR.finditer(text)]
    if _DIGITS.fullmatch(answer):
        return [match.group() for match in _DIGITS.finditer(text) if not _YEAR.fullmatch(match.group())]
    if kind.startswith("who_name"):
        return [match.group() for match in _NAME.finditer(text) if " " in match.group()]
    return ()


def overlap(one: str, other: str) -> bool:
    """Whether two answers may say the same thing: a common content word, or one inside the other."""
    first, second = one.casefold(), other.casefold()
    return first in second or second in first or bool(set(content_words(one)) & set(content_words(other)))


def shortened(sentence: str) -> str:
    """A sentence without its asides."""
    return _ASIDE.sub("", sentence)
