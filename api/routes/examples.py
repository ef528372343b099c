"""Example bodies shown in the API's documentation. The tests hold them against the schemas."""

from typing import Any

_DOCUMENT_ID = "doc_3f9a1c5e7b2d4860a1b2c3d4e5f60718"
_JOB_ID = "job_0a1b2c3d4e5f60718293a4b5c6d7e8f9"
_TIME = "2026-01-15T09:30:00+00:00"

UPLOADS: dict[str, Any] = {
    "data": [
        {
            "document_id": _DOCUMENT_ID,
            "name": "employee-handbook.pdf",
            "status": "queued",
            "job_id": _JOB_ID,
            "duplicate_of": None,
            "error": None,
        }
    ]
}
UPLOAD_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "collection": {"type": "string", "default": "default"},
                        "on_duplicate": {"type": "string", "enum": ["skip", "replace", "error"], "default": "skip"},
                        "metadata": {"type": "string", "description": "A JSON object."},
                        "password": {"type": "string", "format": "password"},
                    },
                },
                "example": {"collection": "default", "metadata": '{"year": 2026}'},
            }
        },
    }
}
CONTENT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "password": {"type": "string", "format": "password"},
                    },
                }
            },
        },
    }
}
DOCUMENT: dict[str, Any] = {
    "document_id": _DOCUMENT_ID,
    "name": "employee-handbook.pdf",
    "collection": "default",
    "media_type": "application/pdf",
    "n_bytes": 48211,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "version": 1,
    "live_version": 1,
    "n_pages": 4,
    "n_passages": 17,
    "status": "ready",
    "progress": 1.0,
    "error": None,
    "receipt": {
        "pages": [{"page": 1, "n_chars": 1820, "ocr": False, "flags": []}],
        "n_truncated_passages": 0,
        "encoding": None,
        "warnings": [],
    },
    "metadata": {"year": 2026},
    "created_at": _TIME,
    "updated_at": _TIME,
}
QUEUED = {
    **DOCUMENT,
    "version": 2,
    "status": "queued",
    "progress": 0.0,
    "receipt": None,
    "job_id": _JOB_ID,
}
CANCELLED = {**DOCUMENT, "status": "cancelled", "progress": 0.4, "live_version": None, "n_passages": 0, "receipt": None}
DOCUMENTS: dict[str, Any] = {"data": [DOCUMENT], "next_cursor": None, "count": 1}
COLLECTIONS: dict[str, Any] = {"data": [{"name": "default", "n_documents": 3, "n_passages": 58}]}
JOB: dict[str, Any] = {
    "job_id": _JOB_ID,
    "kind": "ingest",
    "status": "running",
    "progress": 0.4,
    "document_id": _DOCUMENT_ID,
    "error": None,
    "created_at": _TIME,
    "updated_at": _TIME,
}
DELETED: dict[str, Any] = {
    "document_id": _DOCUMENT_ID,
    "deleted": {"passages": 17, "vectors": 17, "files": 1},
    "remaining": 0,
}
DOCUMENT_EVENT = 'event: document\ndata: {"document_id":"' + _DOCUMENT_ID + '","status":"embedding","progress":0.5}\n\n'
TEXT = "3 Leave\nParents may take 14 weeks of paid leave."
PASSAGES: dict[str, Any] = {
    "data": [
        {
            "passage_id": 12,
            "document_id": _DOCUMENT_ID,
            "version": 1,
            "ordinal": 3,
            "text": "Parents may take 14 weeks of paid leave.",
            "char_range": {"start": 2410, "end": 2450},
            "page": {"start": 2, "end": 2},
            "heading": "3 Leave",
            "n_tokens": 12,
        }
    ]
}
PAGE: dict[str, Any] = {
    "page": 2,
    "text": "3 Leave\nParents may take 14 weeks of paid leave.",
    "start": 2402,
    "end": 2450,
    "width": 595.0,
    "height": 842.0,
}
_HIT: dict[str, Any] = {
    "rank": 1,
    "passage_id": 12,
    "document_id": _DOCUMENT_ID,
    "document_name": "employee-handbook.pdf",
    "document_version": 1,
    "page": {"start": 2, "end": 2},
    "heading": "3 Leave",
    "text": "Parents may take 14 weeks of paid leave.",
    "char_range": {"start": 2410, "end": 2450},
    "score": 0.0328,
    "scores": {"dense": 0.71, "lexical": 9.4, "fused": 0.0328, "rerank": None},
}
SEARCH_BODY = {"query": "How long is parental leave?", "k": 8, "collection": "default"}
SEARCH_FILTER_BODY = {"query": "parental leave", "filter": {"year": {"$gte": 2025}}}
SEARCH: dict[str, Any] = {"hits": [_HIT], "timings": {"retrieve_seconds": 0.012, "total_seconds": 0.013}}
ASK_BODY = {"question": "How long is parental leave?", "collection": "default"}
ASK_EVIDENCE_BODY = {
    "question": "How long is parental leave?",
    "evidence": [{"id": "memo", "text": "Parents may take 14 weeks of paid leave."}],
    "sampling": {"max_new_tokens": 64},
}
ASK_STREAM_BODY = {"question": "How long is parental leave?", "stream": True}
_SUPPORT = {"label": "supported", "score": 0.97, "verifier": "overlap"}
_CLAIM = {
    "text": "Parents may take 14 weeks of paid leave",
    "start": 0,
    "end": 39,
    "verdict": "supported",
    "score": 0.97,
    "passage_id": 12,
    "elsewhere": None,
    "reasons": [],
}
ANSWER: dict[str, Any] = {
    "answer_id": "ans_77aa01c9d4e24b6f8a3c5d7e9f1b2c3d",
    "question": "How long is parental leave?",
    "mode": "grounded",
    "collection": "default",
    "text": "Parents may take 14 weeks of paid leave [1].",
    "abstained": False,
    "citations": [
        {
            "marker": 1,
            "passage_id": 12,
            "document_id": _DOCUMENT_ID,
            "document_name": "employee-handbook.pdf",
            "document_version": 1,
            "page": {"start": 2, "end": 2},
            "char_range": {"start": 2410, "end": 2450},
            "quote": "Parents may take 14 weeks of paid leave.",
            "answer_span": {"start": 0, "end": 39},
            "boxes": [{"page": 2, "x0": 0.12, "y0": 0.31, "x1": 0.58, "y1": 0.33}],
            "support": _SUPPORT,
            "score": 1.0,
        }
    ],
    "invalid_markers": [],
    "claims": [_CLAIM],
    "removed": [],
    "faithfulness": 1.0,
    "confidence": 0.93,
    "retrieved": [_HIT],
    "dropped": [],
    "carried": [],
    "model": {
        "name": "SmolLM2-135M-Instruct",
        "engine": "torch",
        "device": "cpu",
        "dtype": "bf16",
        "context_tokens": 8192,
    },
    "usage": {"prompt_tokens": 412, "completion_tokens": 14},
    "timings": {
        "retrieve_seconds": 0.012,
        "first_token_seconds": 0.4,
        "generate_seconds": 0.9,
        "verify_seconds": 0.1,
        "elsewhere_seconds": None,
        "total_seconds": 1.1,
    },
    "created_at": _TIME,
}
INSPECT_BODY = {"prompt": "The capital of France is", "steps": 1, "temperature": 0.7, "top_p": 0.9, "alternatives": 2}
INSPECT_ANSWER_BODY = {"answer_id": "ans_77aa01c9d4e24b6f8a3c5d7e9f1b2c3d", "alternatives": 5}
INSPECTED: dict[str, Any] = {
    "prompt": [{"text": "The", "token_id": 504}, {"text": " capital", "token_id": 3575}],
    "tokens": [
        {
            "text": " Paris",
            "token_id": 7042,
            "probability": 0.71,
            "reshaped_probability": 0.93,
            "n_kept": 2,
            "entropy": 1.24,
            "logsumexp": 18.02,
            "tail_probability": 0.18,
            "alternatives": [
                {
                    "text": " Paris",
                    "token_id": 7042,
                    "logit": 17.68,
                    "probability": 0.71,
                    "reshaped_probability": 0.93,
                },
                {
                    "text": " the",
                    "token_id": 260,
                    "logit": 15.81,
                    "probability": 0.11,
                    "reshaped_probability": 0.07,
                },
            ],
        }
    ],
    "n_tokens": 1,
    "model": ANSWER["model"],
}
VERIFY_BODY = {
    "text": "Parents may take 14 weeks of paid leave. It can be taken twice.",
    "question": "How long is parental leave?",
    "evidence": [{"id": "memo", "text": "Parents may take 14 weeks of paid leave."}],
}
VERIFY_COLLECTION_BODY = {"text": "14 weeks", "question": "How long is parental leave?", "collection": "default"}
VERIFIED: dict[str, Any] = {
    "claims": [
        {
            **_CLAIM,
            "text": "Parents may take 14 weeks of paid leave.",
            "end": 40,
            "passage_id": None,
            "evidence": {"id": "memo", "char_range": {"start": 0, "end": 40}},
        },
        {
            "text": "It can be taken twice.",
            "start": 41,
            "end": 63,
            "verdict": "unsupported",
            "score": 0.04,
            "passage_id": None,
            "elsewhere": None,
            "reasons": [],
            "evidence": None,
        },
    ],
    "faithfulness": 0.5,
    "verifier": {
        "name": "overlap",
        "version": "1",
        "threshold": 0.6,
        "balanced_accuracy": None,
        "ece": None,
        "brier": None,
        "measured_on": None,
    },
}
STORED_ANSWER = {**ANSWER, "stale": False}
READY: dict[str, Any] = {"status": "ready"}
HEALTHY: dict[str, Any] = {"status": "ok", "version": "0.1.0"}
METRICS = 'citebound_documents{status="ready"} 3.0\ncitebound_passages 58.0\n'
