"""One yardstick: every system's claims are read against the same evidence, whatever it was shown itself.

That is the case's gold passages, and the eight best passages of the collection for question and claim. A closed-book
answer and a grounded one that say the same are judged the same. Beside it, every claim is read against what the system
was shown: that is faithfulness, and says nothing about closed-book answers, which were shown nothing.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llm.types import Cancel
from rag.answer_types import Found, Search
from rag.evaluation.types import Case, LabelledClaim, Quote, ScoredClaim, Where
from rag.passage_text import embedding_text
from rag.types import Answer, Hit, Passage, Span, VerdictLabel
from rag.verify.claims import needs_question, split_claims
from rag.verify.types import Judge, Judgement, StatedClaim

EVIDENCE_K = 8  # passages of the collection for each claim
_MAX_QUERY_CHARS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceText:
    """One text that a claim is read against."""

    text: str
    n_prefix: int = 0  # characters of heading and table header before what can be quoted
    passage: Passage | None = None  # None: a gold passage, which belongs to no stored document

    def quote(self, span: Span | None) -> Quote:
        """The stretch `span` of `text`, or all that can be quoted where it names none or only the heading."""
        start, end = (0, len(self.text)) if span is None else (span.start, span.end)
        start, end = max(start, self.n_prefix), min(end, len(self.text))
        if not self.text[start:end].strip():
            start, end = self.n_prefix, len(self.text)
        if self.passage is None:
            return Quote(text=self.text[start:end])
        place = Span(start=self.passage.start + start - self.n_prefix, end=self.passage.start + end - self.n_prefix)
        return quote_of(self.passage, place, self.text[start:end])


def quote_of(passage: Passage, place: Span, text: str) -> Quote:
    """A stretch of a stored passage; `place` is in the document's text."""
    return Quote(
        text=text,
        document_id=passage.document_id,
        document_name=passage.document_name,
        document_version=passage.version,
        passage_id=passage.passage_id,
        first_page=passage.first_page,
        last_page=passage.last_page,
        char_range=place,
    )


def passage_evidence(passage: Passage) -> EvidenceText:
    """A stored passage under its heading, as it is embedded and shown."""
    text = embedding_text(passage)
    body = passage.text.rstrip()
    return EvidenceText(text=text, n_prefix=len(text) - len(body), passage=passage)


def gold_texts(case: Case) -> tuple[EvidenceText, ...]:
    """The gold passages of a case."""
    return tuple(EvidenceText(text=text) for text in case.gold_passages)


def shown_texts(case: Case, answer: Answer, *, oracle: bool) -> tuple[EvidenceText, ...] | None:
    """What the decoder was shown; None closed book. Hits that the budget left out are not in it."""
    if answer.mode == "closed_book":
        return None
    if oracle:
        return gold_texts(case)
    dropped = {item.passage_id for item in answer.dropped if item.reason == "budget"}
    return tuple(passage_evidence(hit.passage) for hit in answer.retrieved if hit.passage.passage_id not in dropped)


