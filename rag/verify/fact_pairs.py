"""Questions about made-up things with right and wrong answers, labelled by what was told of them.

Of several facts side by side the one that was asked for must be found: a wrong answer is best the value of another
thing, or of another attribute. Two things are compared, or reached in two steps. What was not told is unsupported,
whoever else it was told of. Each question comes with a right and a wrong answer, over the same evidence.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.verify.made_up_facts import ATTRIBUTES, KINDS, Attribute, Value, draw_thing, draw_value
from rag.verify.pairs import CONTRADICTED, SUPPORTED, UNSUPPORTED, TrainingPair

_ARTICLE = re.compile(r"\ba (?=[AEIOaeio])")
_MAX_THINGS = 4
_OMITTED = 0.22  # of the questions are about a fact that the evidence does not tell
_SHUFFLED = 0.35  # of the evidence texts tell the facts of all things mixed up
_CUT = 0.15  # of the compared names are followed by the first words of a statement that was cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing told of another."""

    thing: str
    attribute: Attribute
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, its answer, a wrong answer that is told of something else, and the facts that it takes."""

    text: str
    right: tuple[str, ...]  # in words that will do
    wrong: tuple[str, ...]
    needs: tuple[Fact, ...]  # without the last one nobody can tell


class FactBuilder:
    """Builds pairs; the same generator gives the same pairs."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def build(self, n_pairs: int) -> list[TrainingPair]:
        """`n_pairs` pairs, a right and a wrong answer after each other."""
        pairs: list[TrainingPair] = []
        while len(pairs) < n_pairs:
            pairs += self._of_one_text()
        return pairs[:n_pairs]

    def _of_one_text(self) -> Iterator[TrainingPair]:
        """A right and a wrong answer to one question."""
        facts = self._facts()
        way = self._rng.choices((self._direct, self._compared, self._two_steps), (5, 4, 2))[0]
        asked = way(facts)
        if asked is None:
            return
        is_omitted = self._rng.random() < _OMITTED
        told = [fact for fact in facts if not is_omitted or fact != asked.needs[-1]]
        if not told:
            return
        evidence = self._told(told)
        source = f"made_up{way.__name__}"
        for said, label in ((asked.right, SUPPORTED), (asked.wrong, CONTRADICTED)):
            claim = f"{asked.text} {self._rng.choice(said)}"
            outcome = UNSUPPORTED if is_omitted else label
            yield TrainingPair(evidence=evidence, claim=claim, label=outcome, source=source)

    def _facts(self) -> list[Fact]:
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

    def _told(self, facts: Sequence[Fact]) -> str:
        """The facts as a text."""
        facts = list(facts)
        if self._rng.random() < _SHUFFLED:
            self._rng.shuffle(facts)
        sentences = [self._worded(self._rng.choice(fact.attribute.told), fact) for fact in facts]
        return " ".join(sentences)

    def _worded(self, pattern: str, fact: Fact) -> str:
        thing, value = fact.thing, self._rng.choice(fact.value.forms)
        said = pattern.format(x=thing, X=_capital(thing), v=value)
        return _capital(_with_article(said))

    def _direct(self, facts: Sequence[Fact]) -> Asked | None:
        fact = self._rng.choice(facts)
        wrong = self._other(fact, facts)
        if wrong is None:
            return None
        question = self._rng.choice(fact.attribute.asked).format(x=fact.thing)
        return Asked(
            text=question, right=self._answers(fact, fact.value), wrong=self._answers(fact, wrong), needs=(fact,)
        )

    def _answers(self, fact: Fact, value: Value) -> tuple[str, ...]:
        """A value as it may be given for `fact`: by itself, or in a statement."""
        other = Fact(thing=fact.thing, attribute=fact.attribute, value=value)
        statement = self._worded(fact.attribute.told[0], other)
        return (*value.forms, *value.short, statement, f"{value.plain}.")

    def _other(self, fact: Fact, facts: Sequence[Fact]) -> Value | None:
        """A value of the kind that is told of something else; now and then one that nothing is told of."""
        forms = _same_value(fact, facts)
        near = [
            other.value
            for other in facts
            if other.attribute.values == fact.attribute.values and other.value.plain not in forms
        ]
        if near and self._rng.random() < 0.85:
            return self._rng.choice(near)
        drawn = draw_value(fact.attribute.values, self._rng)
        return None if drawn.plain in forms else drawn

    def _compared(self, facts: Sequence[Fact]) -> Asked | None:
        """Two things, compared by what is told of both."""
        pairs = [
            (one, other)
            for at, one in enumerate(facts)
            for other in facts[at + 1 :]
            if one.attribute == other.attribute and one.thing != other.thing
        ]
        if not pairs:
            return None
        one, other = self._rng.sample(self._rng.choice(pairs), 2)
        kind = one.attribute
        is_same = one.value.plain == other.value.plain
        ways = [("same", kind.same), ("both", kind.both)]
        if not is_same:
            ways.append(("which", kind.which))
        if one.value.rank != other.value.rank:
            ways += [("most", kind.most), ("least", kind.least)]
        ways = [(way, questions) for way, questions in ways if questions]
        if not ways:
            return None
        way, questions = self._rng.choice(ways)
        value = self._rng.choice((one, other)).value.plain
        question = _with_article(self._rng.choice(questions).format(a=one.thing, b=other.thing, v=value))
        if way in ("same", "both"):
            right, wrong = ("yes", "no") if is_same else ("no", "yes")
            needs = (one, other) if one.value.plain == value else (other, one)  # one that is not `value` says enough
            return Asked(text=question, right=_replies(right), wrong=_replies(wrong), needs=needs)
        is_greater = one.value.rank > other.value.rank
        is_one = one.value.plain == value if way == "which" else is_greater == (way == "most")
        so, not_so = (one, other) if is_one else (other, one)
        return Asked(text=question, right=self._named(so.thing), wrong=self._named(not_so.thing), needs=(not_so, so))

    def _named(self, thing: str) -> tuple[str, ...]:
        """The one of two things that a question is answered by."""
        plain = _capital(thing)
        if self._rng.random() < _CUT:
            return (f"{plain} {self._rng.choice(('is', 'has', 'was'))}",)
        return (plain, f"{plain}.")

    def _two_steps(self, facts: Sequence[Fact]) -> Asked | None:
        """Something of a thing that is only named by something else that is told of it."""
        chains = [
            (first, second)
            for first in facts
            for second in facts
            if first.attribute.described and first != second and second.thing == first.thing
        ]
        chains += [
            (first, second)
            for first in facts
            for second in facts
            if first.attribute.values == "person" and second.thing == first.value.plain
        ]
        if not chains:
            return None
        first, second = self._rng.choice(chains)
        if second.thing == first.thing and first.attribute.described:
            if len(_same_value(first, facts)) > 1 or _is_shared(first, facts):
                return None
            thing = first.attribute.described.format(v=first.value.plain)
        else:
            asked = self._rng.choice(first.attribute.asked).format(x=first.thing)
            if not asked.startswith("Who "):
                return None
            thing = f"the person who {asked[4:].rstrip('?')}"
        wrong = self._other(second, facts)
        if wrong is None:
            return None
        question = self._rng.choice(second.attribute.asked).format(x=thing)
        return Asked(
            text=question,
            right=(*second.value.forms, *second.value.short),
            wrong=(*wrong.forms, *wrong.short),
            needs=(first, second),
        )


def _same_value(fact: Fact, facts: Sequence[Fact]) -> set[str]:
    """All that is told of the thing by the attribute of `fact`."""
    return {other.value.plain for other in facts if (other.thing, other.attribute) == (fact.thing, fact.attribute)}


def _is_shared(fact: Fact, facts: Sequence[Fact]) -> bool:
    """Whether the same is told of another thing, so that it describes neither."""
    return any(
        other.attribute == fact.attribute and other.value == fact.value and other.thing != fact.thing for other in facts
    )


def _replies(word: str) -> tuple[str, ...]:
    return (word, word.capitalize(), f"{word.capitalize()}.")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _with_article(text: str) -> str:
    return _ARTICLE.sub("an ", text)
