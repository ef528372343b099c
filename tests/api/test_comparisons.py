import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.serve import running
from llm.scripted import ScriptedDecoder

Upload = Callable[..., dict[str, Any]]
GOLD = "Parents may take fourteen weeks of paid parental leave after the birth of a child."
CASES = [
    {
        "id": "leave",
        "question": "How long is parental leave?",
        "reference_answers": ["fourteen weeks"],
        "gold_passages": [GOLD],
        "document": "handbook.md",
    },
    {"id": "lunch", "question": "What does lunch cost?", "reference_answers": ["six euros"]},
    {"id": "king", "question": "Who is the king?", "answerable": False},
]
SYSTEMS: list[dict[str, Any]] = [
    {"name": "closed", "mode": "closed_book"},
    {"name": "grounded"},
    {"name": "theirs", "answers": [{"id": "leave", "text": "<img src=x onerror=alert(1)>"}]},
]


def wait(http: httpx.Client, comparison_id: str, *statuses: str) -> dict[str, Any]:
    statuses = statuses or ("ready", "failed", "cancelled")
    deadline = time.monotonic() + 120
    while True:
        found: dict[str, Any] = http.get(f"/v1/comparisons/{comparison_id}").json()
        if found["status"] in statuses:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def begin(http: httpx.Client, **changes: Any) -> str:
    body = {"name": "t", "collection": "compared", "cases": CASES, "systems": SYSTEMS, **changes}
    answer = http.post("/v1/comparisons", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["comparison_id"])


