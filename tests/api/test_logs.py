import io
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
import structlog

from api.connect import client_for
from api.logs import configure_logs
from api.serve import Running, running
from llm.scripted import ScriptedDecoder
from llm.types import Generation, Request, Token

Upload = Callable[..., dict[str, Any]]


class Broken(ScriptedDecoder):
    """Fails in a way that nobody foresaw, with a message that quotes."""

    def stream(self, request: Request) -> Iterator[Token | Generation]:
        raise ZeroDivisionError("Quetzal is the secret word")


def test_logs_never_hold_what_people_say(make_settings: Any, ready: Any, upload: Upload) -> None:
    with ExitStack() as stack:
        lines = stack.enter_context(structlog.testing.capture_logs())
        service = stack.enter_context(running(make_settings()))
        http = stack.enter_context(client_for(service.address, "Quetzal"))
        ready(http)
        upload(http, "Quetzal.txt", "Quetzal is the secret word.", collection="Quetzal", password="Quetzal")
        http.post("/v1/search", json={"query": "Quetzal", "collection": "Quetzal", "filter": {"Quetzal": 1}})
        answer = http.post("/v1/ask", json={"question": "What is the Quetzal?", "collection": "Quetzal"})
        assert answer.status_code == 200
        http.get("/v1/documents", params={"q": "Quetzal"})
        http.get("/Quetzal")
    assert [line for line in lines if line["event"] == "request" and line["route"] == "/v1/ask"]
    assert "quetzal" not in json.dumps(lines, default=str).lower()


@pytest.mark.parametrize("stream", [False, True])
def test_a_fault_gives_nothing_away(service: Running, client: httpx.Client, upload: Upload, stream: bool) -> None:
    upload(client, "bird.txt", "A quetzal is a bird.", collection="fault")
    before = service.parts.decoder.get()
    service.parts.decoder.make(lambda: Broken(("x",)))
    try:
        with structlog.testing.capture_logs() as lines:
            body = {"question": "Which word?", "collection": "fault", "stream": stream}
            answer = client.post("/v1/ask", json=body)
            deadline = time.monotonic() + 20
            while not (faults := [line for line in lines if line.get("error") == "ZeroDivisionError"]):
                assert time.monotonic() < deadline  # the line follows the answer
                time.sleep(0.01)
    finally:
        service.parts.decoder.make(lambda: before)
    assert "secret" not in answer.text
    assert '"code":"internal"' in answer.text
    assert answer.status_code == (200 if stream else 500)
    assert "test_logs.py" in faults[0]["frames"][-1]
    assert "secret" not in json.dumps(lines, default=str)


def test_logs_go_to_stderr_as_text_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    try:
        configure_logs("info", "json")
        structlog.get_logger("test").info("something", n=1)
        structlog.get_logger("test").debug("nothing")
    finally:
        structlog.configure(**before)
    captured = capsys.readouterr()
    assert captured.out == ""
    line = json.loads(captured.err)
    assert (line["event"], line["n"], line["level"]) == ("something", 1, "info")


def test_a_stderr_that_was_closed_since_ends_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", first)
    logs = structlog.get_config()
    try:
        configure_logs("info", "text")
        monkeypatch.setattr(sys, "stderr", second)
        first.close()
        structlog.get_logger("test").info("still_there")
        logging.getLogger("test").warning("this too")
    finally:
        structlog.configure(**logs)
    assert "still_there" in second.getvalue() and "this too" in second.getvalue()
