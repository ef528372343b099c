import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.training import branch_attention
from llm.training.branch_attention import attend, branch_layout
from llm.training.packing import TokenExample, attention_mask, pack
from llm.training.sft import sequence_loss


def draw(rng: random.Random, n: int) -> tuple[int, ...]:
    return tuple(rng.randrange(64) for _ in range(n))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 9),
    st.lists(st.integers(1, 7), max_size=5),
    st.sampled_from([(4, 4), (6, 2), (3, 1)]),
    st.integers(0, 2**31),
)
def test_it_is_the_masked_attention(n_shared: int, lengths: list[int], heads: tuple[int, int], seed: int) -> None:
    branches = [0] * n_shared + [number for number, length in enumerate(lengths, start=1) for _ in range(length)]
    if not branches:
        return
    n_heads, n_groups = heads
    generator = torch.Generator().manual_seed(seed)
    query, key, value = (torch.randn(n, len(branches), 8, generator=generator) for n in (n_heads, n_groups, n_groups))
    wide = [one.repeat_interleave(n_heads // n_groups, dim=0) for one in (key, value)]
    expected = torch.nn.functional.scaled_dot_product_attention(
        query, *wide, attn_mask=attention_mask(torch.tensor(branches))[0], scale=1.0
    )
    torch.testing.assert_close(attend(query, key, value, branch_layout(branches)), expected)


@pytest.mark.parametrize("n_examples", [1, 5])
def test_loss_and_gradients_are_those_of_the_mask(new_model, device, n_examples: int) -> None:
    rng = random.Random(4)
    shared = draw(rng, 20)
    examples = [
        TokenExample(prompt=shared + draw(rng, rng.randint(2, 6)), answer=draw(rng, rng.randint(1, 5)))
        for _ in range(n_examples)
    ]
    (packed,) = pack(examples, max_tokens=200)
    results = []
    for implementation in ("sdpa", branch_attention.register()):
        model = new_model()
        model.set_attn_implementation(implementation)
        loss = sequence_loss(model, packed, device)
        loss.backward()
        results.append((loss.detach(), [one.grad for one in model.parameters()]))
    (by_mask, grads), (by_branches, others) = results
    torch.testing.assert_close(by_branches, by_mask)
    for one, other in zip(others, grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_other_work_of_the_model_reads_by_the_mask(new_model) -> None:
    model = new_model().eval()
    ids = torch.tensor([[5, 6, 7, 8], [0, 0, 9, 3]])
    padding = torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1]])
    with torch.no_grad():
        model.set_attn_implementation("sdpa")
        expected = model(ids, attention_mask=padding).logits
        model.set_attn_implementation(branch_attention.register())
        torch.testing.assert_close(model(ids, attention_mask=padding).logits, expected)
