"""The computation of a Llama-like decoder as an OpenVINO graph, made from the weights of a loaded transformers model.

The graph reads the tokens of several sequences in one row and keeps keys and values in blocks that the caller owns
(Kwon et al., SOSP 2023, PagedAttention). It is written down the way OpenVINO's own transformations look for: they put
one kernel in the place of each normalization, rotation and attention.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from llm.engines.openvino_api import Node, PartialShape, Type, ops, ov, paged_attention_transformation
from llm.errors import UnsupportedError

GRAPH_VERSION = 1  # counts changes of what is written, so that older conversions are made again
Weights = Literal["fp32", "bf16", "int8"]

_FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
_HIDDEN = -3.0e38  # added to the score of what must not be seen; finite, since infinities make NaN of padded rows
_END = np.iinfo(np.int64).max


def check_supported(config: Any) -> None:
    """Refuse what the graph does not compute.

    Raises:
        UnsupportedError: names the reason; the torch engine runs the model.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    activation = getattr(config, "hidden_act", None)
    windows = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    reasons = {
        f"models of the family {config.model_type}": config.model_type not in _FAMILIES,
        "sliding windows": windows,
        f"the activation {activation}": activation != "silu",
        "partial rotation": rope.get("partial_rotary_factor", 1.0) != 1.0,
        "rotation that depends on the length": rope.get("rope_type") in ("dynamic", "longrope"),
    }
    for reason, applies in reasons.items():
        if applies:
            raise UnsupportedError(f"the OpenVINO engine does not compute {reason}; set engine to torch")


def build_graph(model: Any, weights: Weights) -> ov.Model:
    """The graph of a loaded causal model, for `PagedModel`.

    Args:
        model: A transformers model whose configuration passes `check_supported`.
        weights: How matrices are kept: as they are rounded to 32 or 16 bits, or as 8-bit integers with one scale an
            output row.

    Returns:
        Attention over a state, as it can be kept in a file; `use_paged_attention` makes it what is run.
    """
    return _Graph(model, weights).build()


def use_paged_attention(graph: ov.Model) -> None:
    """Let a graph of `build_graph` keep keys and values in blocks of the caller's.

    Inputs from then on: `wanted` (places whose logits are returned) and those of `sequence_inputs`. Output: `logits`,
    (wanted, 1, V).
    """
    paged_attention_transformation(graph)


