"""What low-rank training learnt, to a file and back."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rag.errors import NotReadyError
from rag.low_rank_changes import read_low_rank, read_shipped, write_low_rank

CHANGED = "encoder.layer.1.attention.attn.q.weight"


def learnt() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    return {f"mpnet.{CHANGED}": (torch.randn((4, 32), generator=generator), torch.randn((32, 4), generator=generator))}


def test_a_changed_matrix_is_the_base_and_the_product(tiny_large_base: Path, tmp_path: Path) -> None:
    own = {"classifier.weight": torch.full((3, 32), 0.5), "classifier.bias": torch.tensor([1.0, 2.0, 3.0])}
    file = tmp_path / "large.safetensors"
    write_low_rank(learnt(), own, file)
    base = load_file(tiny_large_base / "model.safetensors")
    found = read_low_rank(tiny_large_base, file, prefix="mpnet.")
    ((a, b),) = learnt().values()
    product = b @ a
    assert torch.allclose(found[f"mpnet.{CHANGED}"] - base[CHANGED], product, atol=0.05 * float(product.abs().max()))
    assert torch.equal(found["mpnet.encoder.layer.0.output.dense.weight"], base["encoder.layer.0.output.dense.weight"])
    assert torch.allclose(found["classifier.weight"], own["classifier.weight"], atol=5e-4)
    assert torch.equal(found["classifier.bias"], own["classifier.bias"])


def test_what_is_shipped_is_a_quarter_of_what_was_learnt(tmp_path: Path) -> None:
    file = tmp_path / "large.safetensors"
    a = torch.randn((16, 768))
    write_low_rank({"mpnet.x": (a, a.T.contiguous())}, {}, file)
    assert file.stat().st_size < 0.35 * 2 * a.numel() * 4
    read = read_shipped(file)
    assert set(read) == {"mpnet.x.a", "mpnet.x.b"}
    assert torch.allclose(read["mpnet.x.a"], a, atol=float(a.abs().max()) / 250)


def test_a_missing_file_and_another_base_are_errors(tiny_large_base: Path, tiny_base: Path, tmp_path: Path) -> None:
    file = tmp_path / "large.safetensors"
    with pytest.raises(NotReadyError, match="is missing"):
        read_low_rank(tiny_large_base, file, prefix="mpnet.")
    write_low_rank(learnt(), {}, file)
    with pytest.raises(NotReadyError, match="not the base"):
        read_low_rank(tiny_base, file, prefix="mpnet.")
