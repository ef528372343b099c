"""The OpenVINO engine against the torch engine, token by token in fp32, and what continuous batching must keep."""

import dataclasses
import json
import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from llm import batching
from llm.engines.choose import load_local_decoder
from llm.engines.openvino import load_openvino_decoder
from llm.engines.openvino_graph import check_supported
from llm.engines.openvino_model import Conversion, converted
from llm.engines.paged_cache import BlockPool
from llm.engines.paged_decoder import PagedDecoder
from llm.engines.torch import TorchDecoder, load_decoder
from llm.errors import CancelledError, PromptTooLongError, UnsafeModelError, UnsupportedError
from llm.types import Cancel, Decoder, Device, Generation, Message, Reluctance, Request, SamplingParams

CPU = Device(kind="cpu", name="test", dtype="fp32", n_threads=1)
QUESTIONS = ("sea", "Where does the river reach the sea?", "Größe 日本語 and the old town, or the new one?")
LONG = "The river reaches the sea near the old town. " * 8
SETTINGS: tuple[dict[str, object], ...] = (
    {},
    {"repetition_penalty": 1.7},
    {"temperature": 0.8, "seed": 3},
    {"temperature": 1.5, "top_k": 5, "seed": 4},
    {"temperature": 1.2, "top_p": 0.7, "min_p": 0.02, "seed": 5},
)


def ask(text: str = QUESTIONS[1], cancel: Cancel | None = None, **sampling: object) -> Request:
    params = SamplingParams(**({"max_new_tokens": 16} | sampling))
    return Request(messages=(Message(role="user", content=text),), sampling=params, cancel=cancel or Cancel())


def ids(done: Generation) -> list[int]:
    return [token.token_id for token in done.tokens]


def steps_of(decoder: PagedDecoder) -> list[int]:
    """How many tokens each reading of the model gets from now on."""
    sizes: list[int] = []
    model = decoder._steps._model
    read = type(model).read

    def noted(parts: Sequence[tuple[Sequence[int], int, Sequence[int]]], wanted: Sequence[int]) -> object:
        sizes.append(sum(len(new) for new, _, _ in parts))
        return read(model, parts, wanted)

    model.read = noted  # type: ignore[method-assign]
    return sizes


