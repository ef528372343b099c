"""The torch engine against transformers' own generate, and what only it can do."""

import dataclasses
import threading
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, GenerationConfig, PreTrainedTokenizerFast

from llm.engines.torch import TorchDecoder, load_decoder
from llm.engines.turns import Turns
from llm.errors import CancelledError, UnsafeModelError, UnsupportedError
from llm.types import Cancel, Device, Message, Reluctance, Request, SamplingParams

QUESTIONS = ("sea", "Where does the river reach the sea?", "Größe 日本語 and the old town, or the new one?")
CPU = Device(kind="cpu", name="test", dtype="fp32", n_threads=1)


def ask(text: str = QUESTIONS[1], cancel: Cancel | None = None, **sampling: object) -> Request:
    params = SamplingParams(**({"max_new_tokens": 16} | sampling))
    return Request(messages=(Message(role="user", content=text),), sampling=params, cancel=cancel or Cancel())


class CancelAfter(Cancel):
    """Counts how often it is asked and says yes from the n-th time on."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n_asked, self.n = 0, n

    @property
    def is_set(self) -> bool:
        self.n_asked += 1
        return self.n_asked > self.n


def reference(folder: Path, prompt: list[int], tokenizer: PreTrainedTokenizerFast, **settings: object) -> list[int]:
    """What transformers' generate makes of the prompt, up to the end token."""
    seq2seq = "t5" in folder.name
    model = (AutoModelForSeq2SeqLM if seq2seq else AutoModelForCausalLM).from_pretrained(folder, dtype=torch.float32)
    config = GenerationConfig(
        max_new_tokens=16,
        do_sample=False,
        eos_token_id=[tokenizer.eos_token_id, tokenizer.pad_token_id],
        pad_token_id=tokenizer.pad_token_id,
        decoder_start_token_id=tokenizer.pad_token_id if seq2seq else None,
        **settings,
    )
    ids = torch.tensor([prompt])
    output = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config)[0].tolist()
    new = output[1:] if seq2seq else output[len(prompt) :]
    ends = [i for i, token in enumerate(new) if token in (tokenizer.eos_token_id, tokenizer.pad_token_id)]
    return new[: ends[0]] if ends else new


@pytest.mark.parametrize("which", ["llama", "t5"])
@pytest.mark.parametrize("settings", [{}, {"repetition_penalty": 1.7}, {"num_beams": 3}])
def test_parity_with_transformers(
    which: str, settings: dict[str, float], request: pytest.FixtureRequest, tokenizer: PreTrainedTokenizerFast
) -> None:
    decoder: TorchDecoder = request.getfixturevalue(which)
    folder: Path = request.getfixturevalue(f"{which}_folder")
    encoder = decoder.vocabulary.prompts
    expected = [reference(folder, encoder.encode_prompt(ask(q).messages), tokenizer, **settings) for q in QUESTIONS]
    done = decoder.generate([ask(question, **settings) for question in QUESTIONS])
    assert [[token.token_id for token in generation.tokens] for generation in done] == expected
    assert any(len(ids) > 3 for ids in expected)


def test_probabilities_are_those_of_the_undistorted_model(llama: TorchDecoder) -> None:
    request = ask(temperature=0.3, top_k=3, repetition_penalty=1.5, seed=5)
    (done,) = llama.generate([request])
    behind = llama.distribution(request.messages, [token.token_id for token in done.tokens])
    assert [token.probability for token in done.tokens] == pytest.approx([d.probability for d in behind], abs=1e-5)


@pytest.mark.parametrize("which", ["llama", "t5"])
def test_the_penalty_counts_what_it_counts_in_generation(which: str, request: pytest.FixtureRequest) -> None:
    decoder: TorchDecoder = request.getfixturevalue(which)
    sampled = ask(temperature=0.2, repetition_penalty=3.0, top_k=4, seed=5)
    (done,) = decoder.generate([sampled])
    ids = [token.token_id for token in done.tokens]
    behind = decoder.distribution(sampled.messages, ids, sampling=sampled.sampling)
    assert all(entry.reshaped_probability for entry in behind)
    greedy = ask(repetition_penalty=3.0)
    ids = [token.token_id for token in decoder.generate([greedy])[0].tokens]
    behind = decoder.distribution(greedy.messages, ids, sampling=greedy.sampling)
    assert ids
    assert all(entry.reshaped_probability == 1.0 for entry in behind)


def test_a_distribution_is_cancelled_inside_the_pass(llama: TorchDecoder) -> None:
    cancel = CancelAfter(2)
    with pytest.raises(CancelledError):
        llama.distribution(ask().messages, [5, 6], cancel=cancel)
    assert cancel.n_asked == 3  # the last of three layers did not run
    assert llama.distribution(ask().messages, [5])


