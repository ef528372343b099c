# ruff: noqa: E501
import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request

from api.auth import Gate, is_loopback
from api.errors import ForbiddenError, UnauthorizedError
from rag.catalog.database import Database, sqlite_url
from rag.catalog.ids import random_id
from rag.catalog.keys import Keys

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
TOKEN = "owner-token"


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[Keys]:
    database = Database(sqlite_url(tmp_path / "catalog.sqlite3"))
    database.migrate()
    yield Keys(database, random_id)
    database.close()


def gate(keys: Keys) -> Gate:
    return Gate(keys, TOKEN, "127.0.0.1")


def request(peer: str = "127.0.0.1", **headers: str) -> Request:
    headers = {"host": "127.0.0.1:8000", **headers}
    return Request(
        {
            "type": "http",
            "scheme": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "client": (peer, 40000),
            "server": ("127.0.0.1", 8000),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
    )


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST:8000", "[::1]:8000"])
def test_without_a_key_this_machine_is_let_in(keys: Keys, host: str) -> None:
    gate(keys).check(request(host=host), needs_key=True)
    gate(keys).check(request(host=host, origin=f"http://{host.lower()}"), needs_key=True)


@pytest.mark.parametrize(
    "host", ["evil.example:8000", "127.0.0.1:8001", "127.0.0.1", "localhost.evil.example:8000", "", "a b", "x@127.0.0.1:8000", "127.0.0.1:99999"]
)  # fmt: skip
def test_a_host_that_is_not_its_own_is_refused(keys: Keys, host: str) -> None:
    with pytest.raises(ForbiddenError):
        gate(keys).check(request(host=host), needs_key=False)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:8000.evil.example", "http://127.0.0.1:3000", "http://localhost:8000", "file://"]
)  # fmt: skip
def test_a_foreign_origin_is_refused(keys: Keys, origin: str) -> None:
    with pytest.raises(ForbiddenError):
        gate(keys).check(request(origin=origin), needs_key=False)


@pytest.mark.parametrize("peer", ["192.168.1.5", "10.0.0.1", "2001:db8::1", "::ffff:192.168.1.5"])
def test_without_a_key_another_machine_is_refused(keys: Keys, peer: str) -> None:
    with pytest.raises(ForbiddenError, match="citebound keys add"):
        gate(keys).check(request(peer), needs_key=True)


def test_with_a_key_only_a_key_lets_in(keys: Keys) -> None:
    key_id, plain = keys.add("laptop", NOW)
    gate(keys).check(request("192.168.1.5", authorization=f"Bearer {plain}"), needs_key=True)
    gate(keys).check(request("192.168.1.5"), needs_key=False)
    for headers in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": plain},
        {"authorization": f"Basic {plain}"},
    ):
        with pytest.raises(UnauthorizedError):
            gate(keys).check(request(**headers), needs_key=True)
    _, other = keys.add("other", NOW)
    keys.revoke(key_id, NOW)
    with pytest.raises(UnauthorizedError):
        gate(keys).check(request(authorization=f"Bearer {plain}"), needs_key=True)
    gate(keys).check(request(authorization=f"bearer {other}"), needs_key=True)


def test_the_owner_token_is_a_key(keys: Keys) -> None:
    keys.add("laptop", NOW)
    gate(keys).check(request(authorization=f"Bearer {TOKEN}"), needs_key=True)


def test_a_useless_key_does_no_harm_where_none_is_configured(keys: Keys) -> None:
    gate(keys).check(request(authorization="Bearer sk-anything"), needs_key=True)


def test_what_is_loopback() -> None:
    assert [is_loopback(host) for host in ("127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1")] == [True] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "8.8.8.8", "example.org", None, "")] == [False] * 5