@pytest.fixture
def fresh(llama_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> PagedDecoder:
    """One whose cache nothing was read into before."""
    return load(llama_folder, tmp_path_factory.getbasetemp() / "conversions-of-llama")


def load(folder: Path, conversions: Path, **more: object) -> PagedDecoder:
    return load_openvino_decoder(folder, name="tiny", device=CPU, conversions=conversions, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", SETTINGS)
def test_tokens_and_probabilities_are_those_of_the_torch_engine(
    openvino_llama: PagedDecoder, llama: TorchDecoder, settings: dict[str, object]
) -> None:
    requests = [ask(question, **settings) for question in (*QUESTIONS, LONG)]
    ours, theirs = openvino_llama.generate(requests), llama.generate(requests)
    assert [ids(done) for done in ours] == [ids(done) for done in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one.text == other.text
        assert one.finish_reason == other.finish_reason
        assert [t.probability for t in one.tokens] == pytest.approx([t.probability for t in other.tokens], abs=1e-4)
    alone = [openvino_llama.generate([request])[0] for request in requests]
    assert [ids(done) for done in alone] == [ids(done) for done in ours]


@pytest.mark.parametrize("family", ["qwen2", "qwen3"])
def test_other_families(family: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    torch.manual_seed(4)
    sizes = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"num_key_value_heads": 2, "max_position_embeddings": 256, "vocab_size": len(tokenizer)}
    if family == "qwen2":
        model = Qwen2ForCausalLM(Qwen2Config(**sizes, initializer_range=0.3))
    else:
        model = Qwen3ForCausalLM(Qwen3Config(**sizes, head_dim=16, initializer_range=0.3))
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or "_norm" in name:
            torch.nn.init.normal_(parameter, mean=1.0)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    reference = load_decoder(tmp_path / "model", name="tiny", device=CPU)
    requests = [ask(question) for question in QUESTIONS]
    ours = load(tmp_path / "model", tmp_path / "conversions").generate(requests)
    assert [ids(done) for done in ours] == [ids(done) for done in reference.generate(requests)]
    assert any(len(ids(done)) > 3 for done in ours)


def test_scores_and_distributions_are_those_of_the_torch_engine(
    openvino_llama: PagedDecoder, llama: TorchDecoder
) -> None:
    prompts = [ask(question).messages for question in QUESTIONS]
    texts = ["the old town", "", "naïve sea"]
    for one, other in zip(openvino_llama.score(prompts, texts), llama.score(prompts, texts), strict=True):
        assert [token.token_id for token in one] == [token.token_id for token in other]
        assert [t.log_probability for t in one] == pytest.approx([t.log_probability for t in other], abs=1e-3)
    (done,) = openvino_llama.generate([ask()])
    behind = openvino_llama.distribution(prompts[1], ids(done), sampling=SamplingParams(temperature=0.7, top_k=3))
    assert [d.probability for d in behind] == pytest.approx([token.probability for token in done.tokens], abs=1e-4)
    assert behind == openvino_llama.distribution(
        prompts[1], ids(done), sampling=SamplingParams(temperature=0.7, top_k=3)
    )


def test_beam_search_is_that_of_the_torch_engine(openvino_llama: PagedDecoder, llama: TorchDecoder) -> None:
    requests = [ask(QUESTIONS[1], num_beams=3), ask(QUESTIONS[0]), ask(QUESTIONS[2], num_beams=3)]
    assert [ids(done) for done in openvino_llama.generate(requests)] == [ids(done) for done in llama.generate(requests)]
    assert isinstance(list(openvino_llama.stream(requests[0]))[-1], Generation)
    with pytest.raises(UnsupportedError, match="temperature"):
        openvino_llama.stream(ask(num_beams=2, temperature=0.5))


def test_reluctance_and_the_citation_rule(openvino_llama: PagedDecoder, llama: TorchDecoder) -> None:
    (plain,) = llama.generate([ask()])
    first = plain.tokens[0]
    assert first.probability is not None
    assert llama.count_tokens(first.text) == 1
    for least in (0.0, first.probability * 0.9, min(first.probability * 1.1, 1.0), 1.0):
        request = dataclasses.replace(ask(), reluctance=Reluctance(text=first.text, least_probability=least))
        ours, theirs = openvino_llama.generate([request])[0], llama.generate([request])[0]
        assert ids(ours) == ids(theirs)
        assert (ours.tokens[0].token_id == first.token_id) == (least < first.probability)
    marked = dataclasses.replace(ask(temperature=1.5, seed=2, max_new_tokens=48), n_markers=3)
    assert ids(openvino_llama.generate([marked])[0]) == ids(llama.generate([marked])[0])
    for question in (LONG, *QUESTIONS):  # greedy, with drafts
        free = ask(question, max_new_tokens=40)
        ruled, theirs = (
            engine.generate([dataclasses.replace(free, n_markers=3)])[0] for engine in (openvino_llama, llama)
        )
        assert ids(ruled) == ids(theirs)
        (without,) = openvino_llama.generate([free])
        assert "[" in without.text or ids(ruled) == ids(without)


@pytest.mark.parametrize("settings", SETTINGS)
def test_drafts_do_not_change_the_text(
    openvino_llama: PagedDecoder, llama_folder: Path, tmp_path: Path, settings: dict[str, object]
) -> None:
    plain = load(llama_folder, tmp_path, lookup=False)
    for question in (LONG, *QUESTIONS):
        request = ask(question, **settings | {"max_new_tokens": 60})
        (without,) = plain.generate([request])
        (drafted,) = openvino_llama.generate([request])
        assert ids(drafted) == ids(without)
        assert drafted.text == without.text


def test_drafts_save_readings(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(**sizes, vocab_size=len(tokenizer), tie_word_embeddings=True, max_position_embeddings=256)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "model")  # such a model says its last token again and again
    tokenizer.save_pretrained(tmp_path / "model")
    drafting, plain = (load(tmp_path / "model", tmp_path / "kept", lookup=lookup) for lookup in (True, False))
    request = ask(max_new_tokens=100)
    sizes_read = steps_of(drafting)
    (done,) = drafting.generate([request])
    assert done.n_new_tokens == 100
    assert len(sizes_read) < 40
    assert ids(done) == ids(plain.generate([request])[0])


def test_a_beginning_that_was_read_before_is_not_read_again(fresh: PagedDecoder, llama: TorchDecoder) -> None:
    sizes = steps_of(fresh)
    requests = [ask(LONG + "Where?", max_new_tokens=1), ask(LONG + "Or the new one?", max_new_tokens=8)]
    texts = [fresh.generate([request])[0].text for request in requests]
    n_prompt = fresh.count_prompt_tokens(requests[1].messages)
    assert sizes[0] == fresh.count_prompt_tokens(requests[0].messages)
    assert sizes[1] <= n_prompt - fresh.count_tokens(LONG) + 32
    assert texts == [llama.generate([request])[0].text for request in requests]
    again = fresh.generate([requests[1]])[0]
    assert again.text == texts[1]


def test_a_long_prompt_is_read_in_smaller_pieces_while_another_text_is_written(
    fresh: PagedDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_LONG_PROMPT", 30)
    monkeypatch.setattr(batching, "_BESIDE_WRITING", 16)
    expected = [ids(fresh.generate([ask(text, max_new_tokens=24)])[0]) for text in ("sea", LONG)]
    steps = fresh._steps
    steps._pool = BlockPool(fresh._steps._model.n_blocks, fresh._steps._model.block_tokens)  # nothing is known
    short = steps.add(fresh._rows.make(ask("sea", max_new_tokens=24)))
    steps.wait(short)
    sizes = steps_of(fresh)
    long = steps.add(fresh._rows.make(ask(LONG, max_new_tokens=24)))
    while not (short.done or long.n_left <= 0):
        short.out.clear()
        steps.wait(short)
    assert len(sizes) > 3
    assert max(sizes[:-1]) <= 16 + 1  # the rest of a prompt that is not long is read at once
    for run in (short, long):
        while not run.done:
            run.out.clear()
            steps.wait(run)
    assert [short.row.new_ids, long.row.new_ids] == expected


def test_memory_is_bounded_and_what_does_not_fit_waits(llama_folder: Path, tmp_path: Path, llama: TorchDecoder) -> None:
    small = load(llama_folder, tmp_path, cache_bytes=1)  # one context of 512 tokens
    assert small._steps._pool.n_blocks == 16
    requests = [ask(f"{number} {LONG}", max_new_tokens=9) for number in range(7)]
    assert [ids(done) for done in small.generate(requests)] == [ids(done) for done in llama.generate(requests)]
    assert small._steps._pool.n_free == 16
    with pytest.raises(PromptTooLongError, match="shorten"):
        small.generate([ask(LONG, max_new_tokens=500)])


def test_many_threads_get_what_each_gets_alone(openvino_llama: PagedDecoder) -> None:
    requests = [ask(f"{number} {LONG[: 40 * number]}", max_new_tokens=20) for number in range(6)]
    expected = [ids(openvino_llama.generate([request])[0]) for request in requests]
    found: dict[int, list[int]] = {}

    def run(number: int) -> None:
        found[number] = ids(list(openvino_llama.stream(requests[number]))[-1])  # type: ignore[arg-type]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [found[number] for number in range(6)] == expected


def test_running_requests_are_read_together(openvino_llama: PagedDecoder) -> None:
    sizes = steps_of(openvino_llama)
    openvino_llama.generate([ask(temperature=1.0, seed=seed, max_new_tokens=8) for seed in range(4)])
    assert len(sizes) <= 10


class CancelAfter(Cancel):
    """Says yes from the n-th time on that it is asked."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n_asked, self.n = 0, n

    @property
    def is_set(self) -> bool:
        self.n_asked += 1
        return self.n_asked > self.n


def test_a_long_prompt_is_read_in_pieces_between_which_it_can_be_cancelled(fresh: PagedDecoder) -> None:
    sizes = steps_of(fresh)
    text = "the sea and the town " * 60
    n_prompt = fresh.count_prompt_tokens(ask(text).messages)
    assert n_prompt > 256
    (done,) = fresh.generate([ask(text, cancel=CancelAfter(1))])
    assert done.finish_reason == "cancelled"
    assert done.tokens == ()
    assert sizes == [256]
    assert fresh._steps._pool.n_free == fresh._steps._pool.n_blocks
    (whole,) = fresh.generate([ask(text, max_new_tokens=2)])
    assert whole.n_new_tokens == 2
    with pytest.raises(CancelledError):
        fresh.distribution(ask("sea " * 400).messages, [5, 6], cancel=CancelAfter(1))


def test_a_short_prompt_does_not_wait_for_a_long_one(fresh: PagedDecoder) -> None:
    steps, rows = fresh._steps, fresh._rows
    long = steps.add(rows.make(ask("the sea and the town " * 60, max_new_tokens=1)))
    short = steps.add(rows.make(ask("sea", max_new_tokens=1)))
    while not short.done:
        steps.wait(short)
        short.out.clear()
    assert not long.done
    steps.wait(long)
    assert long.done


def test_a_closed_stream_leaves_its_place(fresh: PagedDecoder) -> None:
    request = ask(max_new_tokens=200)
    events = fresh.stream(request)
    assert isinstance(events, Iterator)
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert not request.cancel.is_set
    fresh.generate([ask("sea")])
    assert fresh._steps._running == []
    assert fresh._steps._pool.n_free == fresh._steps._pool.n_blocks


def test_an_error_of_the_model_reaches_its_requests_and_leaves_the_engine_usable(fresh: PagedDecoder) -> None:
    model = fresh._steps._model
    read = type(model).read
    model.read = lambda parts, wanted: 1 / 0  # type: ignore[method-assign,assign,return-value]
    with pytest.raises(ZeroDivisionError):
        fresh.generate([ask()])
    with pytest.raises(ZeroDivisionError):
        list(fresh.stream(ask()))
    model.read = lambda parts, wanted: read(model, parts, wanted)  # type: ignore[method-assign]
    assert fresh.generate([ask()])[0].n_new_tokens > 0
    assert fresh._steps._pool.n_free == fresh._steps._pool.n_blocks


def test_other_precisions_run(llama_folder: Path, tmp_path: Path) -> None:
    device = dataclasses.replace(CPU, dtype="bf16")
    for weights in ("bf16", "int8"):
        decoder = load_openvino_decoder(llama_folder, name="tiny", device=device, conversions=tmp_path, weights=weights)
        assert decoder.generate([ask()])[0].n_new_tokens > 0
        assert decoder.info.engine == "openvino"
        assert ("int8" in decoder.info.dtype) == (weights == "int8")
    assert len(list(tmp_path.glob("*/model.xml"))) == 2


def _convert(folder: Path, conversions: Path, results: "multiprocessing.Queue[str]") -> None:
    results.put(str(converted(Conversion(folder=folder, adapter=None, weights="fp32"), conversions)))


def test_two_processes_convert_once(llama_folder: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    (tmp_path / ".locks").mkdir()
    other = context.Process(target=_convert, args=(llama_folder, tmp_path, results))
    conversion = Conversion(folder=llama_folder, adapter=None, weights="fp32")
    with FileLock(tmp_path / ".locks" / f"{conversion.key}.lock"):  # as if a process were converting
        other.start()
        assert not list(tmp_path.glob("*/model.xml"))
    path = converted(conversion, tmp_path)
    written = path.stat().st_mtime_ns
    assert results.get(timeout=60) == str(path)
    other.join(timeout=60)
    assert path.stat().st_mtime_ns == written
    assert list((tmp_path / ".staging").iterdir()) == []


def test_an_unfinished_conversion_is_made_again(llama_folder: Path, tmp_path: Path) -> None:
    conversion = Conversion(folder=llama_folder, adapter=None, weights="fp32")
    left = tmp_path / ".staging" / conversion.key
    left.mkdir(parents=True)
    (left / "model.xml").write_text("half")
    path = converted(conversion, tmp_path)
    before = path.stat().st_mtime_ns
    assert converted(conversion, tmp_path).stat().st_mtime_ns == before
    assert load(llama_folder, tmp_path).generate([ask()])[0].n_new_tokens > 0


def test_what_the_graph_does_not_compute_goes_to_torch(llama_folder: Path, t5_folder: Path, tmp_path: Path) -> None:
    def chosen(folder: Path, **more: object) -> Decoder:
        return load_local_decoder(folder, name="tiny", device=CPU, conversions=tmp_path, adapter=None, **more)  # type: ignore[arg-type]

    assert chosen(llama_folder).info.engine == "openvino"
    assert chosen(llama_folder, engine="torch").info.engine == "transformers"
    assert chosen(t5_folder).info.engine == "transformers"
    with pytest.raises(UnsupportedError, match="t5"):
        chosen(t5_folder, engine="openvino")
    with pytest.raises(UnsafeModelError):
        chosen(tmp_path)
    with pytest.raises(UnsupportedError, match="CPU"):
        load_openvino_decoder(
            llama_folder, name="x", device=dataclasses.replace(CPU, kind="cuda"), conversions=tmp_path
        )
    with pytest.raises(UnsupportedError, match="activation"):
        check_supported(LlamaConfig(hidden_act="gelu"))


def test_openvino_reports_nothing_to_anybody() -> None:
    seen = subprocess.run(
        [sys.executable, "-c", _IMPORTED], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert json.loads(seen.stdout) == []


_IMPORTED = """
import json, sys
import llm.engines.openvino
print(json.dumps([name for name, module in sys.modules.items() if "openvino_telemetry" in name and module]))
"""
