"""Citations of one answer as ALCE counts them (Gao et al., EMNLP 2023), and what ALCE does not see.

ALCE: a sentence is **recalled** when the texts it cites, put together, support it. A citation is **precise** when its
sentence is recalled and it supports the sentence alone, or the others together do not support it without this one
(drop one). A sentence without citations is not recalled; citations of a sentence that is not recalled are not precise.

Beyond it: markers that name no passage (**out of range**), sentences that are not recalled though a passage shown to
the system supports them (**missed**), citations that do not support their own sentence, alone or together, but another
one of the answer (**misplaced**), and quotes that stand in their document word for word (**literal**). An abstention
has no sentences, so that all its shares are undefined.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llm.types import Cancel
from rag.evaluation.types import CitationCounts
from rag.types import Span
from rag.verify.claims import split_claims
from rag.verify.types import Judge, StatedClaim


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedText:
    """One citation and the text behind it: ALCE's is the whole passage; a quote is the stricter choice."""

    answer_span: Span  # the citing sentence in the answer, without its marker
    text: str
    literal: bool | None = None  # whether its quote stands in the document word for word; None: not compared


def count_citations(
    question: str,
    text: str,
    citations: Sequence[CitedText],
    *,
    judge: Judge,
    shown: Sequence[str] = (),
    n_out_of_range: int = 0,
    cancel: Cancel | None = None,
) -> CitationCounts:
    """What the citations of one answer come to; shares are for `rag.evaluation.figures` to make.

    Args:
        question: what was asked; a short answer is only a statement together with it.
        text: the answer.
        citations: all of its citations; one whose sentence states nothing counts, and is never precise.
        judge: says `supported` where a text entails a statement.
        shown: the texts that the system was shown.
        n_out_of_range: markers that name no passage.
        cancel: stops the judge.

    Raises:
        CancelledError: `cancel` was set.
    """
    sentences = split_claims(text, question)
    support = _Support(judge, cancel)
    cited = [[one for one in citations if _overlap(one.answer_span, sentence)] for sentence in sentences]
    recalled = [support.holds(s, (one.text for one in own)) for s, own in zip(sentences, cited, strict=True)]
    precise: list[CitedText] = []
    for sentence, own, is_recalled in zip(sentences, cited, recalled, strict=True):
        if is_recalled:
            precise += [one for number, one in enumerate(own) if _is_needed(support, sentence, own, number)]
    misplaced = 0
    for one in citations:
        if any(one is other for other in precise):
            continue
        own_sentences = [_overlap(one.answer_span, sentence) for sentence in sentences]
        supports = [support.holds(sentence, [one.text]) for sentence in sentences]
        here = any(own and so for own, so in zip(own_sentences, supports, strict=True))
        misplaced += not here and any(so and not own for own, so in zip(own_sentences, supports, strict=True))
    missed = [s for s, so in zip(sentences, recalled, strict=True) if not so and support.any_of(s, shown)]
    compared = [one.literal for one in citations if one.literal is not None]
    return CitationCounts(
        n_sentences=len(sentences),
        n_recalled=sum(recalled),
        n_citations=len(citations),
        n_precise=sum(any(one is other for other in precise) for one in citations),
        n_out_of_range=n_out_of_range,
        n_missed=len(missed),
        n_misplaced=misplaced,
        n_quotes=len(compared),
        n_literal=sum(compared),
    )


class _Support:
    """Asks a judge each thing once."""

    def __init__(self, judge: Judge, cancel: Cancel | None) -> None:
        self._judge = judge
        self._cancel = cancel
        self._known: dict[tuple[StatedClaim, tuple[str, ...]], bool] = {}

    def holds(self, sentence: StatedClaim, texts: Iterable[str]) -> bool:
        """Whether the texts together, as one, support the sentence."""
        joined = "\n\n".join(dict.fromkeys(texts))
        return self._ask(sentence, (joined,)) if joined else False

    def any_of(self, sentence: StatedClaim, texts: Sequence[str]) -> bool:
        """Whether one of the texts supports the sentence."""
        return self._ask(sentence, tuple(texts)) if texts else False

    def _ask(self, sentence: StatedClaim, evidence: tuple[str, ...]) -> bool:
        key = (sentence, evidence)
        if key not in self._known:
            (judgement,) = self._judge.judge([sentence], evidence, cancel=self._cancel)
            self._known[key] = judgement.label == "supported"
        return self._known[key]


def _is_needed(support: _Support, sentence: StatedClaim, own: Sequence[CitedText], number: int) -> bool:
    if support.holds(sentence, [own[number].text]):
        return True
    rest = [one.text for place, one in enumerate(own) if place != number]
    return not support.holds(sentence, rest)


def _overlap(span: Span, sentence: StatedClaim) -> bool:
    return span.start < sentence.end and sentence.start < span.end
