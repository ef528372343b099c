"""Tiny random models with a tiny tokenizer, made once a session and loaded through the front door."""

import dataclasses
from pathlib import Path

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from llm.engines.openvino import load_openvino_decoder
from llm.engines.packed import packed
from llm.engines.paged_decoder import PagedDecoder
from llm.engines.torch import TorchDecoder, load_decoder
from llm.types import Decoder, Device

CPU = Device(kind="cpu", name="test", dtype="fp32", n_threads=1)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CORPUS = [
    "Where does the river reach the sea? The river reaches the sea near the old town.",
    "user assistant system: answer in one sentence and cite the passage.",
    "Größe, naïve, 日本語 and 👩‍🔬 are text as well.",
]


def make_tokenizer(chat_template: str | None = CHAT_TEMPLATE) -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=380,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(CORPUS * 3, trainer)
    inner.add_tokens([AddedToken("<tool_call>", special=False, normalized=False)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = chat_template
    return tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer()


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    folder = tmp_path_factory.mktemp("llama")
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def t5_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("t5")
    torch.manual_seed(2)
    tokenizer = make_tokenizer(chat_template=None)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        initializer_factor=3.0,
        n_positions=256,
        decoder_start_token_id=tokenizer.pad_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def llama(llama_folder: Path) -> TorchDecoder:
    return load_decoder(llama_folder, name="tiny-llama", device=CPU)


@pytest.fixture(scope="session")
def t5(t5_folder: Path) -> TorchDecoder:
    return load_decoder(t5_folder, name="tiny-t5", device=dataclasses.replace(CPU))


@pytest.fixture(scope="session")
def openvino_llama(llama_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> PagedDecoder:
    conversions = tmp_path_factory.mktemp("conversions")
    return load_openvino_decoder(llama_folder, name="tiny-llama", device=CPU, conversions=conversions)


@pytest.fixture(scope="session")
def packed_llama(llama_folder: Path) -> Decoder:
    made = packed(load_decoder(llama_folder, name="tiny-llama", device=CPU), cache_bytes=0)
    assert not isinstance(made, TorchDecoder)
    return made
