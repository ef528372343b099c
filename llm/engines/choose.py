"""Which engine runs a local model: OpenVINO on a CPU where it computes the model, torch everywhere else."""

from pathlib import Path
from typing import Literal

import structlog

from llm.adapters import Adapter
from llm.errors import UnsupportedError
from llm.types import Decoder, Device

Engine = Literal["auto", "openvino", "torch"]

_log = structlog.get_logger(__name__)


def first_choice(engine: Engine, device: Device) -> Literal["openvino", "torch"]:
    """The engine that is tried first; `auto` falls back to torch for models that OpenVINO does not compute."""
    if engine == "auto":
        return "openvino" if device.kind == "cpu" else "torch"
    return engine


def load_local_decoder(
    folder: Path, *, name: str, device: Device, conversions: Path, adapter: Adapter | None, engine: Engine = "auto"
) -> Decoder:
    """The decoder of a checked model folder.

    Args:
        folder: The model.
        name: What it is called.
        device: Where it runs.
        conversions: Where models converted for the fast engine are kept.
        adapter: Merged into the weights.
        engine: `auto` is OpenVINO on a CPU for the models that it computes, else torch.

    Raises:
        UnsafeModelError: the folder has no safetensors weights.
        UnsupportedError: the engine cannot load the model, or the adapter does not fit it.
    """
    if first_choice(engine, device) == "openvino":
        from llm.engines.openvino import load_openvino_decoder

        try:
            return load_openvino_decoder(folder, name=name, device=device, conversions=conversions, adapter=adapter)
        except UnsupportedError as error:
            if engine == "openvino":
                raise
            _log.info("engine_chosen", model=name, engine="torch", reason=str(error))
    from llm.engines.torch import load_decoder

    return load_decoder(folder, name=name, device=device, adapter=adapter)
