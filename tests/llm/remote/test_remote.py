"""A remote decoder over a server whose bytes are known."""

import dataclasses
import json
import math
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from llm.engines.remote import RemoteDecoder
from llm.engines.remote_address import is_address, parse_address
from llm.engines.remote_sse import EventLines
from llm.engines.remote_tokens import Estimate, Tokenizer
from llm.errors import ModelNotFoundError, PromptTooLongError, UnsupportedError
from llm.types import Decoder, Generation, Message, Reluctance, Request, SamplingParams, Token

Connect = Callable[..., RemoteDecoder]


def ask(text: str = "Where?", *, reluctance: Reluctance | None = None, **sampling: Any) -> Request:
    return Request(
        messages=(Message(role="system", content="Be brief."), Message(role="user", content=text)),
        sampling=SamplingParams(**{"max_new_tokens": 8} | sampling),
        reluctance=reluctance,
    )


@pytest.fixture
def sea(wire: SimpleNamespace) -> bytes:
    """Three tokens, an end token, the usage."""
    return b"".join(
        (
            wire.head(),
            wire.chunk("", logprobs=None),
            wire.chunk("The", logprobs=wire.logprobs(("The", -0.5))),
            wire.chunk(" old sea", logprobs=wire.logprobs((" old", -1.0), (" sea", -2.0))),
            wire.chunk("", "stop", logprobs=wire.logprobs(("<|im_end|>", -0.1))),
            wire.usage(21),
            wire.DONE,
        )
    )


def test_a_stream_has_tokens_probabilities_and_an_end(remote: Connect, sea: bytes) -> None:
    *tokens, last = remote(sea).stream(ask())
    assert isinstance(last, Generation)
    assert [token.text for token in tokens if isinstance(token, Token)] == ["The", " old", " sea"]
    assert [token.probability for token in last.tokens] == pytest.approx([math.exp(-0.5), math.exp(-1), math.exp(-2)])
    assert last.tokens == tuple(tokens)
    assert (last.text, last.finish_reason, last.n_prompt_tokens, last.n_new_tokens) == ("The old sea", "stop", 21, 3)
    assert last.first_token_seconds is not None
    assert 0 < last.first_token_seconds <= last.total_seconds


def test_what_it_is_and_what_it_can(remote: Connect, sea: bytes) -> None:
    decoder = remote(sea)
    assert isinstance(decoder, Decoder)
    assert (decoder.info.name, decoder.info.engine, decoder.info.device) == ("small", "vllm", "remote")
    assert decoder.info.context_tokens == 512
    can = decoder.capabilities
    assert can.streaming and can.batching and can.token_probabilities
    assert not (can.beam_search or can.scoring or can.distribution or can.citation_rule)
    assert can.unsupported_sampling == {"num_beams"}
    for refused in (
        lambda: decoder.score([ask().messages], ["x"]),
        lambda: decoder.distribution(ask().messages, [1]),
        lambda: decoder.encode_prompt(ask().messages),
        lambda: decoder.stream(ask(num_beams=2)),
    ):
        with pytest.raises(UnsupportedError):
            refused()


def test_the_request_says_everything(server: Any, remote: Connect, sea: bytes) -> None:
    sampling = {"temperature": 0.7, "top_k": 40, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.1, "seed": 2**40}
    decoder = remote(sea, key="sk-1")
    decoder.generate([ask(**sampling, stop=("\n", "b", "c", "d", "e")), ask()])
    first, second = sorted((one.body for one in server.chats), key=lambda body: -body["temperature"])
    assert first["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where?"}]
    assert first | {**sampling, "seed": 0} == first | {"seed": 0}
    assert (first["model"], first["max_tokens"], first["stop"]) == ("small", 8, ["\n", "b", "c", "d"])
    assert first["stream"] is True and first["logprobs"] is True
    assert 0 <= first["seed"] < 2**31
    # Off means off, whatever the server's own defaults are.
    assert (second["temperature"], second["top_k"], second["min_p"], second["repetition_penalty"]) == (0, -1, 0, 1)
    assert {one.headers["authorization"] for one in server.seen} == {"Bearer sk-1"}


def test_what_a_server_has_no_name_for_is_refused(server: Any, remote: Connect, wire: Any, sea: bytes) -> None:
    server.models = wire.plain({"data": [{"id": "llama3.2:latest", "owned_by": "library"}]})
    decoder = remote(sea, url=f"{server.url}#llama3.2")
    assert (decoder.info.name, decoder.info.engine, decoder.info.context_tokens) == ("llama3.2:latest", "ollama", 4096)
    assert decoder.capabilities.unsupported_sampling == {"num_beams", "top_k", "min_p", "repetition_penalty"}
    with pytest.raises(UnsupportedError, match=r"takes no top_k; leave it at 0"):
        decoder.stream(ask(temperature=1.0, top_k=5))
    decoder.generate([ask(temperature=1.0, top_p=0.5)])
    assert "top_k" not in server.chats[0].body


