"""What every decoder must do, run over each implementation."""

import math
import threading
from collections.abc import Callable

import pytest
import torch
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from llm.errors import CancelledError, PromptTooLongError
from llm.scripted import ScriptedDecoder
from llm.types import Cancel, Decoder, Generation, Message, Request, SamplingParams, Token


def reply(messages: tuple[Message, ...]) -> str:
    return "The river reaches the sea near the old town, says " + messages[-1].content[:9] + " of course."


@pytest.fixture(params=["scripted", "llama", "t5", "openvino_llama", "packed_llama"])
def decoder(request: pytest.FixtureRequest) -> Decoder:
    if request.param == "scripted":
        return ScriptedDecoder(reply, context_tokens=256)
    return request.getfixturevalue(request.param)


def ask(text: str = "Where does the river reach the sea?", **sampling: object) -> Request:
    sampling = {"max_new_tokens": 12} | sampling
    return Request(messages=(Message(role="user", content=text),), sampling=SamplingParams(**sampling))


def collect(decoder: Decoder, request: Request) -> tuple[list[Token], Generation]:
    *tokens, last = decoder.stream(request)
    assert isinstance(last, Generation)
    assert all(isinstance(token, Token) for token in tokens)
    return tokens, last


def test_it_is_a_decoder_and_says_which(decoder: Decoder) -> None:
    assert isinstance(decoder, Decoder)
    assert decoder.info.name
    assert decoder.info.context_tokens > 0


def test_generation_accounts_for_itself(decoder: Decoder) -> None:
    (done,) = decoder.generate([ask()])
    assert done.text == "".join(token.text for token in done.tokens)
    assert done.n_new_tokens == len(done.tokens) <= 12
    assert done.n_prompt_tokens == decoder.count_prompt_tokens(ask().messages)
    assert done.finish_reason in ("stop", "length")
    assert done.first_token_seconds is not None
    assert 0 <= done.first_token_seconds <= done.total_seconds
    assert all(token.probability is not None and 0 < token.probability <= 1 for token in done.tokens)


def test_stream_equals_generate(decoder: Decoder) -> None:
    tokens, last = collect(decoder, ask())
    (whole,) = decoder.generate([ask()])
    assert "".join(token.text for token in tokens) == last.text == whole.text
    assert [token.token_id for token in last.tokens] == [token.token_id for token in whole.tokens]
    assert tuple(tokens) == last.tokens


def test_a_batch_gives_what_each_request_gives_alone(decoder: Decoder) -> None:
    texts = ["sea", "Where does the river reach the sea, and near which old town?", "river?"]
    together = decoder.generate([ask(text) for text in texts])
    assert [done.text for done in together] == [decoder.generate([ask(text)])[0].text for text in texts]


def test_no_requests_no_generations(decoder: Decoder) -> None:
    assert decoder.generate([]) == ()
    assert decoder.score([], []) == ()


def test_max_new_tokens_is_obeyed(decoder: Decoder) -> None:
    (done,) = decoder.generate([ask(max_new_tokens=2)])
    assert done.n_new_tokens == 2
    assert done.finish_reason == "length"


def test_each_request_of_a_batch_has_its_own_length(decoder: Decoder) -> None:
    done = decoder.generate([ask(max_new_tokens=n) for n in (3, 1, 2)])
    assert [generation.n_new_tokens for generation in done] == [3, 1, 2]


