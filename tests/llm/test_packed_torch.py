"""Packed passes of a transformers model: the same logits and the same texts as one request after the other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma2Config, Gemma2ForCausalLM

from llm.batching import PagedSteps
from llm.engines.packed import packed as packed_engine
from llm.engines.packed_torch import BLOCK_TOKENS, PackedModel
from llm.engines.row import RowMaker
from llm.engines.torch import TorchDecoder
from llm.engines.vocabulary import Vocabulary
from llm.errors import UnsupportedError
from llm.types import Message, Request, SamplingParams

IDS = [(7 * number) % 350 + 3 for number in range(3 * BLOCK_TOKENS + 5)]
OTHERS = [(11 * number) % 350 + 3 for number in range(BLOCK_TOKENS + 3)]


@pytest.fixture
def model(llama_folder: Path) -> Any:
    loaded = AutoModelForCausalLM.from_pretrained(llama_folder, dtype=torch.float32, attn_implementation="sdpa")
    return loaded.eval()


@pytest.fixture
def packed(model: Any) -> PackedModel:
    return PackedModel(model, context_tokens=512, cache_bytes=0)


def alone(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model(torch.tensor([ids]), use_cache=False).logits[0]
    return logits


def test_pieces_of_prompts_and_single_tokens_share_a_pass(model: Any, packed: PackedModel) -> None:
    first, other = alone(model, IDS), alone(model, OTHERS)
    mine, yours = [9, 2, 5, 0], [4, 1]
    half = BLOCK_TOKENS + 7
    logits = packed.read([(IDS[:half], 0, mine)], [0, half - 1])
    assert torch.allclose(torch.from_numpy(logits), first[[0, half - 1]], atol=1e-4)
    logits = packed.read([(IDS[half:-2], half, mine), (OTHERS[:-1], 0, yours)], [len(IDS) - half - 3])
    assert torch.allclose(torch.from_numpy(logits), first[[-3]], atol=1e-4)
    logits = packed.read([(IDS[-2:-1], len(IDS) - 2, mine), (OTHERS[-1:], len(OTHERS) - 1, yours)], [0, 1])
    assert torch.allclose(torch.from_numpy(logits), torch.stack([first[-2], other[-1]]), atol=1e-4)


def test_a_piece_in_the_middle_of_a_prompt_gives_no_logits(model: Any, packed: PackedModel) -> None:
    assert packed.read([(IDS[:40], 0, [0, 1, 2, 3])], []).shape == (0, model.config.vocab_size)
    logits = packed.read([(IDS[40:], 40, [0, 1, 2, 3])], [len(IDS) - 41])
    assert torch.allclose(torch.from_numpy(logits[0]), alone(model, IDS)[-1], atol=1e-4)


def test_a_beginning_that_two_share_is_read_once(model: Any, packed: PackedModel) -> None:
    shared = 2 * BLOCK_TOKENS
    packed.read([(IDS, 0, [0, 1, 2, 3])], [0])
    longer = [*IDS[:shared], *OTHERS]
    logits = packed.read([(OTHERS, shared, [0, 1, 7, 8])], [len(OTHERS) - 1])
    assert torch.allclose(torch.from_numpy(logits[0]), alone(model, longer)[-1], atol=1e-4)


def test_passes_from_elsewhere_compute_as_before(model: Any) -> None:
    before = alone(model, IDS)
    PackedModel(model, context_tokens=64, cache_bytes=0)
    assert torch.equal(alone(model, IDS), before)


def test_the_cache_holds_at_least_one_request(model: Any) -> None:
    small = PackedModel(model, context_tokens=100, cache_bytes=0)
    assert small.n_blocks == 4
    large = PackedModel(model, context_tokens=100, cache_bytes=10 * small.cache_bytes)
    assert (large.n_blocks, large.block_tokens) == (40, BLOCK_TOKENS)


def test_what_cannot_be_packed_is_refused(t5: TorchDecoder) -> None:
    config = Gemma2Config(vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=2, head_dim=8)
    for refused in (t5.model, Gemma2ForCausalLM(config)):
        with pytest.raises(UnsupportedError, match="cannot be packed"):
            PackedModel(refused, context_tokens=64, cache_bytes=0)


@pytest.fixture
def steps(packed: PackedModel, llama_folder: Path, llama: TorchDecoder) -> Callable[[list[Request]], list[str]]:
    """Runs requests together, and gives their texts."""
    vocabulary = Vocabulary(AutoTokenizer.from_pretrained(llama_folder))
    maker = RowMaker(
        prompts=vocabulary.prompts,
        decode=vocabulary.decode,
        masks=vocabulary.citation_masks(()),
        end_ids=llama.end_ids,
        counts_prompt=True,
        check_length=lambda prompt, n, what: None,
    )
    together = PagedSteps(packed)

    def run(requests: list[Request]) -> list[str]:
        runs = [together.add(maker.make(request)) for request in requests]
        for one in runs:
            while not one.done:
                together.wait(one)
                one.out.clear()
        return [one.row.generation(0.0).text for one in runs]

    return run


def test_texts_are_those_of_the_reference(steps: Callable[[list[Request]], list[str]], llama: TorchDecoder) -> None:
    requests = [
        Request(
            messages=(Message(role="user", content=text),),
            sampling=SamplingParams(max_new_tokens=20, temperature=temperature, seed=4),
            n_markers=n_markers,
        )
        for text, temperature, n_markers in (
            ("sea", 0.0, None),
            ("Where does the river reach the sea? " * 12, 0.0, None),
            ("Where does the river reach the sea? " * 12 + "And why?", 0.8, None),
            ("the old town [1]", 0.0, 2),
        )
    ]
    expected = [done.text for done in llama.generate(requests)]
    assert steps(requests) == expected
    assert steps(requests[1:2]) == expected[1:2]  # its beginning is known by now


def test_a_model_that_cannot_be_packed_stays_as_it_is(t5: TorchDecoder) -> None:
    assert packed_engine(t5, cache_bytes=0) is t5
