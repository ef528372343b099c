"""The fast engine for CPUs: the model's computation by OpenVINO, everything else by the code that all engines share."""

import time
from pathlib import Path

import structlog
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from llm.adapters import Adapter
from llm.engines.checkpoint import context_tokens, eos_ids
from llm.engines.openvino_graph import Weights, check_supported
from llm.engines.openvino_model import Conversion, OpenVinoModel, converted
from llm.engines.paged_decoder import PagedDecoder
from llm.engines.vocabulary import Vocabulary
from llm.errors import UnsafeModelError, UnsupportedError
from llm.types import Decoder, Device, ModelInfo

CACHE_BYTES = 512 * 1024 * 1024  # keys and values: 22,000 tokens of the default decoder

_log = structlog.get_logger(__name__)


def load_openvino_decoder(
    folder: Path,
    *,
    name: str,
    device: Device,
    conversions: Path,
    adapter: Adapter | None = None,
    weights: Weights | None = None,
    cache_bytes: int = CACHE_BYTES,
    lookup: bool = True,
) -> PagedDecoder:
    """Convert a checked model folder (`llm.sources`) where that was not done before, and load it on the CPU.

    Args:
        folder: The model.
        name: What it is called.
        device: The CPU's threads and precision.
        conversions: Where converted models are kept.
        adapter: Merged into the weights before they are converted.
        weights: How matrices are kept; None = as the device computes.
        cache_bytes: See `OpenVinoModel`.
        lookup: Whether a request that runs alone drafts tokens by prompt lookup.

    Raises:
        UnsafeModelError: the folder has no safetensors weights.
        UnsupportedError: the engine does not compute this model, it has no fast tokenizer, or the adapter does not fit.
    """
    if not any(folder.glob("*.safetensors")):
        raise UnsafeModelError(f"{folder} has no safetensors weights; nothing else is loaded")
    if device.kind != "cpu":
        raise UnsupportedError(f"the OpenVINO engine runs on the CPU, not on {device.kind}; set engine to torch")
    started = time.perf_counter()
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        check_supported(config)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        generation = _generation_config(folder)
    except (ValueError, KeyError, OSError) as error:
        raise UnsupportedError(f"transformers cannot load {folder}: {error}") from error
    kept: Weights = weights or ("fp32" if device.dtype == "fp32" else "bf16")
    path = converted(Conversion(folder=folder, adapter=adapter, weights=kept), conversions)
    context = context_tokens(config, tokenizer)
    model = OpenVinoModel(path, device, context_tokens=context, cache_bytes=cache_bytes)
    decoder = PagedDecoder(
        model,
        Vocabulary(tokenizer),
        info=ModelInfo(
            name=name,
            engine="openvino",
            device="cpu",
            dtype=device.dtype if kept != "int8" else f"{device.dtype}, int8 weights",
            context_tokens=context,
            adapter=adapter.name if adapter else None,
        ),
        end_ids=eos_ids(config, generation, tokenizer),
        n_vocabulary=int(config.vocab_size),
        reference=lambda: _torch_decoder(folder, name, device, adapter),
        lookup=lookup,
    )
    _log.info(
        "model_loaded",
        model=name,
        engine="openvino",
        adapter=decoder.info.adapter,
        dtype=decoder.info.dtype,
        cache_bytes=model.cache_bytes,
        seconds=time.perf_counter() - started,
    )
    return decoder


def _generation_config(folder: Path) -> GenerationConfig:
    if not (folder / "generation_config.json").is_file():
        return GenerationConfig()
    return GenerationConfig.from_pretrained(folder, local_files_only=True)


def _torch_decoder(folder: Path, name: str, device: Device, adapter: Adapter | None) -> Decoder:
    from llm.engines.torch import load_decoder

    return load_decoder(folder, name=name, device=device, adapter=adapter)
