"""Texts about made-up things: facts drawn by chance, and told in one of the wordings of each attribute."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.verify.made_up_facts import ATTRIBUTES, KINDS, Attribute, Value, draw_thing, draw_value

_ARTICLE = re.compile(r"\ba (?=[AEIOaeio])")
_MAX_THINGS = 4
_SHUFFLED = 0.35  # of the evidence texts tell the facts of all things mixed up


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing told of another."""

    thing: str
    attribute: Attribute
    value: Value


class FactTeller:
    """Draws facts and tells them; the same generator, the same texts."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def facts(self) -> list[Fact]:
        """What is known of two to four things of one kind, no value twice for one attribute but by chance."""
        kind = self._rng.choice(KINDS)
        things = {draw_thing(kind, self._rng): None for _ in range(self._rng.randrange(2, _MAX_THINGS + 1))}
        attributes = [attribute for attribute in ATTRIBUTES if attribute.of == kind]
        facts: list[Fact] = []
        for thing in things:
            for attribute in self._rng.sample(attributes, self._rng.randrange(1, min(4, len(attributes)) + 1)):
                same = [fact.value for fact in facts if fact.attribute == attribute]
                value = self._rng.choice(same) if same and self._rng.random() < 0.2 else None
                value = value or draw_value(attribute.values, self._rng)
                facts.append(Fact(thing=thing, attribute=attribute, value=value))
        people = [fact for fact in facts if fact.attribute.values == "person"]
        if people and self._rng.random() < 0.6:  # and something of the people who occur in it
            own = [attribute for attribute in ATTRIBUTES if attribute.of == "person"]
            for name in dict.fromkeys(fact.value.plain for fact in people):
                attribute = self._rng.choice(own)
                facts.append(Fact(thing=name, attribute=attribute, value=draw_value(attribute.values, self._rng)))
        return facts

    def told(self, facts: Sequence[Fact]) -> str:
        """The facts as a text."""
        facts = list(facts)
        if self._rng.random() < _SHUFFLED:
            self._rng.shuffle(facts)
        sentences = [self.worded(self._rng.choice(fact.attribute.told), fact) for fact in facts]
        return " ".join(sentences)

    def worded(self, pattern: str, fact: Fact) -> str:
        """The fact in the words of `pattern`, one of its attribute's."""
        thing, value = fact.thing, self._rng.choice(fact.value.forms)
        said = pattern.format(x=thing, X=capital(thing), v=value)
        return capital(with_article(said))

    def other_value(self, fact: Fact, facts: Sequence[Fact]) -> Value | None:
        """A value of the kind that is told of something else; now and then one that nothing is told of."""
        forms = same_value(fact, facts)
        near = [
            other.value
            for other in facts
            if other.attribute.values == fact.attribute.values and other.value.plain not in forms
        ]
        if near and self._rng.random() < 0.85:
            return self._rng.choice(near)
        drawn = draw_value(fact.attribute.values, self._rng)
        return None if drawn.plain in forms else drawn


def same_value(fact: Fact, facts: Sequence[Fact]) -> set[str]:
    """All that is told of the thing by the attribute of `fact`."""
    return {other.value.plain for other in facts if (other.thing, other.attribute) == (fact.thing, fact.attribute)}


def capital(text: str) -> str:
    """`text` as a sentence begins."""
    return text[:1].upper() + text[1:]


def with_article(text: str) -> str:
    """`text` with "an" where "a" stands before a vowel."""
    return _ARTICLE.sub("an ", text)
