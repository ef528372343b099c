"""Example bodies of the routes of comparisons."""

from typing import Any

_COMPARISON_ID = "cmp_5c1d7e9f3a2b4860a1b2c3d4e5f60718"
_JOB_ID = "job_1b2c3d4e5f60718293a4b5c6d7e8f90a"
_TIME = "2026-01-15T09:30:00+00:00"

COMPARISON_BODY: dict[str, Any] = {
    "name": "handbook questions",
    "collection": "default",
    "cases": [
        {
            "id": "leave-1",
            "question": "How long is parental leave?",
            "reference_answers": ["14 weeks"],
            "document": "employee-handbook.pdf",
            "gold_passages": ["Parents may take 14 weeks of paid leave."],
        },
        {"id": "gym-1", "question": "Which gym is free for staff?", "answerable": False},
    ],
    "systems": [
        {"name": "closed", "mode": "closed_book"},
        {"name": "grounded", "mode": "grounded", "k": 8},
        {"name": "narrow", "mode": "grounded", "k": 2, "sampling": {"max_new_tokens": 64}},
    ],
    "seed": 0,
}
EXTERNAL_BODY: dict[str, Any] = {
    "name": "answers made elsewhere",
    "cases": [{"id": "leave-1", "question": "How long is parental leave?", "reference_answers": ["14 weeks"]}],
    "systems": [
        {"name": "ours", "answers": [{"id": "leave-1", "text": "It is 14 weeks.", "label": "correct"}]},
        {"name": "theirs", "answers": [{"id": "leave-1", "text": "", "label": "abstained"}]},
    ],
}
DRAFT_BODY: dict[str, Any] = {"collection": "default", "n": 20}
DRAFT: dict[str, Any] = {
    "cases": [
        {
            "id": "draft-1",
            "question": "How many weeks of paid leave may parents take?",
            "reference_answers": ["14"],
            "answerable": True,
            "document": "employee-handbook.pdf",
            "gold_passages": ["Parents may take 14 weeks of paid leave."],
            "slices": {},
            "drafted": True,
        }
    ]
}
QUEUED: dict[str, Any] = {"comparison_id": _COMPARISON_ID, "job_id": _JOB_ID}
_ROW: dict[str, Any] = {
    "comparison_id": _COMPARISON_ID,
    "job_id": _JOB_ID,
    "name": "handbook questions",
    "collection": "default",
    "status": "running",
    "progress": 0.5,
    "n_results": 3,
    "n_expected": 6,
    "n_failures": 0,
    "seconds_left": 12.5,
    "redacted": False,
    "error": None,
    "created_at": _TIME,
    "updated_at": _TIME,
}
COMPARISONS: dict[str, Any] = {"data": [_ROW], "count": 1}
COMPARISON: dict[str, Any] = {**_ROW, "figures": None, "manifest": {"name": "handbook questions", "seed": 0}}
CANCELLED: dict[str, Any] = {**COMPARISON, "status": "cancelled", "seconds_left": None}
DELETED: dict[str, Any] = {"comparison_id": _COMPARISON_ID, "deleted": {"results": 6}}
REPORT: dict[str, Any] = {"schema_version": "1", "name": "handbook questions", "complete": True}
RESULTS = '{"case_id":"leave-1","system":"grounded","outcome":"correct","text":"Parents may take 14 weeks [1]."}\n'
CASES = '{"case_id":"leave-1","question":"How long is parental leave?"}\n'
PROBES = '{"case_id":"leave-1","system":"grounded","cause":"not_retrieved"}\n'
PAGE = "<!doctype html>…"
