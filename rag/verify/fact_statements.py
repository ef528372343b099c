"""Statements about made-up things, right and wrong ones over the same evidence.

What is asserted without a question: one fact, or up to three of one thing, in another wording than the evidence has.
One wrong part makes the whole wrong: best a name, year or number that the evidence tells of something else, so that
each word of the claim stands there. A part that the evidence does not tell leaves the whole unsupported.
"""

import dataclasses
import random
import re
from collections.abc import Iterator, Sequence

from rag.verify.fact_texts import Fact, FactTeller, capital
from rag.verify.pairs import CONTRADICTED, SUPPORTED, UNSUPPORTED, TrainingPair, drawn

_OMITTED = 0.25  # of the texts leave out one fact of the statement
_N_PARTS = ((1, 2, 3), (6, 3, 1))  # facts of a statement, and how often
_SHORT_NAME = 0.35  # of the repeated names are "it" or "the company"
_ALONE = 0.3  # of the texts tell of one thing only, and then need not name it: "The safety officer is Ada Lind."
_SAYS_MORE = (",", "well-known", "famous", "drama", "Since", "for years", "With ", "genus")  # than its attribute
_OWNER = re.compile(r" (?:of|at) \{x\}(?=\.$)")
_NO_NAME = re.compile(r"^(?:The|There|Staff|During|Requests|A|It)\b")  # words that begin a sentence in capitals


class StatementBuilder:
    """Builds pairs; the same generator gives the same pairs."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._teller = FactTeller(rng)

    def build(self, n_pairs: int) -> list[TrainingPair]:
        """`n_pairs` pairs, a right and a wrong statement after each other."""
        return drawn(n_pairs, self._of_one_text)

    def _of_one_text(self) -> Iterator[TrainingPair]:
        """A right and a wrong statement; nothing where no wrong value is at hand."""
        facts = self._teller.facts()
        thing = self._rng.choice(facts).thing
        if is_alone := self._rng.random() < _ALONE:
            facts = [fact for fact in facts if fact.thing == thing or fact.attribute.of == "person"]
        own = [fact for fact in facts if fact.thing == thing and _plain_wordings(fact)]
        n_parts = self._rng.choices(*_N_PARTS)[0]
        parts = self._rng.sample(own, min(n_parts, len(own)))
        if not parts:
            return
        at = self._rng.randrange(len(parts))
        value = self._teller.other_value(parts[at], facts)
        if value is None:
            return
        is_omitted = self._rng.random() < _OMITTED
        told = [fact for fact in facts if not is_omitted or fact != parts[at]]
        if not told:
            return
        evidence = self._told(told, is_alone=is_alone)
        wrong = [*parts[:at], dataclasses.replace(parts[at], value=value), *parts[at + 1 :]]
        for said, label in ((parts, SUPPORTED), (wrong, CONTRADICTED)):
            yield TrainingPair(
                evidence=evidence,
                claim=self._stated(said, is_alone=is_alone),
                label=UNSUPPORTED if is_omitted else label,
                source="made_up_stated",
            )

    def _told(self, facts: Sequence[Fact], *, is_alone: bool) -> str:
        """The facts as a text, in which a thing is not always called by its name again."""
        facts = list(facts)
        if self._rng.random() < 0.5:
            self._rng.shuffle(facts)
        sentences: list[str] = []
        before = ""
        for fact in facts:
            pattern = self._rng.choice(fact.attribute.told)
            said = self._teller.worded(self._unnamed(pattern) if is_alone and before else pattern, fact)
            if fact.thing == before and fact.attribute.of not in ("person", "rule", "genus"):
                said = self._shorter(said, fact)
            sentences.append(said)
            before = fact.thing
        return " ".join(sentences)

    def _shorter(self, said: str, fact: Fact) -> str:
        """The sentence with "it" or "the company" for the name, now and then."""
        if self._rng.random() >= _SHORT_NAME:
            return said
        if said.startswith(f"{fact.thing} ") and self._rng.random() < 0.5:
            return f"It{said.removeprefix(fact.thing)}"
        return capital(said.replace(fact.thing, f"the {fact.attribute.of}"))

    def _unnamed(self, pattern: str) -> str:
        """The wording without the thing it is told of, now and then."""
        return _OWNER.sub("", pattern) if self._rng.random() < 0.5 else pattern

    def _stated(self, parts: Sequence[Fact], *, is_alone: bool) -> str:
        """One sentence that says all parts of one thing."""
        thing = parts[0].thing
        patterns = [self._rng.choice(_plain_wordings(fact)) for fact in parts]
        if is_alone:
            patterns = [self._unnamed(pattern) for pattern in patterns]
        said = [self._teller.worded(pattern, fact).rstrip(".") for pattern, fact in zip(patterns, parts, strict=True)]
        start = f"{capital(thing)} "
        said.sort(key=lambda text: not text.startswith(start))  # stable: those that begin with the name come first
        whole = said[0]
        for text in said[1:]:
            whole += f" and {text.removeprefix(start)}" if text.startswith(start) else f", and {_inside(text)}"
        return f"{whole}."


def _plain_wordings(fact: Fact) -> list[str]:
    """The wordings that say no more than the attribute."""
    return [pattern for pattern in fact.attribute.told if not any(word in pattern for word in _SAYS_MORE)]


def _inside(text: str) -> str:
    """A sentence as the second half of one."""
    return text[0].lower() + text[1:] if _NO_NAME.match(text) else text
