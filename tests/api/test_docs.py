import re
from typing import Any

import httpx

from api.schemas import answers, comparisons, documents, inspect, openai, requests, verify

ROUTES = {
    ("post", "/v1/documents"),
    ("get", "/v1/documents"),
    ("get", "/v1/collections"),
    ("get", "/v1/documents/{document_id}"),
    ("delete", "/v1/documents/{document_id}"),
    ("get", "/v1/jobs/{job_id}"),
    ("get", "/v1/events"),
    ("get", "/v1/documents/{document_id}/events"),
    ("get", "/v1/documents/{document_id}/content"),
    ("put", "/v1/documents/{document_id}/content"),
    ("get", "/v1/documents/{document_id}/text"),
    ("get", "/v1/documents/{document_id}/passages"),
    ("get", "/v1/documents/{document_id}/pages/{page}"),
    ("get", "/v1/documents/{document_id}/pages/{page}.png"),
    ("post", "/v1/documents/{document_id}/retry"),
    ("post", "/v1/documents/{document_id}/cancel"),
    ("post", "/v1/search"),
    ("post", "/v1/ask"),
    ("post", "/v1/verify"),
    ("get", "/v1/answers/{answer_id}"),
    ("post", "/v1/inspect"),
    ("post", "/v1/chat/completions"),
    ("post", "/v1/embeddings"),
    ("get", "/v1/models"),
    ("post", "/v1/comparisons"),
    ("get", "/v1/comparisons"),
    ("post", "/v1/comparisons/draft"),
    ("get", "/v1/comparisons/{comparison_id}"),
    ("delete", "/v1/comparisons/{comparison_id}"),
    ("get", "/v1/comparisons/{comparison_id}/report.html"),
    ("get", "/v1/comparisons/{comparison_id}/report.json"),
    ("get", "/v1/comparisons/{comparison_id}/results.jsonl"),
    ("get", "/v1/comparisons/{comparison_id}/cases.jsonl"),
    ("get", "/v1/comparisons/{comparison_id}/probes.jsonl"),
    ("post", "/v1/comparisons/{comparison_id}/cancel"),
    ("post", "/v1/comparisons/{comparison_id}/resume"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
}


def test_every_route_is_described_with_an_example(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    found = {(method, path) for path, operations in described["paths"].items() for method in operations}
    assert found >= ROUTES
    for method, path in found:
        operation = described["paths"][path][method]
        assert operation["summary"], path
        success = next(value for status, value in operation["responses"].items() if status.startswith("2"))
        assert all("example" in content for content in success["content"].values()), path


def test_examples_fit_their_schemas(client: httpx.Client) -> None:
    modules = (answers, comparisons, documents, requests, inspect, openai, verify)
    models: dict[str, Any] = {name: value for module in modules for name, value in vars(module).items()}
    n_checked = 0
    for operations in client.get("/openapi.json").json()["paths"].values():
        for operation in operations.values():
            contents = [value["content"] for value in operation["responses"].values() if "content" in value]
            for content in contents:
                for media_type, shown in content.items():
                    name = shown.get("schema", {}).get("$ref", "").rsplit("/", 1)[-1]
                    if media_type == "application/json" and name in models:
                        models[name].model_validate(shown["example"])
                        n_checked += 1
            asked = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if asked:
                model = models[asked["schema"]["$ref"].rsplit("/", 1)[-1]]
                for example in asked["examples"].values():
                    model.model_validate(example["value"])
                    n_checked += 1
    assert n_checked > 12


def test_pages_load_nothing_from_elsewhere(client: httpx.Client) -> None:
    for path in ("/", "/docs"):
        page = client.get(path)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.findall(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page.text)
        assert "<script>" not in page.text
        for address in re.findall(r"(?:src|href)=\"(/[^\"]+)\"", page.text):
            loaded = client.get(address)
            assert loaded.status_code == 200, address
            assert loaded.headers["x-content-type-options"] == "nosniff"
    assert "SwaggerUIBundle" in client.get("/docs/start.js").text
    assert len(client.get("/docs/swagger-ui-bundle.js").content) > 100_000


def test_metrics_count_without_naming_anything(client: httpx.Client) -> None:
    client.post("/v1/search", json={"query": "a very private query", "collection": "private collection"})
    client.get("/v1/documents/doc_secretid")
    figures = client.get("/metrics")
    assert figures.headers["content-type"].startswith("text/plain")
    for line in (
        'citebound_requests_total{method="POST",route="/v1/search",status="200"}',
        'citebound_requests_total{method="GET",route="/v1/documents/{document_id}",status="404"}',
        'citebound_documents{status="ready"}',
        "citebound_passages ",
        "citebound_jobs_queued ",
        "citebound_generation_seconds_count",
    ):
        assert line in figures.text, line
    assert "private" not in figures.text
    assert "secretid" not in figures.text


def test_health_and_readiness(client: httpx.Client) -> None:
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/readyz").json() == {"status": "ready"}
