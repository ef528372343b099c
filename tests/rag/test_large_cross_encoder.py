"""The large encoder's rows of pairs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from llm.types import Device
from rag.cross_encoder import CrossEncoder
from rag.errors import NotReadyError
from rag.large_cross_encoder import MAX_TOKENS, large_classifier, load_large_cross_encoder
from rag.low_rank_changes import write_low_rank

CPU = Device(kind="cpu", name="test", dtype="fp32", n_threads=2)
PAIRS = [
    ("The old bridge was opened in 1883.", "The bridge was opened in 1883."),
    ("It is red.", "It is blue."),
    ("The red tower of the town is old. " * 60, "The tower is old."),
]


def changes(base: Path, file: Path, scale: float = 1.0) -> Path:
    torch.manual_seed(2)
    last = {
        f"classifier.{name}": value
        for name, value in large_classifier(base, n_outcomes=3).classifier.named_parameters()
    }
    changed = "mpnet.encoder.layer.2.output.dense.weight"
    write_low_rank(
        {changed: (torch.randn(4, 64), scale * torch.randn(32, 4))}, {n: t.detach() for n, t in last.items()}, file
    )
    return file


@pytest.fixture(scope="module")
def encoder(tiny_large_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrossEncoder]:
    file = changes(tiny_large_base, tmp_path_factory.mktemp("changes") / "large.safetensors")
    model = load_large_cross_encoder(tiny_large_base, file, CPU, n_outcomes=3)
    yield model
    model.close()


def test_a_pair_is_read_alike_alone_and_beside_longer_ones(encoder: CrossEncoder) -> None:
    """Padding has number 1 in this vocabulary, and positions are counted without it."""
    together = encoder.logits(PAIRS)
    assert together.shape == (3, 3)
    for pair, row in zip(PAIRS, together, strict=True):
        np.testing.assert_allclose(encoder.logits([pair])[0], row, atol=1e-4)
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_a_longer_text_than_it_reads_is_cut(encoder: CrossEncoder) -> None:
    one, other = (("The old tower of the town is red. " * n, "The tower is red.") for n in (MAX_TOKENS, 2 * MAX_TOKENS))
    rows = encoder.logits([one, other])
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)


def test_what_was_learnt_counts(tiny_large_base: Path, tmp_path: Path) -> None:
    rows = []
    for scale in (0.0, 1.0):
        model = load_large_cross_encoder(
            tiny_large_base, changes(tiny_large_base, tmp_path / f"{scale}.safetensors", scale), CPU, n_outcomes=3
        )
        rows.append(model.logits(PAIRS))
        model.close()
    assert np.abs(rows[0] - rows[1]).max() > 1e-3


def test_changes_without_the_last_layers_are_an_error(tiny_large_base: Path, tmp_path: Path) -> None:
    file = tmp_path / "large.safetensors"
    write_low_rank({}, {}, file)
    with pytest.raises(NotReadyError, match="lack classifier"):
        load_large_cross_encoder(tiny_large_base, file, CPU, n_outcomes=3)
