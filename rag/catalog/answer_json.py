"""Answers in the contract's JSON: what is stored is what is sent."""

import dataclasses
from typing import Any

from rag.types import Answer, Citation, Claim, Hit, Span, Support


def answer_to_json(answer: Answer) -> dict[str, Any]:
    """An answer as `POST /v1/ask` returns it."""
    model = answer.model
    return {
        "answer_id": answer.answer_id,
        "question": answer.question,
        "mode": answer.mode,
        "collection": answer.collection,
        "text": answer.text,
        "abstained": answer.abstained,
        "citations": [citation_to_json(citation) for citation in answer.citations],
        "invalid_markers": list(answer.invalid_markers),
        "claims": [claim_to_json(claim) for claim in answer.claims],
        "removed": [dataclasses.asdict(removed) for removed in answer.removed],
        "faithfulness": answer.faithfulness,
        "confidence": answer.confidence,
        "retrieved": [hit_to_json(hit) for hit in answer.retrieved],
        "dropped": [dataclasses.asdict(dropped) for dropped in answer.dropped],
        "carried": [dataclasses.asdict(one) | {"passage_ids": list(one.passage_ids)} for one in answer.carried],
        "model": None if model is None else dataclasses.asdict(model),
        "usage": dataclasses.asdict(answer.usage),
        "timings": dataclasses.asdict(answer.timings),
        "created_at": answer.created_at.isoformat(),
    }


def hit_to_json(hit: Hit) -> dict[str, Any]:
    """A hit as `POST /v1/search` returns it."""
    passage = hit.passage
    return {
        "rank": hit.rank,
        "passage_id": passage.passage_id,
        "document_id": passage.document_id,
        "document_name": passage.document_name,
        "document_version": passage.version,
        "page": page_to_json(passage.first_page, passage.last_page),
        "heading": passage.heading,
        "text": passage.text,
        "char_range": {"start": passage.start, "end": passage.end},
        "score": hit.score,
        "scores": dataclasses.asdict(hit.scores),
    }


def citation_to_json(citation: Citation) -> dict[str, Any]:
    """One citation of an answer."""
    return {
        "marker": citation.marker,
        "passage_id": citation.passage_id,
        "document_id": citation.document_id,
        "document_name": citation.document_name,
        "document_version": citation.document_version,
        "page": page_to_json(citation.first_page, citation.last_page),
        "char_range": span_to_json(citation.char_range),
        "quote": citation.quote,
        "answer_span": span_to_json(citation.answer_span),
        "boxes": [dataclasses.asdict(box) for box in citation.boxes],
        "support": support_to_json(citation.support),
        "score": citation.score,
    }


def claim_to_json(claim: Claim) -> dict[str, Any]:
    """One claim of an answer."""
    return {**dataclasses.asdict(claim), "reasons": list(claim.reasons)}


def support_to_json(support: Support | None) -> dict[str, Any] | None:
    """The verdict on a citation."""
    return None if support is None else dataclasses.asdict(support)


def page_to_json(first_page: int | None, last_page: int | None) -> dict[str, int] | None:
    """Pages from and to, both included; None for formats without pages."""
    if first_page is None:
        return None
    return {"start": first_page, "end": first_page if last_page is None else last_page}


def span_to_json(span: Span) -> dict[str, int]:
    """A half-open range of code points."""
    return {"start": span.start, "end": span.end}
