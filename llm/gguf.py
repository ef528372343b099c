"""GGUF → a safetensors folder that transformers can load, without torch.

The tensors are dequantized by the `gguf` package and written as bfloat16. A file whose architecture, rope scaling or
tensors are not in the tables below is refused: a model that loads but computes something else is worse than none.
Layouts and names: the GGUF specification (ggml-org/ggml, docs/gguf.md) and llama.cpp's `gguf-py/gguf/constants.py`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from llm.errors import ModelIntegrityError, UnsupportedError
from llm.gguf_tokenizer import write_tokenizer

CONVERTER_VERSION = 1  # part of the stamp of a converted folder; raise it when the output changes

Progress = Callable[[str], None]
Fields = dict[str, Any]

_LAYER_NAMES = {
    "attn_norm.weight": "input_layernorm.weight",
    "attn_q.weight": "self_attn.q_proj.weight",
    "attn_k.weight": "self_attn.k_proj.weight",
    "attn_v.weight": "self_attn.v_proj.weight",
    "attn_output.weight": "self_attn.o_proj.weight",
    "attn_q.bias": "self_attn.q_proj.bias",
    "attn_k.bias": "self_attn.k_proj.bias",
    "attn_v.bias": "self_attn.v_proj.bias",
    "attn_q_norm.weight": "self_attn.q_norm.weight",
    "attn_k_norm.weight": "self_attn.k_norm.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
}
_GEMMA3_NAMES = _LAYER_NAMES | {
    "post_attention_norm.weight": "post_attention_layernorm.weight",
    "ffn_norm.weight": "pre_feedforward_layernorm.weight",
    "post_ffw_norm.weight": "post_feedforward_layernorm.weight",
}
_MODEL_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Architecture:
    """How one GGUF architecture maps to a transformers class."""

    model_type: str
    class_name: str
    layer_names: dict[str, str]
    permuted: bool = False  # query and key rows are interleaved for llama.cpp's rope
    norm_offset: float = 0.0  # what llama.cpp adds to every norm weight when it writes the file


_ARCHITECTURES = {
    "llama": _Architecture(model_type="llama", class_name="LlamaForCausalLM", layer_names=_LAYER_NAMES, permuted=True),
    "qwen2": _Architecture(model_type="qwen2", class_name="Qwen2ForCausalLM", layer_names=_LAYER_NAMES),
    "qwen3": _Architecture(model_type="qwen3", class_name="Qwen3ForCausalLM", layer_names=_LAYER_NAMES),
    "gemma3": _Architecture(
        model_type="gemma3_text", class_name="Gemma3ForCausalLM", layer_names=_GEMMA3_NAMES, norm_offset=1.0
    ),
}


def convert_gguf(source: Path, target: Path, *, on_progress: Progress | None = None) -> None:
    """Write `target` (an existing empty folder) with config, tokenizer, chat template and bfloat16 safetensors.

    Raises:
        UnsupportedError: the architecture, rope scaling, tokenizer or a tensor is not known here.
        ModelIntegrityError: the file is not a readable GGUF.
    """
    import gguf

    tell = on_progress or (lambda _: None)
    tell(f"reading {source.name}")
    try:
        reader = gguf.GGUFReader(source)
        fields = {name: field.contents() for name, field in reader.fields.items()}
    except (ValueError, IndexError, KeyError, OSError, UnicodeDecodeError) as error:
        raise ModelIntegrityError(f"{source.name} cannot be read as GGUF ({error}); get the file again") from error
    architecture = _architecture(fields, source.name)
    tell("writing the tokenizer")
    special = write_tokenizer(fields, target)
    tied = not any(tensor.name == "output.weight" for tensor in reader.tensors)
    config = _config(fields, architecture, tied=tied) | special
    _write_json(target / "config.json", config)
    _write_json(target / "generation_config.json", {"_from_model_config": True} | special)
    tensors: dict[str, npt.NDArray[np.uint16]] = {}
    for number, tensor in enumerate(reader.tensors):
        if number % 50 == 0:
            tell(f"dequantizing tensor {number + 1} of {len(reader.tensors)}")
        values = np.asarray(gguf.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        name, values = _translate(tensor.name, values, config, architecture)
        tensors[name] = _to_bfloat16(values)
    tell("writing model.safetensors")
    _write_safetensors(target / "model.safetensors", tensors)


def _architecture(fields: Fields, file_name: str) -> _Architecture:
    name = fields.get("general.architecture")
    if name not in _ARCHITECTURES:
        raise UnsupportedError(
            f"{file_name} has architecture {name!r}, and only {', '.join(_ARCHITECTURES)} are converted here; "
            "use the model's safetensors files instead"
        )
    scaling = fields.get(f"{name}.rope.scaling.type", "none")
    if scaling != "none":
        raise UnsupportedError(f"{file_name} scales its rope ({scaling}); use the model's safetensors files instead")
    return _ARCHITECTURES[name]


def _config(fields: Fields, architecture: _Architecture, *, tied: bool) -> dict[str, Any]:
    prefix = fields["general.architecture"]

    def value(key: str, default: Any = None) -> Any:
        found = fields.get(f"{prefix}.{key}", default)
        if found is None:
            raise ModelIntegrityError(f"the GGUF file lacks {prefix}.{key}; get the file again")
        return found

    heads = int(value("attention.head_count"))
    width = int(value("embedding_length"))
    config: dict[str, Any] = {
        "architectures": [architecture.class_name],
        "model_type": architecture.model_type,
        "dtype": "bfloat16",
        "hidden_size": width,
        "intermediate_size": int(value("feed_forward_length")),
        "num_hidden_layers": int(value("block_count")),
        "num_attention_heads": heads,
        "num_key_value_heads": int(value("attention.head_count_kv", heads)),
        "head_dim": int(value("attention.key_length", width // heads)),
        "rms_norm_eps": float(value("attention.layer_norm_rms_epsilon")),
        "max_position_embeddings": int(value("context_length")),
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
        "tie_word_embeddings": tied,
    }
    theta = float(value("rope.freq_base", 10000.0))
    if architecture.model_type != "gemma3_text":
        return config | {"rope_theta": theta, "rope_parameters": {"rope_type": "default", "rope_theta": theta}}
    # Gemma 3 report (arXiv:2503.19786): five local layers to one global, local rope base 10,000.
    kinds = ["full_attention" if (i + 1) % 6 == 0 else "sliding_attention" for i in range(config["num_hidden_layers"])]
    return config | {
        "layer_types": kinds,
        "sliding_window": int(value("attention.sliding_window")),
        "query_pre_attn_scalar": config["head_dim"],
        "hidden_activation": "gelu_pytorch_tanh",
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": theta},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        },
    }


def _translate(
    name: str, values: npt.NDArray[np.float32], config: dict[str, Any], architecture: _Architecture
) -> tuple[str, npt.NDArray[np.float32]]:
    if name in _MODEL_NAMES:
        translated = _MODEL_NAMES[name]
    else:
        block, _, rest = name.removeprefix("blk.").partition(".")
        if not (name.startswith("blk.") and block.isdecimal() and rest in architecture.layer_names):
            raise UnsupportedError(f"the GGUF tensor {name} has no known place in {architecture.class_name}")
        translated = f"model.layers.{int(block)}.{architecture.layer_names[rest]}"
        if architecture.permuted and rest.startswith(("attn_q.", "attn_k.")):
            heads = config["num_attention_heads" if rest.startswith("attn_q.") else "num_key_value_heads"]
            values = _undo_interleaving(values, heads)
    if architecture.norm_offset and translated.endswith("norm.weight"):
        values = values - np.float32(architecture.norm_offset)
    return translated, values


def _undo_interleaving(values: npt.NDArray[np.float32], n_heads: int) -> npt.NDArray[np.float32]:
    """llama.cpp pairs rope dimensions (0,1)(2,3)…, transformers (0,d/2)(1,d/2+1)…; `values` is (heads·head_dim, …)."""
    half = values.shape[0] // n_heads // 2
    return values.reshape(n_heads, half, 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def _to_bfloat16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """The upper half of each float32, rounded to nearest even; non-finite weights are refused."""
    if not np.isfinite(values).all():
        raise ModelIntegrityError("the GGUF file has weights that are not finite; get the file again")
    bits = np.ascontiguousarray(values).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def _write_safetensors(path: Path, tensors: dict[str, npt.NDArray[np.uint16]]) -> None:
    """The safetensors layout: header length (u64), JSON header, tensor bytes; names in a fixed order."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name in sorted(tensors):
        end = offset + tensors[name].nbytes
        header[name] = {"dtype": "BF16", "shape": list(tensors[name].shape), "data_offsets": [offset, end]}
        offset = end
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little"))
        file.write(encoded)
        for name in sorted(tensors):
            file.write(tensors[name].astype("<u2", copy=False).tobytes())


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
