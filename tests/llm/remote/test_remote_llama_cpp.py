"""Against a real llama.cpp server: a model of two layers with random weights, written here."""

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest

from llm.engines.remote import RemoteDecoder, connect
from llm.engines.remote_address import parse_address
from llm.engines.remote_tokens import Estimate
from llm.errors import PromptTooLongError, RemoteError
from llm.types import Cancel, Generation, Message, Reluctance, Request, SamplingParams, Token

pytest.importorskip("xllamacpp", reason="llama.cpp's server is not installed; pip install xllamacpp")

KEY = "sk-only-for-this-test"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WIDTH, HEADS, INNER = 64, 2, 96


def write_model(path: Path) -> None:
    """A llama that knows ASCII and three special tokens."""
    alphabet = [*map(chr, range(33, 127)), "\u0120", "\u010a"]  # a blank and a line break in GPT-2's byte alphabet
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *alphabet]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 3 + [1] * len(alphabet))
    writer.add_token_merges(["t h"])
    writer.add_eos_token_id(2)
    writer.add_bos_token_id(1)
    writer.add_chat_template(TEMPLATE)
    rng = np.random.default_rng(4)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, (rng.standard_normal(shape) * 0.3).astype(np.float32))

    add("token_embd.weight", len(tokens), WIDTH)
    add("output.weight", len(tokens), WIDTH)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    for layer in range(2):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{name}.weight", WIDTH, WIDTH)
        add(f"blk.{layer}.ffn_gate.weight", INNER, WIDTH)
        add(f"blk.{layer}.ffn_up.weight", INNER, WIDTH)
        add(f"blk.{layer}.ffn_down.weight", WIDTH, INNER)
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    model = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_model(model)
    command = [sys.executable, str(Path(__file__).with_name("llama_cpp_server.py")), str(model), KEY]
    with (
        model.with_name("log").open("w") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None and process.stdin is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://"), model.with_name("log").read_text()[-2000:]
        yield f"{url}/v1#tiny"
        process.stdin.close()
        process.kill()


def join(address: str, key: str = KEY) -> RemoteDecoder:
    return connect(
        parse_address(address), api_key=key, counter=Estimate(), context_tokens=None, timeout_seconds=60, max_parallel=4
    )


@pytest.fixture(scope="module")
def decoder(address: str) -> Iterator[RemoteDecoder]:
    made = join(address)
    yield made
    made.close()


def ask(text: str = "the sea", **sampling: object) -> Request:
    return Request(
        messages=(Message(role="user", content=text),), sampling=SamplingParams(**{"max_new_tokens": 12} | sampling)
    )


def test_it_is_found_out(decoder: RemoteDecoder) -> None:
    assert (decoder.info.name, decoder.info.engine) == ("tiny", "llama.cpp")
    assert decoder.info.context_tokens in (256, 512)  # of a slot, or of all
    assert decoder.capabilities.token_probabilities
    assert decoder.capabilities.unsupported_sampling == {"num_beams"}


def test_greedy_text_is_the_same_streamed_batched_and_again(decoder: RemoteDecoder) -> None:
    *tokens, last = decoder.stream(ask())
    assert isinstance(last, Generation)
    assert "".join(token.text for token in tokens if isinstance(token, Token)) == last.text
    assert last.n_new_tokens == len(last.tokens) > 0
    assert last.n_prompt_tokens > 5
    assert all(token.probability is not None and 0 < token.probability <= 1 for token in last.tokens)
    assert all(token.token_id < 99 for token in last.tokens)
    batch = decoder.generate([ask(), ask("the river"), ask()])
    assert batch[0].text == batch[2].text == last.text


def test_probabilities_are_those_of_the_model_itself(decoder: RemoteDecoder) -> None:
    (greedy,) = decoder.generate([ask(max_new_tokens=1)])
    drawn = decoder.generate([ask(max_new_tokens=1, temperature=8.0, seed=number) for number in range(6)])
    same = [one.tokens[0] for one in drawn if one.tokens and one.tokens[0].token_id == greedy.tokens[0].token_id]
    assert all(math.isclose(token.probability or 0, greedy.tokens[0].probability or 1, abs_tol=0.02) for token in same)
    assert len({one.text for one in drawn}) > 1


def test_sampling_means_what_it_says(decoder: RemoteDecoder) -> None:
    (greedy,) = decoder.generate([ask()])
    for one_left in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 0.999}, {"top_k": 1, "repetition_penalty": 1.0}):
        (done,) = decoder.generate([ask(temperature=1.0, seed=3, **one_left)])
        assert done.text == greedy.text
    first, again, other = decoder.generate([ask(temperature=2.0, seed=seed) for seed in (1, 1, 2)])
    assert first.text == again.text != other.text


def test_it_stops_at_a_string_and_at_the_length(decoder: RemoteDecoder) -> None:
    (whole,) = decoder.generate([ask()])
    (short,) = decoder.generate([ask(max_new_tokens=2)])
    assert short.finish_reason == "length"
    assert whole.text.startswith(short.text)
    stop = whole.text[1:3]
    (cut,) = decoder.generate([ask(stop=(stop,))])
    assert cut.finish_reason == "stop"
    assert cut.text == whole.text[: whole.text.index(stop)]


def test_it_is_reluctant(decoder: RemoteDecoder) -> None:
    (whole,) = decoder.generate([ask()])
    request = ask()
    first = whole.tokens[0]
    assert first.text and first.probability is not None
    (other,) = decoder.generate(
        [
            Request(
                messages=request.messages,
                sampling=request.sampling,
                reluctance=Reluctance(text=whole.text, least_probability=min(1.0, first.probability * 1.5)),
            )
        ]
    )
    assert other.tokens[0].token_id != first.token_id


def test_it_can_be_cancelled(decoder: RemoteDecoder) -> None:
    cancel = Cancel()
    request = Request(
        messages=ask().messages, sampling=SamplingParams(max_new_tokens=200, temperature=5.0), cancel=cancel
    )
    stream = decoder.stream(request)
    next(stream)
    cancel.set()
    *_, last = stream
    assert isinstance(last, Generation)
    assert last.finish_reason == "cancelled"


def test_a_prompt_that_is_too_long_for_the_server_is_told(address: str) -> None:
    made = connect(
        parse_address(address), api_key=KEY, counter=Estimate(), context_tokens=9000, timeout_seconds=60, max_parallel=1
    )
    with pytest.raises(PromptTooLongError, match="exceeds the available context size"):
        made.generate([ask("the sea " * 300)])
    made.close()


def test_a_wrong_key_is_refused(address: str) -> None:
    with pytest.raises(RemoteError, match="refuses the key"):
        join(address, key="another")
