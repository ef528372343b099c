"""Answers a question whether something is so with yes or no, where the verifier is sure.

A small decoder copies words from the passages, whatever is asked: "Was it built in 1948?" gets "1948", or words about
something else. The verifier reads what is asked as a statement, so that it can tell whether the passages say so. Its
yes or no stands with the sentence that it was read from, and both are cited and judged like any other sentence. A
draft that says yes or no by itself is left as the decoder wrote it.
"""

import re
from collections.abc import Sequence

from llm.types import Cancel
from rag.gate import Readable, readable
from rag.markers import drop_markers
from rag.prompt_passage import PromptPassage
from rag.quotes import MAX_QUOTE_WORDS
from rag.text import split_sentences, words
from rag.verify.types import Judge, Judgement, StatedClaim
from rag.verify.whether import read_reply

SURE = 0.9  # least score of a reply, see docs/experiments.md: a wrong one is worse than a refusal
TOLD = 0.8  # least score by which a sentence is repeated: it must say so without the others
_REPLY = re.compile(r"^\W*(?:yes|yeah|yep|nope|no(?!\s+\w))\b", re.IGNORECASE)  # "no shares are traded" is none


def reply_to(
    question: str, draft: str, passages: Sequence[PromptPassage], judge: Judge, *, cancel: Cancel | None = None
) -> str | None:
    """The text that answers `question`, with markers; None where the draft does, or nothing tells surely.

    Args:
        question: what is asked, with what it refers to; other questions than whether something is so get None.
        draft: what the decoder wrote, an abstention included.
        passages: of the prompt, whose numbers the markers are.
        judge: reads statements against them.
        cancel: asked between two batches.

    Raises:
        CancelledError: `cancel` was set.
    """
    if not passages or read_reply(question, "Yes") is None or _REPLY.match(drop_markers(draft)):
        return None
    evidence = readable(passages)
    claims = [StatedClaim(text=word, start=0, end=len(word), question=question) for word in ("Yes", "No")]
    judged = judge.judge(claims, [row.text for row in evidence], cancel=cancel)
    claim, judgement = max(zip(claims, judged, strict=True), key=lambda pair: pair[1].score)
    if judgement.score < SURE or judgement.evidence is None:
        return None
    row = evidence[judgement.evidence]
    said = f"{claim.text}. [{row.marker}]"
    sentence = _told_by(claim, row, judgement, judge, cancel)
    return f"{said} {sentence} [{row.marker}]" if sentence else said


def _told_by(claim: StatedClaim, row: Readable, judgement: Judgement, judge: Judge, cancel: Cancel | None) -> str:
    """The sentence of the place which decided that supports the reply best by itself; "" where none can be read so."""
    place = row.quotable(judgement.span)
    if place is None:
        return ""
    text = row.run.text[place.start - row.run.start : place.end - row.run.start]
    sentences = [sentence for span in split_sentences(text) if _is_prose(sentence := span.cut(text).strip())]
    found = [judge.judge([claim], [sentence], cancel=cancel)[0] for sentence in sentences]
    best = max(zip(found, sentences, strict=True), key=lambda pair: pair[0].score, default=None)
    return best[1] if best is not None and best[0].score >= TOLD else ""


def _is_prose(sentence: str) -> bool:
    """Whether a sentence can be repeated in an answer: whole, of some length, and of no table."""
    ends = sentence.endswith((".", "!"))
    return ends and len(words(sentence)) <= MAX_QUOTE_WORDS and not any(mark in sentence for mark in "|\n[")
