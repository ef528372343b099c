"""The parts of a long claim: stretches between commas and joining words, each read by itself as well.

A cross-encoder takes a claim of which one fact is missing for supported more readily than that one fact alone.
"""

import re
from collections.abc import Sequence

from rag.text import content_words

MAX_PARTS = 4
_LEAST_WORDS = 3  # content words; a shorter stretch stays with the one before it
_JOIN = re.compile(
    r"[;:,]\s+(?:(?:and|but|or|which|who|where|when|while)\s+)?"
    r"|\s+(?:and|but|or|which|who|where|when|while|after|before|because|although|with|including|during|such as"
    r"|as well as)\s+"
)


def split_parts(text: str) -> tuple[str, ...]:
    """At least two and at most MAX_PARTS stretches that cover the words of `text`; () where it has only one."""
    spans: list[tuple[int, int]] = []
    start = 0
    for match in [*_JOIN.finditer(text), None]:
        end = match.start() if match is not None else len(text)
        if spans and _n_words(text, spans[-1]) < _LEAST_WORDS:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
        start = match.end() if match is not None else end
    if len(spans) > 1 and _n_words(text, spans[-1]) < _LEAST_WORDS:
        (_, end) = spans.pop()
        spans[-1] = (spans[-1][0], end)
    while len(spans) > MAX_PARTS:
        at = _shortest_pair(text, spans)
        spans[at : at + 2] = [(spans[at][0], spans[at + 1][1])]
    return tuple(text[first:last] for first, last in spans) if len(spans) > 1 else ()


def _n_words(text: str, span: tuple[int, int]) -> int:
    return len(content_words(text[span[0] : span[1]]))


def _shortest_pair(text: str, spans: Sequence[tuple[int, int]]) -> int:
    """Where two neighbours are shortest together."""
    counts = [_n_words(text, span) for span in spans]
    return min(range(len(spans) - 1), key=lambda at: counts[at] + counts[at + 1])