def test_the_model_is_found_or_named(server: Any, remote: Connect, wire: Any, sea: bytes) -> None:
    server.models = wire.plain({"data": [{"id": "small"}, {"id": "big"}]})
    assert remote(sea, url=f"{server.url}#big").info.name == "big"
    with pytest.raises(ModelNotFoundError, match="lists 'small', 'big'"):
        remote(sea, url=f"{server.url}#huge")
    with pytest.raises(ModelNotFoundError, match="name a model"):
        remote(sea)


def test_a_server_without_probabilities(server: Any, remote: Connect, wire: Any) -> None:
    bare = wire.head() + wire.chunk("The sea") + wire.chunk(" is blue", "stop") + wire.DONE
    decoder = remote(bare, answers_probe=False)
    assert not decoder.capabilities.token_probabilities
    (done,) = decoder.generate([ask()])
    assert [(token.text, token.probability) for token in done.tokens] == [("The sea", None), (" is blue", None)]
    assert "logprobs" not in server.seen[-1].body
    assert done.n_prompt_tokens == decoder.count_prompt_tokens(ask().messages)


def test_a_server_that_refuses_to_tell_probabilities_is_asked_without(server: Any, remote: Connect, wire: Any) -> None:
    bare = wire.head() + wire.chunk("Yes", "length") + wire.DONE
    decoder = remote(wire.plain({"error": {"message": "logprobs are not enabled"}}, 400), bare, answers_probe=False)
    assert not decoder.capabilities.token_probabilities


def test_a_stop_string_is_cut_here_even_if_the_server_knows_it_not(server: Any, remote: Connect, wire: Any) -> None:
    body = wire.head() + b"".join(wire.chunk(part) for part in ("The s", "ea. En", "d of it", " all")) + wire.DONE
    *tokens, last = remote(body).stream(ask(stop=("End",)))
    assert isinstance(last, Generation)
    assert (last.text, last.finish_reason) == ("The sea. ", "stop")
    assert "".join(token.text for token in tokens if isinstance(token, Token)) == "The sea. "


def test_parts_of_a_character_are_tokens_without_text(remote: Connect, wire: Any) -> None:
    broken = [{"token": "\ufffd", "logprob": -1.0, "id": 5}, {"token": "\ufffd", "logprob": -1.0, "id": 6}]
    body = wire.head() + wire.chunk("👩", logprobs={"content": broken}) + wire.chunk(finish="length") + wire.DONE
    (done,) = remote(body).generate([ask()])
    assert done.text == "👩"
    assert [(token.text, token.token_id) for token in done.tokens] == [("", 5), ("👩", 6)]


def test_ids_that_are_not_told_come_from_the_text(remote: Connect, sea: bytes) -> None:
    decoder = remote(sea)
    first, second = decoder.generate([ask(), ask()])
    assert [token.token_id for token in first.tokens] == [token.token_id for token in second.tokens]
    assert len({token.token_id for token in first.tokens}) == 3
    assert all(0 <= token.token_id < 2**31 for token in first.tokens)


@pytest.mark.parametrize(("least", "n_asked"), [(0.9, 2), (0.01, 1)], ids=["unsure", "sure"])
def test_a_beginning_that_is_not_sure_is_asked_for_again_without_it(
    server: Any, remote: Connect, wire: Any, least: float, n_asked: int
) -> None:
    opening = wire.head() + wire.chunk("The", logprobs=wire.logprobs(("The", -0.7), ids=True))
    opening += wire.chunk(" documents", "stop") + wire.DONE
    other = wire.head() + wire.chunk("Blue", "stop", logprobs=wire.logprobs(("Blue", -0.9), ids=True)) + wire.DONE
    decoder = remote(opening, other)
    reluctance = Reluctance(text="The documents do not say.", least_probability=least)
    (done,) = decoder.generate([ask(reluctance=reluctance)])
    assert done.text == ("Blue" if n_asked == 2 else "The documents")
    assert len(server.chats) == n_asked
    assert done.tokens[0].opening_probability == pytest.approx(math.exp(-0.7))
    assert [one.body.get("logit_bias") for one in server.chats] == [None, {"7": -100}][:n_asked]


def test_how_probable_a_beginning_was_is_known_when_another_was_taken(server: Any, remote: Connect, wire: Any) -> None:
    told = {"token": "Blue", "logprob": -0.1, "top_logprobs": [{"token": "Th", "logprob": -4.0, "id": 3}]}
    decoder = remote(wire.head() + wire.chunk("Blue", "stop", logprobs={"content": [told]}) + wire.DONE)
    (done,) = decoder.generate([ask(reluctance=Reluctance(text="The documents", least_probability=0.9))])
    assert done.text == "Blue"
    assert done.tokens[0].opening_probability == pytest.approx(math.exp(-4))
    assert server.chats[0].body["top_logprobs"] == 5
    assert len(server.chats) == 1


