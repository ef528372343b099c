"""What the whole collection says of a claim, whatever was retrieved for the question."""

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from llm.types import Cancel
from rag.answer_types import Search
from rag.citations import Finding, Verdict
from rag.gate import claims_of
from rag.passage_text import embedding_text
from rag.types import Hit, Span
from rag.verify.types import Judge, Judgement, StatedClaim

EVIDENCE_K = 8  # passages that a claim is read against
_MAX_QUERY_CHARS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A claim read against the collection."""

    judgement: Judgement
    hit: Hit | None  # the passage that supports or contradicts; None where none does

    @property
    def passage_id(self) -> int | None:
        """The id of that passage."""
        return None if self.hit is None else self.hit.passage.passage_id

    @property
    def span(self) -> Span | None:
        """The place in that passage's document; None where its heading decided."""
        if self.hit is None or self.judgement.span is None:
            return None
        passage, read = self.hit.passage, self.judgement.span
        prefix = len(embedding_text(passage)) - len(passage.text.rstrip())
        start, end = max(read.start - prefix, 0), read.end - prefix
        return Span(start=passage.start + start, end=passage.start + end) if start < end else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """One collection, searched a claim at a time."""

    retriever: Search
    collection: str
    judge: Judge

    def read(
        self,
        claim: StatedClaim,
        question: str | None,
        *,
        without: Collection[int] = (),
        cancel: Cancel | None = None,
    ) -> Found:
        """Judge `claim` against the `EVIDENCE_K` best passages for question and claim, those of `without` left out.

        The search takes in the whole collection: no metadata filter holds here.

        Raises:
            CancelledError: `cancel` was set.
        """
        query = f"{question or ''}\n{claim.text}".strip()[:_MAX_QUERY_CHARS]
        found = self.retriever.search(
            query, k=EVIDENCE_K + len(without), collection=self.collection, metadata_filter=None
        )
        hits = [hit for hit in found.hits if hit.passage.passage_id not in without][:EVIDENCE_K]
        (judgement,) = self.judge.judge([claim], [embedding_text(hit.passage) for hit in hits], cancel=cancel)
        decides = judgement.evidence is not None and judgement.label != "unsupported"
        return Found(judgement=judgement, hit=hits[judgement.evidence or 0] if decides else None)

    def support(
        self, claim: StatedClaim, question: str | None, *, without: Collection[int], cancel: Cancel | None = None
    ) -> int | None:
        """A passage outside `without` that supports `claim`; None where there is none.

        Raises:
            CancelledError: `cancel` was set.
        """
        found = self.read(claim, question, without=without, cancel=cancel)
        return found.passage_id if found.judgement.label == "supported" else None


def check_closed_book(
    findings: Sequence[Finding], question: str, corpus: Corpus, *, cancel: Cancel | None = None
) -> tuple[Finding, ...]:
    """Judge what was written without documents against what the collection holds on each claim.

    Where it holds nothing on a claim, that claim is unsupported. Verdicts carry no reasons here: these may quote
    documents that the answer is not otherwise made of, so that nobody would find them when such a document is deleted.

    Raises:
        CancelledError: `cancel` was set.
    """
    checked = []
    for finding, claim in zip(findings, claims_of(findings, question), strict=True):
        if claim is None:
            checked.append(finding)
            continue
        found = corpus.read(claim, question, cancel=cancel)
        verdict = Verdict(
            label=found.judgement.label,
            score=found.judgement.score,
            claim=claim,
            passage_id=found.passage_id,
        )
        checked.append(dataclasses.replace(finding, verdict=verdict))
    return tuple(checked)
