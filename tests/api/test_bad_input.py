import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.connect import client_for
from api.serve import running

MULTIPART = "multipart/form-data; boundary=b"


def problem(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body: dict[str, Any] = answer.json()
    assert set(body) >= {"type", "title", "status", "code", "detail"}
    assert body["status"] == answer.status_code
    assert body["detail"]
    return body


@pytest.mark.parametrize("path", ["/v1/ask", "/v1/search"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"question=a", 400),
        (b"\xff\xfe", 400),
        (b'{"a":' * 100_000, 400),
        (b"[]", 422),
        (b"null", 422),
        (b'"text"', 422),
        (b"{}", 422),
        (b'{"question": "a", "query": "a", "k": ' + b"1" * 5000 + b"}", 400),
    ],
)
def test_a_body_that_is_no_request(client: httpx.Client, path: str, body: bytes, status: int) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    problem(answer)


def test_wrong_fields_are_named_with_their_range(client: httpx.Client) -> None:
    for fields, detail in (
        ({"k": 0}, "k must be a whole number from 1 to 100."),
        ({"k": 10_000}, "k must be a whole number from 1 to 100."),
        ({"k": True}, "k must be a whole number from 1 to 100."),
        ({"question": ""}, "question must be a string of 1 to 8,000 characters."),
        ({"question": "x" * 100_000}, "question must be a string of 1 to 8,000 characters."),
        ({"colour": 1}, "colour is not a field of this request."),
    ):
        answer = client.post("/v1/ask", json={"question": "What?", **fields})
        body = problem(answer)
        assert (answer.status_code, body["code"], body["detail"]) == (422, "invalid", detail)
    raw = b'{"question": "What?", "abstain_below": NaN, "k": 9223372036854775808}'
    body = problem(client.post("/v1/ask", content=raw, headers={"Content-Type": "application/json"}))
    assert [row["field"] for row in body["errors"]] == ["k", "abstain_below"]


def test_a_question_is_never_repeated_in_an_error(client: httpx.Client) -> None:
    answer = client.post("/v1/ask", json={"question": "my secret question", "k": 0})
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"year": {"$near": 1}},
        {"$or": {}},
        {"$not": 1},
        {"year": {"$in": 3}},
        {"a'; DROP TABLE documents": 1},
        {"x" * 65: 1},
        {"": 1},
    ],
)
def test_filters_that_do_not_parse(client: httpx.Client, wrong: dict[str, Any]) -> None:
    answer = client.post("/v1/search", json={"query": "a", "filter": wrong})
    assert (answer.status_code, problem(answer)["code"]) == (422, "invalid_filter")


@pytest.mark.parametrize(
    "fields", [{"stream": True}, {"mode": "closed_book"}, {"evidence": [{"id": "a", "text": "b"}]}]
)
def test_a_question_whose_filter_does_not_parse_is_refused_before_any_stream(
    client: httpx.Client, fields: dict[str, Any]
) -> None:
    answer = client.post("/v1/ask", json={"question": "What?", "filter": {"$like": 1}, **fields})
    assert (answer.status_code, problem(answer)["code"]) == (422, "invalid_filter")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/documents?collecton=a&limit=5"),
        ("GET", "/v1/documents/doc_1/text?collecton=2"),
        ("GET", "/v1/events?collecton=a"),
        ("DELETE", "/v1/documents/doc_1?collecton=a"),
        ("GET", "/v1/answers/ans_1?collecton=a"),
        ("POST", "/v1/documents?collecton=a"),
        ("POST", "/v1/search?collecton=a"),
    ],
)
def test_an_unknown_parameter_is_refused_and_named(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path, json={"query": "a"} if method == "POST" else None)
    body = problem(answer)
    assert (answer.status_code, body["code"]) == (422, "invalid")
    assert body["errors"] == [{"field": "collecton", "message": "collecton is not a field of this request"}]


