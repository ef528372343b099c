"""GGUF → safetensors: a model written as GGUF comes back the same, tokenizer and chat template included."""

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from llm.errors import ModelIntegrityError, ModelNotFoundError, UnsupportedError
from llm.gguf import _to_bfloat16, convert_gguf
from llm.sources import ModelStore

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    whole = {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    }
    if name in whole:
        return whole[name]
    _, _, layer, rest = name.split(".", 3)
    part, ending = rest.rsplit(".", 1)
    return f"blk.{layer}.{NAMES[part]}.{ending}"


def interleave(weight: np.ndarray, n_heads: int) -> np.ndarray:
    """The order llama.cpp wants: the two halves of each head dimension alternate."""
    head = weight.reshape(n_heads, 2, -1, *weight.shape[1:])
    return np.stack([head[:, 0], head[:, 1]], axis=2).reshape(weight.shape)


def write_gguf(path: Path, model: torch.nn.Module, architecture: str, tokens: list[str], **changes: object) -> None:
    config = model.config
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_tokenizer_model(str(changes.get("tokenizer", "gpt2")))
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 3 + [4] + [1] * (len(tokens) - 4))
    writer.add_token_merges(["t h", "th e"])
    writer.add_eos_token_id(2)
    writer.add_bos_token_id(1)
    writer.add_pad_token_id(0)
    writer.add_chat_template(TEMPLATE)
    if changes.get("scaled"):
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = tensor.float().numpy()
        if architecture == "llama" and (".q_proj." in name or ".k_proj." in name):
            values = interleave(values, config.num_attention_heads if "q_proj" in name else config.num_key_value_heads)
        if values.ndim == 2 and "mlp" in name:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(gguf_name(name), gguf.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(gguf_name(name), values)
    if changes.get("extra"):
        writer.add_tensor("blk.0.surprise.weight", np.zeros(3, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tokens_of(n: int) -> list[str]:
    from tokenizers import pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    return ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", *alphabet, "th", "the"][:n]


def tiny(architecture: str, *, tied: bool) -> torch.nn.Module:
    torch.manual_seed(3)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"num_key_value_heads": 2, "max_position_embeddings": 128, "vocab_size": len(tokens_of(999))}
    more = {"initializer_range": 0.2, "tie_word_embeddings": tied}
    if architecture == "llama":
        return LlamaForCausalLM(LlamaConfig(**sizes, **more))
    model = Qwen2ForCausalLM(Qwen2Config(**sizes, **more))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return model


@pytest.mark.parametrize(("architecture", "tied"), [("llama", True), ("llama", False), ("qwen2", True)])
def test_a_model_comes_back_the_same(tmp_path: Path, architecture: str, tied: bool) -> None:
    model = tiny(architecture, tied=tied).eval()
    source, target = tmp_path / "m.gguf", tmp_path / "out"
    target.mkdir()
    write_gguf(source, model, architecture, tokens_of(999))
    messages: list[str] = []
    convert_gguf(source, target, on_progress=messages.append)
    assert messages
    back = AutoModelForCausalLM.from_pretrained(target, dtype=torch.float32).eval()
    assert back.config.tie_word_embeddings == tied
    ids = torch.tensor([[5, 80, 17, 99, 30]])
    with torch.inference_mode():
        assert torch.nn.functional.cosine_similarity(model(ids).logits, back(ids).logits, dim=-1).min() > 0.999
    ours, theirs = back.state_dict(), model.state_dict()
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=2**-8, atol=0.02 if "mlp" in name else 0, msg=name)


def test_the_tokenizer_its_special_tokens_and_the_chat_template_survive(tmp_path: Path) -> None:
    source, target = tmp_path / "m.gguf", tmp_path / "out"
    target.mkdir()
    write_gguf(source, tiny("llama", tied=True), "llama", tokens_of(999))
    convert_gguf(source, target)
    tokenizer = AutoTokenizer.from_pretrained(target)
    assert tokenizer.is_fast
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert set(tokenizer.all_special_tokens) >= {"<|endoftext|>", "<|im_start|>", "<|im_end|>"} - {"<|im_start|>"}
    assert set(tokenizer.get_added_vocab()) == {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>"}
    text = "the 日本語 12 cats"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.tokenize("the") == ["the"]
    rendered = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)
    assert rendered == "<|im_start|>user\nhi<|im_end|>\n"
    config = json.loads((target / "generation_config.json").read_text())
    assert config["eos_token_id"] == [2, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"extra": True}, "surprise"), ({"tokenizer": "rwkv"}, "rwkv"), ({"scaled": True}, "rope")],
)
def test_what_is_not_known_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    source, target = tmp_path / "m.gguf", tmp_path / "out"
    target.mkdir()
    write_gguf(source, tiny("llama", tied=True), "llama", tokens_of(999), **changes)
    with pytest.raises(UnsupportedError, match=message):
        convert_gguf(source, target)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"not a model at all, but long enough to be read as a header"])
def test_what_is_no_gguf_is_refused(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "m.gguf"
    source.write_bytes(content)
    with pytest.raises(ModelIntegrityError, match=r"m\.gguf"):
        convert_gguf(source, tmp_path)


def test_a_gguf_path_is_converted_once_into_the_cache(tmp_path: Path) -> None:
    source = tmp_path / "my model.gguf"
    write_gguf(source, tiny("llama", tied=True), "llama", tokens_of(999))
    store = ModelStore(tmp_path / "cache")
    first = store.resolve(str(source))
    assert (first.kind, first.source) == ("decoder", "folder")
    made = (first.folder / "model.safetensors").stat()
    assert store.resolve(str(source)) == first
    assert (first.folder / "model.safetensors").stat() == made
    assert store.info(first.name).installed
    assert store.convert(str(source)) == first
    assert (first.folder / "model.safetensors").stat().st_ino != made.st_ino
    with pytest.raises(ModelNotFoundError):
        store.convert("all-MiniLM-L6-v2")


def test_bfloat16_is_rounded_as_torch_does() -> None:
    values = np.concatenate(
        [np.random.default_rng(0).normal(size=5000), [0.0, -0.0, 1e-40, 3e38, 1.00390625, 1.01171875]]
    ).astype(np.float32)
    expected = torch.from_numpy(values).to(torch.bfloat16).view(torch.uint16).numpy()
    np.testing.assert_array_equal(_to_bfloat16(values), expected)
    with pytest.raises(ModelIntegrityError, match="finite"):
        _to_bfloat16(np.array([np.inf], np.float32))
