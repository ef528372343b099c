import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.training.packing import TokenExample, attention_mask, pack
from llm.training.sft import sequence_loss

ids = st.lists(st.integers(3, 30), min_size=1, max_size=12).map(tuple)


def test_the_loss_of_a_packed_sequence_is_that_of_its_examples_alone(new_model, device) -> None:
    rng = random.Random(3)
    model = new_model().eval()
    shared = tuple(rng.randrange(64) for _ in range(20))
    examples = [
        TokenExample(
            prompt=shared + tuple(rng.randrange(64) for _ in range(rng.randint(2, 6))),
            answer=tuple(rng.randrange(64) for _ in range(rng.randint(1, 5))),
        )
        for _ in range(5)
    ]
    (packed,) = pack(examples, max_tokens=200)
    assert packed.n_examples == 5
    assert len(packed.token_ids) < packed.n_alone / 2
    with torch.no_grad():
        together = float(sequence_loss(model, packed, device))
        alone = 0.0
        for example in examples:  # by transformers' own loss: labels of the prompt are ignored
            tokens = torch.tensor([[*example.prompt, *example.answer]])
            labels = tokens.clone()
            labels[0, : len(example.prompt)] = -100
            alone += float(model(input_ids=tokens, labels=labels).loss) * len(example.answer)
    assert together == pytest.approx(alone, rel=1e-5)


def test_a_rest_sees_the_beginning_and_itself() -> None:
    seen = attention_mask(torch.tensor([0, 0, 1, 1, 2]))[0, 0]
    assert seen.int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 0, 1],
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ids, ids), max_size=6), ids, st.integers(8, 80))
def test_every_fitting_example_is_learned_once_from_its_own_prompt(pairs, shared, max_tokens) -> None:
    examples = [TokenExample(prompt=shared + prompt, answer=answer) for prompt, answer in pairs]
    sequences = list(pack(examples, max_tokens=max_tokens))
    learned = []
    for sequence in sequences:
        assert len(sequence.token_ids) <= max_tokens
        for branch in range(1, sequence.n_examples + 1):
            places = [place for place, of in enumerate(sequence.branches) if of in (0, branch)]
            assert [sequence.positions[place] for place in places] == list(range(len(places)))
            targets = [
                target
                for place, target in zip(sequence.predictors, sequence.targets, strict=True)
                if sequence.branches[place] == branch
            ]
            whole = [sequence.token_ids[place] for place in places]
            assert whole[-len(targets) :] == targets
            learned.append((tuple(whole[: -len(targets)]), tuple(targets)))
    assert learned == [(one.prompt, one.answer) for one in examples if one.n_tokens <= max_tokens]
