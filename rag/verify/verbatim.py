"""Whether a sentence of the evidence says a claim word for word: then no model is needed to believe it.

A sentence that doubts, denies or limits what it holds ("It is not true that …", "… unless …") does not say it.
"""

from collections.abc import Iterable

from rag.text import words
from rag.verify.windows import Sentence

_LEAST_WORDS = 4  # fewer stand in a text by chance
_DOUBTS = frozenset(
    (
        "not", "no", "never", "none", "nor", "neither", "cannot", "if", "unless", "whether", "without",
        "except", "until", "false", "falsely", "untrue", "wrong", "wrongly", "deny", "denies", "denied",
        "doubt", "doubts", "claim", "claims", "claimed", "alleged", "allegedly", "rumour", "rumoured",
        "supposed", "supposedly", "may", "might", "could", "would", "should", "perhaps", "possibly", "hardly",
        "almost", "formerly", "nicht", "kein", "keine", "keinen", "nie", "niemals", "wenn", "falls", "ohne",
        "außer", "angeblich", "vielleicht",
    )
)  # fmt: skip


def is_verbatim(claim: str, sentences: Iterable[Sentence]) -> bool:
    """Whether one of the sentences holds all words of `claim` in a row, and nothing that takes them back."""
    said = _plain(claim)
    if len(said) < _LEAST_WORDS:
        return False
    return any(_states(_plain(sentence.text), said) for sentence in sentences)


def _states(sentence: list[str], said: list[str]) -> bool:
    starts = (at for at, word in enumerate(sentence) if word == said[0])
    return any(
        sentence[at : at + len(said)] == said and not _takes_back([*sentence[:at], *sentence[at + len(said) :]])
        for at in starts
    )


def _takes_back(others: Iterable[str]) -> bool:
    return any(word in _DOUBTS or word.endswith(("n't", "n’t")) for word in others)


def _plain(text: str) -> list[str]:
    return [span.cut(text).casefold() for span in words(text)]
