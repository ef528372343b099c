"""What a bare yes or no says, as a statement: of "Was it founded in 1987?" that it was founded in 1987, or was not.

A "no" says that the statement is wrong: evidence supports it by contradicting the statement. Questions that compare
two things ("Are both …?", "… the same …?") stay questions: their statement says less about what was asked than they do.
English only; the word order is by rule, and where the subject ends is guessed by the first word that may follow one.
"""

import re
from dataclasses import dataclass

from rag.verify.declare import PARTICIPLE

_BE = r"(?:is|was|are|were|am)"
_OTHER = r"(?:has|have|had|can|could|will|would|shall|may|might|must|should)"
_DO = r"(?:did|does|do)"
_ASKED = re.compile(
    rf"(?:^|(?<=[.!?,;:]\s))(?:so,?\s+|and\s+|but\s+)?({_BE}|{_OTHER}|{_DO})\s+([^?]{{3,300}})\?*\s*$", re.IGNORECASE
)
_REPLY = re.compile(
    rf"^(?:(yes|yeah|yep)|(?:no|nope))\b[,.!\s]*"
    rf"(?:(?:it|he|she|they|there|this|that|these|those|you|we|i|one)\s+(?:{_BE}|{_OTHER}|{_DO})(?:\s?not|n?['’]t)?)?[\s.!]*$",
    re.IGNORECASE,
)
_COMPARES = re.compile(r"\b(?:both|same|similar|alike|different|either|neither|or|not|never)\b|n['’]t\b", re.IGNORECASE)
_PRONOUN = re.compile(r"^(there|it|he|she|they|we|you|i|this|that|these|those|one)\s+(.+)$", re.IGNORECASE)
_ACTION = rf"(?:{PARTICIPLE}|be|been)"
_STATE = rf"(?:{_ACTION}|(?-i:[a-z]+ing)|a|an|the|in|on|at|from|for|part|able|more|less|\w+er\s+than)"
_SUBJECT_OF_ACTION = re.compile(rf"^(.+?)\s+({_ACTION}\b.*)$", re.IGNORECASE)
_SUBJECT_OF_STATE = re.compile(rf"^(.+?)(?<!\bof)(?<!\bin)\s+({_STATE}\b.*)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whether:
    """What a bare reply says."""

    statement: str
    is_denied: bool  # the reply was "no"


def read_reply(question: str, reply: str) -> Whether | None:
    """The statement that a bare "yes" or "no" makes of `question`; None for any other question or reply."""
    said = _REPLY.match(reply.strip())
    asked = _ASKED.search(question.strip())
    if said is None or asked is None or _COMPARES.search(asked[2]):
        return None
    statement = _stated(asked[1], " ".join(asked[2].split()))
    return Whether(statement=f"{statement[0].upper()}{statement[1:]}.", is_denied=said[1] is None)


def _stated(verb: str, rest: str) -> str:
    """Was, the tower built in 1889 → the tower was built in 1889.

    The verb is left out where it only asks (did) or its place is not found: the statement suffers less than by a wrong
    one.
    """
    if re.fullmatch(_DO, verb, re.IGNORECASE):
        return rest
    is_state = re.fullmatch(_BE, verb, re.IGNORECASE) is not None
    found = _PRONOUN.match(rest) or (_SUBJECT_OF_STATE if is_state else _SUBJECT_OF_ACTION).match(rest)
    return f"{found[1]} {verb.casefold()} {found[2]}" if found is not None else rest
