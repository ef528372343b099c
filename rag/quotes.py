"""Cuts a long sentence of the evidence to the part that is worth quoting."""

import re
from collections.abc import Mapping

from rag.text import content_words, words
from rag.types import Span

MAX_QUOTE_WORDS = 45
_CLAUSE_END = re.compile(r"[,;:—–|)]\s|\s[(—–|]")  # somewhere between two words


def narrow(text: str, span: Span, weights: Mapping[str, float], *, max_words: int = MAX_QUOTE_WORDS) -> Span:
    """`span` of `text`, or, where it has more than `max_words` words, the clauses in a row that weigh most.

    `weights` are those of content words (see `rag.text.content_words`), each counted once; of stretches that weigh the
    same the shortest is taken, then the first. A clause of more than `max_words` words is cut between words. A table
    row of up to twice as many words is quoted whole.
    """
    sentence = span.cut(text)
    found = words(sentence)
    n = len(found)
    if n <= max_words or (" | " in sentence and n <= 2 * max_words):
        return span
    starts = _clause_starts(sentence, found, max_words)
    weighed = [next(iter(content_words(word.cut(sentence))), "") for word in found]
    best = (-1.0, 0, 0)  # weight, minus words, minus first word
    for first in starts:
        held: set[str] = set()
        for last in range(first, min(first + max_words, n)):
            held.add(weighed[last])
            if last + 1 in starts or last + 1 == n:
                weight = sum(weights.get(term, 0.0) for term in held)
                best = max(best, (weight, first - last - 1, -first))
    first = -best[2]
    last = first - best[1] - 1
    start, end = found[first].start, found[last + 1].start if last + 1 < n else len(sentence)
    while start and not sentence[start - 1].isspace():  # an opening quotation mark or bracket
        start -= 1
    end = start + len(sentence[start:end].rstrip(" \t\n([{—–|“‘"))
    return Span(start=span.start + start, end=span.start + max(end, found[last].end))


def _clause_starts(sentence: str, found: tuple[Span, ...], max_words: int) -> frozenset[int]:
    """Numbers of the words that open a clause; of every word in a clause that is too long."""
    opening = [0]
    for number in range(1, len(found)):
        if _CLAUSE_END.search(sentence, found[number - 1].end, found[number].start):
            opening.append(number)
    starts = set(opening)
    for first, last in zip(opening, [*opening[1:], len(found)], strict=True):
        if last - first > max_words:
            starts.update(range(first, last))
    return frozenset(starts)
