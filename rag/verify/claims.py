"""An answer in checkable statements, and the words in which a verifier reads each.

One sentence or list item is one claim: verdicts, citations and events are given a sentence. Questions, greetings,
phrases that only lead in ("Here is the answer:") and abstentions state nothing and are no claims.
"""

import re
from dataclasses import replace

from rag.draft import is_abstention
from rag.markers import drop_markers, find_markers, one_line
from rag.text import content_words, split_sentences, words
from rag.types import Span
from rag.verify.types import StatedClaim

__all__ = ["question_of", "split_claims", "statement"]

_SHORT_WORDS = 5  # a sentence of so few words hardly says what it is about
_FRAGMENT_WORDS = 14  # a longer one without a verb is read by itself all the same
_QUESTION_CHARS = 600
_EDGE = " \t\r\n\"'“”„‚‘’«»‹›*_`"
_ASKS = re.compile(r"[?？؟][\s\"'”’»)\]*_]*$")
_COURTESY = re.compile(
    r"(?:thanks?|thank you|you(?:'re| are) welcome|i hope|hope this|let me know|feel free|please (?:let|feel)"
    r"|best regards|kind regards|sincerely|(?:that(?:'s| is) a )?(?:great|good) question|danke"
    r"|gern(?:e)? geschehen|viele grüße|if you have (?:any|more|further))\b",
    re.IGNORECASE,
)
_OPENER = re.compile(
    r"(?:hi|hello|hey|greetings|good (?:morning|afternoon|evening)|dear \w+|sure|certainly|of course|absolutely"
    r"|hallo|guten (?:tag|morgen|abend))\b",
    re.IGNORECASE,
)
_LEAD = re.compile(  # "Here is the answer: 42" says 42
    r"(?:(?:sure|certainly|of course)[,.!]?\s+)?(?:here (?:is|are)|this is) (?:the|your|a|an|some|my) [^:\n]{1,60}:\s*",
    re.IGNORECASE,
)
_COURTESY_WORDS = 14
_LEANS = re.compile(  # on what was asked: these words have no meaning of their own
    r"(?:it|its|he|his|she|her|hers|they|their|theirs|this|that|these|those|yes|no|because|so that|er|sie|es|ja"
    r"|nein)\b",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"\b(?:is|are|was|were|be|been|has|have|had|does|do|did|can|could|will|would|shall|should|may|might|must"
    r"|ist|sind|war|waren|hat|haben|hatte|hatten|wird|werden|wurde|wurden|kann|können"
    r"|\w{2,}(?:ed|ies|izes|ises|ains|akes|ives|uces|ects|ates)|became|becomes?|began|begins|made|makes|took|takes|gave"
    r"|gives|won|wins|wrote|writes|led|leads|held|holds|kept|keeps|found|finds|says?|said|shows?|means?|lies?|lay"
    r"|goes|went|came|comes|runs?|ran|gets?|got|costs?|needs?|lost|loses|built|builds|grew|grows|left|rose|fell|saw"
    r"|sees|sold|sells|bought|buys|brought|brings|met|meets|stood|stands|works?|lives|plays|starts?|ends?|allows?)\b",
    re.IGNORECASE,
)


def split_claims(text: str, question: str | None = None) -> tuple[StatedClaim, ...]:
    """The checkable statements of `text`, in order; offsets are exact: `claim.text == text[claim.start:claim.end]`.

    Citation markers at either end stand outside the claim, with the full stop that follows them; one in the middle of
    a sentence lies between the offsets, and `statement` leaves it out. A claim that is a short answer ("308",
    "Helene Roth", "Because it rained"), or the only one of the answer, carries `question`: a true sentence that does
    not answer it is no right answer. A short item of a list carries the line that leads into it.
    """
    claims = []
    lead_in: str | None = None
    for span in split_sentences(text):
        lead = _LEAD.match(span.cut(text))
        if lead is not None and lead.end() < span.end - span.start:
            span = Span(start=span.start + lead.end(), end=span.end)
        span = _without_markers(text, span)
        said = span.cut(text)
        plain = drop_markers(said).strip(_EDGE)
        if not content_words(plain):
            continue
        if plain.endswith(":"):
            lead_in = None if _LEAD.match(plain) else plain
            continue
        item = lead_in is not None and _is_list_item(text, span.start)
        lead_in = lead_in if item else None
        if _ASKS.search(plain) or _is_courtesy(plain) or is_abstention(plain):
            continue
        asked = lead_in if item else question
        leans = asked is not None and needs_question(plain)
        claims.append(StatedClaim(text=said, start=span.start, end=span.end, question=asked if leans else None))
    if len(claims) == 1 and question is not None and claims[0].question is None:
        return (replace(claims[0], question=question),)
    return tuple(claims)


def needs_question(text: str) -> bool:
    """Whether `text` says something only together with what was asked: short, without a verb, or leaning on it."""
    n_words = len(words(text))
    if n_words <= _SHORT_WORDS or _LEANS.match(text):
        return True
    return n_words <= _FRAGMENT_WORDS and _VERB.search(text) is None


def question_of(claim: StatedClaim) -> str:
    """What the claim answers, on one line, cut to a sensible length; "" where it stands by itself."""
    return one_line(claim.question or "")[:_QUESTION_CHARS]


def statement(claim: StatedClaim) -> str:
    """What a verifier reads: the claim on one line without markers, after its question where it has one."""
    said = one_line(drop_markers(claim.text))
    asked = question_of(claim)
    return f"{asked} {said}" if asked else said


def _without_markers(text: str, span: Span) -> Span:
    """`span` without markers at its ends; a full stop between words and a marker, or after it, is no reason to stay."""
    start, end = span.start, span.end
    for marker in find_markers(span.cut(text)):
        if not text[start : span.start + marker.start].strip(_EDGE):
            start = span.start + marker.end
    for marker in reversed(find_markers(text[start:end])):
        if text[start + marker.end : end].strip(_EDGE + ".。!,;"):
            break
        end = start + marker.start
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Span(start=start, end=end)


def _is_list_item(text: str, start: int) -> bool:
    """Whether only a bullet or an enumerator stands before `start` in its line."""
    before = text[text.rfind("\n", 0, start) + 1 : start]
    return bool(before.strip()) and not any(char.isalpha() for char in before.strip(" \t().")[1:])


def _is_courtesy(text: str) -> bool:
    """A greeting or a courtesy as a whole; "Of course, the tower is 300 m high" is none."""
    if len(words(text)) > _COURTESY_WORDS:
        return False
    opener = _OPENER.match(text)
    return _COURTESY.match(text) is not None or (opener is not None and _VERB.search(text, opener.end()) is None)
