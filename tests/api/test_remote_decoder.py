"""Two services: one answers, the other lends it its decoder, in a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.serve import running

Upload = Callable[..., dict[str, Any]]
REPLY = "Parents may take fourteen weeks of paid parental leave [1]."


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service in another process whose decoder is scripted."""
    folder = tmp_path_factory.mktemp("lender")
    environment = {
        **os.environ,
        "CITEBOUND_DATA_DIR": str(folder / "data"),
        "CITEBOUND_EMBEDDER": "hashing",
        "CITEBOUND_DECODER": "scripted",
        "CITEBOUND_VERIFIER": "overlap",
        "CITEBOUND_SCRIPTED_REPLIES": f'["{REPLY}"]',
        "CITEBOUND_LOG_FORMAT": "json",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    log = folder / "log"
    command = [sys.executable, "-c", "from api.cli.main import main; main()", "serve", "--port", "0"]
    with log.open("w") as stderr, subprocess.Popen(command, env=environment, stderr=stderr, cwd=folder) as process:
        deadline = time.monotonic() + 60
        while '"address"' not in (text := log.read_text()):
            assert time.monotonic() < deadline and process.poll() is None, text[-2000:]
            time.sleep(0.05)
        yield text.partition('"address": "')[2].partition('"')[0]
        process.terminate()
        process.wait(timeout=30)


def test_an_answer_is_written_elsewhere_and_cited_here(
    lender: str, make_settings: Any, ready: Callable[[httpx.Client], None], upload: Upload, handbook: str
) -> None:
    settings = make_settings(decoder=f"{lender}/v1#scripted", scripted_replies=("never said",))
    with running(settings) as service, httpx.Client(base_url=service.address, timeout=60.0) as http:
        ready(http)
        upload(http, "handbook.md", handbook, collection="handbook")
        asked = {"question": "How long is parental leave?", "collection": "handbook"}
        answer = http.post("/v1/ask", json=asked).json()
        assert answer["text"].startswith("Parents may take fourteen weeks of paid parental leave")
        assert answer["citations"]
        model = answer["model"]
        assert (model["name"], model["engine"], model["device"]) == ("scripted", "citebound", "remote")
        assert model["context_tokens"] == 8192
        assert answer["usage"]["completion_tokens"] == 10
        assert http.get("/v1/models").json()["data"][0]["max_model_len"] == 8192
        with http.stream("POST", "/v1/ask", json={**asked, "stream": True}) as stream:
            text = stream.read().decode()
        assert text.count("event: token") > 1
        refused = http.post("/v1/inspect", json={"answer_id": answer["answer_id"]})
        assert (refused.status_code, refused.json()["code"]) == (422, "unsupported")
        beams = http.post("/v1/ask", json={**asked, "sampling": {"num_beams": 2}})
        assert (beams.status_code, beams.json()["code"]) == (422, "unsupported")


def test_a_wrong_name_is_told_before_the_first_question(
    lender: str, make_settings: Any, ready: Callable[[httpx.Client], None]
) -> None:
    settings = make_settings(decoder=f"{lender}/v1#another")
    with running(settings) as service, httpx.Client(base_url=service.address, timeout=60.0) as http:
        assert service.parts.decoder.wait(60)
        not_ready = http.get("/readyz")
        assert not_ready.status_code == 503
        assert "has no model 'another'; it lists 'scripted'" in not_ready.json()["detail"]


def test_a_decoder_that_comes_later_is_found(
    make_settings: Any, ready: Callable[[httpx.Client], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.loader._AGAIN_SECONDS", (0.1,))
    with running(make_settings()) as later, httpx.Client(base_url=later.address, timeout=60.0) as there:
        ready(there)
        before = later.parts.decoder.get()
        later.parts.decoder._value = None  # as a service that is just starting
        settings = make_settings(decoder=f"{later.address}/v1#scripted")
        with running(settings) as service, httpx.Client(base_url=service.address, timeout=60.0) as http:
            assert service.parts.decoder.wait(60)
            assert http.get("/readyz").status_code == 503
            later.parts.decoder.make(lambda: before)
            ready(http)


def test_a_request_cannot_choose_where_this_machine_connects_to(
    make_settings: Any, ready: Callable[[httpx.Client], None], upload: Upload, handbook: str
) -> None:
    with running(make_settings()) as service, httpx.Client(base_url=service.address, timeout=60.0) as http:
        ready(http)
        upload(http, "handbook.md", handbook)
        body = {
            "name": "elsewhere",
            "cases": [{"id": "1", "question": "How long is parental leave?", "reference_answers": ["fourteen weeks"]}],
            "systems": [{"name": "a", "mode": "grounded", "model": "http://127.0.0.1:9/v1#x"}],
        }
        made = http.post("/v1/comparisons", json=body)
        assert made.status_code == 202, made.text
        deadline = time.monotonic() + 60
        while (row := http.get(f"/v1/comparisons/{made.json()['comparison_id']}").json())["status"] == "queued" or (
            row["status"] == "running"
        ):
            assert time.monotonic() < deadline, row
            time.sleep(0.05)
        assert row["status"] == "failed"
        assert "chosen by the setting decoder" in row["error"]["message"]
