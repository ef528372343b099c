"""A decoder's weights as OpenVINO runs them: converted once, kept beside the model cache, compiled at load.

In the folder of conversions lie `KEY/model.xml` and `KEY/model.bin`, where KEY is a digest of the weights, the adapter,
the precision and the versions of converter and OpenVINO. What is not finished is only ever in `.staging/`.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from filelock import FileLock

from llm.adapters import Adapter, merge_adapter
from llm.engines.openvino_api import ov
from llm.engines.openvino_graph import GRAPH_VERSION, Weights, build_graph, sequence_inputs, use_paged_attention
from llm.engines.paged_model import Logits, Part
from llm.errors import UnsupportedError
from llm.files import publish, sha256_of
from llm.types import Device

_MODEL = "model.xml"
_BLOCK_TOKENS = 32  # fixed by OpenVINO's kernel for CPUs

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What is converted, and how."""

    folder: Path  # a checked model folder with safetensors weights
    adapter: Adapter | None
    weights: Weights

    @property
    def key(self) -> str:
        """The digest under which the result is kept."""
        files = sorted(self.folder.glob("*.safetensors"))
        if self.adapter is not None:
            files += [*sorted(self.adapter.folder.glob("*.safetensors")), self.adapter.folder / "adapter_config.json"]
        parts = {
            "files": [sha256_of(path) for path in [*files, self.folder / "config.json"]],
            "weights": self.weights,
            "graph": GRAPH_VERSION,
            "openvino": ov.get_version(),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def converted(conversion: Conversion, folder: Path) -> Path:
    """The graph of a model in `folder`, written there where it is missing; a second process waits for the first.

    Raises:
        UnsupportedError: the graph does not compute this model, or the adapter does not fit it.
    """
    key = conversion.key
    target = folder / key
    locks, staging = folder / ".locks", folder / ".staging"
    if not (target / _MODEL).is_file():
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / f"{key}.lock"):
            if not (target / _MODEL).is_file():
                _convert(conversion, staging / key)
                publish(staging / key, target, aside=staging)
    return target / _MODEL


def _convert(conversion: Conversion, ready: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    started = time.perf_counter()
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            conversion.folder,
            dtype=torch.float32 if conversion.weights == "fp32" else torch.bfloat16,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
    except (ValueError, KeyError, OSError) as error:
        raise UnsupportedError(f"transformers cannot load {conversion.folder}: {error}") from error
    if conversion.adapter is not None:
        merge_adapter(model, conversion.adapter)
    shutil.rmtree(ready, ignore_errors=True)
    ready.mkdir(parents=True)
    ov.save_model(build_graph(model, conversion.weights), ready / _MODEL, compress_to_fp16=False)
    _log.info("model_converted", folder=conversion.folder.name, seconds=time.perf_counter() - started)


class OpenVinoModel:
    """A compiled graph with its cache of keys and values; see `llm.engines.paged_model.PagedModel`.

    Args:
        path: What `converted` gave.
        device: Threads and precision of the computation.
        context_tokens: Most tokens of one sequence; the cache holds at least one such sequence.
        cache_bytes: Most memory of the cache where that is more; memory is taken as it is used.
    """

    def __init__(self, path: Path, device: Device, *, context_tokens: int, cache_bytes: int) -> None:
        kind = {"bf16": ov.Type.bf16, "fp16": ov.Type.f16, "fp32": ov.Type.f32}[device.dtype]
        core = ov.Core()
        graph = core.read_model(path)
        use_paged_attention(graph)
        compiled = core.compile_model(
            graph,
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": device.n_threads,
                "INFERENCE_PRECISION_HINT": kind,
                "KV_CACHE_PRECISION": kind,
                "ENABLE_CPU_PINNING": False,  # the threads share the cores with other models
            },
        )
        self._request = compiled.create_infer_request()
        caches = [entry for entry in compiled.inputs if "_cache." in entry.any_name]
        shapes = [[size.get_length() for size in list(entry.partial_shape)[1:]] for entry in caches]
        block_bytes = sum(
            int(np.prod(shape)) * entry.element_type.size for entry, shape in zip(caches, shapes, strict=True)
        )
        self.block_tokens = _BLOCK_TOKENS
        self.n_blocks = max(-(-context_tokens // _BLOCK_TOKENS), cache_bytes // block_bytes)
        self.cache_bytes = self.n_blocks * block_bytes
        for entry, shape in zip(caches, shapes, strict=True):
            self._request.set_tensor(entry, ov.Tensor(entry.element_type, ov.Shape([self.n_blocks, *shape])))

    def read(self, parts: Sequence[Part], wanted: Sequence[int]) -> Logits:
        """See `PagedModel`; the result is overwritten by the next call."""
        inputs = sequence_inputs(parts, self.block_tokens)
        inputs["wanted"] = np.asarray(wanted, dtype=np.int64)
        for name, values in inputs.items():
            self._request.set_tensor(name, ov.Tensor(values))
        self._request.infer()
        logits: Logits = self._request.get_output_tensor(0).data[:, 0]
        return logits
