"""Claims after questions in two steps, built from two questions of SQuAD whose evidence stands in two paragraphs.

A name in one question is replaced by what another question asks of that name: "Who founded Rome's first library?" and
"Which poet … the man who founded …". Or two dated facts are compared: "Which was founded first, A or B?". Supported
where the answer follows from both places together; wrong ones are the name between the two steps, another answer of
the kind, the one of two that it is not; without the paragraph of the second step the answer is unsupported.
"""

import random
import re
from collections import defaultdict
from collections.abc import Sequence

from rag.verify.altered import overlap
from rag.verify.pair_material import Material, Place
from rag.verify.pairs import CONTRADICTED, NOT_SUPPORTED, SUPPORTED, UNSUPPORTED, Paragraph, TrainingPair

_END = re.compile(r"[\s?.]+$")
_NAME = re.compile(r"(?:the )?[A-Z][\w'’.-]+(?: (?:of |de |von |van |the )?[A-Z][\w'’.-]+){0,4}$")
_VERB = r"(?:is|was|has|had|[a-z]+ed|won|wrote|led|made|built|became|began|took|held)"
_WHO = re.compile(rf"^who ({_VERB} .+)$", re.IGNORECASE)
_KIND = re.compile(rf"^(?:what|which) ((?:[\w'’-]+ ){{1,3}}?)({_VERB} .+)$", re.IGNORECASE)
_INVERTED = re.compile(r"^(?:is|was|has|had) (?:the|a|an|his|her|their|its|it|he|she|they|[A-Z])\b")
_STRANDED = re.compile(r"\s(?:of|by|for|with|to|from|at|in|on|as|into|about|than|under|over)$")
_NO_NOUNS = frozenset(("did", "does", "do", "is", "was", "are", "were", "has", "had", "of", "the", "else"))
_DATED = re.compile(
    r"^(?:when|(?:in )?(?:what|which) year) (?:(?:was|were) (?P<what>.+?) (?P<how>founded|established|built|born|formed"
    r"|opened|created|completed|released|published|introduced|discovered|invented|built|signed|adopted|launched)"
    r"|did (?P<who>.+?) (?P<does>die|open|begin|end|start))$",
    re.IGNORECASE,
)
_PAST = {"die": "died", "open": "opened", "begin": "began", "end": "ended", "start": "started"}
_YEAR = re.compile(r"\b(1\d{3}|20\d{2})\b")
_MOST_QUESTIONS = 12  # that one name is looked up in; common names stand in hundreds
_COMPARED = 0.2  # of the pairs


