"""Servers that fail: each failure is one sentence, and what may be tried again is."""

import socket
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from llm.engines import remote_channel
from llm.engines.remote import RemoteDecoder
from llm.errors import LlmError, ModelNotFoundError, PromptTooLongError, RemoteError, RemoteUnavailableError
from llm.types import Cancel, Generation, Message, Request, SamplingParams, Token

Connect = Callable[..., RemoteDecoder]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_channel, "FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def good(wire: SimpleNamespace) -> bytes:
    return wire.head() + wire.chunk("The sea.") + wire.chunk(finish="stop") + wire.DONE


def ask(text: str = "Where?", cancel: Cancel | None = None, **sampling: Any) -> Request:
    return Request(
        messages=(Message(role="user", content=text),),
        sampling=SamplingParams(**{"max_new_tokens": 8} | sampling),
        cancel=cancel or Cancel(),
    )


def text_of(decoder: RemoteDecoder) -> str:
    return decoder.generate([ask()])[0].text


def test_a_server_that_is_not_there_is_named(remote: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(RemoteUnavailableError, match=f"127.0.0.1:{port} cannot be reached"):
        remote(b"", url=f"http://127.0.0.1:{port}/v1#small")


@pytest.mark.parametrize(
    ("status", "error", "kind", "sentence"),
    [
        (401, {"message": "bad key"}, RemoteError, "refuses the key; set decoder_api_key"),
        (403, "forbidden", RemoteError, "refuses the key"),
        (404, {"message": "The model `x` does not exist."}, ModelNotFoundError, "has no model of that name"),
        (404, {}, RemoteError, "usually ends with /v1"),
        (
            400,
            {"message": "maximum context length is 512 tokens"},
            PromptTooLongError,
            "cannot read a prompt that long",
        ),
        (400, {"type": "exceed_context_size_error", "message": "too large"}, PromptTooLongError, "too large"),
        (
            400,
            {"message": "temperature must\x1b[31m be\n at most 2"},
            RemoteError,
            r"400: temperature must \[31m be at",
        ),
        (302, {}, RemoteError, "redirects, which is not followed"),
        (500, {"message": "boom"}, RemoteUnavailableError, "failed with status 500"),
        (418, [1, 2], RemoteError, "refuses the request with status 418"),
    ],
)
def test_each_refusal_is_one_sentence_and_is_not_repeated(
    server: Any,
    remote: Connect,
    wire: SimpleNamespace,
    status: int,
    error: object,
    kind: type[LlmError],
    sentence: str,
) -> None:
    decoder = remote(wire.plain({"error": error}, status, location="http://elsewhere.example/"))
    with pytest.raises(kind, match=sentence) as caught:
        text_of(decoder)
    assert len(server.chats) == 1
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_pass_is_tried_again(
    server: Any, remote: Connect, wire: SimpleNamespace, good: bytes, status: int
) -> None:
    refusal = wire.plain({"error": {"message": "later"}}, status)
    assert text_of(remote(refusal, refusal, good)) == "The sea."
    assert len(server.chats) == 3


def test_it_is_not_tried_for_ever(server: Any, remote: Connect, wire: SimpleNamespace) -> None:
    with pytest.raises(RemoteUnavailableError, match="has no room for more requests; ask again later"):
        text_of(remote(wire.plain({}, 429)))
    assert len(server.chats) == remote_channel.MAX_TRIES


def test_retry_after_is_waited_for(server: Any, remote: Connect, wire: SimpleNamespace, good: bytes) -> None:
    assert text_of(remote(wire.plain({}, 429, retry_after="1"), good)) == "The sea."
    assert server.at[-1] - server.at[-2] >= 1.0


def test_a_date_to_return_at_is_held_against_the_servers_own_clock(
    server: Any, remote: Connect, wire: SimpleNamespace, good: bytes
) -> None:
    dates = {"retry_after": "Sun, 06 Nov 1994 08:49:38 GMT", "date": "Sun, 06 Nov 1994 08:49:37 GMT"}
    assert text_of(remote(wire.plain({}, 503, **dates), good)) == "The sea."
    assert server.at[-1] - server.at[-2] >= 1.0


def test_a_long_wait_is_the_callers_choice(server: Any, remote: Connect, wire: SimpleNamespace) -> None:
    with pytest.raises(RemoteUnavailableError) as caught:
        text_of(remote(wire.plain({}, 429, retry_after="600")))
    assert caught.value.retry_after_seconds == 600
    assert len(server.chats) == 1


def test_a_connection_that_breaks_before_the_answer_is_made_again(server: Any, remote: Connect, good: bytes) -> None:
    assert text_of(remote(b"", b"HTTP/1.1 200", good)) == "The sea."
    assert len(server.chats) == 3


def test_an_answer_that_has_begun_is_never_asked_for_again(
    server: Any, remote: Connect, wire: SimpleNamespace, good: bytes
) -> None:
    half = wire.head(content_length="100000") + wire.chunk("The ")
    stream = remote(half, good).stream(ask())
    first = next(stream)
    assert isinstance(first, Token)
    assert first.text == "The "
    with pytest.raises(RemoteUnavailableError, match="broke off in the middle"):
        next(stream)
    assert len(server.chats) == 1


def test_an_answer_without_an_end_is_not_a_short_answer(remote: Connect, wire: SimpleNamespace) -> None:
    with pytest.raises(RemoteUnavailableError, match="without saying why"):
        text_of(remote(wire.head() + wire.chunk("The ")))


def test_an_error_in_the_middle_is_told(remote: Connect, wire: SimpleNamespace) -> None:
    event = b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'
    with pytest.raises(RemoteUnavailableError, match="failed in the middle of its answer: out of memory"):
        text_of(remote(wire.head() + wire.chunk("The ") + event))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"data: {not json\n\n", "not JSON"),
        (b"data: [1, 2]\n\n", "not a JSON object"),
        (b"data: " + b"[" * 100_000 + b"\n\n", "not JSON"),
        (b'data: {"choices": 7}\n\n', "not of OpenAI's dialect"),
        (b'data: {"choices": [{"delta": {"content": 7}}]}\n\n', "not of OpenAI's dialect"),
        (b'data: {"choices": [{"delta": {"content": "a"}, "logprobs": {"content": [7]}}]}\n\n', "not of OpenAI's"),
        (b'data: {"choices": [{"delta": {}, "finish_reason": "content_filter"}]}\n\n', "a reason that is not known"),
        (b"data: " + b"x" * (2 << 20), "line without end"),
    ],
)
def test_what_is_no_answer_is_refused(remote: Connect, wire: SimpleNamespace, body: bytes, sentence: str) -> None:
    with pytest.raises(RemoteError, match=sentence):
        text_of(remote(wire.head() + body))


