"""What training changed of an encoder, small enough to ship: differences to the base's weights, which lie elsewhere.

One safetensors file holds, for every tensor that training changed, its difference to the base encoder in int8 with one
scale a row (symmetric, scale = max |difference| / 127), or in fp16 where it has one dimension. Tensors that the base
lacks, such as the last layer of a classifier, are stored the same way as differences to 0. torch is imported when
weights are read or written.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import NotReadyError

if TYPE_CHECKING:
    import torch

_BASE_FILE = "model.safetensors"
_PREFIX = "bert."  # of the encoder's tensors in a classifier
_STEPS = 127  # of an int8


def write_changes(trained: Path, base_folder: Path, file: Path) -> None:
    """Writes how the classifier in the folder `trained` differs from its base; unchanged tensors are left out."""
    import torch
    from safetensors.torch import load_file, save_file

    base = load_file(base_folder / _BASE_FILE)
    shipped: dict[str, torch.Tensor] = {}
    for name, tensor in load_file(trained / _BASE_FILE).items():
        before = base.get(name.removeprefix(_PREFIX))
        change = tensor.float() - before.float() if before is not None else tensor.float()
        if before is not None and not change.any():
            continue
        if change.dim() < 2:
            shipped[name] = change.half()
            continue
        scale = change.abs().amax(dim=1).clamp_min(1e-12) / _STEPS
        shipped[name] = torch.round(change / scale[:, None]).to(torch.int8)
        shipped[f"{name}.scale"] = scale
    save_file(shipped, file)


def read_changed(base_folder: Path, file: Path) -> "dict[str, torch.Tensor]":
    """Every tensor of the classifier, float32: the base's with the differences of `file` added.

    Raises:
        NotReadyError: a file is missing.
    """
    from safetensors.torch import load_file

    for path in (base_folder / _BASE_FILE, file):
        if not path.is_file():
            raise NotReadyError(f"{path} is missing; run citebound models pull all-MiniLM-L6-v2, or reinstall")
    shipped = load_file(file)
    weights = as_classifier(load_file(base_folder / _BASE_FILE))
    for name, tensor in shipped.items():
        if name.endswith(".scale"):
            continue
        scale = shipped.get(f"{name}.scale")
        change = tensor.float() if scale is None else tensor.float() * scale[:, None]
        before = weights.get(name)
        weights[name] = change.clone() if before is None else before + change
    return weights


def as_classifier(base: "dict[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """The weights of an encoder, float32, under the names that they have in a classifier over it."""
    return {f"{_PREFIX}{name}": tensor.float() for name, tensor in base.items() if tensor.is_floating_point()}


def sha256_of_base(base_folder: Path) -> str:
    """The SHA-256 of the base encoder's weights."""
    with (base_folder / _BASE_FILE).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