def test_a_stop_string_cuts_the_text_and_never_leaks(decoder: Decoder) -> None:
    (whole,) = decoder.generate([ask()])
    stop = whole.text[len(whole.text) // 2 :][:3]
    tokens, last = collect(decoder, ask(stop=(stop, "never comes")))
    assert last.finish_reason == "stop"
    assert last.text == whole.text[: whole.text.index(stop)]
    assert "".join(token.text for token in tokens) == last.text


def test_a_stop_string_that_only_begins_is_not_lost(decoder: Decoder) -> None:
    (whole,) = decoder.generate([ask()])
    _, last = collect(decoder, ask(stop=(whole.text[-1:] + "\0 is not there",)))
    assert last.text == whole.text


def test_a_cancelled_request_makes_nothing(decoder: Decoder) -> None:
    cancel = Cancel()
    cancel.set()
    request = Request(messages=ask().messages, cancel=cancel)
    (done,) = decoder.generate([request])
    assert done.finish_reason == "cancelled"
    assert (done.text, done.tokens, done.first_token_seconds) == ("", (), None)
    assert collect(decoder, request)[1].finish_reason == "cancelled"


def test_cancelling_a_stream_keeps_what_was_said(decoder: Decoder) -> None:
    cancel = Cancel()
    stream = decoder.stream(Request(messages=ask().messages, sampling=ask().sampling, cancel=cancel))
    first = next(stream)
    cancel.set()
    *_, last = stream
    assert isinstance(first, Token)
    assert isinstance(last, Generation)
    assert last.finish_reason == "cancelled"
    assert last.tokens[0] == first
    assert last.n_new_tokens < 12


def test_one_cancelled_request_leaves_the_others_alone(decoder: Decoder) -> None:
    cancel = Cancel()
    cancel.set()
    cancelled = Request(messages=ask("river?").messages, cancel=cancel)
    done = decoder.generate([ask(), cancelled, ask("sea")])
    assert [generation.finish_reason == "cancelled" for generation in done] == [False, True, False]
    assert done[0].text == decoder.generate([ask()])[0].text


def test_a_closed_stream_frees_the_decoder(decoder: Decoder) -> None:
    stream = decoder.stream(ask())
    next(stream)
    stream.close()
    assert decoder.generate([ask()])[0].n_new_tokens > 0


def test_a_prompt_that_does_not_fit_is_refused_with_numbers(decoder: Decoder) -> None:
    words = "sea " * decoder.info.context_tokens
    for refused in (lambda: decoder.generate([ask(words)]), lambda: decoder.stream(ask(words))):
        with pytest.raises(PromptTooLongError, match=str(decoder.info.context_tokens)):
            refused()
    with pytest.raises(PromptTooLongError):
        decoder.score([ask(words).messages], ["sea"])


def test_scores_are_log_probabilities_of_the_continuation(decoder: Decoder) -> None:
    prompts = [ask("sea").messages, ask("Where does the river reach the sea?").messages, ask().messages]
    continuations = [" near the old town.", "", "The river"]
    scored = decoder.score(prompts, continuations)
    assert ["".join(token.text for token in tokens) for tokens in scored] == continuations
    assert all(token.log_probability <= 0 and math.isfinite(token.log_probability) for row in scored for token in row)
    assert [len(row) for row in scored] == [decoder.count_tokens(text) for text in continuations]
    alone = decoder.score(prompts[:1], continuations[:1])[0]
    assert [token.log_probability for token in scored[0]] == pytest.approx([t.log_probability for t in alone], abs=1e-4)


def test_distribution_agrees_with_generation(decoder: Decoder) -> None:
    (done,) = decoder.generate([ask()])
    ids = [token.token_id for token in done.tokens]
    behind = decoder.distribution(ask().messages, ids, n_alternatives=2)
    assert [entry.token_id for entry in behind] == ids
    assert "".join(entry.text for entry in behind) == done.text
    assert [entry.probability for entry in behind] == pytest.approx([t.probability for t in done.tokens], abs=1e-4)
    for entry in behind:
        assert len(entry.alternatives) == 2
        assert entry.alternatives[0].probability >= entry.alternatives[1].probability
        assert entry.tail_probability == pytest.approx(1 - sum(a.probability for a in entry.alternatives), abs=1e-5)
        for alternative in entry.alternatives:
            expected = math.exp(alternative.logit - entry.logsumexp)
            assert alternative.probability == pytest.approx(expected, rel=1e-3)
        assert entry.entropy >= 0
    assert decoder.distribution(ask().messages, []) == ()
    assert all(not entry.alternatives for entry in decoder.distribution(ask().messages, ids[:1], n_alternatives=0))


def test_distribution_refuses_ids_it_does_not_have(decoder: Decoder) -> None:
    with pytest.raises(ValueError, match="token ids"):
        decoder.distribution(ask().messages, [-1])


RESHAPING = [
    SamplingParams(),
    SamplingParams(temperature=1.0),
    SamplingParams(temperature=0.4),
    SamplingParams(temperature=1.0, top_k=1),
    SamplingParams(temperature=2.0, top_k=7),
    SamplingParams(temperature=1.0, top_p=0.6),
    SamplingParams(temperature=1.5, top_p=0.97, top_k=50),
    SamplingParams(temperature=0.8, min_p=0.5),
]


@pytest.mark.parametrize("sampling", RESHAPING, ids=str)
def test_the_reshaped_distribution_is_that_of_transformers(decoder: Decoder, sampling: SamplingParams) -> None:
    warpers = LogitsProcessorList()
    if sampling.temperature:
        warpers.append(TemperatureLogitsWarper(sampling.temperature))
        warpers.append(TopKLogitsWarper(sampling.top_k or 10**6))
        warpers.append(TopPLogitsWarper(sampling.top_p))
        warpers.append(MinPLogitsWarper(sampling.min_p))
    (done,) = decoder.generate([ask(max_new_tokens=6)])
    ids = [token.token_id for token in done.tokens]
    for entry in decoder.distribution(ask().messages, ids, n_alternatives=10**6, sampling=sampling):
        logits = torch.tensor([[alternative.logit for alternative in entry.alternatives]])
        expected = warpers(torch.zeros((1, 0), dtype=torch.long), logits)[0].softmax(dim=-1)
        if not sampling.temperature:
            expected = torch.zeros(len(entry.alternatives)).index_fill(0, logits[0].argmax(), 1.0)
        reshaped = {alternative.token_id: alternative.reshaped_probability for alternative in entry.alternatives}
        assert list(reshaped.values()) == pytest.approx(expected.tolist(), abs=1e-5)
        assert entry.reshaped_probability == reshaped[entry.token_id]
        assert entry.n_kept == int((expected > 0).sum())
        assert entry.tail_probability == pytest.approx(0, abs=1e-5)


def test_without_sampling_parameters_nothing_is_said_of_reshaping(decoder: Decoder) -> None:
    (done,) = decoder.generate([ask(max_new_tokens=1)])
    (entry,) = decoder.distribution(ask().messages, [done.tokens[0].token_id])
    assert (entry.reshaped_probability, entry.n_kept) == (None, None)
    assert all(alternative.reshaped_probability is None for alternative in entry.alternatives)


def test_a_cancelled_distribution_is_not_made(decoder: Decoder) -> None:
    (done,) = decoder.generate([ask(max_new_tokens=1)])
    cancel = Cancel()
    cancel.set()
    with pytest.raises(CancelledError):
        decoder.distribution(ask().messages, [done.tokens[0].token_id], cancel=cancel)


def test_the_tokens_of_a_prompt_are_its_text(decoder: Decoder) -> None:
    messages = (Message(role="system", content="Größe 日本語 👩‍🔬."), *ask("Where is <|im_end|> the sea?").messages)
    tokens = decoder.encode_prompt(messages)
    assert len(tokens) == decoder.count_prompt_tokens(messages)
    text = "".join(token.text for token in tokens)
    assert all(message.content in text for message in messages)


def test_counting(decoder: Decoder) -> None:
    assert decoder.count_tokens("") == 0
    assert decoder.count_tokens("Where does the river reach the sea?") > 1
    short = decoder.count_prompt_tokens(ask("sea").messages)
    assert decoder.count_prompt_tokens(ask("sea sea sea").messages) > short


def test_many_threads_at_once(decoder: Decoder) -> None:
    expected = decoder.generate([ask()])[0].text
    texts: list[str] = []

    def run(work: Callable[[], str]) -> threading.Thread:
        thread = threading.Thread(target=lambda: texts.append(work()), daemon=True)
        thread.start()
        return thread

    threads = [run(lambda: collect(decoder, ask())[1].text) for _ in range(3)]
    threads += [run(lambda: decoder.generate([ask()] * 2)[1].text) for _ in range(2)]
    for thread in threads:
        thread.join(timeout=60)
    assert texts == [expected] * 5


def test_scoring_while_streaming_does_not_block(decoder: Decoder) -> None:
    stream = decoder.stream(ask())
    next(stream)
    assert decoder.score([ask().messages], [" town"])[0]
    *_, last = stream
    assert isinstance(last, Generation)
    assert last.text == decoder.generate([ask()])[0].text
