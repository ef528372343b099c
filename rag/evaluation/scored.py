"""From an answer to its line in the results: outcome, claims against the yardstick, citations."""

import dataclasses
from collections.abc import Sequence

from llm.types import Cancel
from rag.errors import NotFoundError
from rag.evaluation.citation_metrics import CitedText, count_citations
from rag.evaluation.evidence import EvidenceText, Yardstick, shown_texts
from rag.evaluation.scoring import external_result, judged_equivalent, score_answer
from rag.evaluation.systems import Bench
from rag.evaluation.types import Case, CaseResult, ExternalAnswer, Quote, ScoredCitation, System
from rag.types import Answer, Citation, VerdictLabel
from rag.verify.types import Judge, StatedClaim


def score_case(
    case: Case,
    system: System,
    answer: Answer,
    bench: Bench,
    yardstick: Yardstick | None,
    *,
    cancel: Cancel | None = None,
) -> CaseResult:
    """An answer that was made here, scored; without a yardstick claims and citations are not judged.

    Raises:
        CancelledError: `cancel` was set.
        NotFoundError: a document was deleted meanwhile.
    """
    score = score_answer(case, answer.text, abstained=answer.abstained)
    judge = None if yardstick is None or answer.abstained else yardstick.judge
    shown = shown_texts(case, answer, oracle=system.mode == "oracle")
    claims = None
    if yardstick is not None and yardstick.can_judge(case):
        claims = () if answer.abstained else yardstick.score(case, answer.text, shown, cancel=cancel)
    citations = tuple(_citation(case, answer, citation, bench, judge, cancel) for citation in answer.citations)
    counts = None
    if judge is not None and shown is not None:
        counts = count_citations(
            case.question,
            answer.text,
            [_cited_text(citation, shown) for citation in citations],
            judge=judge,
            shown=[item.text for item in shown],
            n_out_of_range=len(answer.invalid_markers),
            cancel=cancel,
        )
    return CaseResult(
        case_id=case.case_id,
        system=system.name,
        text=answer.text,
        abstained=score.abstained,
        outcome=score.outcome,
        decided_by=score.decided_by,
        exact_match=score.exact_match,
        token_f1=score.token_f1,
        contains_reference=score.contains_reference,
        judged_equivalent=None if judge is None else judged_equivalent(case, answer.text, judge),
        claims=claims,
        citations=citations,
        invalid_markers=answer.invalid_markers,
        citation_counts=counts,
        confidence=answer.confidence,
        retrieved_passage_ids=tuple(hit.passage.passage_id for hit in answer.retrieved),
        total_seconds=answer.timings.total_seconds,
        first_token_seconds=answer.timings.first_token_seconds,
        prompt_tokens=answer.usage.prompt_tokens,
        completion_tokens=answer.usage.completion_tokens,
    )


def score_external(
    case: Case,
    answer: ExternalAnswer,
    system: System,
    yardstick: Yardstick | None,
    *,
    cancel: Cancel | None = None,
) -> CaseResult:
    """An answer made elsewhere, scored by people's labels, the references and, where there is one, the judge.

    Raises:
        CancelledError: `cancel` was set.
    """
    result = external_result(case, answer, system=system.name)
    if yardstick is None or result.abstained or not answer.text.strip():
        return result
    claims = yardstick.score(case, answer.text, None, labelled=answer.claims, cancel=cancel)
    return dataclasses.replace(
        result,
        claims=result.claims if claims is None else claims,
        judged_equivalent=judged_equivalent(case, answer.text, yardstick.judge),
    )


def _cited_text(citation: ScoredCitation, shown: Sequence[EvidenceText]) -> CitedText:
    """The whole passage that is cited, as ALCE reads it; the quote where it is not at hand."""
    quote, text = citation.quote, citation.quote.text or ""
    for item in shown:
        same = item.passage is not None and item.passage.passage_id == quote.passage_id
        if same or (item.passage is None and quote.passage_id is None and text in item.text):
            text = item.text
            break
    return CitedText(answer_span=citation.answer_span, text=text, literal=citation.literal)


def _citation(
    case: Case, answer: Answer, citation: Citation, bench: Bench, judge: Judge | None, cancel: Cancel | None
) -> ScoredCitation:
    stored = citation.passage_id is not None
    return ScoredCitation(
        marker=citation.marker,
        quote=Quote(
            text=citation.quote,
            document_id=citation.document_id if stored else None,
            document_name=citation.document_name,
            document_version=citation.document_version if stored else None,
            passage_id=citation.passage_id,
            first_page=citation.first_page,
            last_page=citation.last_page,
            char_range=citation.char_range,
        ),
        answer_span=citation.answer_span,
        label=_label(case, answer, citation, judge, cancel),
        literal=_is_literal(case, citation, bench),
    )


def _label(
    case: Case, answer: Answer, citation: Citation, judge: Judge | None, cancel: Cancel | None
) -> VerdictLabel | None:
    """What the answer's own check said of sentence and quote; asked now where it was not checked."""
    if citation.support is not None:
        return citation.support.label
    if judge is None:
        return None
    span = citation.answer_span
    said = StatedClaim(text=span.cut(answer.text), start=span.start, end=span.end, question=case.question)
    (judgement,) = judge.judge([said], [citation.quote], cancel=cancel)
    return judgement.label


def _is_literal(case: Case, citation: Citation, bench: Bench) -> bool | None:
    """Whether the quote stands in its document where it says; None where that cannot be looked up."""
    if citation.passage_id is None:
        return any(citation.char_range.cut(text) == citation.quote for text in case.gold_passages)
    if bench.document_text is None:
        return None
    try:
        text = bench.document_text(citation.document_id, citation.document_version)
    except NotFoundError:
        return None
    return citation.char_range.cut(text) == citation.quote