def test_another_citebound_is_told_the_rules_and_tells_how_sure_it_was(server: Any, remote: Connect, wire: Any) -> None:
    server.models = wire.plain({"data": [{"id": "small", "owned_by": "citebound", "max_model_len": 512}]})
    told = {"token": "Blue", "logprob": -0.1, "opening_probability": 0.4}
    decoder = remote(wire.head() + wire.chunk("Blue", "stop", logprobs={"content": [told]}) + wire.DONE)
    assert decoder.capabilities.citation_rule
    request = ask(reluctance=Reluctance(text="The documents", least_probability=0.9))
    (done,) = decoder.generate([dataclasses.replace(request, n_markers=3)])
    assert done.tokens[0].opening_probability == 0.4
    sent = server.chats[0].body
    assert sent["reluctance"] == {"text": "The documents", "least_probability": 0.9}
    assert sent["n_markers"] == 3
    decoder.generate([ask()])
    assert not {"reluctance", "n_markers"} & server.chats[1].body.keys()


def test_a_prompt_that_does_not_fit_is_not_sent(server: Any, remote: Connect, sea: bytes) -> None:
    with pytest.raises(PromptTooLongError, match="512"):
        remote(sea).stream(ask("sea " * 600))
    assert server.chats == []
    assert remote(sea, context=2000).generate([ask("sea " * 600)])[0].n_new_tokens == 3


def test_requests_run_side_by_side_up_to_the_bound(server: Any, remote: Connect, wire: Any, sea: bytes) -> None:
    together = threading.Barrier(4)

    def meet(connection: Any) -> None:
        together.wait(timeout=10)
        connection.send(sea)

    assert [done.text for done in remote(meet).generate([ask()] * 4)] == ["The old sea"] * 4
    together = threading.Barrier(2)
    assert len(remote(meet, parallel=2).generate([ask()] * 6)) == 6


def test_the_key_is_in_no_log(remote: Connect, sea: bytes) -> None:
    with structlog.testing.capture_logs() as logs:
        remote(sea, key="sk-secret").generate([ask("a private question")])
    assert "remote_decoder" in [line["event"] for line in logs]
    assert "sk-secret" not in str(logs)
    assert "private" not in str(logs)


def test_a_key_that_is_no_header_is_refused(remote: Connect, sea: bytes) -> None:
    with pytest.raises(UnsupportedError, match="printable ASCII"):
        remote(sea, key="a\nb")


@pytest.mark.parametrize(
    ("text", "base", "model"),
    [
        ("http://127.0.0.1:8000/v1#a/b", "http://127.0.0.1:8000/v1", "a/b"),
        ("https://gpu.example/openai/v1/#Qwen%203", "https://gpu.example/openai/v1", "Qwen 3"),
        ("http://[::1]:9", "http://[::1]:9/v1", None),
    ],
)
def test_addresses(text: str, base: str, model: str | None) -> None:
    assert is_address(text)
    address = parse_address(text)
    assert (address.base_url, address.model) == (base, model)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("http://user:pass@host/v1#m", "decoder_api_key"),
        ("http://host/v1?key=1#m", "must look like"),
        ("http:///v1#m", "must look like"),
        ("http://host:99999/v1", "cannot be read"),
        ("https://[half/v1", "cannot be read"),
    ],
)
def test_addresses_that_are_none(text: str, sentence: str) -> None:
    with pytest.raises(UnsupportedError, match=sentence):
        parse_address(text)
    assert not is_address("SmolLM2-135M-Instruct")


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)), st.data())
def test_events_come_out_however_the_bytes_are_cut(texts: list[str], data: st.DataObject) -> None:
    ends = data.draw(st.lists(st.sampled_from(["\n\n", "\r\n\r\n"]), min_size=len(texts), max_size=len(texts)))
    raw = "".join(f": a comment\ndata: {text}{end}" for text, end in zip(texts, ends, strict=True)).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    lines = EventLines()
    assert [found for piece in pieces for found in lines.feed(piece)] == texts


def test_several_data_lines_are_one_event() -> None:
    assert list(EventLines().feed(b"event: x\ndata: a\ndata:b\nid: 1\n\n")) == ["a\nb"]


def test_an_estimate_is_near_the_count_of_a_real_tokenizer() -> None:
    counter = Estimate()
    text = "Parents may take fourteen weeks of paid parental leave after the birth of a child (see page 12)."
    assert 18 <= counter.count(text) <= 28  # 22 in SmolLM2's vocabulary
    assert counter.count("") == 0
    assert counter.count_prompt((Message(role="user", content=text),)) > counter.count(text)
    assert counter.first_id("The") is None


def test_a_tokenizer_counts_exactly(llama_folder: Path, llama: Any, remote: Connect, sea: bytes) -> None:
    decoder = remote(sea, counter=Tokenizer(llama_folder))
    assert decoder.count_tokens("Größe of the sea") == llama.count_tokens("Größe of the sea")
    assert decoder.count_prompt_tokens(ask().messages) == llama.count_prompt_tokens(ask().messages)
    assert decoder.encode_prompt(ask().messages) == llama.encode_prompt(ask().messages)
    with pytest.raises(UnsupportedError, match="no tokenizer"):
        Tokenizer(llama_folder.parent)


def test_the_dialect_is_json(server: Any, remote: Connect, sea: bytes) -> None:
    remote(sea).generate([ask('Quote "this" \u2028 \ud83d\ude00'.encode("utf-16", "surrogatepass").decode("utf-16"))])
    assert json.loads(json.dumps(server.chats[0].body)) == server.chats[0].body
