"""What OpenAI's dialect refuses, and how work in it ends early."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from api.serve import Running, running
from llm.scripted import ScriptedDecoder
from llm.types import Decoder, Generation, Request, Token

QUESTION = "How many weeks of paid parental leave may parents take?"
ASKED = [{"role": "user", "content": QUESTION}]
RAG = "rag:handbook"
JSON = "application/json"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"n": 2}, "n must be 1"),
    ({"top_logprobs": 3}, "logprobs to be true"),
    ({"logprobs": True, "top_logprobs": 3, "stream": True}, "stream to be false"),
    ({"logprobs": True, "top_logprobs": 21}, "from 0 to 20"),
    ({"logprobs": True, "model": RAG}, "inspect"),
    ({"temperature": -1}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"stop": [""]}, "stop"),
    ({"stop": ["a"] * 17}, "stop"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "tool", "content": "a", "tool_call_id": "b"}]}, "no tools"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a"}}]}]}, "images"),
    ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "model": RAG}, "question"),
    ({"messages": [{"role": "user", "content": " "}], "model": RAG}, "question"),
    ({"messages": [{"role": "system", "content": "a"}], "model": RAG}, "question"),
    ({"response_format": {"type": "json_object"}}, "type text"),
    ({"tool_choice": "required", "tools": []}, "tool_choice"),
    ({"model": "rag:"}, "collection"),
    ({"model": "rag:a\nb"}, "collection"),
]


@pytest.mark.parametrize("path", ["chat/completions", "embeddings"])
def test_another_method_is_refused_in_their_shape(client: httpx.Client, path: str) -> None:
    answer = client.get(f"/v1/{path}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(("change", "says"), REFUSED, ids=str)
def test_what_cannot_be_done_is_refused_in_their_shape(
    ai: OpenAI, client: httpx.Client, change: dict[str, Any], says: str
) -> None:
    body: dict[str, Any] = {"model": "scripted", "messages": ASKED, **change}
    with pytest.raises(openai.BadRequestError) as refused:
        ai.chat.completions.create(**body)
    assert says in refused.value.message
    told = client.post("/v1/chat/completions", json=body)
    assert (told.status_code, told.headers["content-type"]) == (400, "application/json")
    error = told.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid")


def test_a_refusal_names_the_parameter(ai: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ai.chat.completions.create(model="scripted", messages=ASKED, top_p=7)
    assert refused.value.param == "top_p"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"input": [1, 2, 3]}, "token ids"),
        ({"input": [[1, 2], [3]]}, "token ids"),
        ({"input": []}, "at least 1"),
        ({"input": ""}, "1 to"),
        ({"input": ["a", ""]}, "1 to"),
        ({"input": ["a"] * 2049}, "2048"),
        ({"input": "word " * 129}, "129 tokens"),
        ({"dimensions": 32}, "dimensions must be 64"),
        ({"encoding_format": "hex"}, "encoding_format"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_embedded_is_refused(ai: OpenAI, change: dict[str, Any], says: str) -> None:
    body: dict[str, Any] = {"model": "hashing-64", "input": "a", "encoding_format": "float", **change}
    with pytest.raises(openai.BadRequestError, match=says):
        ai.embeddings.create(**body)


def test_unknown_models_are_not_found(ai: OpenAI) -> None:
    for stream in (False, True):
        with pytest.raises(openai.NotFoundError) as refused:
            ai.chat.completions.create(model="gpt-none", messages=ASKED, stream=stream)
        assert refused.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        ai.embeddings.create(model="text-embedding-none", input="a")


def test_a_prompt_beyond_the_context_is_told_before_the_stream(ai: OpenAI) -> None:
    long: Any = [{"role": "user", "content": "word " * 9000}]
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as refused:
            ai.chat.completions.create(model="scripted", messages=long, stream=stream)
        assert refused.value.code == "context_length_exceeded"


def test_bodies_that_are_none(client: httpx.Client) -> None:
    for content, kind, status in (
        ("{", JSON, 400),
        ("[]", JSON, 400),
        ("{}", JSON, 400),
        ('{"model": "scripted"}', "text/plain", 415),
        ('{"model": "scripted", "messages": [{"role": "user", "content": "a"}], "temperature": NaN}', JSON, 400),
        ("x" * (9 << 20), JSON, 413),
    ):
        told = client.post("/v1/chat/completions", content=content, headers={"Content-Type": kind})
        assert told.status_code == status, content[:40]
        assert set(told.json()["error"]) == {"message", "type", "param", "code"}


def test_keys(make_settings: Any, ready: Callable[[httpx.Client], None]) -> None:
    with running(make_settings()) as service, httpx.Client(base_url=service.address) as http:
        ready(http)
        _, key = service.parts.catalog.keys.add("test", service.parts.now())
        address = f"{service.address}/v1"
        with OpenAI(base_url=address, api_key="wrong", max_retries=0) as wrong:
            for call in (
                lambda: wrong.models.list(),
                lambda: wrong.chat.completions.create(model="scripted", messages=ASKED),
                lambda: wrong.embeddings.create(model="hashing-64", input="a"),
            ):
                with pytest.raises(openai.AuthenticationError) as refused:
                    call()
                assert refused.value.code == "invalid_api_key"
        with OpenAI(base_url=address, api_key=key, max_retries=0) as right:
            assert right.chat.completions.create(model="scripted", messages=ASKED).choices


class Slow(ScriptedDecoder):
    """Writes a word every 20 ms for a minute unless it is cancelled; tells when it runs."""

    def __init__(self) -> None:
        super().__init__(("slow",))
        self.running = threading.Event()

    def stream(self, request: Request) -> Iterator[Token | Generation]:
        return self._slowly(request)

    def _slowly(self, request: Request) -> Iterator[Token | Generation]:
        self.running.set()
        try:
            for number in range(3000):
                request.cancel.raise_if_set()
                time.sleep(0.02)
                yield Token(text=f" word{number}", token_id=1, probability=None)
        finally:
            self.running.clear()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_hanging_up_stops_the_work(service: Running, ai: OpenAI, loaded: Callable[[Decoder], None]) -> None:
    slow = Slow()
    loaded(slow)
    for model in ("scripted", RAG):
        with ai.chat.completions.create(model=model, messages=ASKED, stream=True) as stream:
            next(iter(stream))
            until(slow.running.is_set)
        until(lambda: not slow.running.is_set() and service.parts.questions.n_inside == 0)
        with pytest.raises(openai.APITimeoutError):
            ai.chat.completions.create(model=model, messages=ASKED, timeout=0.5)
        until(lambda: not slow.running.is_set() and service.parts.questions.n_inside == 0)


def test_a_full_queue_is_a_rate_limit(make_settings: Any, ready: Callable[[httpx.Client], None]) -> None:
    settings = make_settings(max_running_questions=1, max_waiting_questions=0)
    with running(settings) as service, httpx.Client(base_url=service.address) as http:
        ready(http)
        slow = Slow()
        service.parts.decoder.make(lambda: slow)
        with OpenAI(base_url=f"{service.address}/v1", api_key="none", max_retries=0) as ai:
            with ai.chat.completions.create(model="scripted", messages=ASKED, stream=True) as first:
                next(iter(first))
                until(slow.running.is_set)
                for call in (
                    lambda: ai.chat.completions.create(model="scripted", messages=ASKED),
                    lambda: ai.chat.completions.create(model="scripted", messages=ASKED, stream=True),
                    lambda: ai.embeddings.create(model="hashing-64", input="a"),
                ):
                    with pytest.raises(openai.RateLimitError) as refused:
                        call()
                    assert refused.value.code == "rate_limit_exceeded"
                    assert int(refused.value.response.headers["retry-after"]) >= 1
            until(lambda: service.parts.questions.n_inside == 0)


class Broken(ScriptedDecoder):
    """Fails in the middle of its text."""

    def stream(self, request: Request) -> Iterator[Token | Generation]:
        return self._breaking()

    def _breaking(self) -> Iterator[Token | Generation]:
        yield Token(text="So", token_id=1, probability=None)
        raise RuntimeError("a secret of the inside")


def test_a_failure_tells_nothing_of_the_inside(ai: OpenAI, loaded: Callable[[Decoder], None]) -> None:
    loaded(Broken(("x",)))
    with pytest.raises(openai.InternalServerError) as failed:
        ai.chat.completions.create(model="scripted", messages=ASKED)
    assert "secret" not in failed.value.message
    with pytest.raises(openai.APIError) as broken:
        list(ai.chat.completions.create(model="scripted", messages=ASKED, stream=True))
    assert "secret" not in str(broken.value.body)
