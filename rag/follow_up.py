"""A follow-up that reads on after the prompt of the turn before it."""

import re
from collections.abc import Sequence

from llm.types import Message
from rag.prompt import Asking, CountTokens, Prompt, Shown, as_history
from rag.prompt_passage import Neighbour, covers, fill
from rag.types import Hit

_LEAST_SHARED = 0.75  # of a follow-up's hits, to go on from the prompt before it: six of eight
_NEW_SHARE = 0.33  # of that prompt's tokens are read anew; with what a question costs besides, half of its time
_LEAST_NEW = 100  # tokens that are read anew at most, where the share is less: a question and a sentence or two
_TOLD = {"user": "question", "assistant": "answer", "system": "note"}
_OWN_WORDS = 5  # a shorter follow-up does not stand on its own
_REFERS = re.compile(
    r"\b(?:it|its|he|him|his|she|hers?|they|them|theirs?|this|that|these|those|there|then|ones?|same|other|else|and|"
    r"but|so|also|too|about)\b",
    re.IGNORECASE,
)


def continue_prompt(
    question: str,
    hits: Sequence[Hit],
    shown: Shown,
    history: Sequence[Message],
    *,
    token_budget: int,
    count_tokens: CountTokens,
    neighbour: Neighbour | None = None,
) -> Prompt | None:
    """A prompt that begins as the one before it, with all its passages in their places, and then asks the follow-up.

    New passages stand after the old ones and count on. A decoder that keeps what it has read reads from there alone,
    and that is held to a share of the earlier prompt, so that the first token comes in half the time. The earlier
    question and answer are told only where the follow-up seems to lean on them: a small decoder that was tuned on
    single questions found 10 of 30 answers without them, as with the ordinary prompt, but 7 with them, and 7 when the
    follow-up was a turn of its own after the answer.

    None where the ordinary prompt is better or the only one: fewer than three quarters of `hits` were retrieved then
    (the conversation went elsewhere), the best of them was not shown then (of 22 such pairs 2 answers were right where
    the ordinary prompt had 7), or the whole exceeds `token_budget`.

    Args:
        question: The follow-up.
        hits: What was retrieved for it, best first.
        shown: The turn before. Its passages are still those of the documents.
        history: The conversation, which ends with the question and answer of that turn.
        token_budget: Most tokens of the whole prompt.
        count_tokens: The decoder's count.
        neighbour: See `build_prompt`.
    """
    n_shared = sum(hit.passage.passage_id in shown.retrieved for hit in hits)
    if not hits or n_shared < _LEAST_SHARED * len(hits):
        return None
    if not covers(shown.passages, hits[0].passage):
        return None
    asking = Asking(
        before=shown.messages[:-1],
        question=question,
        count_tokens=count_tokens,
        known=shown.passages,
        # Only passages begin with a bracket, and no blank line is inside of one.
        known_parts=tuple(part for part in shown.messages[-1].content.split("\n\n") if part.startswith("[")),
        earlier=earlier_told(history[-2:]) if leans(question) else (),
    )
    n_new = max(_LEAST_NEW, int(_NEW_SHARE * count_tokens(shown.messages)))
    most = min(token_budget, asking.count_known() + n_new)
    if asking.count(()) > most:
        return None
    new = [hit for hit in hits if not covers(shown.passages, hit.passage)]
    passages, dropped = fill(new, lambda some: asking.count(some) <= most, neighbour, known=shown.passages)
    return asking.prompt(passages, dropped)


def earlier_told(turns: Sequence[Message]) -> tuple[str, ...]:
    """One exchange, told in a turn that goes on without it."""
    lines = (f"Earlier {_TOLD[turn.role]}: {as_history(turn).content}" for turn in turns)
    return ("\n".join(lines),)


def leans(question: str) -> bool:
    """Whether a follow-up may be unintelligible without what was said before it."""
    return len(question.split()) < _OWN_WORDS or _REFERS.search(question) is not None
