"""HEAD wherever GET is, and ranges of a file."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.serve import Running


@pytest.fixture(scope="module")
def document(client: httpx.Client, upload: Callable[..., dict[str, Any]], handbook: str) -> dict[str, Any]:
    return upload(client, "handbook.md", handbook)


PATHS = ["/", "/docs", "/healthz", "/readyz", "/v1/documents", "/v1/collections", "/v1/models", "/openapi.json"]


@pytest.mark.parametrize("path", [*PATHS, "/v1/documents/{}", "/v1/documents/{}/content", "/v1/documents/{}/text"])
def test_head_is_get_without_the_body(client: httpx.Client, document: dict[str, Any], path: str) -> None:
    address = path.format(document["document_id"])
    get, head = client.get(address), client.head(address)
    assert (head.status_code, head.content) == (200, b"")
    own = ("x-request-id", "date")
    assert {k: v for k, v in head.headers.items() if k not in own} == {
        k: v for k, v in get.headers.items() if k not in own
    }


def test_an_endless_stream_has_a_head_too(service: Running, client: httpx.Client) -> None:
    head = client.head("/v1/events", timeout=10)
    assert head.status_code == 200
    assert head.headers["content-type"].startswith("text/event-stream")
    deadline = time.monotonic() + 5  # well before the first heartbeat
    while service.parts.event_streams.n_inside:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_head_of_what_get_does_not_answer(client: httpx.Client) -> None:
    assert client.head("/v1/ask").status_code == 405
    assert client.head("/v1/documents/doc_none").status_code == 404
    assert client.head("/nothing").status_code == 404
    assert 'method="HEAD",route="/v1/documents/{document_id}",status="404"' in client.get("/metrics").text


def test_head_needs_the_same_key(service: Running, client: httpx.Client) -> None:
    refused = client.head("/v1/documents", headers={"Host": "evil.example"})
    assert refused.status_code == 403


def test_ranges(client: httpx.Client, document: dict[str, Any]) -> None:
    address = f"/v1/documents/{document['document_id']}/content"
    whole = client.get(address).content
    part = client.get(address, headers={"Range": "bytes=2-9"})
    assert (part.status_code, part.content) == (206, whole[2:10])
    assert part.headers["content-range"] == f"bytes 2-9/{len(whole)}"
    beyond = client.get(address, headers={"Range": "bytes=1000000-"})
    assert (beyond.status_code, beyond.headers["content-type"]) == (416, "application/problem+json")
    assert beyond.headers["content-range"] == f"bytes */{len(whole)}"
    assert beyond.json()["code"] == "range_not_satisfiable"
    broken = client.get(address, headers={"Range": "bytes=a-b-c"})
    assert (broken.status_code, broken.headers["content-type"]) == (400, "application/problem+json")
    assert broken.json()["code"] == "malformed"
