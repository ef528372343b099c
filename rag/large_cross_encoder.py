"""A cross-encoder over MPNet, four times as wide as MiniLM: reads what a smaller one is unsure of.

The base encoder lies in a folder that the caller names; what training with low-rank adapters changed of it is shipped
(`rag.low_rank_changes`). torch is imported when a model is loaded.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm.types import Device
from rag.cross_encoder import CrossEncoder
from rag.errors import NotReadyError
from rag.low_rank_changes import read_low_rank
from rag.token_counter import load_tokenizer, read_json

if TYPE_CHECKING:
    import torch

MAX_TOKENS = 304  # of a pair: a digest of the evidence and a claim
_PREFIX = "mpnet."  # of the encoder's tensors in the classifier


def load_large_cross_encoder(base_folder: Path, changes: Path, device: Device, *, n_outcomes: int) -> CrossEncoder:
    """A classifier over an MPNet encoder: its base in `base_folder`, what training changed in the file `changes`.

    Its weights have the device's dtype: half the memory of float32 with autocast, and nothing to convert before a
    product.

    Raises:
        NotReadyError: a file is missing, or the changes do not fit the base.
    """
    import torch

    tokenizer = load_tokenizer(base_folder)
    tokenizer.enable_truncation(MAX_TOKENS, strategy="longest_first")
    tokenizer.no_padding()
    weights = read_low_rank(base_folder, changes, prefix=_PREFIX)
    model = _large_model(base_folder, n_outcomes, weights)
    dtypes = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
    return CrossEncoder(
        model.to(dtypes[device.dtype]).to(device.kind).eval(),
        tokenizer,
        device,
        n_outcomes=n_outcomes,
        autocast=False,
        pad_id=model.config.pad_token_id,
        with_types=False,
    )


def large_classifier(base_folder: Path, *, n_outcomes: int) -> Any:
    """A classifier over the MPNet encoder in `base_folder`, to be trained: no dropout, its last layers drawn."""
    from safetensors.torch import load_file

    base = load_file(base_folder / "model.safetensors")
    weights = {f"{_PREFIX}{name}": tensor.float() for name, tensor in base.items() if tensor.is_floating_point()}
    return _large_model(base_folder, n_outcomes, weights, is_whole=False)


def _large_model(
    base_folder: Path, n_outcomes: int, weights: "dict[str, torch.Tensor]", *, is_whole: bool = True
) -> Any:
    from transformers import MPNetConfig, MPNetForSequenceClassification

    settings = {key: value for key, value in read_json(base_folder / "config.json").items() if key != "architectures"}
    dropped = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = MPNetConfig(**{**settings, **dropped, "num_labels": n_outcomes})
    model: Any = MPNetForSequenceClassification(config)
    try:
        missing = model.load_state_dict(weights, strict=False).missing_keys
    except RuntimeError as error:
        raise NotReadyError(f"the trained weights do not fit the encoder in {base_folder}; pull it again") from error
    missing = [name for name in missing if is_whole or not name.startswith("classifier.")]
    if missing:
        raise NotReadyError(f"the trained weights lack {missing[0]}; install the package again")
    return model
