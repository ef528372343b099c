"""Rows of pairs and of tokens out of one encoder."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from llm.errors import CancelledError
from llm.types import Cancel, Device
from rag.cross_encoder import MAX_TOKENS, CrossEncoder, load_cross_encoder
from rag.weight_changes import as_classifier

CPU = Device(kind="cpu", name="test", dtype="fp32", n_threads=2)
PAIRS = [
    ("The old bridge was opened in 1883.", "When was the bridge opened?"),
    ("It is red.", "Who?"),
    ("The red tower of the town is old. " * 40, "How old is the tower?"),
]


@pytest.fixture(scope="module")
def encoder(tiny_base: Path) -> Iterator[CrossEncoder]:
    weights = as_classifier(load_file(tiny_base / "model.safetensors"))
    generator = torch.Generator().manual_seed(1)
    weights["classifier.weight"] = torch.randn((5, 32), generator=generator)
    weights["classifier.bias"] = torch.randn(5, generator=generator)
    model = load_cross_encoder(tiny_base, weights, CPU, n_outcomes=3, n_token_scores=2)
    yield model
    model.close()


def test_a_row_of_outcomes_a_pair(encoder: CrossEncoder) -> None:
    assert encoder.logits(PAIRS).shape == (3, 3)
    assert encoder.logits([]).shape == (0, 3)


def test_each_token_of_the_first_text_has_its_characters_and_a_row(encoder: CrossEncoder) -> None:
    for (text, _), read in zip(PAIRS, encoder.token_scores(PAIRS), strict=True):
        assert read.values.shape == (len(read.spans), 2)
        assert read.nowhere.shape == (2,)
        assert read.spans[0][0] == 0
        shown = "".join(text[start:end] for start, end in read.spans)
        assert text.replace(" ", "").startswith(shown)
    assert encoder.token_scores([]) == []


def test_a_pair_is_read_alike_alone_and_beside_others(encoder: CrossEncoder) -> None:
    for pair, together in zip(PAIRS, encoder.token_scores(PAIRS), strict=True):
        (alone,) = encoder.token_scores([pair])
        np.testing.assert_allclose(alone.values, together.values, atol=1e-4)
        np.testing.assert_allclose(alone.nowhere, together.nowhere, atol=1e-4)


def test_a_long_text_is_read_as_far_as_it_goes(encoder: CrossEncoder) -> None:
    (read,) = encoder.token_scores([PAIRS[2]])
    assert len(read.spans) < MAX_TOKENS


def test_cancelling_ends_both(encoder: CrossEncoder) -> None:
    cancel = Cancel()
    cancel.set()
    for ask in (encoder.logits, encoder.token_scores):
        with pytest.raises(CancelledError):
            ask(PAIRS, cancel=cancel)
