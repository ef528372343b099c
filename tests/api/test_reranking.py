"""The reranker in the service: search, answers, comparisons, the setting."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from api.loader import Loader
from api.reranking import Reranking
from api.serve import running
from api.settings import load_settings
from rag.answer_types import SURE_ABSTENTION
from rag.errors import InvalidInputError, NotReadyError
from rag.rerank.reorder import Reranker
from rag.types import Hit

TEXT = "\n\n".join(f"# Rule {n}\n\nParental leave rule {n}: parents take {n} weeks of leave." for n in range(1, 5))


class Backwards:
    """Turns a list round."""

    name, depth = "backwards", 10

    def score(self, query: str, hits: Sequence[Hit]) -> tuple[float, ...]:
        return tuple(place / 16 for place in range(1, len(hits) + 1))


@pytest.fixture(scope="module")
def http(make_settings: Callable[..., Any], upload: Callable[..., Any]) -> Iterator[httpx.Client]:
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Loader, "reranking", lambda self: Reranking("backwards", is_usual=True, load=Backwards))
            service = stack.enter_context(running(make_settings(scripted_replies=("Parents take leave [1].",))))
        client = stack.enter_context(httpx.Client(base_url=service.address, timeout=60.0))
        deadline = time.monotonic() + 60
        while client.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        upload(client, "rules.md", TEXT)
        yield client


def search(http: httpx.Client, k: int) -> list[dict[str, Any]]:
    answer = http.post("/v1/search", json={"query": "parental leave rule", "k": k})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["hits"])


def test_hits_carry_the_score_they_were_ordered_by(http: httpx.Client) -> None:
    hits = search(http, 8)
    assert [hit["rank"] for hit in hits] == [1, 2, 3, 4]
    assert [hit["score"] for hit in hits] == [hit["scores"]["rerank"] for hit in hits] == [0.25, 0.1875, 0.125, 0.0625]
    fused = [hit["scores"]["fused"] for hit in hits]
    assert fused == sorted(fused) and fused[0] < fused[-1]
    assert search(http, 2) == hits[:2]


def test_an_answer_is_made_of_the_reordered_hits(http: httpx.Client) -> None:
    hits = search(http, 2)
    answer = http.post("/v1/ask", json={"question": "parental leave rule", "k": 2}).json()
    assert answer["retrieved"] == hits
    stored = http.get(f"/v1/answers/{answer['answer_id']}").json()
    assert [hit["scores"]["rerank"] for hit in stored["retrieved"]] == [0.25, 0.1875]
    stream = http.post("/v1/ask", json={"question": "parental leave rule", "k": 2, "stream": True}).text
    told = stream.split("event: retrieval\ndata: ", 1)[1].split("\n", 1)[0]
    assert json.loads(told)["hits"] == hits


def test_a_comparison_names_a_reranker_or_none(http: httpx.Client) -> None:
    systems = [
        {"name": "usual", "k": 1},
        {"name": "named", "k": 1, "rerank": "backwards"},
        {"name": "plain", "k": 1, "rerank": "none"},
        {"name": "words", "k": 1, "retriever": "lexical"},
    ]
    body = {"cases": [{"id": "a", "question": "parental leave rule"}], "systems": systems, "trace": False}
    comparison_id = http.post("/v1/comparisons", json=body).json()["comparison_id"]
    deadline = time.monotonic() + 60
    while (found := http.get(f"/v1/comparisons/{comparison_id}").json())["status"] not in ("ready", "failed"):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    assert found["status"] == "ready", found
    assert found["manifest"]["index"]["reranker"] == "backwards"
    assert found["manifest"]["index"]["second_look"] == "auto"
    assert found["manifest"]["index"]["sure_abstention"] == SURE_ABSTENTION
    assert [system["rerank"] for system in found["manifest"]["systems"]] == [None, "backwards", "none", None]
    lines = http.get(f"/v1/comparisons/{comparison_id}/results.jsonl").text.splitlines()
    first = {row["system"]: row["retrieved_passage_ids"] for row in map(json.loads, lines)}
    assert first["usual"] == first["named"] != first["plain"] == first["words"]
    refused = http.post("/v1/comparisons", json={**body, "systems": [{"name": "x", "rerank": "big"}]})
    assert refused.status_code == 422
    assert "no reranker named 'big'; leave it out or name one of: none, backwards" in refused.json()["detail"]


def test_what_cannot_be_loaded_is_left_out_unless_it_was_named() -> None:
    tries = []

    def load() -> Reranker:
        tries.append(1)
        raise NotReadyError("the encoder is missing; pull it")

    broken = Reranking("small", is_usual=True, load=load)
    assert broken.usual_name == "small"
    assert broken.usual() is None and broken.usual() is None and len(tries) == 1
    assert broken.usual_name is None
    with pytest.raises(NotReadyError, match="encoder is missing"):
        broken.named("small")
    with pytest.raises(InvalidInputError, match="known are: none, small"):
        broken.named("large")


def test_it_is_loaded_once_and_only_where_it_is_used() -> None:
    made: list[Reranker] = []

    def load() -> Reranker:
        made.append(Backwards())
        return made[-1]

    unused = Reranking("backwards", is_usual=False, load=load)
    assert unused.usual() is None and unused.named(None) is None and unused.named("none") is None and not made
    assert unused.named("backwards") is unused.named("backwards") is made[0] and len(made) == 1
    absent = Reranking(None, is_usual=True, load=load)
    assert absent.usual() is None and absent.names == ("none",) and len(made) == 1


def test_the_setting_is_auto_or_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CITEBOUND_RERANKER", raising=False)
    assert load_settings().reranker == "auto"
    monkeypatch.setenv("CITEBOUND_RERANKER", "none")
    settings = load_settings()
    assert Loader(settings, decoder=False, judge=False).reranking().usual_name is None
    with pytest.raises(InvalidInputError, match="setting reranker"):
        load_settings(reranker="big")
    hashing = load_settings(reranker="auto", embedder="hashing")  # needs no weights, and is not made to need any
    assert Loader(hashing, decoder=False, judge=False).reranking().usual_name is None
