"""Lets a citation stand only where its evidence supports its sentence: moved to the passage that does, or dropped.

The judge reads every claim against all passages of the prompt, under their headings and table headers, which are shown
to the decoder too. What it finds is quoted from the stored text, never from what it was given to read.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from llm.types import Cancel
from rag.attribution import Attributed, Attribution
from rag.citations import Finding, Verdict
from rag.passage_text import prefix_lines
from rag.prompt_passage import PromptPassage, Run
from rag.quotes import narrow
from rag.text import content_words
from rag.types import Policy, Removed, Span, Support
from rag.verify.claims import split_claims
from rag.verify.types import Judge, Judgement, StatedClaim

_NO_EVIDENCE = "no supporting passage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """A stretch of one prompt passage as a judge reads it."""

    marker: int
    prefix: str  # heading and table header with their line ends; cannot be quoted
    run: Run
    passage: PromptPassage

    @property
    def text(self) -> str:
        """The prefix and the stretch."""
        return self.prefix + self.run.text

    def quotable(self, span: Span | None) -> Span | None:
        """The part of `span` (of `text`) that can be quoted, in the document; None where there is none."""
        if span is None:
            return None
        start, end = max(span.start - len(self.prefix), 0), span.end - len(self.prefix)
        if not self.run.text[start : max(end, 0)].strip():
            return None
        return Span(start=self.run.start + start, end=self.run.start + end)


def readable(passages: Sequence[PromptPassage]) -> tuple[Readable, ...]:
    """What a judge is given to read of `passages`, in their order."""
    rows = []
    for marker, passage in enumerate(passages, start=1):
        for run in passage.runs:
            lines = prefix_lines(passage.heading, passage.table_header, run.text)
            prefix = "".join(f"{line}\n" for line in lines)
            rows.append(Readable(marker=marker, prefix=prefix, run=run, passage=passage))
    return tuple(rows)


def claims_of(findings: Sequence[Finding], question: str) -> tuple[StatedClaim | None, ...]:
    """What each sentence claims, its offsets in that sentence; None for sentences that claim nothing."""
    text, starts = "", []
    for finding in findings:
        text += finding.sentence.lead
        starts.append(len(text))
        text += finding.sentence.text
    claims: list[StatedClaim | None] = [None] * len(findings)
    for claim in split_claims(text, question):
        number = max((i for i, start in enumerate(starts) if start <= claim.start), default=None)
        if number is not None and claims[number] is None:
            sentence = findings[number].sentence.text
            start, end = claim.start - starts[number], min(claim.end - starts[number], len(sentence))
            if start < end:
                claims[number] = dataclasses.replace(claim, text=sentence[start:end], start=start, end=end)
    return tuple(claims)


def gate(
    findings: Sequence[Finding],
    question: str,
    passages: Sequence[PromptPassage],
    judge: Judge,
    *,
    cancel: Cancel | None = None,
) -> tuple[Finding, ...]:
    """Judge what each sentence claims and let stand, move, add or drop its citations.

    Where the passages support a claim, the sentence cites what supports it: its own quotes as far as they do, alone or
    together, otherwise the place that the judge read. Where they do not, it cites nothing. Sentences that claim
    nothing stay as they are.

    Raises:
        CancelledError: `cancel` was set.
    """
    claims = claims_of(findings, question)
    evidence = readable(passages)
    judged = _judged(claims, [row.text for row in evidence], judge, cancel)
    gated = []
    for finding, claim, judgement in zip(findings, claims, judged, strict=True):
        if claim is None or judgement is None:
            gated.append(finding)
            continue
        reader = _Reader(claim, question, evidence, judge, cancel)
        quotes = reader.quotes(finding.attributed.quotes, judgement)
        if quotes and judgement.label != "supported":  # what no passage says alone, its quotes say together
            judgement = dataclasses.replace(
                judgement, label="supported", score=max(quote.support.score for quote in quotes if quote.support)
            )
        verdict = _verdict(claim, judgement, evidence, quotes, passages)
        attributed = Attributed(quotes=quotes, score=finding.attributed.score)
        gated.append(dataclasses.replace(finding, attributed=attributed, verdict=verdict))
    return tuple(gated)


def _judged(
    claims: Sequence[StatedClaim | None], evidence: Sequence[str], judge: Judge, cancel: Cancel | None
) -> list[Judgement | None]:
    """One judgement a claim, all claims read at once."""
    stated = [claim for claim in claims if claim is not None]
    found = iter(judge.judge(stated, evidence, cancel=cancel) if stated else ())
    return [None if claim is None else next(found) for claim in claims]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Finds the quotes that support one claim."""

    claim: StatedClaim
    question: str
    evidence: tuple[Readable, ...]
    judge: Judge
    cancel: Cancel | None

    def quotes(self, cited: Sequence[Attribution], best: Judgement) -> tuple[Attribution, ...]:
        """The quotes of `cited` that stand; a place that supports the claim where none does; () where there is none."""
        if best.label == "supported":
            kept = []
            for quote in cited:
                support = self._of(best) if self._was_read(quote, best) else self._support([quote])
                if support is not None:
                    kept.append(dataclasses.replace(quote, support=support))
            if kept:
                return tuple(kept)
        together = self._support(cited) if len(cited) > 1 else None
        if together is not None:
            return tuple(dataclasses.replace(quote, support=together) for quote in cited)
        if best.label == "supported" and best.evidence is None:  # read in several places at once
            best = self._best_alone() or best
        return self._moved(best) if best.label == "supported" else ()

    def _was_read(self, quote: Attribution, best: Judgement) -> bool:
        """Whether `quote` lies in the place that decided."""
        if best.evidence is None:
            return False
        row = self.evidence[best.evidence]
        place = row.quotable(best.span)
        same = place is not None and quote.marker == row.marker
        return same and place is not None and quote.span.start < place.end and place.start < quote.span.end

    def _shown(self, quote: Attribution) -> str:
        """A quote as a judge reads it: under the heading and table header of its passage."""
        prefix = next((row.prefix for row in self.evidence if row.marker == quote.marker), "")
        return prefix + quote.quote

    def _support(self, quotes: Sequence[Attribution]) -> Support | None:
        """The support that quotes give the claim together; None if they do not."""
        shown = "\n".join(self._shown(quote) for quote in quotes)
        (judgement,) = self.judge.judge([self.claim], [shown], cancel=self.cancel)
        return self._of(judgement) if judgement.label == "supported" else None

    def _best_alone(self) -> Judgement | None:
        """The judgement of the one stretch that supports the claim best by itself; None where none does."""
        found: list[Judgement] = []
        for number, row in enumerate(self.evidence):
            (judgement,) = self.judge.judge([self.claim], [row.text], cancel=self.cancel)
            if judgement.label == "supported" and judgement.evidence is not None:
                found.append(dataclasses.replace(judgement, evidence=number))
        return max(found, key=lambda judgement: judgement.score, default=None)

    def _of(self, judgement: Judgement) -> Support:
        return Support(label=judgement.label, score=judgement.score, verifier=self.judge.info.name)

    def _moved(self, best: Judgement) -> tuple[Attribution, ...]:
        """The place that `best` read, cut to what is worth quoting; () where it is a heading."""
        row = None if best.evidence is None else self.evidence[best.evidence]
        place = None if row is None else row.quotable(best.span)
        if row is None or place is None:
            return ()
        weights = dict.fromkeys(content_words(self.question), 1.0) | dict.fromkeys(content_words(self.claim.text), 2.0)
        found = Span(start=place.start - row.run.start, end=place.end - row.run.start)
        found = narrow(row.run.text, found, weights)
        span = Span(start=row.run.start + found.start, end=row.run.start + found.end)
        quote = found.cut(row.run.text)
        return (Attribution(marker=row.marker, span=span, quote=quote, score=best.score, support=self._of(best)),)


