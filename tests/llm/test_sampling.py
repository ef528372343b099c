"""Each sampling step against transformers' own, and values worked by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from llm.sampling import (
    choose,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    make_generator,
    penalize_repetition,
    reshape_logits,
    without_unsure,
)
from llm.types import SamplingParams

logits_rows = st.integers(0, 2**31).map(lambda seed: torch.randn(50, generator=torch.Generator().manual_seed(seed)) * 3)


@settings(deadline=None, max_examples=60)
@given(
    logits=logits_rows,
    temperature=st.floats(0.05, 3),
    top_k=st.integers(0, 60),
    top_p=st.floats(0.01, 1),
    min_p=st.floats(0, 0.9),
    penalty=st.floats(0.5, 3),
    seen=st.lists(st.integers(0, 49), max_size=10),
)
def test_the_whole_chain_equals_transformers(
    logits: torch.Tensor,
    temperature: float,
    top_k: int,
    top_p: float,
    min_p: float,
    penalty: float,
    seen: list[int],
) -> None:
    params = SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=penalty)
    chain = LogitsProcessorList()
    if seen:
        chain.append(RepetitionPenaltyLogitsProcessor(penalty))
    chain.append(TemperatureLogitsWarper(temperature))
    if top_k:
        chain.append(TopKLogitsWarper(top_k))
    chain.append(TopPLogitsWarper(top_p))
    chain.append(MinPLogitsWarper(min_p))
    expected = chain(torch.tensor([seen], dtype=torch.long), logits[None].clone())[0]
    before = logits.clone()
    actual = reshape_logits(logits, params, seen)
    assert torch.equal(logits, before)
    torch.testing.assert_close(actual, expected)
    assert torch.isfinite(actual).any()


def test_by_hand() -> None:
    logits = torch.tensor([0.5, 0.25, 0.15, 0.1]).log()
    kept = [torch.isfinite(row).tolist() for row in (keep_top_k(logits, 2), keep_top_p(logits, 0.7))]
    assert kept == [[True, True, False, False], [True, True, False, False]]
    assert torch.isfinite(keep_top_p(logits, 0.8)).tolist() == [True, True, True, False]
    assert torch.isfinite(keep_min_p(logits, 0.4)).tolist() == [True, True, False, False]
    assert penalize_repetition(torch.tensor([2.0, -2.0, 1.0]), [0, 1, 1], 2.0).tolist() == [1.0, -4.0, 1.0]


def test_greedy_takes_the_best_and_needs_no_generator() -> None:
    params = SamplingParams()
    assert make_generator(params) is None
    assert choose(torch.tensor([0.1, 3.0, 2.0]), params, [], None) == 1
    assert choose(torch.tensor([0.1, 3.0, 2.0]), SamplingParams(repetition_penalty=2.0), [1], None) == 2


def test_draws_follow_the_distribution() -> None:
    params = SamplingParams(temperature=1.0, seed=3)
    generator = make_generator(params)
    logits = torch.tensor([0.6, 0.3, 0.1]).log()
    n = 3000
    draws = [choose(logits, params, [], generator) for _ in range(n)]
    for token, share in enumerate((0.6, 0.3, 0.1)):
        assert draws.count(token) / n == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / n))


def test_without_a_seed_two_requests_differ() -> None:
    params = SamplingParams(temperature=1.0)
    first, second = make_generator(params), make_generator(params)
    assert first is not None and second is not None
    assert first.initial_seed() != second.initial_seed()


def test_a_beginning_is_withheld_where_the_model_is_not_sure_of_it() -> None:
    logits = torch.tensor([0.6, 0.3, 0.1]).log()
    for least, best in ((0.5, 0), (0.7, 1)):
        allowed, probability = without_unsure(logits, 0, least)
        assert allowed.argmax() == best
        assert probability == pytest.approx(0.6)
    assert without_unsure(logits, 0, 0.0)[0] is logits
    assert logits.argmax() == 0