class CachedSearch:
    """A search that asks once for each query, depth and collection; the systems of a case share what it found."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._found: dict[tuple[str, int, str], Found] = {}

    def search(self, query: str, *, k: int, collection: str, metadata_filter: object = None) -> Found:
        """The same as the search behind it; filters are not used by comparisons.

        Raises:
            ValueError: a filter is given.
        """
        if metadata_filter:
            raise ValueError("a comparison searches without a filter")
        key = (query, k, collection)
        if key not in self._found:
            self._found[key] = self._search.search(query, k=k, collection=collection, metadata_filter=None)
        return self._found[key]

    def clear(self) -> None:
        """Forget everything: the next case asks other questions."""
        self._found.clear()


class Yardstick:
    """Reads claims of any system against the evidence of their case.

    Args:
        judge: Reads.
        search: The collection; None where there is none, and gold passages are all there is.
        collection: Its name.
    """

    def __init__(self, judge: Judge, search: Search | None, collection: str) -> None:
        self._judge = judge
        self._search = search
        self._collection = collection
        self._read: dict[tuple[str, str, str | None], tuple[Judgement, tuple[EvidenceText, ...]]] = {}
        self.document_ids: set[str] = set()  # whose passages were read since `clear`

    @property
    def judge(self) -> Judge:
        """Who reads."""
        return self._judge

    def can_judge(self, case: Case) -> bool:
        """Whether there is anything to read claims of this case against."""
        return self._search is not None or bool(case.gold_passages)

    def clear(self) -> None:
        """Forget the last case."""
        self._read.clear()
        self.document_ids.clear()

    def score(
        self,
        case: Case,
        text: str,
        shown: Sequence[EvidenceText] | None,
        *,
        labelled: Sequence[LabelledClaim] | None = None,
        cancel: Cancel | None = None,
    ) -> tuple[ScoredClaim, ...] | None:
        """Every claim of an answer with its verdicts, in order; None where there is nothing to read them against.

        Args:
            case: What was asked.
            text: The answer.
            shown: What its system was shown; None closed book, and for answers made elsewhere.
            labelled: Claims that people split and perhaps judged; their verdict stands above the judge's.
            cancel: Stops the judge.

        Raises:
            CancelledError: `cancel` was set.
        """
        if not self.can_judge(case):
            return None
        claims = split_claims(text, case.question) if labelled is None else _placed(case, text, labelled)
        shown_verdicts: list[VerdictLabel | None] = [None] * len(claims)
        if shown is not None and claims:
            judgements = self._judge.judge(claims, [item.text for item in shown], cancel=cancel)
            shown_verdicts = [judgement.label for judgement in judgements]
        scored = []
        for number, claim in enumerate(claims):
            judgement, evidence = self._read_claim(case, claim, cancel)
            label = None if labelled is None else labelled[number].label
            found = labelled is None or claim.text in text
            scored.append(_scored(claim, found, judgement, evidence, shown_verdicts[number], label))
        return tuple(scored)

    def _read_claim(
        self, case: Case, claim: StatedClaim, cancel: Cancel | None
    ) -> tuple[Judgement, tuple[EvidenceText, ...]]:
        key = (case.case_id, claim.text, claim.question)
        if key not in self._read:
            evidence = self._evidence(case, claim)
            (judgement,) = self._judge.judge([claim], [item.text for item in evidence], cancel=cancel)
            self._read[key] = (judgement, evidence)
        judgement, evidence = self._read[key]
        self.document_ids.update(documents_of(item.passage for item in evidence))
        return judgement, evidence

    def _evidence(self, case: Case, claim: StatedClaim) -> tuple[EvidenceText, ...]:
        hits: Sequence[Hit] = ()
        if self._search is not None:
            query = f"{case.question}\n{claim.text}"[:_MAX_QUERY_CHARS]
            found = self._search.search(query, k=EVIDENCE_K, collection=self._collection, metadata_filter=None)
            hits = found.hits
        return (*gold_texts(case), *(passage_evidence(hit.passage) for hit in hits))


def documents_of(passages: Iterable[Passage | None]) -> set[str]:
    """The documents that stored passages are from."""
    return {passage.document_id for passage in passages if passage is not None}


def _placed(case: Case, text: str, labelled: Sequence[LabelledClaim]) -> tuple[StatedClaim, ...]:
    """Claims that people split, with their places where they stand in the text word for word."""
    claims = []
    for claim in labelled:
        start = max(text.find(claim.text), 0)
        asked = case.question if needs_question(claim.text) else None
        claims.append(StatedClaim(text=claim.text, start=start, end=start + len(claim.text), question=asked))
    return tuple(claims)


def _scored(
    claim: StatedClaim,
    found: bool,
    judgement: Judgement,
    evidence: Sequence[EvidenceText],
    shown: VerdictLabel | None,
    label: VerdictLabel | None,
) -> ScoredClaim:
    decides = judgement.evidence is not None and judgement.label != "unsupported"
    quote = evidence[judgement.evidence or 0].quote(judgement.span) if decides else None
    scored = ScoredClaim(
        text=claim.text,
        start=claim.start if found else None,
        end=claim.end if found else None,
        verdict=judgement.label,
        score=judgement.score,
        shown_verdict=shown,
        decided_by="judge",
        quote=quote,
        where=_where(judgement.label, shown),
        reasons=judgement.reasons,
    )
    if label is None:
        return scored
    return dataclasses.replace(
        scored, verdict=label, judged=judgement.label, decided_by="person", where=_where(label, shown)
    )


def _where(verdict: VerdictLabel, shown: VerdictLabel | None) -> Where | None:
    """Absent: the collection was searched and does not say it; elsewhere: it does, but what was shown does not."""
    if verdict == "unsupported":
        return "absent"
    return "elsewhere" if verdict == "supported" and shown in ("unsupported", "contradicted") else None
