"""A judge that counts shared words: without weights, for tests and demonstrations, and as the baseline to beat.

It takes a claim for supported where one sentence of the evidence, or two in a row, hold most of its words and all of
its numbers. It cannot tell a statement from another made of the same words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llm.types import Cancel
from rag.markers import drop_markers
from rag.text import content_words, split_sentences
from rag.types import Span, VerdictLabel
from rag.verify.claims import needs_question
from rag.verify.types import Judgement, StatedClaim, VerifierInfo

_THRESHOLD = 0.6
_QUESTION_SHARE = 0.5  # of the score of a short answer that depends on the words of its question
_NEGATIONS = frozenset({"not", "no", "never", "neither", "nor", "without", "nicht", "kein", "nie"})


@dataclass(frozen=True, slots=True)
class _Window:
    """One sentence of the evidence, or two in a row."""

    evidence: int
    span: Span
    words: frozenset[str]


class OverlapJudge:
    """`rag.verify.types.Judge` by the share of content words that the best place of the evidence holds."""

    @property
    def info(self) -> VerifierInfo:
        """Its name; its error is measured by `benchmarks/verifier.py`, beside that of every other judge."""
        return VerifierInfo(name="overlap", version="1", threshold=_THRESHOLD)

    def judge(
        self, claims: Sequence[StatedClaim], evidence: Sequence[str], *, cancel: Cancel | None = None
    ) -> tuple[Judgement, ...]:
        """One judgement a claim, in order, over all of `evidence`.

        Raises:
            CancelledError: `cancel` was set.
        """
        windows = tuple(_windows(evidence))
        judgements = []
        for claim in claims:
            if cancel is not None:
                cancel.raise_if_set()
            judgements.append(_judge(claim, windows))
        return tuple(judgements)


def _windows(evidence: Sequence[str]) -> Iterator[_Window]:
    for number, text in enumerate(evidence):
        before: Span | None = None
        for span in split_sentences(text):
            yield _Window(number, span, frozenset(content_words(span.cut(text))))
            if before is not None:
                both = Span(start=before.start, end=span.end)
                yield _Window(number, both, frozenset(content_words(both.cut(text))))
            before = span


def _judge(claim: StatedClaim, windows: Sequence[_Window]) -> Judgement:
    said = frozenset(content_words(drop_markers(claim.text)))
    leans = claim.question is not None and needs_question(claim.text)
    asked = frozenset(content_words(claim.question or "")) - said if leans else frozenset()
    best: tuple[float, int] = (0.0, 0)  # score, minus length; of equals the first
    place: _Window | None = None
    for window in windows:
        rank = (_score(said, asked, window.words), -len(window.words))
        if rank[0] and rank > best:
            best, place = rank, window
    if place is None:
        return Judgement(label="unsupported", score=0.0, evidence=None, span=None, reasons=("no shared word",))
    score, reasons = best[0], []
    label: VerdictLabel = "supported" if score >= _THRESHOLD else "unsupported"
    missing = sorted(word for word in said - place.words if word[0].isdecimal())
    if missing:
        reasons.append(f"not in the evidence: {', '.join(missing)}")
    if bool(said & _NEGATIONS) != bool(place.words & _NEGATIONS):
        reasons.append("only one of claim and evidence is negated")
    if reasons:
        has_number = any(word[0].isdecimal() for word in place.words - said)
        turned = score >= _THRESHOLD or (missing and has_number and _score(_wordy(said), asked, place.words) >= 0.99)
        label = "contradicted" if turned else "unsupported"
        score = min(score, _THRESHOLD / 2)
    return Judgement(label=label, score=score, evidence=place.evidence, span=place.span, reasons=tuple(reasons))


def _score(said: frozenset[str], asked: frozenset[str], held: frozenset[str]) -> float:
    """Share of the claim's words that are held, lowered by the share of its question's words that are not."""
    if not said:
        return 0.0
    share = len(said & held) / len(said)
    context = len(asked & held) / len(asked) if asked else 1.0
    return share * (1 - _QUESTION_SHARE + _QUESTION_SHARE * context)


def _wordy(said: frozenset[str]) -> frozenset[str]:
    """What is said without its numbers."""
    return frozenset(word for word in said if not word[0].isdecimal())