def test_a_body_of_another_type(client: httpx.Client) -> None:
    answer = client.post("/v1/search", content=b'{"query": "a"}', headers={"Content-Type": "text/plain"})
    assert (answer.status_code, problem(answer)["code"]) == (415, "unsupported_media_type")
    answer = client.post("/v1/documents", json={"file": "a"})
    assert (answer.status_code, problem(answer)["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"collection": "a\nb"}, "invalid"),
        ({"collection": "x" * 129}, "invalid"),
        ({"on_duplicate": "maybe"}, "invalid"),
        ({"metadata": "{"}, "invalid"),
        ({"metadata": "[1]"}, "invalid"),
        ({"metadata": '{"a": NaN}'}, "invalid"),
        ({"metadata": '{"a": 9223372036854775808}'}, "invalid"),
        ({"metadata": json.dumps({"a": "x" * 40_000})}, "invalid"),
        ({"metadata": '{"a":' * 9 + "1" + "}" * 9}, "invalid"),
        ({"password": "x" * 1001}, "invalid"),
        ({"tags": "a"}, "invalid"),
    ],
)
def test_wrong_fields_of_an_upload(client: httpx.Client, fields: dict[str, str], code: str) -> None:
    answer = client.post("/v1/documents", files={"file": ("a.txt", b"some text")}, data=fields)
    assert (answer.status_code, problem(answer)["code"]) == (422, code)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"--b--\r\n", 422),
        (b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nplain\r\n--b--\r\n', 422),
        (b'--b\r\nContent-Disposition: form-data; name="collection"\r\n\r\na\r\n--b--\r\n', 422),
        (b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\ncut off', 400),
        (b'--b\r\nContent-Disposition: form-data; name="collection"\r\n\r\n\xff\r\n--b--\r\n', 400),
    ],
)
def test_broken_forms(client: httpx.Client, body: bytes, status: int) -> None:
    answer = client.post("/v1/documents", content=body, headers={"Content-Type": MULTIPART})
    assert answer.status_code == status
    problem(answer)


def test_a_file_without_a_name_has_one_for_people(client: httpx.Client) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\nSome words here.\r\n--b--\r\n'
    answer = client.post("/v1/documents", content=body, headers={"Content-Type": MULTIPART})
    assert answer.status_code == 202
    assert answer.json()["data"][0]["name"] == "unnamed"


def test_unknown_addresses_and_methods(client: httpx.Client) -> None:
    for path in ("/v2", "/v1/documents/", "/v1", "/static/../settings.py", "/static/%2e%2e/settings.py", "/docs/x.js"):
        answer = client.get(path)
        assert (answer.status_code, problem(answer)["code"]) == (404, "not_found")
    for method, path in (("PATCH", "/v1/documents"), ("GET", "/v1/ask"), ("OPTIONS", "/v1/ask"), ("DELETE", "/")):
        answer = client.request(method, path)
        assert (answer.status_code, problem(answer)["code"]) == (405, "method_not_allowed")
        assert answer.headers["allow"]


def test_a_hit_collection_that_was_never_named_is_empty_and_no_error(client: httpx.Client) -> None:
    answer = client.post("/v1/search", json={"query": "anything", "collection": "never named"})
    assert answer.status_code == 200
    assert answer.json()["hits"] == []


def test_every_answer_has_an_id_and_headers_that_protect(client: httpx.Client) -> None:
    given = client.get("/healthz", headers={"X-Request-ID": "abc-1"})
    assert given.headers["x-request-id"] == "abc-1"
    made = client.get("/v1/nothing", headers={"X-Request-ID": "not an id"})
    assert made.headers["x-request-id"] not in ("", "not an id")
    assert made.headers["x-content-type-options"] == "nosniff"
    assert (
        "access-control-allow-origin" not in client.get("/healthz", headers={"Origin": client_origin(client)}).headers
    )


def client_origin(client: httpx.Client) -> str:
    return str(client.base_url).rstrip("/")


@pytest.fixture(scope="module")
def small(make_settings: Any, ready: Any) -> Iterator[httpx.Client]:
    settings = make_settings(max_file_bytes=1000, max_request_bytes=3000, max_json_bytes=2000, max_request_files=3)
    with running(settings) as service, client_for(service.address, service.token) as http:
        ready(http)
        yield http


def test_limits_of_size(small: httpx.Client) -> None:
    too_large = small.post("/v1/documents", files={"file": ("a.txt", b"x " * 600)})
    assert (too_large.status_code, problem(too_large)["code"]) == (413, "too_large")
    mixed = small.post("/v1/documents", files=[("file", ("a.txt", b"x " * 600)), ("file", ("b.txt", b"A fine text."))])
    assert mixed.status_code == 202
    assert [row["error"] and row["error"]["code"] for row in mixed.json()["data"]] == ["too_large", None]
    whole = small.post("/v1/documents", files=[("file", ("a.txt", b"x" * 900))] * 4)
    assert (whole.status_code, problem(whole)["code"]) == (413, "too_large")
    chunked = small.post("/v1/documents", content=(b"x" * 100 for _ in range(100)), headers={"Content-Type": MULTIPART})
    assert chunked.status_code in (400, 413)
    many = small.post("/v1/documents", files=[("file", ("a.txt", b"x"))] * 4)
    assert (many.status_code, problem(many)["code"]) == (413, "too_large")
    body = small.post("/v1/search", json={"query": "x" * 1900, "filter": {"a": "x" * 200}})
    assert (body.status_code, problem(body)["code"]) == (413, "too_large")
    assert not any((small.get("/v1/documents").json()["data"][0]["name"]) == "a.txt" for _ in range(1))
