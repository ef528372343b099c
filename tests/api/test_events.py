import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from api.serve import Running, running

Upload = Callable[..., dict[str, Any]]


def read(lines: Iterator[str]) -> tuple[str, dict[str, Any]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            return name, json.loads(line[6:])
    raise AssertionError("the stream ended")


def test_all_uploads_are_told_on_one_stream(service: Running, client: httpx.Client, upload: Upload) -> None:
    address = f"{service.address}/v1/events"
    with httpx.stream("GET", address, params={"collection": "told"}, timeout=30.0) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        upload(client, "other.txt", "A file of another collection.", collection="not told")
        document = upload(client, "told.txt", "A file that is told of.", collection="told")
        lines = stream.iter_lines()
        states = []
        while not states or states[-1] != "ready":
            name, told = read(lines)
            assert (name, told["document_id"]) == ("document", document["document_id"])
            states.append(told["status"])
        assert told == client.get(f"/v1/documents/{document['document_id']}").json()
        client.delete(f"/v1/documents/{document['document_id']}")
        assert read(lines) == ("deleted", {"document_id": document["document_id"]})


def test_one_document_is_told_from_now_until_it_is_gone(service: Running, client: httpx.Client, upload: Upload) -> None:
    document = upload(client, "one.txt", "A single file.", collection="single")
    path = f"/v1/documents/{document['document_id']}"
    with httpx.stream("GET", f"{service.address}{path}/events", timeout=30.0) as stream:
        lines = stream.iter_lines()
        assert read(lines) == ("document", document)
        upload(client, "noise.txt", "Another file.", collection="single")
        client.delete(path)
        assert read(lines) == ("deleted", {"document_id": document["document_id"]})
        assert not [line for line in lines if line]


def test_streams_are_bounded_and_end_with_the_service(make_settings: Any, ready: Any) -> None:
    ended = threading.Event()
    opened = threading.Event()

    def listen(address: str) -> None:
        with httpx.stream("GET", f"{address}/v1/events", timeout=30.0) as stream:
            opened.set()
            for _ in stream.iter_bytes():
                pass
        ended.set()

    with running(make_settings(max_event_streams=1)) as service:
        thread = threading.Thread(target=listen, args=(service.address,))
        thread.start()
        assert opened.wait(20)
        refused = httpx.get(f"{service.address}/v1/events")
        assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
    assert ended.wait(10)
    thread.join()
