"""What a bare yes or no says, as a statement: of "Was it founded in 1987?" that it was founded in 1987, or was not.

A "no" says that the statement is wrong: evidence supports it by contradicting the statement. Questions that compare
two things ("Are both …?", "… the same …?") stay questions: their statement says less about what was asked than they do.
English only; the word order is by rule, and where the subject ends is guessed by the first word that may follow one.
"""

import re
from dataclasses import dataclass

from rag.text import content_words
from rag.verify.claims import needs_question
from rag.verify.declare import PARTICIPLE

_BE = r"(?:is|was|are|were|am)"
_OTHER = r"(?:has|have|had|can|could|will|would|shall|may|might|must|should)"
_DO = r"(?:did|does|do)"
_SETTING = r"(?:if|when|whenever|once|while|after|before|during|in|at|on|for|with|without|as|under|according to)"
_ASKED = re.compile(
    rf"(?:^|(?<=[.!?]\s))(?:(?:so|and|but|hi|hello)\b,?\s+)?(?:({_SETTING}\b[^.!?]{{2,200}}),\s+)?"
    rf"({_BE}|{_OTHER}|{_DO})\s+([^?]{{3,300}})\?*\s*$",
    re.IGNORECASE,
)
_REPLY = re.compile(
    rf"^(?:(yes|yeah|yep)|(?:no|nope))\b[,.!\s]*"
    rf"(?:(?:it|he|she|they|there|this|that|these|those|you|we|i|one)\s+(?:{_BE}|{_OTHER}|{_DO})(?:\s?not|n?['’]t)?)?[\s.!]*$",
    re.IGNORECASE,
)
_YES = re.compile(r"^(?:yes|yeah|yep)\b[,.!:;\s]*", re.IGNORECASE)
_NEGATES = re.compile(r"\b(?:no|not|never|none|nor|cannot|without)\b|n['’]t\b", re.IGNORECASE)
_LEAST_SHARED = 0.5  # of the question's words, in a sentence that answers it by itself
_COMPARES = re.compile(
    r"\b(?:both|same|similar|alike|different|either|neither|or|not|never|which|what|whom|whose)\b|n['’]t\b",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"^(there|it|he|she|they|we|you|i|this|that|these|those|one)\s+(.+)$", re.IGNORECASE)
_LEANS_BACK = re.compile(r"(?:it|he|she|they|this|that|these|those|one)\b", re.IGNORECASE)
_ACTION = rf"(?:{PARTICIPLE}|be|been)"
_QUALITY = (  # said of a subject, and seldom standing before a noun at the beginning of one
    r"(?:optional|mandatory|compulsory|voluntary|necessary|possible|forbidden|free|available|responsible|valid|legal"
    r"|illegal|safe|eligible|entitled|liable|due|subject|open|closed|true|enough|one\s+of)"
)
_STATE = rf"(?:{_ACTION}|{_QUALITY}|(?-i:[a-z]+ing)|a|an|the|in|on|at|from|for|behind|part|able|more|less|\w+er\s+than)"
_LINKS = (
    "of", "in", "to", "for", "on", "at", "by", "with", "from", "outside", "inside", "near", "within", "between", "than",
    "over", "under", "behind", "about",
)  # fmt: skip
_AFTER_LINK = "".join(rf"(?<!\b{word})" for word in _LINKS)  # what follows one belongs to the subject
_IS_DONE = re.compile(rf"\b(?:{_ACTION}|{_QUALITY})\b", re.IGNORECASE)
_UNIT = (
    r"(?:%|percent|euros?|dollars?|pounds?|(?-i:[A-Z]{3})|years?|months?|weeks?|days?|hours?|minutes?|[ck]?m|met(?:re|er)s?"
    r"|kilomet(?:re|er)s?|miles?|feet|kg|kilograms?)"
)
_SUBJECT_OF_AMOUNT = re.compile(rf"^(.+?){_AFTER_LINK}\s+(\d[\d.,:]*\s*{_UNIT}|\d[\d.,]+)$", re.IGNORECASE)
_SUBJECT_OF_LAST = re.compile(rf"^(.+?){_AFTER_LINK}\s+({_QUALITY})$", re.IGNORECASE)
_SUBJECT_OF_ACTION = re.compile(rf"^(.+?)\s+({_ACTION}\b.*)$", re.IGNORECASE)
_SUBJECT_OF_STATE = re.compile(rf"^(.+?){_AFTER_LINK}\s+({_STATE}\b.*)$", re.IGNORECASE)
_SUBJECT_OF_ONE_WORD = re.compile(
    r"^((?:(?:the|all|our|my|your|new)\s+)?[a-z]+s|(?:every|any|some|no)(?:body|one))\s+(.+)$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whether:
    """What a reply says."""

    statement: str
    is_denied: bool  # the reply was "no": it says that the statement is wrong


def read_reply(question: str, reply: str) -> Whether | None:
    """What `reply` says to a question whether something is so; None for other questions and what leans on it.

    A bare "yes" or "no", and a reply that only repeats words of the question ("in 1987"), say what was asked. A whole
    sentence that holds half of the question's words, two at least, says what it says.
    """
    found = _ASKED.search(question.strip())
    if found is None or _COMPARES.search(found[3]):
        return None
    setting, verb, rest = found.groups()
    rest = " ".join(rest.split())
    asked_for = _sentence(f"{setting}, {_stated(verb, rest)}" if setting else _stated(verb, rest))
    if _LEANS_BACK.match(rest):  # on what was said before it
        asked_for = f"{question.strip()[: found.start()]}{asked_for}"
    bare = _REPLY.match(reply.strip())
    if bare is not None:
        return Whether(statement=asked_for, is_denied=bare[1] is None)
    said = _YES.sub("", reply.strip())
    own, asked = set(content_words(said)), set(content_words(rest))
    if own and own <= asked and not _NEGATES.search(said):
        return Whether(statement=asked_for, is_denied=False)
    if not needs_question(said) and len(own & asked) >= max(2, _LEAST_SHARED * len(asked)):
        return Whether(statement=said, is_denied=False)
    return None


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _stated(verb: str, rest: str) -> str:
    """Was, the tower built in 1889 → the tower was built in 1889.

    The verb is left out where it only asks (did) or its place is not found: the statement suffers less than by a wrong
    one.
    """
    if re.fullmatch(_DO, verb, re.IGNORECASE):
        return rest
    if re.fullmatch(_BE, verb, re.IGNORECASE) is None:
        patterns = [_SUBJECT_OF_ACTION, _SUBJECT_OF_ONE_WORD]
    else:
        amounts = [] if _IS_DONE.search(rest) else [_SUBJECT_OF_AMOUNT]
        patterns = [_SUBJECT_OF_LAST, *amounts, _SUBJECT_OF_STATE]
    found = next((match for pattern in (_PRONOUN, *patterns) if (match := pattern.match(rest))), None)
    return f"{found[1]} {verb.casefold()} {found[2]}" if found is not None else rest
