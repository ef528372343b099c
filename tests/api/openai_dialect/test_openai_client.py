"""The `openai` Python client, unchanged, against a running service."""

import json
import math
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from api.serve import Running
from llm.scripted import ScriptedDecoder
from llm.types import Capabilities, Decoder, Generation, Reluctance, Request, Token

REPLY = "Parents may take fourteen weeks of paid parental leave [1]."
QUESTION = "How many weeks of paid parental leave may parents take?"
ASKED = [{"role": "user", "content": QUESTION}]
RAG = "rag:handbook"


def extra(body: Any) -> dict[str, Any]:
    found: dict[str, Any] = body.model_extra
    return found


def test_a_plain_completion(ai: OpenAI) -> None:
    done = ai.chat.completions.create(model="scripted", messages=ASKED)
    assert done.object == "chat.completion"
    assert done.model == "scripted"
    assert [choice.index for choice in done.choices] == [0]
    assert done.choices[0].message.role == "assistant"
    assert done.choices[0].message.content == REPLY
    assert done.choices[0].finish_reason == "stop"
    assert done.choices[0].logprobs is None
    assert done.usage is not None
    assert done.usage.completion_tokens == 10
    assert done.usage.total_tokens == done.usage.prompt_tokens + 10
    assert abs(done.created - time.time()) < 60
    assert extra(done)["citations"] == []


def test_a_stream_is_the_completion_in_pieces(ai: OpenAI) -> None:
    chunks = list(ai.chat.completions.create(model="scripted", messages=ASKED, stream=True))
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == REPLY
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert len(chunks) > 5
    assert all(chunk.usage is None for chunk in chunks)
    assert extra(chunks[-1])["citations"] == []


def test_a_cited_answer(ai: OpenAI, client: httpx.Client, document: dict[str, Any]) -> None:
    done = ai.chat.completions.create(model=RAG, messages=ASKED)
    text = done.choices[0].message.content
    assert text is not None and text.startswith("Parents may take fourteen weeks")
    (citation,) = extra(done)["citations"]
    assert citation["document_id"] == document["document_id"]
    assert f"[{citation['marker']}]" in text
    stored = client.get(f"/v1/answers/{extra(done)['answer_id']}").json()
    assert (stored["text"], stored["citations"]) == (text, extra(done)["citations"])
    assert done.usage is not None and done.usage.prompt_tokens == stored["usage"]["prompt_tokens"]
    source = client.get(f"/v1/documents/{document['document_id']}/text").text
    assert source[citation["char_range"]["start"] : citation["char_range"]["end"]] == citation["quote"]


