"""A trained cross-encoder: pairs of texts in, one row of logits a pair out, or one a token of the first text.

The base encoder lies in a folder that the caller names; the layers that training changed are shipped as quantized
differences (`rag.weight_changes`). torch is imported when a model is loaded.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from llm.core_threads import start_core_threads
from llm.types import Cancel, Device
from rag.errors import NotReadyError
from rag.token_counter import load_tokenizer, read_json
from rag.types import FloatArray

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

MAX_TOKENS = 256  # of a pair; what is longer is cut, the longer of the two first
_CPU_BATCH_TOKENS = 1_536  # padded tokens a forward pass
_GPU_BATCH_TOKENS = 65_536
_LENGTH_STEP = 8  # lengths are rounded up: kernels are compiled for each new shape
_MAX_CHARS = 4_000  # of either text: the tokenizer need not see what the model cannot


class PairModel(Protocol):
    """Reads pairs of texts: evidence and claim, passage and question."""

    def logits(self, pairs: Sequence[tuple[str, str]], *, cancel: Cancel | None = None) -> FloatArray:
        """float32[n, n_outcomes] in the order of `pairs`. The same pairs, the same rows.

        Raises:
            CancelledError: `cancel` was set.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenScores:
    """What was read of each token of the first text of a pair, as far as it was read."""

    values: FloatArray  # (n_tokens, n_rows): a row of the last layer after the outcomes is a column here
    spans: tuple[tuple[int, int], ...]  # the characters of each token
    nowhere: FloatArray  # (n_rows,): the same of the token that stands for the pair


class PlaceModel(PairModel, Protocol):
    """A PairModel that also scores each token, to find places in the first text."""

    def token_scores(self, pairs: Sequence[tuple[str, str]], *, cancel: Cancel | None = None) -> list[TokenScores]:
        """One a pair, in order.

        Raises:
            CancelledError: `cancel` was set.
        """
        ...


