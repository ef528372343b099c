"""Where a training run stands: tensors in safetensors, the rest in JSON, both published whole or not at all."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm.errors import InvalidTrainingDataError

if TYPE_CHECKING:
    import torch

_TENSORS, _STATE = "tensors.safetensors", "state.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """After `step` steps: weights and optimizer state by name."""

    step: int
    tensors: Mapping[str, "torch.Tensor"]


def write_checkpoint(folder: Path, checkpoint: Checkpoint, *, identity: Mapping[str, Any]) -> None:
    """Put `checkpoint` in the place of the one in `folder`; a kill at any moment leaves the old or the new one."""
    from safetensors.torch import save_file

    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    save_file({name: tensor.cpu().contiguous() for name, tensor in checkpoint.tensors.items()}, fresh / _TENSORS)
    (fresh / _STATE).write_text(json.dumps({"step": checkpoint.step, "identity": dict(identity)}), encoding="utf-8")
    for path in (fresh / _TENSORS, fresh / _STATE, fresh):
        _sync(path)
    old = folder.with_name(f"{folder.name}.old")
    if folder.exists():  # else `old` is all there is until the next line but one
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    fresh.rename(folder)
    _sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def read_checkpoint(folder: Path, *, identity: Mapping[str, Any]) -> Checkpoint | None:
    """The checkpoint in `folder`, or the one before it if the run was killed between two renames; None without one.

    Raises:
        InvalidTrainingDataError: it is of a run with other settings, data or base model.
    """
    from safetensors.torch import load_file

    for place in (folder, folder.with_name(f"{folder.name}.old")):
        if not (place / _STATE).exists():
            continue
        state = json.loads((place / _STATE).read_text(encoding="utf-8"))
        if state["identity"] != json.loads(json.dumps(dict(identity))):
            raise InvalidTrainingDataError(
                f"{folder} holds a run with other settings or data; name another output folder or remove it"
            )
        return Checkpoint(step=int(state["step"]), tensors=load_file(place / _TENSORS))
    return None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
