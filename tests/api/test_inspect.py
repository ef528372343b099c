"""A look inside the decoder over HTTP."""

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest

from api.serve import Running
from llm.scripted import ScriptedDecoder
from llm.types import Cancel, Capabilities, Decoder, Message, ModelInfo, SamplingParams, TokenDistribution

Upload = Callable[..., dict[str, Any]]
Answer = dict[str, Any]
REPLY = "Parents may take fourteen weeks of paid parental leave [1]."


@pytest.fixture(scope="module")
def answer(client: httpx.Client, upload: Upload, handbook: str) -> Answer:
    upload(client, "handbook.md", handbook, collection="inspected")
    question = {"question": "How many weeks of paid parental leave may parents take?", "collection": "inspected"}
    found: Answer = client.post("/v1/ask", json=question).json()
    assert found["citations"]
    return found


def look(client: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/inspect", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def check_figures(token: dict[str, Any]) -> None:
    assert 0 < token["probability"] <= 1
    assert 0 <= token["reshaped_probability"] <= 1
    assert token["entropy"] >= 0
    listed = sum(row["probability"] for row in token["alternatives"])
    assert token["tail_probability"] == pytest.approx(1 - listed, abs=1e-5)
    for row in token["alternatives"]:
        assert row["probability"] == pytest.approx(math.exp(row["logit"] - token["logsumexp"]), rel=1e-3)


def test_a_stored_answer_shows_the_tokens_that_were_written(client: httpx.Client, answer: Answer) -> None:
    found = look(client, answer_id=answer["answer_id"], alternatives=2)
    assert "".join(token["text"] for token in found["tokens"]) == REPLY
    assert found["n_tokens"] == len(found["tokens"]) == answer["usage"]["completion_tokens"]
    assert len(found["prompt"]) == answer["usage"]["prompt_tokens"]
    prompt = "".join(token["text"] for token in found["prompt"])
    assert answer["question"] in prompt
    assert answer["citations"][0]["quote"] in prompt
    assert found["model"] == answer["model"]
    for token in found["tokens"]:
        check_figures(token)
        assert len(token["alternatives"]) == 2
    assert look(client, answer_id=answer["answer_id"], steps=3)["tokens"] == found["tokens"][:3]
    stored = client.get(f"/v1/answers/{answer['answer_id']}").json()
    assert set(stored) == {*answer, "stale"}


def test_a_prompt_is_one_turn_of_the_user(client: httpx.Client) -> None:
    one = look(client, prompt="Who takes leave?", steps=4)
    assert one == look(client, messages=[{"role": "user", "content": "Who takes leave?"}], steps=4)
    assert len(one["tokens"]) == 4
    assert one["tokens"][0]["text"] == "Parents"


def test_temperature_reshapes_and_zero_leaves_one(client: httpx.Client) -> None:
    greedy, warm, narrow = (
        look(client, prompt="Who?", steps=2, **shape)["tokens"][0]
        for shape in ({}, {"temperature": 2.0}, {"temperature": 2.0, "top_k": 1})
    )
    assert (greedy["reshaped_probability"], greedy["n_kept"]) == (1.0, 1)
    assert [row["reshaped_probability"] for row in greedy["alternatives"]] == [1.0, 0.0]
    p = warm["probability"]
    assert warm["reshaped_probability"] == pytest.approx(p**0.5 / (p**0.5 + (1 - p) ** 0.5))
    assert warm["n_kept"] == 2
    assert narrow["n_kept"] == 1
    assert greedy["probability"] == warm["probability"] == narrow["probability"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "exactly one of"),
        ({"prompt": "a", "answer_id": "ans_1"}, "exactly one of"),
        ({"prompt": "a", "steps": 0}, "steps"),
        ({"prompt": "a", "steps": 257}, "steps"),
        ({"prompt": "a", "alternatives": 101}, "alternatives"),
        ({"prompt": "a", "alternatives": -1}, "alternatives"),
        ({"prompt": "a", "temperature": -1}, "temperature"),
        ({"prompt": "a", "temperature": "hot"}, "temperature"),
        ({"prompt": "a", "temperature": 1, "top_p": 0}, "top_p"),
        ({"prompt": "a", "top_k": 5}, "temperature above 0"),
        ({"prompt": "a", "verbose": True}, "not a field"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "role"),
        ({"prompt": "word " * 9000}, "shorten"),
    ],
)
def test_what_cannot_be_looked_at_is_refused_in_words(client: httpx.Client, body: dict[str, Any], says: str) -> None:
    refused = client.post("/v1/inspect", json=body)
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert says in refused.json()["detail"].lower()


def test_numbers_that_are_none_are_refused(client: httpx.Client) -> None:
    for value in ("NaN", "Infinity", "1e999"):
        body = f'{{"prompt": "a", "temperature": {value}}}'
        answer = client.post("/v1/inspect", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), value