class TwoStepBuilder:
    """Builds pairs from paragraphs of SQuAD; the same paragraphs and generator give the same pairs."""

    def __init__(self, paragraphs: Sequence[Paragraph], rng: random.Random) -> None:
        self._material = Material(paragraphs, rng)
        self._rng = rng
        self._bridges = self._found_bridges()
        self._dated = self._found_dated()

    def build(self, n_pairs: int) -> list[TrainingPair]:
        """At most `n_pairs` pairs, no claim twice."""
        pairs: list[TrainingPair] = []
        seen: set[str] = set()
        for _ in range(6 * n_pairs):
            if len(pairs) >= n_pairs:
                break
            pair = self._compared() if self._rng.random() < _COMPARED else self._bridged()
            if pair is not None and pair.claim not in seen:
                seen.add(pair.claim)
                pairs.append(pair)
        return pairs

    def _found_bridges(self) -> list[tuple[Place, Place, str]]:
        """First place, second place, and the second's question with the first's answer described by its question."""
        named: dict[str, list[tuple[Place, str]]] = defaultdict(list)
        for place in self._material.places:
            said = described(place.question.text)
            if said is not None and _NAME.match(place.question.answer) and len(place.question.answer) > 3:
                named[place.question.answer].append((place, said))
        longest_first = sorted(named, key=len, reverse=True)
        by_first: dict[str, list[str]] = defaultdict(list)
        for name in longest_first:
            by_first[name.split()[0]].append(name)
        found: dict[str, list[Place]] = defaultdict(list)
        for place in self._material.places:
            for word in set(place.question.text.replace("?", " ").split()):
                for name in by_first.get(word, ()):
                    if name in place.question.text:
                        found[name].append(place)
        bridges = []
        for name in longest_first:
            seconds = found[name]
            for second in self._rng.sample(seconds, min(len(seconds), _MOST_QUESTIONS)):
                first, said = self._rng.choice(named[name])
                asked = _replaced(second.question.text, name, said)
                text = self._material.paragraphs[second.paragraph].text
                answer = second.question.answer
                if not asked or first.paragraph == second.paragraph or name not in text:
                    continue
                if not overlap(answer, name) and answer not in asked:
                    bridges.append((first, second, asked))
        return bridges

    def _found_dated(self) -> dict[str, list[tuple[Place, str, int]]]:
        """By verb the places that tell the year of something named, with its name and the year."""
        dated: dict[str, list[tuple[Place, str, int]]] = defaultdict(list)
        for place in self._material.places:
            found = _DATED.match(_END.sub("", place.question.text))
            year = _YEAR.search(place.question.answer)
            if found is None or year is None:
                continue
            what = found["what"] or found["who"]
            how = found["how"] or found["does"]
            if len(what.split()) <= 6 and re.search(r"[A-Z]", what):
                dated[how.casefold()].append((place, what, int(year[1])))
        return {how: places for how, places in dated.items() if len(places) > 1}

    def _bridged(self) -> TrainingPair | None:
        if not self._bridges:
            return None
        first, second, asked = self._rng.choice(self._bridges)
        chance = self._rng.random()
        answer = second.question.answer
        if chance < 0.5:
            return _pair("bridge", self._both(first, second), f"{asked} {answer}", SUPPORTED)
        if chance < 0.85:
            wrong = self._rng.choice((first.question.answer, self._material.other_answer(second), self._beside(first)))
            if wrong is None or overlap(wrong, answer):
                return None
            return _pair("bridge_wrong", self._both(first, second), f"{asked} {wrong}", NOT_SUPPORTED)
        other = self._rng.choice(self._material.places)
        evidence = self._both(first, other)
        if answer.casefold() in evidence.casefold():
            return None
        return _pair("bridge_missing", evidence, f"{asked} {answer}", UNSUPPORTED)

    def _compared(self) -> TrainingPair | None:
        if not self._dated:
            return None
        how = self._rng.choice(sorted(self._dated))
        (one, what, year), (other, what_else, year_else) = self._rng.sample(self._dated[how], 2)
        if year == year_else or what.casefold() == what_else.casefold() or one.paragraph == other.paragraph:
            return None
        is_first = year < year_else
        if self._rng.random() < 0.6:
            wants_first = self._rng.random() < 0.65
            when = self._rng.choice(("first", "earlier") if wants_first else ("later", "last", "more recently"))
            subject = "Who" if how in ("born", "die") else "Which"
            asked = f"{subject} {_past(how)} {when}, {what} or {what_else}?"
            right, wrong = (what, what_else) if is_first == wants_first else (what_else, what)
        else:
            order = self._rng.choice(("before", "after"))
            verb = f"Was {what} {how}" if how not in _PAST else f"Did {what} {how}"
            asked = f"{verb} {order} {what_else}?"
            right, wrong = ("yes", "no") if is_first == (order == "before") else ("no", "yes")
        is_right = self._rng.random() < 0.5
        evidence = self._both(one, other)
        return _pair(
            "compared", evidence, f"{asked} {right if is_right else wrong}", SUPPORTED if is_right else CONTRADICTED
        )

    def _beside(self, place: Place) -> str | None:
        """The answer to another question of the paragraph."""
        others = [other.question.answer for other in self._material.in_paragraph[place.paragraph] if other != place]
        return self._rng.choice(others) if others else None

    def _both(self, first: Place, second: Place) -> str:
        """A few sentences around both places, in either order."""
        texts = [self._few(first), self._few(second)]
        if self._rng.random() < 0.4:
            texts.reverse()
        return " ".join(texts)

    def _few(self, place: Place) -> str:
        """Sentences around the answer, from the beginning of the paragraph, which names things, where it is not far."""
        if place.sentence < 3 and self._rng.random() < 0.6:
            return " ".join(place.sentences[: place.sentence + 1])
        return " ".join(self._material.window(place.sentences, place.sentence))


def is_two_step(source: str) -> bool:
    """Whether a pair was built here."""
    return source.startswith(("squad_bridge", "squad_compared"))


def described(question: str) -> str | None:
    """What a question asks for as a noun phrase: "Who wrote Emma?" asks for "the person who wrote Emma"."""
    asked = _END.sub("", question.strip())
    if len(asked) > 120 or _STRANDED.search(asked):
        return None
    found = _WHO.match(asked)
    if found is not None:
        return None if _INVERTED.match(found[1]) else f"the person who {found[1]}"
    found = _KIND.match(asked)
    if found is None or _INVERTED.match(found[2]) or _NO_NOUNS.intersection(found[1].casefold().split()):
        return None
    return f"the {found[1].strip()} that {found[2]}"


def _replaced(question: str, name: str, said: str) -> str | None:
    """The question with a name described instead; None where the name belongs to a longer one or owns something."""
    pattern = re.compile(rf"(?<![\w'’-])(?<![A-Z][a-z] )(?:the )?{re.escape(name)}(?!['’\w-])(?! [A-Z])")
    found = pattern.search(question)
    if found is None or found.start() == 0 or re.search(r"[A-Z]\w*\s$", question[: found.start()][4:]):
        return None
    return f"{question[: found.start()]}{said}{question[found.end() :]}"


def _past(how: str) -> str:
    return _PAST.get(how, f"was {how}")


def _pair(source: str, evidence: str, claim: str, label: int) -> TrainingPair:
    return TrainingPair(evidence=evidence, claim=claim, label=label, source=f"squad_{source}")
