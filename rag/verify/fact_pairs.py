"""Questions about made-up things with right and wrong answers, labelled by what was told of them.

Of several facts side by side the one that was asked for must be found: a wrong answer is best the value of another
thing, or of another attribute. Two things are compared, or reached in two steps. What was not told is unsupported,
whoever else it was told of. Each question comes with a right and a wrong answer, over the same evidence.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.verify.fact_texts import Fact, FactTeller, capital, same_value, with_article
from rag.verify.made_up_facts import Value
from rag.verify.pairs import CONTRADICTED, SUPPORTED, UNSUPPORTED, TrainingPair, drawn

_OMITTED = 0.22  # of the questions are about a fact that the evidence does not tell
_CUT = 0.15  # of the compared names are followed by the first words of a statement that was cut


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
        self._teller = FactTeller(rng)

    def build(self, n_pairs: int) -> list[TrainingPair]:
        """`n_pairs` pairs, a right and a wrong answer after each other."""
        return drawn(n_pairs, self._of_one_text)

    def _of_one_text(self) -> Iterator[TrainingPair]:
        """A right and a wrong answer to one question."""
        facts = self._teller.facts()
        way = self._rng.choices((self._direct, self._compared, self._two_steps), (5, 4, 2))[0]
        asked = way(facts)
        if asked is None:
            return
        is_omitted = self._rng.random() < _OMITTED
        told = [fact for fact in facts if not is_omitted or fact != asked.needs[-1]]
        if not told:
            return
        evidence = self._teller.told(told)
        source = f"made_up{way.__name__}"
        for said, label in ((asked.right, SUPPORTED), (asked.wrong, CONTRADICTED)):
            claim = f"{asked.text} {self._rng.choice(said)}"
            outcome = UNSUPPORTED if is_omitted else label
            yield TrainingPair(evidence=evidence, claim=claim, label=outcome, source=source)

    def _direct(self, facts: Sequence[Fact]) -> Asked | None:
        fact = self._rng.choice(facts)
        wrong = self._teller.other_value(fact, facts)
        if wrong is None:
            return None
        question = self._rng.choice(fact.attribute.asked).format(x=fact.thing)
        return Asked(
            text=question, right=self._answers(fact, fact.value), wrong=self._answers(fact, wrong), needs=(fact,)
        )

    def _answers(self, fact: Fact, value: Value) -> tuple[str, ...]:
        """A value as it may be given for `fact`: by itself, or in a statement."""
        other = Fact(thing=fact.thing, attribute=fact.attribute, value=value)
        statement = self._teller.worded(fact.attribute.told[0], other)
        return (*value.forms, *value.short, statement, f"{value.plain}.")

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
        question = with_article(self._rng.choice(questions).format(a=one.thing, b=other.thing, v=value))
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
        plain = capital(thing)
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
            if len(same_value(first, facts)) > 1 or _is_shared(first, facts):
                return None
            thing = first.attribute.described.format(v=first.value.plain)
        else:
            asked = self._rng.choice(first.attribute.asked).format(x=first.thing)
            if not asked.startswith("Who "):
                return None
            thing = f"the person who {asked[4:].rstrip('?')}"
        wrong = self._teller.other_value(second, facts)
        if wrong is None:
            return None
        question = self._rng.choice(second.attribute.asked).format(x=thing)
        return Asked(
            text=question,
            right=(*second.value.forms, *second.value.short),
            wrong=(*wrong.forms, *wrong.short),
            needs=(first, second),
        )


def _is_shared(fact: Fact, facts: Sequence[Fact]) -> bool:
    """Whether the same is told of another thing, so that it describes neither."""
    return any(
        other.attribute == fact.attribute and other.value == fact.value and other.thing != fact.thing for other in facts
    )


def _replies(word: str) -> tuple[str, ...]:
    return (word, word.capitalize(), f"{word.capitalize()}.")
