"""Conversations for training: what was asked before a question, and questions that lean on it."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llm.types import Message
from rag.follow_up import earlier_told, leans
from rag.paragraphs import Asked
from rag.prompt import NOT_IN_DOCUMENTS, as_history, continued_messages, grounded_messages
from rag.prompt_passage import PromptPassage
from rag.twins import names_in

Way = Literal["history", "going_on"]  # turns before the passages, or told after those of the prompt before

_FAILED = 0.12  # of the questions before got no answer

_AUXILIARY = re.compile(
    r"(?:is|was|are|were|be|did|do|does|ha[sd]|have|can|could|may|might|must|shall|should|will|would)\s+", re.IGNORECASE
)
_PREPOSITION = re.compile(
    r"(?:of|in|by|to|for|from|with|on|at|about|against|than|under|over|near|like|into|within|before|after)\s+"
)
_FORMS = {  # as a subject, elsewhere, of somebody
    "he": ("he", "him", "his"),
    "she": ("she", "her", "her"),
    "it": ("it", "it", "its"),
    "they": ("they", "them", "their"),
}
_PRONOUN = re.compile(r"\b(he|she|it|they)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """The exchange before a question, and how its prompt shows it."""

    question: str
    answer: str
    way: Way
    n_known: int  # passages that the prompt before showed; going on only

    def turns(self) -> tuple[Message, Message]:
        """The exchange as a prompt shows it."""
        asked = Message(role="user", content=self.question)
        answered = Message(role="assistant", content=self.answer)
        return as_history(asked), as_history(answered)

    def messages(self, question: str, passages: Sequence[PromptPassage]) -> tuple[Message, ...]:
        """The prompt for the next question."""
        if self.way == "history":
            return grounded_messages(question, passages, self.turns())
        earlier = earlier_told(self.turns()) if leans(question) else ()
        return continued_messages(question, passages, self.n_known, earlier)


def talk_before(known: Sequence[Asked], n_known: int, rng: random.Random, *, going_on: bool) -> Talk | None:
    """An exchange about one of the `known` questions; None where there is none.

    Args:
        known: What the passages shown then answer.
        n_known: How many passages these are.
        rng: Draws the question, and whether it got its answer.
        going_on: Whether the prompt goes on from the one of that exchange.
    """
    if not known:
        return None
    asked = rng.choice(known)
    answer = NOT_IN_DOCUMENTS if rng.random() < _FAILED else asked.answer.strip()
    way: Way = "going_on" if going_on else "history"
    return Talk(question=asked.question, answer=answer, way=way, n_known=n_known)


def leaning(question: str, before: str, text: str) -> str | None:
    """`question` with a pronoun for the name that it shares with the question `before` it.

    None if they share none, or if it stands where no rule tells that a pronoun can ("of the novel Emma").

    Args:
        question: One that stands on its own.
        before: The question before it.
        text: What both are about; the pronoun that it uses most is taken.
    """
    shared = [name for name in names_in(question) if re.search(rf"\b{re.escape(name)}\b", before)]
    if not shared:
        return None
    name = max(shared, key=len)
    match = re.search(rf"(\w+\s+)?\b(?:the\s+)?{re.escape(name)}(?:(['’]s?)(?!\w)|\b)", question)
    if match is None or match[1] is None:
        return None
    asked = _AUXILIARY.fullmatch(match[1])
    if asked is None and _PREPOSITION.fullmatch(match[1]) is None:
        return None
    subject, other, whose = _FORMS[_usual_pronoun(text)]
    form = whose if match[2] else subject if asked else other
    return f"{question[: match.start()]}{match[1]}{form}{question[match.end() :]}"


def _usual_pronoun(text: str) -> str:
    """The one of he, she, it and they that `text` uses most; "it" where it uses none."""
    used = [found.casefold() for found in _PRONOUN.findall(text)]
    return max(_FORMS, key=lambda one: (used.count(one), one == "it"))