def test_a_seed_gives_the_same_text_alone_and_in_company(llama: TorchDecoder) -> None:
    def texts(requests: list[Request]) -> list[str]:
        return [done.text for done in llama.generate(requests)]

    one = ask(temperature=1.5, seed=7)
    (alone,) = texts([one])
    assert texts([one]) == [alone]
    assert texts([ask("sea", temperature=1.0, seed=1), one, ask("river")])[1] == alone
    assert len({texts([ask(temperature=1.5, seed=seed)])[0] for seed in range(4)}) > 1


def test_sampling_leaves_the_global_random_state_alone(llama: TorchDecoder) -> None:
    before = torch.random.get_rng_state()
    llama.generate([ask(temperature=1.0, seed=1), ask(temperature=1.0)])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_beam_search_does_not_sample(llama: TorchDecoder) -> None:
    with pytest.raises(UnsupportedError, match="temperature"):
        llama.generate([ask(num_beams=2, temperature=0.5)])


@pytest.mark.parametrize("which", ["llama", "t5"])
@pytest.mark.parametrize("sampling", [{}, {"num_beams": 2}])
def test_cancelling_breaks_off_inside_the_prompt_pass(
    which: str, sampling: dict[str, int], request: pytest.FixtureRequest
) -> None:
    decoder: TorchDecoder = request.getfixturevalue(which)
    never = CancelAfter(10**9)
    assert decoder.generate([ask(cancel=never, max_new_tokens=1, **sampling)])[0].n_new_tokens <= 1
    cancel = CancelAfter(4)
    (done,) = decoder.generate([ask(cancel=cancel, max_new_tokens=1, **sampling)])
    assert done.finish_reason == "cancelled"
    assert done.tokens == ()
    assert cancel.n_asked < never.n_asked - 2
    assert decoder.generate([ask()])[0].n_new_tokens > 0


def test_a_cancelled_row_does_not_stop_the_prompt_pass_of_others(llama: TorchDecoder) -> None:
    done = llama.generate([ask(), ask(cancel=CancelAfter(4))])
    assert [generation.finish_reason == "cancelled" for generation in done] == [False, True]


def test_turns_are_first_come_first_served_and_can_be_given_up() -> None:
    turns = Turns()
    order: list[int] = []
    threads = []
    with turns.take(lambda: False):
        for number in range(3):
            thread = threading.Thread(target=lambda n=number: _note(turns, order, n))
            thread.start()
            while len(turns._queue) < number + 2:
                pass
            threads.append(thread)
        with pytest.raises(CancelledError), turns.take(lambda: True):
            pass
    for thread in threads:
        thread.join(timeout=10)
    assert order == [0, 1, 2]


def _note(turns: Turns, order: list[int], number: int) -> None:
    with turns.take(lambda: False):
        order.append(number)


def test_special_tokens_are_not_in_the_text_and_end_tokens_not_in_the_tokens(
    llama: TorchDecoder, tokenizer: PreTrainedTokenizerFast
) -> None:
    done = llama.generate([ask(temperature=2.0, seed=seed, max_new_tokens=64) for seed in range(12)])
    assert any(generation.finish_reason == "stop" for generation in done)
    ends = {tokenizer.eos_token_id, tokenizer.pad_token_id}
    for generation in done:
        assert not ends & {token.token_id for token in generation.tokens}
        assert not any(token.text for token in generation.tokens if token.token_id in tokenizer.all_special_ids)


def test_pickle_weights_are_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(UnsafeModelError, match="safetensors"):
        load_decoder(tmp_path, name="x", device=CPU)


def test_an_unknown_architecture_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no_such_type"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UnsupportedError, match="cannot load"):
        load_decoder(tmp_path, name="x", device=CPU)


def test_bf16_runs_too(llama_folder: Path) -> None:
    decoder = load_decoder(llama_folder, name="x", device=Device(kind="cpu", name="t", dtype="bf16", n_threads=1))
    assert decoder.info.dtype == "bf16"
    assert decoder.generate([ask()])[0].n_new_tokens > 0


def test_a_beginning_that_the_model_is_not_sure_of_is_another_one(llama: TorchDecoder) -> None:
    (plain,) = llama.generate([ask()])
    first = plain.tokens[0]
    sure = Reluctance(text=first.text, least_probability=0.0)
    never = Reluctance(text=first.text, least_probability=1.0)
    if llama.count_tokens(first.text) != 1:
        pytest.skip("the tiny model began with a token that no text gives")
    same, other = llama.generate(
        [dataclasses.replace(ask(), reluctance=sure), dataclasses.replace(ask(), reluctance=never)]
    )
    assert same.text == plain.text
    assert other.tokens[0].token_id != first.token_id
    for one in (same, other):
        assert one.tokens[0].opening_probability == pytest.approx(first.probability, abs=1e-5)
        assert all(token.opening_probability is None for token in one.tokens[1:])
    assert first.opening_probability is None
