"""How events are sent."""

from typing import Any

import anyio

from api.sse import EventStream, Outbox, Produce, encode, put


def bodies_of(produce: Produce) -> list[bytes]:
    """What is sent, piece by piece, until the end."""
    sent: list[bytes] = []

    async def receive() -> dict[str, Any]:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body" and message.get("more_body"):
            sent.append(message["body"])
        await anyio.sleep(0)

    async def serve() -> None:
        stream = EventStream(produce, heartbeat_seconds=60.0, closing=anyio.Event())
        with anyio.fail_after(10):
            await stream({"type": "http"}, receive, send)

    anyio.run(serve)
    return sent


def test_events_that_wait_are_sent_together_and_in_order() -> None:
    events = [encode("token", {"text": str(number)}) for number in range(20)]

    async def produce(outbox: Outbox) -> None:
        for event in events[:19]:
            put(outbox, event)
        await anyio.sleep(0.05)
        put(outbox, events[19])

    sent = bodies_of(produce)
    assert b"".join(sent) == b"".join(events)
    assert len(sent) == 2


def test_one_piece_stays_small() -> None:
    events = [encode("token", {"text": "x" * 10_000}) for _ in range(20)]

    async def produce(outbox: Outbox) -> None:
        for event in events:
            put(outbox, event)

    sent = bodies_of(produce)
    assert b"".join(sent) == b"".join(events)
    assert all(len(body) < 80_000 for body in sent) and len(sent) <= 4
