"""What training with low-rank adapters changed of an encoder, small enough to ship; the base's weights lie elsewhere.

A changed matrix W of the base becomes W + B·A (LoRA, Hu et al., 2021). One safetensors file holds A (r, in) as
`NAME.a` and B (out, r) as `NAME.b`, its scale worked in, both in int8 with one scale (fp16) a row; matrices that the
base lacks, such as the last layers of a classifier, stand there whole, in the same way; vectors in fp16.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import NotReadyError

if TYPE_CHECKING:
    import torch

_BASE_FILE = "model.safetensors"
_STEPS = 127  # of an int8
_LEAST_SCALE = 1e-6  # that fp16 can hold


def write_low_rank(
    changes: "Mapping[str, tuple[torch.Tensor, torch.Tensor]]", own: "Mapping[str, torch.Tensor]", file: Path
) -> None:
    """Writes the matrices A and B by the name of the weight that they change, and the tensors that the base lacks."""
    import torch
    from safetensors.torch import save_file

    tensors = {
        f"{name}.{side}": tensor for name, sides in changes.items() for side, tensor in zip("ab", sides, strict=True)
    }
    shipped: dict[str, torch.Tensor] = {}
    for name, tensor in {**tensors, **own}.items():
        if tensor.dim() < 2:
            shipped[name] = tensor.half()
            continue
        scale = (tensor.float().abs().amax(dim=1) / _STEPS).clamp_min(_LEAST_SCALE).half()
        steps = torch.round(tensor.float() / scale.float()[:, None]).clamp(-_STEPS, _STEPS)
        shipped[name] = steps.to(torch.int8)
        shipped[f"{name}.scale"] = scale
    save_file(shipped, file)


def read_low_rank(base_folder: Path, file: Path, *, prefix: str) -> "dict[str, torch.Tensor]":
    """Every tensor of the classifier, float32: the base's under `prefix` with the changes of `file` added.

    Raises:
        NotReadyError: a file is missing, or it changes a weight that the base lacks.
    """
    from safetensors.torch import load_file

    for path in (base_folder / _BASE_FILE, file):
        if not path.is_file():
            raise NotReadyError(f"{path} is missing; pull the base model again, or reinstall")
    base = load_file(base_folder / _BASE_FILE)
    weights = {f"{prefix}{name}": tensor.float() for name, tensor in base.items() if tensor.is_floating_point()}
    plain = read_shipped(file)
    for name, tensor in plain.items():
        if name.endswith(".a"):
            changed = name.removesuffix(".a")
            if changed not in weights:
                raise NotReadyError(f"{base_folder} lacks {changed}; it is not the base that {file.name} belongs to")
            weights[changed] = weights[changed] + plain[f"{changed}.b"] @ tensor
        elif not name.endswith(".b"):
            weights[name] = tensor
    return weights


def write_mean(files: Sequence[Path], shares: Sequence[float], out: Path) -> None:
    """Writes the weighted mean of what several trainings left, each of which went on from the one before.

    A and B are averaged by themselves: the weights lie near each other, and their mean often errs less than each
    (stochastic weight averaging, Izmailov et al., 2018).

    Args:
        files: as `write_low_rank` wrote them.
        shares: one a file; their sum counts as the whole.
        out: may exist; it is replaced.
    """
    import torch

    read = [read_shipped(file) for file in files]
    weights = torch.tensor(shares) / sum(shares)
    mean = {name: torch.tensordot(weights, torch.stack([one[name] for one in read]), dims=1) for name in read[0]}
    changed = [name.removesuffix(".a") for name in mean if name.endswith(".a")]
    write_low_rank(
        {name: (mean[f"{name}.a"], mean[f"{name}.b"]) for name in changed},
        {name: tensor for name, tensor in mean.items() if not name.endswith((".a", ".b"))},
        out,
    )


def read_shipped(file: Path) -> "dict[str, torch.Tensor]":
    """What `write_low_rank` wrote, float32: `NAME.a` and `NAME.b` of each changed matrix, and tensors of its own."""
    from safetensors.torch import load_file

    shipped = load_file(file)
    return {
        name: tensor.float() * shipped[f"{name}.scale"].float()[:, None]
        if f"{name}.scale" in shipped
        else tensor.float()
        for name, tensor in shipped.items()
        if not name.endswith(".scale")
    }
