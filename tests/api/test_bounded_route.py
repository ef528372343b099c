"""Bodies that are too long, or never end."""

import asyncio
import socket

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message

from api import bounded_route
from api.serve import Running


def test_a_length_beyond_the_bound_is_refused_before_anything_is_read(service: Running) -> None:
    host, port = service.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(
            f"POST /v1/search HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
            "Content-Length: 99999999999\r\n\r\n{".encode()
        )
        assert b" 413 " in connection.recv(4096).split(b"\r\n")[0]


def test_a_body_that_stops_is_refused_and_one_that_has_ended_is_not_hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_route, "_IDLE_SECONDS", 0.05)
    messages: list[Message] = [
        {"type": "http.request", "body": b"{}", "more_body": True},
        {"type": "http.request", "body": b"", "more_body": False},
    ]

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        await asyncio.sleep(0.2)
        return {"type": "http.disconnect"}

    async def ended() -> Message:
        counted = bounded_route._counting(receive, 100)
        await counted()
        await counted()
        return await counted()

    async def stopped() -> Message:
        return await bounded_route._counting(receive, 100)()

    assert asyncio.run(ended())["type"] == "http.disconnect"
    with pytest.raises(HTTPException) as refused:
        asyncio.run(stopped())
    assert refused.value.status_code == 408
