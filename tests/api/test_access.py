import datetime
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.connect import client_for, connect
from api.serve import Running, running
from rag.errors import FolderOwnedError

OPEN = ("/", "/static/style.css", "/docs", "/docs/swagger-ui.css", "/openapi.json", "/healthz", "/readyz")
DIALECT = ("/v1/chat/completions", "/v1/embeddings", "/v1/models")  # their errors have OpenAI's shape
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def guarded(make_settings: Any, ready: Any) -> Iterator[tuple[Running, str]]:
    with running(make_settings()) as service, client_for(service.address, service.token) as owner:
        ready(owner)
        key = owner.post("/v1/keys", json={"name": "test"}).json()["key"]
        yield service, key


def test_with_a_key_everything_but_the_open_pages_needs_one(guarded: tuple[Running, str]) -> None:
    service, key = guarded
    paths = httpx.get(f"{service.address}/openapi.json").json()["paths"]
    for path, operations in paths.items():
        for method in operations:
            address = service.address + re.sub(r"{\w+}", "1", path)
            answer = httpx.request(method, address)
            if path in OPEN:
                assert answer.status_code == 200, path
                continue
            assert answer.status_code == 401, (method, path)
            body = answer.json()
            assert body["error"]["code"] if path.startswith(DIALECT) else body["code"] == "unauthorized"
            assert answer.headers["www-authenticate"].startswith("Bearer")
            wrong = httpx.request(method, address, headers={"Authorization": "Bearer cb_wrong"})
            assert wrong.status_code == 401
    for path in OPEN:
        assert httpx.get(service.address + path).status_code == 200, path
    with httpx.Client(headers={"Authorization": f"Bearer {key}"}) as http:
        assert http.get(f"{service.address}/v1/documents").status_code == 200
        assert http.get(f"{service.address}/metrics").status_code == 200


def test_a_foreign_host_or_origin_is_refused_where_no_key_is_configured(client: httpx.Client) -> None:
    for path in ("/", "/v1/documents", "/healthz", "/docs"):
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
            answer = client.get(path, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert client.post("/v1/search", json={"query": "a"}, headers={"Origin": "http://evil.example"}).status_code == 403


def test_only_the_owner_makes_keys(guarded: tuple[Running, str]) -> None:
    service, key = guarded
    for path in ("/v1/keys", "/v1/admin/check", "/v1/admin/backup"):
        for headers in ({}, {"Authorization": f"Bearer {key}"}):
            assert httpx.get(service.address + path, headers=headers).status_code == 401


def test_keys_are_shown_once_and_revoked(guarded: tuple[Running, str]) -> None:
    service, _ = guarded
    with client_for(service.address, service.token) as owner:
        made = owner.post("/v1/keys", json={"name": "laptop"}).json()
        listed = owner.get("/v1/keys")
        assert made["key"] not in listed.text
        assert made["key_id"] in [row["key_id"] for row in listed.json()["data"]]
        headers = {"Authorization": f"Bearer {made['key']}"}
        assert httpx.get(f"{service.address}/v1/documents", headers=headers).status_code == 200
        assert owner.delete(f"/v1/keys/{made['key_id']}").status_code == 200
        assert httpx.get(f"{service.address}/v1/documents", headers=headers).status_code == 401
        assert owner.delete("/v1/keys/key_unknown").status_code == 404
        assert owner.post("/v1/keys", json={"name": ""}).status_code == 422


def test_the_command_line_finds_the_owner_or_becomes_it(make_settings: Any) -> None:
    settings = make_settings()
    with connect(settings) as alone:
        assert alone.get("/v1/documents").json()["count"] == 0
        with connect(settings) as second:
            assert second.base_url == alone.base_url
            assert second.get("/v1/keys").status_code == 200
        with pytest.raises(FolderOwnedError), running(settings):
            raise AssertionError("two owners")


def test_the_token_is_of_one_run(make_settings: Any) -> None:
    settings = make_settings()
    with running(settings) as first:
        pass
    with running(settings) as second, client_for(second.address, first.token) as http:
        assert http.get("/v1/keys").status_code == 401