def _verdict(
    claim: StatedClaim,
    judgement: Judgement,
    evidence: Sequence[Readable],
    quotes: Sequence[Attribution],
    passages: Sequence[PromptPassage],
) -> Verdict:
    """The judgement as the answer tells it, with the passage that supports or contradicts the claim."""
    passage_id = None
    if quotes:
        passage_id = passages[quotes[0].marker - 1].holder(quotes[0].span).passage_id
    elif judgement.label != "unsupported" and judgement.evidence is not None:
        row = evidence[judgement.evidence]
        place = row.quotable(judgement.span)
        passage_id = row.passage.pieces[0].passage_id if place is None else row.passage.holder(place).passage_id
    return Verdict(
        label=judgement.label,
        score=judgement.score,
        claim=claim,
        passage_id=passage_id,
        reasons=judgement.reasons,
    )


def apply_policy(
    policy: Policy, findings: Sequence[Finding], *, cites: bool
) -> tuple[tuple[Finding, ...], tuple[Removed, ...]]:
    """What stays under a policy, and what goes: `flag` keeps all, `strict` only what is supported.

    Where the answer `cites`, only what is cited counts as supported; where it cannot (closed book), a sentence goes
    only if it was judged.
    """
    if policy == "flag":
        return tuple(findings), ()
    kept: list[Finding] = []
    removed: list[Removed] = []
    for finding in findings:
        reason = _reason(finding, cites)
        verdict = finding.verdict
        if reason is None:
            kept.append(finding)
            continue
        removed.append(
            Removed(
                text=finding.sentence.text,
                verdict="unsupported" if verdict is None else verdict.label,
                score=finding.attributed.score if verdict is None else verdict.score,
                reason=reason,
            )
        )
    return tuple(kept), tuple(removed)


def _reason(finding: Finding, cites: bool) -> str | None:
    """Why a sentence is not supported; None where it is."""
    verdict = finding.verdict
    if verdict is not None and verdict.label != "supported":
        return "; ".join((f"judged {verdict.label}", *verdict.reasons))
    return None if finding.attributed.quotes or not cites else _NO_EVIDENCE