def test_an_unknown_answer_and_one_that_nothing_was_written_for(client: httpx.Client) -> None:
    refused = client.post("/v1/inspect", json={"answer_id": "ans_unknown"})
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    empty = client.post("/v1/ask", json={"question": "Who?", "collection": "holds nothing"}).json()
    refused = client.post("/v1/inspect", json={"answer_id": empty["answer_id"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


def test_a_closed_book_answer_is_looked_at_too(client: httpx.Client) -> None:
    answer = client.post("/v1/ask", json={"question": "Who takes leave?", "mode": "closed_book"}).json()
    found = look(client, answer_id=answer["answer_id"])
    assert "".join(token["text"] for token in found["tokens"]).strip()


def test_after_a_deletion_nothing_of_the_prompt_is_left(client: httpx.Client, upload: Upload) -> None:
    document = upload(client, "secret.md", "The vault opens with the word xylophone.", collection="vault")
    question = {"question": "Which word opens the vault?", "collection": "vault"}
    first = client.post("/v1/ask", json=question).json()
    history = [{"role": "user", "content": "Which word?"}, {"role": "assistant", "content": "It is xylophone."}]
    later = client.post("/v1/ask", json={"question": "Which?", "collection": "none", "history": history}).json()
    assert "xylophone" in str(look(client, answer_id=first["answer_id"])["prompt"])
    client.delete(f"/v1/documents/{document['document_id']}").raise_for_status()
    refused = client.post("/v1/inspect", json={"answer_id": first["answer_id"]})
    assert (refused.status_code, refused.json()["code"]) == (410, "gone")
    assert "xylophone" not in refused.text
    assert "xylophone" not in client.post("/v1/inspect", json={"answer_id": later["answer_id"]}).text


class Watched(ScriptedDecoder):
    """Looks for as long as nobody stops it; tells when it does."""

    def __init__(self, name: str = "scripted") -> None:
        super().__init__((REPLY,), name)
        self.looking = threading.Event()

    def distribution(
        self,
        prompt: Sequence[Message],
        token_ids: Sequence[int],
        *,
        n_alternatives: int = 10,
        sampling: SamplingParams | None = None,
        cancel: Cancel | None = None,
    ) -> tuple[TokenDistribution, ...]:
        assert cancel is not None
        self.looking.set()
        try:
            while True:
                cancel.raise_if_set()
                time.sleep(0.01)
        finally:
            self.looking.clear()


class Blind(ScriptedDecoder):
    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(distribution=False)


@pytest.fixture
def loaded(service: Running, client: httpx.Client) -> Iterator[Callable[[Decoder], None]]:
    """Puts another decoder in place for one test."""
    before: Decoder = service.parts.decoder.get()
    yield lambda decoder: service.parts.decoder.make(lambda: decoder) and None
    service.parts.decoder.make(lambda: before)


def test_another_model_does_not_read_the_tokens(
    client: httpx.Client, answer: Answer, loaded: Callable[[Decoder], None]
) -> None:
    loaded(ScriptedDecoder((REPLY,), "another"))
    refused = client.post("/v1/inspect", json={"answer_id": answer["answer_id"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert "another" in refused.json()["detail"]
    loaded(ScriptedDecoder(("Other words.",)))  # of the same name, but it never made those tokens
    refused = client.post("/v1/inspect", json={"answer_id": answer["answer_id"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


class Adapted(ScriptedDecoder):
    @property
    def info(self) -> ModelInfo:
        return dataclasses.replace(super().info, adapter="of-today")


def test_the_same_model_with_another_adapter_does_not_either(
    client: httpx.Client, answer: Answer, loaded: Callable[[Decoder], None]
) -> None:
    loaded(Adapted((REPLY,)))
    refused = client.post("/v1/inspect", json={"answer_id": answer["answer_id"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert "scripted with of-today" in refused.json()["detail"]
    again = client.post("/v1/ask", json={"question": "Who takes leave?", "mode": "closed_book"}).json()
    assert look(client, answer_id=again["answer_id"])["model"]["adapter"] == "of-today"


def test_an_engine_that_shows_nothing_says_so(client: httpx.Client, loaded: Callable[[Decoder], None]) -> None:
    loaded(Blind((REPLY,)))
    refused = client.post("/v1/inspect", json={"prompt": "a"})
    assert (refused.status_code, refused.json()["code"]) == (422, "unsupported")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_hanging_up_stops_the_look(service: Running, client: httpx.Client, loaded: Callable[[Decoder], None]) -> None:
    decoder = Watched()
    loaded(decoder)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{service.address}/v1/inspect", json={"prompt": "a"}, timeout=0.5)
    until(lambda: not decoder.looking.is_set() and service.parts.questions.n_inside == 0)


def test_a_look_waits_in_the_same_queue_as_questions(
    service: Running, client: httpx.Client, loaded: Callable[[Decoder], None]
) -> None:
    decoder = Watched()
    loaded(decoder)
    settings = service.parts.settings
    room = settings.max_running_questions + settings.max_waiting_questions

    def wait_and_fail() -> None:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{service.address}/v1/inspect", json={"prompt": "a"}, timeout=3.0)

    threads = [threading.Thread(target=wait_and_fail) for _ in range(room)]
    for thread in threads:
        thread.start()
    until(lambda: service.parts.questions.n_inside == room)
    refused = client.post("/v1/inspect", json={"prompt": "a"})
    assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
    assert int(refused.headers["retry-after"]) >= 1
    for thread in threads:
        thread.join()
    until(lambda: service.parts.questions.n_inside == 0)
