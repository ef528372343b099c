"""Shapes written down from the contract, by hand and apart from the service's own schemas."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.schemas import answers as described_answers
from api.schemas import documents as described_documents

Upload = Callable[..., dict[str, Any]]


class Maybe:
    """null, or the shape."""

    def __init__(self, shape: Any) -> None:
        self.shape = shape


class Only:
    """One of these values."""

    def __init__(self, *values: Any) -> None:
        self.values = values


NUMBER = (int, float)
SPAN = {"start": int, "end": int}
ERROR = {"code": str, "message": str, "page": Maybe(int)}
STATUS = Only("queued", "parsing", "embedding", "ready", "failed", "cancelled")
VERDICT = Only("supported", "contradicted", "unsupported")

UPLOAD = {
    "document_id": Maybe(str),
    "name": str,
    "status": STATUS,
    "job_id": Maybe(str),
    "duplicate_of": Maybe(str),
    "error": Maybe(ERROR),
}
RECEIPT = {
    "pages": [{"page": Maybe(int), "n_chars": int, "ocr": bool, "flags": [str]}],
    "n_truncated_passages": int,
    "encoding": Maybe(str),
    "warnings": [str],
}
DOCUMENT = {
    "document_id": str,
    "name": str,
    "collection": str,
    "media_type": str,
    "n_bytes": int,
    "sha256": str,
    "version": int,
    "n_pages": Maybe(int),
    "n_passages": int,
    "status": STATUS,
    "progress": NUMBER,
    "error": Maybe(ERROR),
    "receipt": Maybe(RECEIPT),
    "metadata": dict,
    "created_at": str,
    "updated_at": str,
}
HIT = {
    "rank": int,
    "passage_id": int,
    "document_id": str,
    "document_name": str,
    "page": Maybe(SPAN),
    "heading": Maybe(str),
    "text": str,
    "char_range": SPAN,
    "score": NUMBER,
    "scores": {"dense": Maybe(NUMBER), "lexical": Maybe(NUMBER), "fused": Maybe(NUMBER), "rerank": Maybe(NUMBER)},
}
ANSWER = {
    "answer_id": str,
    "question": str,
    "text": str,
    "abstained": bool,
    "citations": [
        {
            "marker": int,
            "passage_id": Maybe(int),
            "document_id": str,
            "document_name": str,
            "document_version": int,
            "page": Maybe(SPAN),
            "char_range": SPAN,
            "quote": str,
            "answer_span": SPAN,
            "boxes": [{"page": int, "x0": NUMBER, "y0": NUMBER, "x1": NUMBER, "y1": NUMBER}],
            "support": Maybe({"label": VERDICT, "score": NUMBER, "verifier": str}),
        }
    ],
    "invalid_markers": [int],
    "claims": [
        {
            "text": str,
            "start": int,
            "end": int,
            "verdict": VERDICT,
            "score": NUMBER,
            "passage_id": Maybe(int),
            "elsewhere": Maybe(int),
        }
    ],
    "removed": [{"text": str, "verdict": VERDICT, "score": NUMBER, "reason": str}],
    "faithfulness": Maybe(NUMBER),
    "confidence": Maybe(NUMBER),
    "retrieved": [HIT],
    "dropped": [{"passage_id": int, "reason": str}],
    "model": Maybe({"name": str, "engine": str, "device": str, "dtype": str}),
    "usage": {"prompt_tokens": int, "completion_tokens": int},
    "timings": {
        "retrieve_seconds": Maybe(NUMBER),
        "first_token_seconds": Maybe(NUMBER),
        "generate_seconds": Maybe(NUMBER),
        "verify_seconds": Maybe(NUMBER),
        "total_seconds": NUMBER,
    },
}
PAGE = {"page": int, "text": str, "start": int, "end": int, "width": NUMBER, "height": NUMBER}
DELETED = {"document_id": str, "deleted": {"passages": int, "vectors": int, "files": int}, "remaining": int}
PROBLEM = {"type": str, "title": str, "status": int, "code": str, "detail": str}


def fits(value: Any, shape: Any, place: str = "$") -> None:
    """Every field of `shape` is in `value` with its type; more fields are allowed, true is no number."""
    if isinstance(shape, Maybe):
        if value is not None:
            fits(value, shape.shape, place)
    elif isinstance(shape, Only):
        assert value in shape.values, place
    elif isinstance(shape, dict):
        assert isinstance(value, dict), place
        assert set(shape) <= set(value), f"{place} lacks {set(shape) - set(value)}"
        for name, inner in shape.items():
            fits(value[name], inner, f"{place}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), place
        for number, inner in enumerate(value):
            fits(inner, shape[0], f"{place}[{number}]")
    else:
        assert isinstance(value, shape), f"{place}: {value!r}"
        assert isinstance(value, bool) == (shape is bool), f"{place}: {value!r}"


def test_the_checker_finds_what_is_wrong() -> None:
    fits({"start": 1, "end": 2, "more": 3}, SPAN)
    for wrong in ({"start": 1}, {"start": 1, "end": None}, {"start": 1, "end": True}, {"start": 1, "end": 2.0}, []):
        with pytest.raises(AssertionError):
            fits(wrong, SPAN)


def test_documents_have_the_contracts_shapes(client: httpx.Client, upload: Upload, samples: Any) -> None:
    for name in ("employee-handbook.pdf", "travel-policy.md", "leitfaden.docx"):
        sent = client.post("/v1/documents", files={"file": (name, (samples / name).read_bytes())}).json()
        fits(sent, {"data": [UPLOAD]})
        fits(client.get(f"/v1/documents/{sent['data'][0]['document_id']}").json(), DOCUMENT)
        document = upload(client, f"again-{name}", (samples / name).read_bytes())
        fits(document, DOCUMENT)
        described_documents.DocumentOut.model_validate(document)
        assert document["status"] == "ready", document["error"]
        assert (document["n_pages"] is None) is (not name.endswith(".pdf"))
        assert document["receipt"] is not None
    failed = upload(client, "broken.pdf", b"%PDF-1.7\nbroken", collection="broken")
    fits(failed, DOCUMENT)
    fits(failed["error"], ERROR)
    fits(client.get("/v1/documents").json(), {"data": [DOCUMENT], "next_cursor": Maybe(str), "count": int})
    refused = client.post("/v1/documents", files={"file": ("empty.txt", b"")}).json()
    fits(refused, {**PROBLEM, "errors": [UPLOAD]})


def test_search_and_answers_have_the_contracts_shapes(client: httpx.Client, upload: Upload, samples: Any) -> None:
    name = "employee-handbook.pdf"
    document = upload(client, name, (samples / name).read_bytes(), collection="shapes")
    path = f"/v1/documents/{document['document_id']}"
    fits(client.get(f"{path}/pages/1").json(), PAGE)
    found = client.post("/v1/search", json={"query": "parental leave", "collection": "shapes"}).json()
    fits(found, {"hits": [HIT], "timings": dict})
    described_answers.SearchOut.model_validate(found)
    passages = client.get(f"{path}/passages").json()
    described_documents.PassagesOut.model_validate(passages)
    assert found["hits"]
    assert [hit["rank"] for hit in found["hits"]] == list(range(1, len(found["hits"]) + 1))
    passage = found["hits"][0]["text"].strip().replace("\n", " ")
    evidence = [{"id": "x", "text": "Parents may take fourteen weeks of paid parental leave."}]
    answers = []
    for body in (
        {"question": "How long is parental leave?", "collection": "shapes"},
        {"question": "How long is parental leave?", "collection": "shapes", "policy": "strict", "verify": False},
        {"question": passage[:200], "collection": "shapes", "abstain_below": 0.0},
        {"question": "How long is parental leave?", "evidence": evidence},
        {"question": "How long is parental leave?", "mode": "closed_book"},
        {"question": "Who?", "collection": "empty"},
    ):
        answer = client.post("/v1/ask", json=body).json()
        answers.append(answer)
        fits(answer, ANSWER)
        described_answers.AnswerOut.model_validate(answer)
        for citation in answer["citations"]:
            for box in citation["boxes"]:
                assert all(0 <= box[side] <= 1 for side in ("x0", "y0", "x1", "y1"))
            span = citation["answer_span"]
            assert answer["text"][span["start"] : span["end"]].strip()
        if answer["abstained"]:
            assert answer["citations"] == answer["claims"] == []
        fits(client.get(f"/v1/answers/{answer['answer_id']}").json(), {**ANSWER, "stale": bool})
    fits(client.delete(path).json(), DELETED)
    redacted = client.get(f"/v1/answers/{answers[0]['answer_id']}").json()
    assert redacted["stale"] or not redacted["citations"]
    described_answers.StoredAnswerOut.model_validate(redacted)
