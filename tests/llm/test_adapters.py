"""An adapter merged into the weights answers like the same adapter under peft."""

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from llm.adapters import merge_adapter, read_adapter, shipped_adapter, write_about
from llm.engines.torch import load_decoder
from llm.errors import UnsupportedError
from llm.types import Device

CPU = Device(kind="cpu", name="test", dtype="fp32", n_threads=1)


@pytest.fixture
def adapter_folder(llama_folder: Path, tmp_path: Path) -> Path:
    """An adapter that changes every linear layer of the tiny model."""
    torch.manual_seed(1)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(llama_folder), LoraConfig(r=2, lora_alpha=6, target_modules="all-linear")
    )
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.2)
    model.save_pretrained(tmp_path / "adapter")
    write_about(tmp_path / "adapter", name="tiny-1", base="tiny", base_sha256="ab" * 32)
    return tmp_path / "adapter"


def test_merged_weights_give_the_logits_of_peft(llama_folder: Path, adapter_folder: Path) -> None:
    from peft import PeftModel

    ids = torch.arange(12)[None]
    plain = AutoModelForCausalLM.from_pretrained(llama_folder).eval()
    reference = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(llama_folder), adapter_folder).eval()
    with torch.inference_mode():
        before = plain(input_ids=ids).logits
        merge_adapter(plain, read_adapter(adapter_folder))
        after, expected = plain(input_ids=ids).logits, reference(input_ids=ids).logits
    assert (after - expected).abs().max() < 1e-4
    assert (after - before).abs().max() > 0.01


def test_the_decoder_names_the_adapter_it_was_loaded_with(llama_folder: Path, adapter_folder: Path) -> None:
    assert load_decoder(llama_folder, name="tiny", device=CPU).info.adapter is None
    decoder = load_decoder(llama_folder, name="tiny", device=CPU, adapter=read_adapter(adapter_folder))
    assert (decoder.info.name, decoder.info.adapter) == ("tiny", "tiny-1")


def test_what_is_published_holds_no_path_of_the_machine_it_was_trained_on(
    llama_folder: Path, adapter_folder: Path
) -> None:
    assert json.loads((adapter_folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny"


def test_a_shipped_adapter_is_found_by_the_weights_it_was_trained_on(adapter_folder: Path) -> None:
    found = shipped_adapter("ab" * 32, adapter_folder.parent)
    assert found is not None and found.name == "tiny-1"
    assert shipped_adapter("cd" * 32, adapter_folder.parent) is None


def test_an_adapter_of_another_model_is_refused(llama_folder: Path, adapter_folder: Path) -> None:
    tensors = load_file(adapter_folder / "adapter_model.safetensors")
    wider = {name: torch.cat([value, value], dim=-1) if "lora_A" in name else value for name, value in tensors.items()}
    save_file(wider, adapter_folder / "adapter_model.safetensors")
    with pytest.raises(UnsupportedError, match="does not fit this model"):
        merge_adapter(AutoModelForCausalLM.from_pretrained(llama_folder), read_adapter(adapter_folder))


def test_a_folder_without_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="is no adapter"):
        read_adapter(tmp_path)
