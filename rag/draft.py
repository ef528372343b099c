"""What a decoder wrote, before it is cited: where to stop it, what to cut off, and whether it is an answer at all."""

import re
from collections.abc import Sequence

from rag.markers import drop_markers
from rag.text import content_words, split_sentences
from rag.types import Span

_LABEL = re.compile(
    r"\s*(?:(?:assistant|response)\s*:|(?:so,?\s+)?(?:the\s+)?(?:short\s+|final\s+|correct\s+)?answer"
    r"(?:\s+to\s+(?:this|the|your)\s+question)?(?:\s+is)?(?:\s+as\s+follows)?\s*:)\s*",
    re.IGNORECASE,
)
_NEXT_TURN = re.compile(
    r"\n\s*(?:question|user|human|assistant|system|passages?|documents?|context)\s*:", re.IGNORECASE
)
_FINISHED = re.compile(r"[.!?…。！？][\"'”’»)\]】］]*$")
_SOURCE = (
    r"(?:(?:numbered|given|provided|above|retrieved)\ )*"
    r"(?:documents?|passages?|texts?|context|information|articles?|sources?|evidence)"
)
_ABSTENTION = re.compile(
    rf"""(?:(?:i\ am|i'm)\ sorry,?\ (?:but\ )?|sorry,?\ (?:but\ )?|unfortunately,?\ |based\ on\ the\ {_SOURCE},\ )?(?:
      (?:the|this|these|those|any\ of\ the)\ {_SOURCE}(?:\ (?:above|given|provided))?
        \ (?:(?:does|do|did)\ not|(?:do|does|did)n't|cannot|can't|never)
        \ (?:\w+\ )?(?:contain|provide|mention|answer|specify|state|say|give|include|have|offer|discuss|address|tell)
    | (?:none|neither)\ of\ the\ {_SOURCE} | no\ {_SOURCE}\ (?:answer|contain|mention|provide|say|state)
    | i\ (?:do\ not|don't)\ (?:know|have)
    | i\ (?:can(?:not|'t|\ not)|could(?:n't|\ not)|am\ (?:unable|not\ able)\ to)\ (?:answer|find|determine|say|provide)
    | there\ is\ (?:no|not\ enough|insufficient)\ (?:information|mention|answer)
    | (?:it\ is\ |this\ is\ |that\ is\ )?not\ (?:mentioned|specified|stated|provided|given|known|possible\ to)
    | (?:the\ )?answer\ (?:is\ not|cannot\ be|isn't|is\ unknown)
    | (?:it|this)\ (?:cannot|can't)\ be\ (?:determined|answered)
    | (?:unknown|unanswerable|no\ answer|n/a|none)[.\s]*$
    )""",
    re.IGNORECASE | re.VERBOSE,
)


def is_complete(text: str, max_sentences: int) -> bool:
    """Whether nothing that may follow `text` would be kept by `tidy`."""
    if _NEXT_TURN.search(text):
        return True
    spans = split_sentences(text)
    if len(spans) > max_sentences:
        return True
    finished = spans if spans and _FINISHED.search(spans[-1].cut(text)) else spans[:-1]
    return _n_new(text, finished) < len(finished)


def tidy(text: str, *, cut_short: bool, max_sentences: int) -> str:
    """The answer in what a decoder wrote; no word inside it is changed.

    Cut off are labels before it ("Answer:", "The answer is:"), a next turn that the decoder made up, everything from
    the first sentence that it had said before, sentences beyond `max_sentences`, and, where generation was `cut_short`,
    an unfinished last sentence if there is a finished one before it.
    """
    next_turn = _NEXT_TURN.search(text)
    text = text[: next_turn.start()] if next_turn else text
    while (label := _LABEL.match(text)) is not None:
        text = text[label.end() :]
    spans = split_sentences(text)[:max_sentences]
    spans = spans[: _n_new(text, spans)]
    if cut_short and len(spans) > 1 and not _FINISHED.search(spans[-1].cut(text)):
        spans = spans[:-1]
    return text[: spans[-1].end].strip() if spans else ""


def _n_new(text: str, spans: Sequence[Span]) -> int:
    """How many sentences stand before the first that repeats an earlier one."""
    seen: set[tuple[str, ...]] = set()
    for number, span in enumerate(spans):
        said = content_words(drop_markers(span.cut(text)))
        if said and said in seen:
            return number
        seen.add(said)
    return len(spans)


def is_abstention(text: str) -> bool:
    """Whether an answer says, in whatever words, that there is none: its first sentence decides."""
    plain = " ".join(drop_markers(text).replace("’", "'").split())
    return not content_words(plain) or _ABSTENTION.match(plain.lstrip("\"'“(*-•")) is not None