class _Graph:
    """The graph of one model while it is written; shapes are (tokens, 1, …) once attention is paged."""

    def __init__(self, model: Any, weights: Weights) -> None:
        self._config = model.config
        self._rotary = model.model.rotary_emb
        self._tensors: Mapping[str, Any] = model.state_dict()
        self._weights = weights
        self._heads = int(model.config.num_attention_heads)
        self._kv_heads = int(model.config.num_key_value_heads)
        self._head_dim = int(getattr(model.config, "head_dim", None) or model.config.hidden_size // self._heads)
        self._states: list[Node] = []

    def build(self) -> ov.Model:
        """The graph with attention over a state, as the transformation to paged attention expects it."""
        ids, past = _input("input_ids", Type.i64, 2), _input("attention_mask", Type.i64, 2)
        positions, beam = _input("position_ids", Type.i64, 2), _input("beam_idx", Type.i32, 1)
        wanted = _input("wanted", Type.i64, 1)
        hidden = ops.gather(self._matrix("model.embed_tokens.weight"), ops.convert(ids, "i32"), _scalar(0, np.int32))
        self._batch, self._n_new = (ops.gather(ops.shape_of(ids), _ints(axis), _scalar(0)) for axis in (0, 1))
        self._beam, self._mask = beam, self._causal_mask(past)
        self._cos, self._sin = self._rotation(positions)
        for index in range(self._config.num_hidden_layers):
            hidden = self._layer(hidden, index)
        hidden = self._norm(ops.gather(hidden, wanted, _scalar(0)), "model.norm")
        logits = ops.matmul(hidden, self._matrix("lm_head.weight"), False, True)
        logits.output(0).set_names({"logits"})
        return ov.Model([ops.result(logits)], self._states, [ids, past, positions, beam, wanted])

    def _layer(self, hidden: Node, index: int) -> Node:
        name = f"model.layers.{index}"
        normed = self._norm(hidden, f"{name}.input_layernorm")
        query, key, value = (
            self._split(self._linear(normed, f"{name}.self_attn.{part}_proj"), n)
            for part, n in (("q", self._heads), ("k", self._kv_heads), ("v", self._kv_heads))
        )
        if f"{name}.self_attn.q_norm.weight" in self._tensors:
            query = self._norm(query, f"{name}.self_attn.q_norm")
            key = self._norm(key, f"{name}.self_attn.k_norm")
        keys = self._remembered(self._rotated(key), f"past_key_values.{index}.keypresent.{index}.key")
        values = self._remembered(value, f"past_key_values.{index}.valuepresent.{index}.value")
        seen = ops.scaled_dot_product_attention(self._rotated(query), keys, values, self._mask)
        joined = ops.reshape(
            ops.transpose(seen, _ints(0, 2, 1, 3)), _ints(0, 0, self._heads * self._head_dim), special_zero=True
        )
        hidden = ops.add(hidden, self._linear(joined, f"{name}.self_attn.o_proj"))
        normed = self._norm(hidden, f"{name}.post_attention_layernorm")
        gate = ops.swish(self._linear(normed, f"{name}.mlp.gate_proj"))
        inner = ops.multiply(gate, self._linear(normed, f"{name}.mlp.up_proj"))
        return ops.add(hidden, self._linear(inner, f"{name}.mlp.down_proj"))

    def _split(self, tensor: Node, n_heads: int) -> Node:
        """(B, T, H·D) → (B, H, T, D)."""
        split = ops.reshape(tensor, _ints(0, 0, n_heads, self._head_dim), special_zero=True)
        return ops.transpose(split, _ints(0, 2, 1, 3))

    def _remembered(self, new: Node, name: str) -> Node:
        """All keys or values so far, with `new` appended, one for each head of the queries."""
        shape = PartialShape([-1, self._kv_heads, -1, self._head_dim])
        empty = ops.concat([self._batch, _ints(self._kv_heads), _ints(0), _ints(self._head_dim)], 0)
        before = ov.opset6.read_value(ops.broadcast(_scalar(0.0, np.float32), empty), name, Type.f32, shape)
        whole = ops.concat([ops.gather(before, self._beam, _scalar(0)), new], 2)
        self._states.append(ov.opset6.assign(whole, name))
        if self._heads == self._kv_heads:
            return whole
        sizes = ops.shape_of(whole)
        first, last = (ops.gather(sizes, _ints(*axes), _scalar(0)) for axes in ((0, 1), (2, 3)))
        repeated = ops.broadcast(
            ops.unsqueeze(whole, _scalar(2)),
            ops.concat([first, _ints(self._heads // self._kv_heads), last], 0),
            broadcast_spec="BIDIRECTIONAL",
        )
        return ops.reshape(repeated, _ints(0, self._heads, -1, self._head_dim), special_zero=True)

    def _rotation(self, positions: Node) -> tuple[Node, Node]:
        """Cosine and sine of every position's angles, (B, 1, T, D) (Su et al. 2021, RoFormer)."""
        frequencies = ops.constant(self._rotary.inv_freq.float().cpu().numpy().reshape(1, -1, 1))
        each = ops.broadcast(
            frequencies, ops.concat([self._batch, _ints(1), _ints(1)], 0), broadcast_spec="BIDIRECTIONAL"
        )
        angles = ops.matmul(each, ops.convert(ops.unsqueeze(positions, _scalar(1)), "f32"), False, False)
        angles = ops.transpose(angles, _ints(0, 2, 1))
        both = ops.concat([angles, angles], -1)
        cos, sin = ops.unsqueeze(ops.cos(both), _scalar(1)), ops.unsqueeze(ops.sin(both), _scalar(1))
        scale = float(self._rotary.attention_scaling)
        if scale == 1.0:
            return cos, sin
        return ops.multiply(cos, _scalar(scale, np.float32)), ops.multiply(sin, _scalar(scale, np.float32))

    def _rotated(self, tensor: Node) -> Node:
        half = self._head_dim // 2
        second = ops.slice(tensor, _ints(half), _ints(_END), _ints(1), _ints(3))
        first = ops.slice(tensor, _ints(0), _ints(half), _ints(1), _ints(3))
        turned = ops.concat([ops.multiply(second, ops.constant(np.full((1, 1, 1, 1), -1.0, np.float32))), first], -1)
        return ops.add(ops.multiply(tensor, self._cos), ops.multiply(turned, self._sin))

    def _causal_mask(self, past: Node) -> Node:
        """(B, 1, T, all) added to the scores; paged attention knows it and drops this part."""
        total = ops.gather(ops.shape_of(past), _ints(1), _scalar(0))
        one, zero = _scalar(1), _scalar(0)
        rows = ops.range(zero, ops.squeeze(self._n_new, zero), one, "i64")
        rows = ops.unsqueeze(ops.add(rows, ops.subtract(total, self._n_new)), one)
        columns = ops.unsqueeze(ops.range(zero, ops.squeeze(total, zero), one, "i64"), zero)
        seen = ops.select(ops.less_equal(columns, rows), _scalar(0.0, np.float32), _scalar(_HIDDEN, np.float32))
        shape = ops.concat([self._batch, _ints(1), self._n_new, total], 0)
        return ops.broadcast(ops.unsqueeze(ops.unsqueeze(seen, zero), zero), shape)

    def _norm(self, tensor: Node, name: str) -> Node:
        """Root mean square normalization (Zhang and Sennrich 2019)."""
        ndim = len(tensor.get_output_partial_shape(0))
        one = [1] * ndim
        squares = ops.power(tensor, ops.constant(np.full(one, 2.0, np.float32)))
        mean = ops.add(
            ops.reduce_mean(squares, _ints(-1), keep_dims=True),
            ops.constant(np.full(one, self._config.rms_norm_eps, np.float32)),
        )
        inverse = ops.divide(ops.constant(np.full(one, 1.0, np.float32)), ops.sqrt(mean))
        return ops.multiply(self._values(f"{name}.weight"), ops.multiply(tensor, inverse))

    def _linear(self, tensor: Node, name: str) -> Node:
        product = ops.matmul(tensor, self._matrix(f"{name}.weight"), False, True)
        if f"{name}.bias" not in self._tensors:
            return product
        return ops.add(product, ops.reshape(self._values(f"{name}.bias"), _ints(1, 1, -1), special_zero=False))

    def _values(self, name: str) -> Node:
        return ops.constant(self._tensors[name].float().numpy())

    def _matrix(self, name: str) -> Node:
        """A weight, (out, in), as f32 to the operations that read it."""
        import torch

        weight = self._tensors[name]
        if self._weights == "fp32":
            return ops.constant(weight.float().numpy())
        if self._weights == "bf16":
            bits = weight.to(torch.bfloat16).contiguous().view(torch.int16).numpy()
            held = ov.Tensor(Type.bf16, ov.Shape(list(bits.shape)))
            held.data.view(np.int16)[...] = bits
            return ops.convert(ov.op.Constant(held), "f32")
        exact = weight.float()
        scales = (exact.abs().amax(dim=1, keepdim=True) / 127).clamp(min=1e-12)
        rounded = (exact / scales).round().to(torch.int8).numpy()
        scaled = ops.multiply(ops.convert(ops.constant(rounded), "f16"), ops.constant(scales.half().numpy()))
        return ops.convert(scaled, "f32")


def _input(name: str, kind: Type, ndim: int) -> Node:
    node = ops.parameter(PartialShape([-1] * ndim), kind, name=name)
    node.output(0).set_names({name})
    return node


def _ints(*values: int) -> Node:
    return ops.constant(np.array(values, dtype=np.int64))


def _scalar(value: float, dtype: Any = np.int64) -> Node:
    return ops.constant(np.array(value, dtype=dtype))


def sequence_inputs(
    parts: Sequence[tuple[Sequence[int], int, Sequence[int]]], block_tokens: int
) -> dict[str, np.ndarray[Any, Any]]:
    """The inputs of paged attention for some sequences.

    Args:
        parts: Of each sequence its new ids, how many tokens are in the cache before them, and its blocks.
        block_tokens: Tokens a block holds.
    """
    ids = np.concatenate([np.asarray(new, dtype=np.int64) for new, _, _ in parts])
    positions = np.concatenate([np.arange(past, past + len(new), dtype=np.int64) for new, past, _ in parts])
    used = [list(blocks[: -(-(past + len(new)) // block_tokens)]) for new, past, blocks in parts]
    return {
        "input_ids": ids,
        "position_ids": positions,
        "past_lens": np.array([past for _, past, _ in parts], dtype=np.int32),
        "subsequence_begins": np.cumsum([0, *(len(new) for new, _, _ in parts)]).astype(np.int32),
        "block_indices": np.concatenate([np.asarray(blocks, dtype=np.int32) for blocks in used]),
        "block_indices_begins": np.cumsum([0, *(len(blocks) for blocks in used)]).astype(np.int32),
        "max_context_len": np.array(max(past + len(new) for new, past, _ in parts), dtype=np.int32),
    }