def lines(http: httpx.Client, comparison_id: str, name: str) -> list[dict[str, Any]]:
    answer = http.get(f"/v1/comparisons/{comparison_id}/{name}.jsonl")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def test_a_comparison_from_start_to_report(client: httpx.Client, upload: Upload, handbook: str) -> None:
    document = upload(client, "handbook.md", handbook, collection="compared")
    started = client.post(
        "/v1/comparisons",
        json={"name": "t", "collection": "compared", "cases": CASES, "systems": SYSTEMS, "obedience": 1},
    ).json()
    comparison_id = started["comparison_id"]
    assert client.get(f"/v1/jobs/{started['job_id']}").json()["kind"] == "comparison"
    ready = wait(client, comparison_id)
    assert (ready["status"], ready["progress"], ready["error"]) == ("ready", 1.0, None)
    assert (ready["n_results"], ready["n_expected"], ready["n_failures"]) == (9, 9, 2)
    manifest = ready["manifest"]
    assert manifest["verifier"]["name"] == "overlap" and manifest["models"]["grounded"]["name"] == "scripted"
    assert manifest["index"]["embedder"] and manifest["cases_sha256"] and manifest["prompt_version"]
    systems = {system["name"]: system for system in ready["figures"]["systems"]}
    assert systems["grounded"]["outcomes"]["correct"] == 1
    results = {(row["case_id"], row["system"]): row for row in lines(client, comparison_id, "results")}
    assert [key for key, row in results.items() if row["failure"]] == [("lunch", "theirs"), ("king", "theirs")]
    closed, grounded = results["leave", "closed"]["claims"][0], results["leave", "grounded"]["claims"][0]
    assert closed["verdict"] == grounded["verdict"] == "supported"
    assert (closed["shown_verdict"], grounded["shown_verdict"]) == (None, "supported")
    assert [row["id"] if "id" in row else row["case_id"] for row in lines(client, comparison_id, "cases")] == [
        "leave",
        "lunch",
        "king",
    ]
    assert {row["system"] for row in lines(client, comparison_id, "probes")} == {"grounded"}
    report = client.get(f"/v1/comparisons/{comparison_id}/report.json")
    assert report.json()["complete"] is True
    assert report.content == client.get(f"/v1/comparisons/{comparison_id}/report.json").content
    page = client.get(f"/v1/comparisons/{comparison_id}/report.html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "sandbox allow-scripts" in policy and "sha256-" in policy
    assert "unsafe" not in policy and "allow-same-origin" not in policy
    assert "<img src=x" not in page.text
    listed = client.get("/v1/comparisons").json()
    assert comparison_id in [row["comparison_id"] for row in listed["data"]] and listed["count"] >= 1
    # its document goes, and so do its words
    assert client.delete(f"/v1/documents/{document['document_id']}").json()["remaining"] == 0
    redacted = client.get(f"/v1/comparisons/{comparison_id}").json()
    assert redacted["redacted"] is True
    for path in ("results.jsonl", "cases.jsonl", "probes.jsonl", "report.json", "report.html"):
        told = client.get(f"/v1/comparisons/{comparison_id}/{path}").text
        assert "weeks of paid" not in told and "canteen serves" not in told, path
    kept = {(row["case_id"], row["system"]): row for row in lines(client, comparison_id, "results")}
    assert kept["leave", "grounded"]["redacted"] and kept["leave", "grounded"]["outcome"] == "correct"
    assert kept["leave", "grounded"]["citations"][0]["quote"]["char_range"]
    assert client.delete(f"/v1/comparisons/{comparison_id}").json()["deleted"] == {"results": 9}
    for path in ("", "/report.html", "/report.json", "/results.jsonl"):
        assert client.get(f"/v1/comparisons/{comparison_id}{path}").status_code == 404


def test_answers_made_elsewhere_keep_peoples_labels(client: httpx.Client) -> None:
    claims = [{"text": "It rains.", "label": "unsupported"}, {"text": "It is dry.", "label": None}]
    systems = [
        {"name": "a", "answers": [{"id": "leave", "text": "nothing like it", "label": "correct", "claims": claims}]},
        {"name": "b", "answers": [{"id": "leave", "text": "fourteen weeks", "label": "wrong"}]},
    ]
    answer = client.post("/v1/comparisons", json={"cases": CASES[:1], "systems": systems})
    comparison_id = answer.json()["comparison_id"]
    ready = wait(client, comparison_id)
    assert ready["status"] == "ready" and ready["manifest"]["verifier"] is None
    first, second = lines(client, comparison_id, "results")
    assert (first["outcome"], second["outcome"], first["decided_by"]) == ("correct", "wrong", "person")
    assert [claim["verdict"] for claim in first["claims"]] == ["unsupported", None]
    judged = client.post("/v1/comparisons", json={"cases": CASES[:1], "systems": systems, "judged": True}).json()
    assert wait(client, judged["comparison_id"])["manifest"]["verifier"]["name"] == "overlap"
    first, _ = lines(client, judged["comparison_id"], "results")
    assert first["claims"][0]["decided_by"] == "person" and first["claims"][0]["judged"] is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cases": []}, "cases must have at least 1"),
        ({"cases": [CASES[0], CASES[0]]}, "'leave' is there twice"),
        ({"systems": [{"name": "a"}, {"name": "a"}]}, "'a' is there twice"),
        ({"systems": [{"name": "a", "answers": []}]}, "has no answers"),
        ({"systems": [{"name": "a", "answers": [{"id": "?", "text": ""}]}]}, "no case has the id"),
        ({"systems": [{"name": "a", "mode": "grounded", "answers": []}]}, "answers or settings"),
        ({"systems": [{"name": "a", "rerank": "big"}]}, "no reranker"),
        ({"systems": [{"name": "a", "k": 0}]}, "must be a whole number from 1 to 100"),
        ({"cases": [{**CASES[0], "answerable": False}]}, "unanswerable case has no reference_answers"),
        ({"cases": [{**CASES[0], "gold_passage": "x"}]}, "not both"),
        ({"case": CASES}, "not a field"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_bad_input_is_one_sentence(client: httpx.Client, changes: dict[str, Any], words: str) -> None:
    answer = client.post("/v1/comparisons", json={"cases": CASES, "systems": SYSTEMS, **changes})
    assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["detail"]


def test_a_model_that_is_nowhere_fails_the_comparison_with_its_name(client: httpx.Client) -> None:
    comparison_id = begin(client, systems=[{"name": "a", "mode": "closed_book", "model": "no-such-model"}])
    failed = wait(client, comparison_id)
    assert failed["status"] == "failed" and "no-such-model" in failed["error"]["message"]
    assert client.post(f"/v1/comparisons/{comparison_id}/cancel").status_code == 409
    for name in ("report.html", "report.json"):
        assert client.get(f"/v1/comparisons/{comparison_id}/{name}").status_code == 409
    assert client.post(f"/v1/comparisons/{comparison_id}/resume").status_code == 202
    assert wait(client, comparison_id)["status"] == "failed"


def test_drafted_cases_can_be_compared_as_they_are(client: httpx.Client, upload: Upload) -> None:
    assert client.post("/v1/comparisons/draft", json={"collection": "empty", "n": 2}).status_code == 422
    text = "The bridge over the river was opened in 1987 by Marta Lindner of the council."
    upload(client, "bridge.txt", text, collection="drafted")
    drafted = client.post("/v1/comparisons/draft", json={"collection": "drafted", "n": 2})
    assert drafted.status_code == 200, drafted.text
    (case,) = drafted.json()["cases"]
    assert case["drafted"] and case["document"] == "bridge.txt" and case["gold_passages"] == [text]
    assert drafted.content == client.post("/v1/comparisons/draft", json={"collection": "drafted", "n": 2}).content
    comparison_id = begin(client, collection="drafted", cases=[case], systems=[{"name": "grounded"}])
    assert wait(client, comparison_id)["figures"]["cases"]["n_drafted"] == 1


def test_a_stop_keeps_what_is_done_and_a_start_goes_on(make_settings: Any, ready: Any) -> None:
    settings = make_settings()
    cases = [{"id": str(n), "question": f"What is number {n}?", "reference_answers": ["x"]} for n in range(40)]
    held = threading.Event()

    def slow(service: Any) -> None:
        """The decoder waits at the twentieth question until the service stops."""

        def reply(messages: Any) -> str:
            if "number 20" in messages[-1].content:
                held.set()
                service.parts.stopping.wait(60)
            return "A reply."

        service.parts.decoder.make(lambda: ScriptedDecoder(reply, name="scripted"))

    systems = [{"name": "closed", "mode": "closed_book"}]
    with running(settings) as service, httpx.Client(base_url=service.address, timeout=60.0) as http:
        ready(http)
        slow(service)
        comparison_id = begin(http, cases=cases, systems=systems)
        assert held.wait(60)
        queued = begin(http, cases=cases[:1], systems=systems)
        assert http.get(f"/v1/comparisons/{queued}").json()["status"] == "queued"
        assert http.post(f"/v1/comparisons/{queued}/cancel").json()["status"] == "cancelled"
        assert http.get(f"/v1/comparisons/{comparison_id}").json()["status"] == "running"
    with running(settings) as service, httpx.Client(base_url=service.address, timeout=60.0) as http:
        done = wait(http, comparison_id, "ready")
        assert done["n_results"] == 40
        texts = [row["text"] for row in lines(http, comparison_id, "results")]
        assert len(texts) == 40
        assert wait(http, queued)["status"] == "cancelled"


def test_cancel_stops_a_running_comparison(make_settings: Any, ready: Any) -> None:
    with running(make_settings()) as service, httpx.Client(base_url=service.address, timeout=60.0) as http:
        ready(http)
        entered, go_on = threading.Event(), threading.Event()

        def reply(messages: Any) -> str:
            entered.set()
            go_on.wait(60)
            return "A reply."

        service.parts.decoder.make(lambda: ScriptedDecoder(reply, name="scripted"))
        comparison_id = begin(http, systems=[{"name": "closed", "mode": "closed_book"}])
        assert entered.wait(60)
        assert http.post(f"/v1/comparisons/{comparison_id}/cancel").json()["status"] == "cancelled"
        go_on.set()
        second = begin(http, systems=[{"name": "closed", "mode": "closed_book"}])
        assert wait(http, second)["status"] == "ready"
        cancelled = http.get(f"/v1/comparisons/{comparison_id}").json()
        assert cancelled["status"] == "cancelled" and cancelled["n_results"] == 0
        assert http.post(f"/v1/comparisons/{comparison_id}/resume").status_code == 202
        assert wait(http, comparison_id)["n_results"] == 3