class CrossEncoder:
    """A sequence classifier behind PlaceModel. Thread-safe.

    The last layer may have more rows than outcomes: those are applied to tokens.

    On a CPU each core runs batches of its own with one thread a batch: no core waits for another after every layer.
    """

    def __init__(
        self,
        model: "torch.nn.Module",
        tokenizer: "Tokenizer",
        device: Device,
        *,
        n_outcomes: int,
        autocast: bool = True,
        pad_id: int = 0,
        with_types: bool = True,
    ) -> None:
        self._model = model
        self._autocast = autocast
        self._pad_id = pad_id  # 0 is [PAD] in a BERT vocabulary
        self._with_types = with_types  # whether the encoder tells the two texts apart by types
        self._n_outcomes = n_outcomes
        self._tokenizer = tokenizer
        self._device = device
        on_cpu = device.kind == "cpu"
        self._batch_tokens = _CPU_BATCH_TOKENS if on_cpu else _GPU_BATCH_TOKENS
        self._n_workers = device.n_threads if on_cpu else 1
        self._pool = start_core_threads(self._n_workers, "pairs")

    def logits(self, pairs: Sequence[tuple[str, str]], *, cancel: Cancel | None = None) -> FloatArray:
        """See PairModel."""
        result = np.zeros((len(pairs), self._n_outcomes), dtype=np.float32)
        for batch, found in self._batches_read(pairs, self._outcomes, cancel):
            result[batch] = found
        return result

    def token_scores(self, pairs: Sequence[tuple[str, str]], *, cancel: Cancel | None = None) -> list[TokenScores]:
        """See PlaceModel."""
        result: dict[int, TokenScores] = {}
        for batch, found in self._batches_read(pairs, self._tokens, cancel):
            result.update(zip(batch, found, strict=True))
        return [result[index] for index in range(len(pairs))]

    def close(self) -> None:
        """Stop the threads; what was asked for before is finished first."""
        self._pool.shutdown()

    def _batches_read(
        self, pairs: Sequence[tuple[str, str]], read: Callable[[Sequence[Any]], Any], cancel: Cancel | None
    ) -> Iterator[tuple[list[int], Any]]:
        """Indexes of pairs with what `read` makes of their tokens, a batch at a time."""
        if not pairs:
            return
        rows = self._tokenizer.encode_batch([(one[:_MAX_CHARS], other[:_MAX_CHARS]) for one, other in pairs])
        lengths = [len(row.ids) for row in rows]
        share = -(-sum(lengths) // self._n_workers)  # of few pairs every core gets as many tokens
        batches = [
            (batch, self._pool.submit(read, [rows[index] for index in batch]))
            for batch in _batches(lengths, min(self._batch_tokens, share))
        ]
        try:
            for batch, future in batches:
                if cancel is not None:
                    cancel.raise_if_set()
                yield batch, future.result()
        finally:
            for _, future in batches:
                future.cancel()

    def _outcomes(self, rows: Sequence[Any]) -> FloatArray:
        """The logits of one padded batch, (n_rows, n_outcomes)."""
        found = self._forward(rows, lambda model, inputs: model(**inputs).logits)
        return found[:, : self._n_outcomes]

    def _tokens(self, rows: Sequence[Any]) -> list[TokenScores]:
        """The scores of the tokens of the first texts of one padded batch."""
        from torch.nn.functional import linear

        def read(model: Any, inputs: "dict[str, torch.Tensor]") -> "torch.Tensor":
            last = model.classifier
            states = model.bert(**inputs).last_hidden_state
            return linear(states, last.weight[self._n_outcomes :], last.bias[self._n_outcomes :])

        scores = []
        for row, values in zip(rows, self._forward(rows, read), strict=True):
            own = [at for at, text in enumerate(row.sequence_ids) if text == 0]
            spans = tuple(row.offsets[at] for at in own)
            scores.append(TokenScores(values=values[own], spans=spans, nowhere=values[0]))
        return scores

    def _forward(
        self, rows: Sequence[Any], read: "Callable[[Any, dict[str, torch.Tensor]], torch.Tensor]"
    ) -> FloatArray:
        """What `read` makes of one padded batch, finite."""
        import torch

        width = -(-max(len(row.ids) for row in rows) // _LENGTH_STEP) * _LENGTH_STEP
        ids = torch.full((len(rows), width), self._pad_id, dtype=torch.long)  # B, T
        types, mask = torch.zeros_like(ids), torch.zeros_like(ids)
        for at, row in enumerate(rows):
            n_tokens = len(row.ids)
            ids[at, :n_tokens] = torch.tensor(row.ids)
            types[at, :n_tokens] = torch.tensor(row.type_ids)
            mask[at, :n_tokens] = 1
        kind = self._device.kind
        precision = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self._device.dtype)
        mixed = self._autocast and precision is not None
        with torch.inference_mode(), torch.autocast(kind, precision or torch.bfloat16, enabled=mixed):
            inputs = {"input_ids": ids.to(kind), "attention_mask": mask.to(kind)}
            if self._with_types:
                inputs["token_type_ids"] = types.to(kind)
            found: FloatArray = read(self._model, inputs).float().cpu().numpy()
        return np.nan_to_num(found, nan=0.0, posinf=30.0, neginf=-30.0)


def load_cross_encoder(
    base_folder: Path,
    weights: "dict[str, torch.Tensor]",
    device: Device,
    *,
    n_outcomes: int,
    n_token_scores: int = 0,
    autocast: bool = True,
) -> CrossEncoder:
    """The classifier with the given weights on the tokenizer and settings of `base_folder`.

    Args:
        base_folder: the folder of the base encoder; its config.json and tokenizer are read.
        weights: every tensor of the classifier, as BertForSequenceClassification names them.
        device: where it runs.
        n_outcomes: logits a pair.
        n_token_scores: further rows of the last layer, applied to each token.
        autocast: whether weights stay float32 and only matrix products have the device's dtype; without it weights
            have it too, which saves their conversion: twice the speed for a dozen pairs.

    Raises:
        NotReadyError: the weights do not fit the settings of the base.
    """
    import torch
    from transformers import BertForSequenceClassification

    tokenizer = load_tokenizer(base_folder)
    config = classifier_config(base_folder, n_outcomes=n_outcomes + n_token_scores)
    tokenizer.enable_truncation(min(MAX_TOKENS, config.max_position_embeddings), strategy="longest_first")
    tokenizer.no_padding()
    # The fused attention is slower than two batched products in bf16 on a CPU, and faster elsewhere.
    config._attn_implementation = "eager" if device.kind == "cpu" and device.dtype == "bf16" else "sdpa"
    model: Any = BertForSequenceClassification(config)
    try:
        missing = model.load_state_dict(weights, strict=False).missing_keys
    except RuntimeError as error:
        raise NotReadyError(f"the trained weights do not fit the encoder in {base_folder}; pull it again") from error
    if missing:
        raise NotReadyError(f"the trained weights lack {missing[0]}; install the package again")
    if not autocast:
        model = model.to({"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[device.dtype])
    return CrossEncoder(model.to(device.kind).eval(), tokenizer, device, n_outcomes=n_outcomes, autocast=autocast)


def classifier_config(base_folder: Path, *, n_outcomes: int, **others: float) -> Any:
    """The settings of a classifier over the encoder in `base_folder`, with `others` of its config.json replaced."""
    from transformers import BertConfig

    settings = {key: value for key, value in read_json(base_folder / "config.json").items() if key != "architectures"}
    return BertConfig(**{**settings, **others, "num_labels": n_outcomes})


def _batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indexes by falling length, so many a batch that its padded tokens stay within `batch_tokens`."""
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    start = 0
    while start < len(order):
        n_pairs = max(1, batch_tokens // lengths[order[start]])
        yield order[start : start + n_pairs]
        start += n_pairs
