"""Low-rank adapters of decoders: which one is shipped for a model, and how it is merged into the weights at load.

An adapter is a folder as `peft` writes it, `adapter_config.json` and `adapter_model.safetensors`, with one more file,
`citebound.json`, that names the base model by the SHA-256 of its weights: on other weights it would be noise.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm.errors import UnsupportedError

_CONFIG, _WEIGHTS, _ABOUT = "adapter_config.json", "adapter_model.safetensors", "citebound.json"
_SHIPPED = Path(__file__).parent / "shipped_adapters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A checked adapter folder."""

    name: str  # with its version, e.g. "grounded-1"
    folder: Path
    base: str  # name of the model it was trained on
    base_sha256: str


def shipped_adapter(base_sha256: str, folder: Path = _SHIPPED) -> Adapter | None:
    """The adapter that comes with the package for the model of that SHA-256; None if there is none."""
    for candidate in sorted(folder.glob(f"*/{_ABOUT}")):
        adapter = read_adapter(candidate.parent)
        if adapter.base_sha256 == base_sha256:
            return adapter
    return None


def read_adapter(folder: Path) -> Adapter:
    """The adapter in `folder`.

    Raises:
        UnsupportedError: the folder holds none, or one without its `citebound.json`.
    """
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        adapter = Adapter(
            name=str(about["name"]), folder=folder, base=str(about["base"]), base_sha256=str(about["base_sha256"])
        )
        json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnsupportedError(
            f"{folder} is no adapter; it needs {_CONFIG}, {_WEIGHTS} and {_ABOUT}, as `citebound train sft` writes them"
        ) from error
    if not (folder / _WEIGHTS).is_file():
        raise UnsupportedError(f"{folder} has no {_WEIGHTS}; nothing else is loaded")
    return adapter


def write_about(folder: Path, *, name: str, base: str, base_sha256: str) -> None:
    """Write `citebound.json`, and take the trainer's folders out of `adapter_config.json`."""
    about = {"name": name, "base": base, "base_sha256": base_sha256}
    (folder / _ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base
    (folder / _CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def merge_adapter(model: Any, adapter: Adapter) -> None:
    """Add the adapter to `model`'s weights in place: W + (α/r)·B·A (Hu et al., 2021), computed in float32.

    Raises:
        UnsupportedError: it names a weight that the model has not, or has in another shape, or is no plain LoRA.
    """
    import torch
    from safetensors.torch import load_file

    config = json.loads((adapter.folder / _CONFIG).read_text(encoding="utf-8"))
    if config.get("peft_type") != "LORA" or config.get("use_dora") or config.get("use_rslora"):
        raise UnsupportedError(f"{adapter.folder} is not a plain LoRA adapter; only those are merged")
    scale = float(config["lora_alpha"]) / int(config["r"])
    tensors = load_file(adapter.folder / _WEIGHTS)
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name in sorted(tensors):
            target, separator, _ = name.removeprefix("base_model.model.").partition(".lora_A.")
            if not separator:
                continue
            a, b = tensors[name].float(), tensors[name.replace(".lora_A.", ".lora_B.")].float()
            weight = weights.get(f"{target}.weight")
            if weight is None or weight.shape != (b.shape[0], a.shape[1]):
                raise UnsupportedError(f"{adapter.folder} does not fit this model: {target} differs")
            merged = weight.float() + scale * (b @ a).to(weight.device)
            weight.copy_(merged.to(weight.dtype))
