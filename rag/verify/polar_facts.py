"""What is so and what is not, told as the rules of a workplace tell it, and statements that say it right or wrong.

A rule holds for some cases and not for others: "Receipts are needed for hotels, not for meals." A statement about
one of its cases says that it is so or that it is not, in another wording. Where it says the contrary of the rule it is
contradicted, though it shares every word with it; about a case that no rule tells of, nothing is known.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from rag.verify.fact_texts import capital
from rag.verify.pairs import CONTRADICTED, SUPPORTED, UNSUPPORTED, TrainingPair, drawn

_MAX_RULES = 5
_UNTOLD = 0.25  # of the statements are about a case that no rule tells of


@dataclass(frozen=True, slots=True)
class Frame:
    """Rules of one kind: `{x}` is what a rule is about, `{y}` a case of it."""

    things: tuple[str, ...]
    cases: tuple[str, ...]
    so: tuple[str, ...]
    not_so: tuple[str, ...]
    both: tuple[str, ...] = ()  # `{y}` is so, `{z}` is not


FRAMES = (
    Frame(
        things=("dogs", "bicycles", "visitors", "private calls", "hot meals", "candles", "photographs", "contractors",
                "children", "mobile phones", "headphones", "open fires", "drones", "scooters"),
        cases=("in the garden", "in the laboratory", "in the chapel", "on the roof terrace", "in meeting rooms",
               "after 18:00", "on Mondays", "at the weekend", "in hall 7", "during night shifts", "on the campus",
               "in the archive", "before 9:00", "in the library"),
        so=("{x} are allowed {y}.", "{x} are permitted {y}.", "{x} are welcome {y}."),
        not_so=("{x} are not allowed {y}.", "{x} are forbidden {y}.", "no {x} are allowed {y}.",
                "{x} are prohibited {y}.", "{x} are not permitted {y}."),
        both=("{x} are allowed {y}, but not {z}.", "{x} are forbidden {z}; {y} they are allowed.",
              "{x} are permitted {y} and prohibited {z}."),
    ),
    Frame(
        things=("a reservation", "a prescription", "a tie", "a visa", "an invitation", "a tax number", "a helmet",
                "a stamp", "proof of address", "a deposit", "a life jacket", "a permit"),
        cases=("for concerts", "for the sauna", "for boat trips", "for evening classes", "for adult guests",
               "on the north slope", "for trips abroad", "for students", "for groups of ten", "on the first day",
               "for orders below 100 euros", "for pensioners", "in the old town"),
        so=("{x} is needed {y}.", "{x} is required {y}.", "{x} is mandatory {y}.", "{x} is compulsory {y}."),
        not_so=("{x} is not needed {y}.", "no one needs {x} {y}.", "{x} is not required {y}.",
                "{x} is optional {y}.", "{x} is voluntary {y}."),
        both=("{x} is needed {y}, not {z}.", "{x} is required {y} but optional {z}.",
              "{x} is mandatory {y}; {z} it is not needed."),
    ),
    Frame(
        things=("tickets are sold", "complaints are filed", "surveys are answered", "reports are published",
                "interviews are stored", "parcels are sent", "offers are made", "minutes are kept"),
        cases=("photographs", "the date", "addresses", "personal data", "a signature", "prices", "a deadline",
               "comments"),
        so=("{x} with {y}.",), not_so=("{x} without {y}.",),
        both=("{x} with {y} but without {z}.", "{x} without {z}, though with {y}."),
    ),
    Frame(
        things=("the reception", "the ticket office", "the guard at the gate", "the library", "the supplier",
                "the bank", "the town council", "the landlord", "the museum"),
        cases=("cheques", "private parcels", "old books", "gift cards", "paintings", "paper forms", "foreign coins",
               "credit cards", "lost property", "broken bottles"),
        so=("{x} accepts {y}.", "{x} takes {y}."),
        not_so=("{x} does not accept {y}.", "{x} never accepts {y}.", "{x} accepts no {y}.", "{x} refuses {y}.",
                "{x} never takes {y}."),
        both=("{x} accepts {y}, but not {z}.", "{x} accepts {y} and refuses {z}.", "{x} takes {y} but never {z}."),
    ),
    Frame(
        things=("a gift card", "a membership", "a voucher", "a parking permit", "a season ticket", "a bonus",
                "the deposit", "a lesson", "the scholarship", "a library card"),
        cases=("returned", "paused", "cancelled", "shared with others", "sold", "extended", "transferred to a friend",
               "paid out early", "split into two parts", "claimed later"),
        so=("{x} can be {y}.", "{x} may be {y}."),
        not_so=("{x} cannot be {y}.", "{x} may not be {y}.", "{x} must not be {y}.", "{x} can never be {y}."),
        both=("{x} can be {y}, but it cannot be {z}.", "{x} may be {y} but not {z}."),
    ),
    Frame(
        things=("the north hall", "the new office", "the guest house", "the camp site", "the ferry", "the night train",
                "the clinic", "the town hall"),
        cases=("a canteen", "a car park", "showers", "a lift", "air conditioning", "a reading room", "a chapel",
               "charging points", "a first-aid room", "a playground"),
        so=("{x} has {y}.", "there is {y} at {x}.", "{x} offers {y}."),
        not_so=("{x} does not have {y}.", "{x} lacks {y}.", "{x} is without {y}."),
        both=("{x} has {y} but not {z}.", "{x} offers {y}; {z} it lacks."),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limit:
    """A rule with a number: `{n}` is told, and a statement names `{m}`."""

    told: tuple[str, ...]
    said: tuple[str, ...]
    is_most: bool  # fewer than told is within the rule; otherwise more is
    numbers: range


LIMITS = (
    Limit(("members may borrow up to {n} books at a time.", "up to {n} books may be borrowed at once.",
           "at most {n} books can be borrowed by a member."),
          ("a member may borrow {m} books.", "it is allowed to borrow {m} books at once."), True, range(2, 11)),
    Limit(("parking is free for up to {n} minutes.", "the first {n} minutes of parking cost nothing."),
          ("parking for {m} minutes is free.", "nothing is paid for {m} minutes of parking."),
          True, range(20, 121, 10)),
    Limit(("a team has at least {n} players.", "teams must have {n} players or more."),
          ("a team of {m} players may take part.", "teams with {m} players are large enough."), False, range(6, 25, 2)),
    Limit(("complaints must be filed within {n} days.", "the deadline for complaints is {n} days after delivery."),
          ("complaints may be filed {m} days after delivery.", "complaints can still be filed after {m} days."),
          True, range(10, 91, 10)),
    Limit(("visitors must be at least {n} years old.", "nobody under {n} years is admitted."),
          ("visitors of {m} years are admitted.", "a visitor who is {m} years old may come in."), False, range(6, 22)),
    Limit(("luggage of up to {n} kilograms is carried free of charge.", "only bags above {n} kilograms cost extra."),
          ("a bag of {m} kilograms is carried free of charge.", "for {m} kilograms of luggage nothing is paid."),
          True, range(5, 31)),
)  # fmt: skip
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


class PolarBuilder:
    """Builds pairs; the same generator gives the same pairs."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def build(self, n_pairs: int) -> list[TrainingPair]:
        """`n_pairs` pairs, statements that contradict each other after one another."""
        return drawn(n_pairs, lambda: self._of_a_rule() if self._rng.random() < 0.75 else self._of_a_limit())

    def _of_a_rule(self) -> Iterator[TrainingPair]:
        """That a case of a rule is so, and that it is not, over the same rules."""
        frame = self._rng.choice(FRAMES)
        thing = self._rng.choice(frame.things)
        yes, no, untold = self._rng.sample(frame.cases, 3)
        rules = [self._told(frame, thing, yes, no)]
        if self._rng.random() < 0.5:  # the same cases of another thing, the other way round or not
            rules.append(self._told(frame, self._rng.choice([x for x in frame.things if x != thing]), no, yes))
        evidence = self._among_others(rules, frame)
        case, is_so = (untold, None) if self._rng.random() < _UNTOLD else self._rng.choice(((yes, True), (no, False)))
        for says in (True, False):
            label = UNSUPPORTED if is_so is None else SUPPORTED if says == is_so else CONTRADICTED
            said = self._rng.choice(frame.so if says else frame.not_so).format(x=thing, y=case)
            yield TrainingPair(evidence=evidence, claim=capital(said), label=label, source="made_up_polar")

    def _told(self, frame: Frame, thing: str, yes: str, no: str) -> str:
        """A rule in one sentence, or in two."""
        if self._rng.random() < 0.55:
            return capital(self._rng.choice(frame.both).format(x=thing, y=yes, z=no))
        halves = [
            capital(self._rng.choice(frame.so).format(x=thing, y=yes)),
            capital(self._rng.choice(frame.not_so).format(x=thing, y=no)),
        ]
        self._rng.shuffle(halves)
        return " ".join(halves)

    def _of_a_limit(self) -> Iterator[TrainingPair]:
        """A number within a rule and one outside it, over the same rules."""
        limit = self._rng.choice(LIMITS)
        n = self._rng.choice(limit.numbers[1:-1])
        inside = self._rng.choice([m for m in limit.numbers if (m <= n if limit.is_most else m >= n)])
        outside = self._rng.choice([m for m in limit.numbers if (m > n if limit.is_most else m < n)])
        evidence = self._among_others([capital(self._rng.choice(limit.told).format(n=self._number(n)))], None, outside)
        for number, label in ((inside, SUPPORTED), (outside, CONTRADICTED)):
            said = capital(self._rng.choice(limit.said).format(m=self._number(number)))
            yield TrainingPair(evidence=evidence, claim=said, label=label, source="made_up_polar")

    def _number(self, number: int) -> str:
        return _WORDS[number] if number < len(_WORDS) and self._rng.random() < 0.6 else str(number)

    def _among_others(self, rules: list[str], frame: Frame | None, number: int | None = None) -> str:
        """The rules among rules of other kinds; one of which may hold `number`."""
        if number is not None and self._rng.random() < 0.6:
            rules.append(f"The office has {self._number(number)} printers.")
        others = [other for other in FRAMES if other is not frame]
        for other in self._rng.sample(others, self._rng.randrange(0, _MAX_RULES - len(rules) + 1)):
            yes, no = self._rng.sample(other.cases, 2)
            rules.append(self._told(other, self._rng.choice(other.things), yes, no))
        self._rng.shuffle(rules)
        return " ".join(rules)
