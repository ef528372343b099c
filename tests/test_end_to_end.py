"""The whole way with the default models: sample documents in, an answer out, checked from outside."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.connect import client_for
from api.serve import running
from api.settings import load_settings
from llm.errors import ModelNotFoundError
from llm.sources import ModelStore

SAMPLES = Path(__file__).parents[1] / "docs" / "samples"
NAMES = ("employee-handbook.pdf", "travel-policy.md", "leitfaden.docx")

pytestmark = [pytest.mark.model, pytest.mark.slow]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = load_settings(data_dir=tmp_path_factory.mktemp("data"), port=0, offline=True, log_level="warning")
    store = ModelStore(settings.model_cache, offline=True)
    try:
        for name in (settings.embedder, settings.decoder):
            store.resolve(name)
    except ModelNotFoundError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{error} (make models gets it)")
    with running(settings) as service, client_for(service.address, service.token) as http:
        files = [("file", (name, (SAMPLES / name).read_bytes())) for name in NAMES]
        rows = http.post("/v1/documents", files=files).json()["data"]
        deadline = time.monotonic() + 120
        for row in rows:
            while (document := http.get(f"/v1/documents/{row['document_id']}").json())["status"] != "ready":
                assert document["status"] != "failed" and time.monotonic() < deadline, document
                time.sleep(0.1)
        while http.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield http


@pytest.mark.parametrize(
    ("query", "name", "page", "holds"),
    [
        ("special leave when I move to another flat", "employee-handbook.pdf", 3, "Moving house"),
        ("mercury spill", "employee-handbook.pdf", 4, "mercury"),
        ("allowance for meals in Japan", "travel-policy.md", None, "6,500 JPY"),
        ("Wie viel kostet das Essen in der Kantine?", "leitfaden.docx", None, "4,80 Euro"),
    ],
)
def test_search_finds_the_passage_and_its_page(client, query: str, name: str, page: int | None, holds: str) -> None:
    hits = client.post("/v1/search", json={"query": query, "k": 3}).json()["hits"]
    found = [hit for hit in hits if holds in hit["text"]]
    assert found and found[0]["document_name"] == name
    assert (found[0]["page"] or {}).get("start") == page


def test_every_citation_of_an_answer_quotes_its_document_literally(client) -> None:
    for question in ("Who founded Lindenhof Instruments?", "How many people work at Lindenhof Instruments?"):
        answer = client.post("/v1/ask", json={"question": question}).json()
        assert answer["retrieved"] and answer["model"]["name"] == "SmolLM2-135M-Instruct"
        assert answer["abstained"] is (answer["citations"] == [])
        for citation in answer["citations"]:
            path = f"/v1/documents/{citation['document_id']}/text"
            text = client.get(path, params={"version": citation["document_version"]}).text
            span = citation["char_range"]
            assert text[span["start"] : span["end"]] == citation["quote"] != ""
            assert f"[{citation['marker']}]" in answer["text"]
            assert bool(citation["boxes"]) is citation["document_name"].endswith(".pdf")
        assert client.get(f"/v1/answers/{answer['answer_id']}").json()["text"] == answer["text"]


def test_an_empty_collection_abstains_without_the_decoder(client) -> None:
    empty = client.post("/v1/ask", json={"question": "Who founded it?", "collection": "nothing-here"}).json()
    assert empty["abstained"] and empty["text"] == "The documents do not contain an answer to this question."
    assert empty["model"] is None and empty["retrieved"] == []


def test_closed_book_needs_no_document(client) -> None:
    answer = client.post("/v1/ask", json={"question": "What is the capital of France?", "mode": "closed_book"}).json()
    assert answer["retrieved"] == answer["citations"] == [] and answer["text"]