@pytest.mark.parametrize("with_usage", [False, True])
def test_a_cited_stream_ends_with_its_citations(ai: OpenAI, with_usage: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if with_usage else {}
    whole = ai.chat.completions.create(model=RAG, messages=ASKED)
    chunks = list(ai.chat.completions.create(model=RAG, messages=ASKED, stream=True, **options))
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == whole.choices[0].message.content
    assert any("[1]" in text for text in texts)  # never in two halves
    assert extra(chunks[-1])["citations"] == extra(whole)["citations"]
    assert (chunks[-1].usage is not None) is with_usage
    if with_usage:
        assert chunks[-1].choices == []
        assert chunks[-1].usage == whole.usage
        assert chunks[-2].choices[0].finish_reason == "stop"


def test_what_the_documents_do_not_say_is_said_plainly(ai: OpenAI) -> None:
    done = ai.chat.completions.create(model="rag:never named before", messages=ASKED)
    assert done.choices[0].message.content == "The documents do not contain an answer to this question."
    assert (extra(done)["citations"], extra(done)["abstained"]) == ([], True)
    chunks = list(ai.chat.completions.create(model="rag:never named before", messages=ASKED, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == done.choices[0].message.content


class Listening(ScriptedDecoder):
    """Remembers the requests."""

    def __init__(self) -> None:
        super().__init__((REPLY,))
        self.heard: list[Request] = []

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, citation_rule=True)

    def stream(self, request: Request) -> Iterator[Token | Generation]:
        self.heard.append(request)
        return super().stream(request)


def test_every_parameter_reaches_the_decoder(ai: OpenAI, loaded: Callable[[Decoder], None]) -> None:
    decoder = Listening()
    loaded(decoder)
    parts: Any = [{"type": "text", "text": "Where"}, {"type": "text", "text": "is it?"}]
    ai.chat.completions.create(
        model="scripted",
        messages=[
            {"role": "developer", "content": "Be short."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": None},
            {"role": "user", "content": parts},
        ],
        max_completion_tokens=7,
        max_tokens=9,
        temperature=1,
        top_p=0.5,
        seed=-1,
        stop="leave",
        n=1,
        user="somebody",
        extra_body={"top_k": 3, "min_p": 0.1, "repetition_penalty": 1.2, "frequency_penalty": 0, "no_such_field": [1]},
    )
    (request,) = decoder.heard
    assert [(message.role, message.content) for message in request.messages] == [
        ("system", "Be short."),
        ("user", "Hello"),
        ("assistant", ""),
        ("user", "Where\nis it?"),
    ]
    sampling = request.sampling
    assert (sampling.max_new_tokens, sampling.temperature, sampling.top_p, sampling.top_k) == (7, 1.0, 0.5, 3)
    assert (sampling.min_p, sampling.repetition_penalty, sampling.seed) == (0.1, 1.2, 2**63 - 1)
    assert sampling.stop == ("leave",)
    ai.chat.completions.create(model=RAG, messages=ASKED, max_tokens=9, temperature=0.5, stop=["a", "b"], seed=3)
    sampling = decoder.heard[1].sampling
    assert (sampling.max_new_tokens, sampling.temperature, sampling.stop, sampling.seed) == (9, 0.5, ("a", "b"), 3)


def test_earlier_turns_are_history(ai: OpenAI, loaded: Callable[[Decoder], None]) -> None:
    decoder = Listening()
    loaded(decoder)
    ai.chat.completions.create(
        model=RAG,
        messages=[
            {"role": "system", "content": "Speak like a pirate."},
            {"role": "user", "content": "Tell me of parental leave."},
            {"role": "assistant", "content": "There is some."},
            *ASKED,
        ],
    )
    prompt = [message.content for message in decoder.heard[0].messages]
    assert "Tell me of parental leave." in prompt
    assert "There is some." in prompt
    assert QUESTION in prompt[-1]
    assert "pirate" not in "".join(prompt)


def test_stop_and_length(ai: OpenAI) -> None:
    stopped = ai.chat.completions.create(model="scripted", messages=ASKED, stop=["weeks"])
    assert stopped.choices[0].message.content == "Parents may take fourteen "
    assert stopped.choices[0].finish_reason == "stop"
    cut = ai.chat.completions.create(model="scripted", messages=ASKED, max_tokens=2)
    assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == ("Parents may", "length")
    chunks = list(ai.chat.completions.create(model="scripted", messages=ASKED, max_tokens=2, stream=True))
    assert chunks[-1].choices[0].finish_reason == "length"


def test_logprobs(ai: OpenAI) -> None:
    done = ai.chat.completions.create(model="scripted", messages=ASKED, logprobs=True, top_logprobs=2)
    assert done.choices[0].logprobs is not None and done.choices[0].logprobs.content is not None
    content = done.choices[0].logprobs.content
    assert "".join(entry.token for entry in content) == REPLY
    for entry in content:
        assert math.log(0.5) <= entry.logprob <= 0
        assert entry.bytes == list(entry.token.encode())
        assert len(entry.top_logprobs) == 2
        assert entry.top_logprobs[0].logprob == pytest.approx(entry.logprob)
        assert sum(math.exp(other.logprob) for other in entry.top_logprobs) == pytest.approx(1)
    chunks = list(ai.chat.completions.create(model="scripted", messages=ASKED, logprobs=True, stream=True))
    told = [chunk.choices[0].logprobs.content[0] for chunk in chunks if chunk.choices[0].logprobs]
    assert [entry.logprob for entry in told] == pytest.approx([entry.logprob for entry in content])


def test_embeddings(ai: OpenAI, service: Running) -> None:
    texts = ["parental leave", "parental leave", "second class trains, größer"]
    found = ai.embeddings.create(model="hashing-64", input=texts)  # the client asks for base64 by itself
    plain = ai.embeddings.create(model="hashing-64", input=texts, encoding_format="float")
    assert [row.index for row in found.data] == [0, 1, 2]
    assert [row.embedding for row in found.data] == [pytest.approx(row.embedding) for row in plain.data]
    expected = service.parts.embedder.get().embed_passages(texts)
    for row, vector in zip(found.data, expected, strict=True):
        assert row.embedding == pytest.approx(vector.tolist())
    assert found.usage.prompt_tokens == found.usage.total_tokens == 9
    alone = ai.embeddings.create(model="hashing-64", input=texts[0], dimensions=64)
    assert alone.data[0].embedding == found.data[0].embedding
    many = ai.embeddings.create(model="hashing-64", input=[f"text {n}" for n in range(70)])
    assert [row.index for row in many.data] == list(range(70))


def test_base64_is_little_endian_float32(client: httpx.Client) -> None:
    import base64

    body = {"model": "hashing-64", "input": "leave", "encoding_format": "base64"}
    raw = base64.b64decode(client.post("/v1/embeddings", json=body).json()["data"][0]["embedding"])
    assert sum(value**2 for value in struct.unpack("<64f", raw)) == pytest.approx(1)


def test_models(ai: OpenAI, client: httpx.Client, upload: Callable[..., dict[str, Any]]) -> None:
    upload(client, "other.md", "Other words.", collection="été / 2026")
    names = [model.id for model in ai.models.list()]
    assert names[:2] == ["scripted", "hashing-64"]
    assert {"rag:handbook", "rag:été / 2026"} <= set(names)
    for name in names:
        assert ai.models.retrieve(name).id == name
    assert ai.chat.completions.create(model="rag:été / 2026", messages=ASKED).choices
    with pytest.raises(openai.NotFoundError) as refused:
        ai.models.retrieve("gpt-none")
    assert refused.value.code == "model_not_found"


def test_a_stream_ends_with_done(client: httpx.Client) -> None:
    body = {"model": "scripted", "messages": ASKED, "stream": True}
    answer = client.post("/v1/chat/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.text.strip().split("\n\n")
    assert events[-1] == "data: [DONE]"
    assert all(json.loads(event.removeprefix("data: ")) for event in events[:-1])


class Hearing(ScriptedDecoder):
    """Keeps what it was asked for, and tells how sure it was of the beginning."""

    def __init__(self) -> None:
        super().__init__(("Blue",))
        self.heard: list[Request] = []

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, citation_rule=True)

    def stream(self, request: Request) -> Iterator[Token | Generation]:
        self.heard.append(request)
        for event in super().stream(request):
            yield replace(event, opening_probability=0.25) if isinstance(event, Token) else event


def test_what_another_citebound_asks_for_reaches_the_decoder(ai: OpenAI, loaded: Callable[[Decoder], None]) -> None:
    decoder = Hearing()
    loaded(decoder)
    rules = {"reluctance": {"text": "The documents do not say.", "least_probability": 0.5}, "n_markers": 2}
    asked = {"model": "scripted", "messages": ASKED, "logprobs": True, "extra_body": rules}
    chunks = list(ai.chat.completions.create(**asked, stream=True))
    (request,) = decoder.heard
    assert request.reluctance == Reluctance(text="The documents do not say.", least_probability=0.5)
    assert request.n_markers == 2
    told = next(chunk.choices[0].logprobs for chunk in chunks if chunk.choices and chunk.choices[0].logprobs)
    assert told.content[0].model_extra["opening_probability"] == 0.25
