"""Training in stages, with a tiny random encoder."""

import dataclasses
import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rag.errors import InvalidInputError
from rag.verify.stages import STAGES, result_of, stage_settings, train_stages

TINY = [
    dataclasses.replace(one, n_built=12, n_labelled_passes=1, n_pairs=8, batch_size=4, learning_rate=1e-3)
    for one in stage_settings(STAGES[:2], seed=5, most_pairs=None, bf16=False)
]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    loaded: dict[str, torch.Tensor] = load_file(folder / "model.safetensors")
    return loaded


def test_every_stage_has_its_seed_and_no_more_pairs_than_wanted() -> None:
    found = stage_settings(STAGES, seed=5, most_pairs=11_000, bf16=True)
    assert [one.seed for one in found] == [5, 6, 7, 8]
    assert [one.n_pairs for one in found] == [11_000, 11_000, 10_000, 11_000]


def test_a_later_stage_leaves_the_mean_and_is_kept_when_resumed(
    tiny_base: Path, tiny_data: Path, tmp_path: Path
) -> None:
    left = train_stages(tiny_data, tiny_base, tmp_path, TINY)
    assert left == result_of(tmp_path, TINY)
    first, second, mean = weights(tmp_path / "stage_1/model"), weights(tmp_path / "stage_2/model"), weights(left)
    assert any(not torch.equal(first[name], second[name]) for name in first)
    assert all(torch.allclose(mean[name], (first[name] + second[name]) / 2, atol=1e-6) for name in mean)
    before = hashlib.sha256((left / "model.safetensors").read_bytes()).hexdigest()
    train_stages(tiny_data, tiny_base, tmp_path, TINY, resume=True)
    assert hashlib.sha256((left / "model.safetensors").read_bytes()).hexdigest() == before


def test_a_stage_that_learns_something_new_leaves_what_it_learnt(
    tiny_base: Path, tiny_data: Path, tmp_path: Path
) -> None:
    stages = [TINY[0], dataclasses.replace(TINY[1], n_asked=6, n_pairs=None)]
    left = train_stages(tiny_data, tiny_base, tmp_path, stages)
    assert left == result_of(tmp_path, stages) == tmp_path / "stage_2/model"


def test_what_cannot_be_resumed_or_packaged_is_an_error(tiny_base: Path, tiny_data: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no stage to resume"):
        train_stages(tiny_data, tiny_base, tmp_path, TINY, resume=True)
    with pytest.raises(InvalidInputError, match="no stages"):
        train_stages(tiny_data, tiny_base, tmp_path, [])
    with pytest.raises(InvalidInputError, match="no trained model"):
        result_of(tmp_path, TINY)