def test_an_answer_that_never_ends_is_not_read_for_ever(
    remote: Connect, wire: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm.engines.remote_sse.MAX_STREAM_BYTES", 100_000)

    def endless(connection: Any) -> None:
        connection.send(wire.head())
        while True:
            connection.send(b": nothing\n\n" * 1000)

    with pytest.raises(RemoteError, match="more than any answer"):
        text_of(remote(endless))


def test_no_stream_and_compression_are_refused(remote: Connect, wire: SimpleNamespace) -> None:
    with pytest.raises(RemoteError, match="does not stream"):
        text_of(remote(wire.plain({"choices": []})))
    with pytest.raises(RemoteError, match="compresses"):
        text_of(remote(wire.head(content_encoding="gzip") + b"\x1f\x8b"))


def test_silence_has_an_end(server: Any, remote: Connect, wire: SimpleNamespace) -> None:
    decoder = remote(lambda connection: connection.wait_until_closed(), timeout=0.3)
    with pytest.raises(RemoteUnavailableError, match=r"said nothing for 0.3 s"):
        text_of(decoder)
    assert len(server.chats) == 1


@pytest.mark.parametrize("begins", [False, True], ids=["before the first token", "after it"])
def test_cancelling_closes_the_connection(server: Any, remote: Connect, wire: SimpleNamespace, begins: bool) -> None:
    arrived = threading.Event()

    def slow(connection: Any) -> None:
        if begins:
            connection.send(wire.head() + wire.chunk("The "))
        arrived.set()
        connection.wait_until_closed()

    cancel = Cancel()
    decoder = remote(slow)
    threading.Thread(target=lambda: (arrived.wait(10), time.sleep(0.05), cancel.set()), daemon=True).start()
    started = time.monotonic()
    *tokens, last = decoder.stream(ask(cancel=cancel))
    assert time.monotonic() - started < 5
    assert isinstance(last, Generation)
    assert last.finish_reason == "cancelled"
    assert last.text == "".join(token.text for token in tokens) == ("The " if begins else "")
    assert server.chats[0].closed_by_client.wait(5)


def test_cancelling_ends_a_wait_for_another_try(remote: Connect, wire: SimpleNamespace) -> None:
    cancel = Cancel()
    stream = remote(wire.plain({}, 429, retry_after="10")).stream(ask(cancel=cancel))
    threading.Timer(0.1, cancel.set).start()
    started = time.monotonic()
    (last,) = stream
    assert time.monotonic() - started < 5
    assert isinstance(last, Generation)
    assert last.finish_reason == "cancelled"


def test_closing_the_stream_closes_the_connection(server: Any, remote: Connect, wire: SimpleNamespace) -> None:
    def slow(connection: Any) -> None:
        connection.send(wire.head() + wire.chunk("The "))
        connection.wait_until_closed()

    stream = remote(slow).stream(ask())
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert server.chats[0].closed_by_client.wait(5)


def test_a_stream_that_is_never_read_is_never_asked_for(server: Any, remote: Connect, good: bytes) -> None:
    remote(good).stream(ask())
    assert server.chats == []


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        ("not JSON", "sent no JSON"),
        ({"models": []}, "does not list its models"),
        ({"data": [{"name": "small"}]}, "does not list its models"),
        ({"data": []}, "it lists none"),
        ({"data": [{"id": f"m{number}"} for number in range(20)]}, "'m7' and more"),
    ],
)
def test_what_lists_no_models_is_no_server(
    server: Any, remote: Connect, wire: SimpleNamespace, good: bytes, models: object, sentence: str
) -> None:
    server.models = wire.head(content_type="text/html") + b"<html>" if models == "not JSON" else wire.plain(models)
    with pytest.raises(LlmError, match=sentence):
        remote(good)


def test_a_wrong_key_is_found_at_once(server: Any, remote: Connect, wire: SimpleNamespace, good: bytes) -> None:
    server.models = wire.plain({"error": "no"}, 401)
    with pytest.raises(RemoteError, match="refuses the key") as caught:
        remote(good, key="secret-key")
    assert "secret-key" not in str(caught.value)


def test_a_redirect_is_not_followed(server: Any, remote: Connect, wire: SimpleNamespace, good: bytes) -> None:
    server.models = wire.plain({}, 307, location=f"{server.url}/elsewhere")
    with pytest.raises(RemoteError, match="redirects"):
        remote(good, key="secret-key")
    assert [one.path for one in server.seen] == ["/v1/models"]
