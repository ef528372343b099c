"""A transformer encoder behind the Embedder protocol. torch and transformers are imported when one is loaded."""

import ctypes
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from llm.core_threads import start_core_threads
from llm.errors import UnsafeModelError, UnsupportedError
from llm.types import Device
from rag.errors import NotReadyError
from rag.token_counter import load_tokenizer, read_json, read_sequence_limit
from rag.types import FloatArray, IdArray

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

Pooling = Literal["mean", "cls"]

_UNSAFE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".py")
_KNOWN_MODULES = ("Transformer", "Pooling", "Normalize")
# Padded tokens a forward pass. On a CPU 512 to 1,024 are fastest, since beyond that the activations leave the cache
# of a core; a GPU wants far more to be busy.
_CPU_BATCH_TOKENS = 1_024
_GPU_BATCH_TOKENS = 65_536
# Lengths are rounded up to this: for every new shape the CPU library compiles and keeps kernels, which costs time and,
# over 1,000 passages, 300 MB; with few shapes memory stays flat and 2 % of padding is more than won back.
_LENGTH_STEP = 8
_QUERY_CACHE_SIZE = 256
_TOKENIZE_TEXTS = 512
_TRIM_EVERY = 500  # passages between two returns of free memory; one takes milliseconds


class TorchEmbedder:
    """Mean or first-token pooling over a transformer's last layer, normalized.

    On a CPU each core runs batches of its own with one thread a batch: no core waits for another after every layer,
    which costs most of the speed as soon as anything else runs on the machine. Elsewhere one batch runs at a time.
    A question never waits behind the passages of a document. Texts longer than the model reads are cut at its limit;
    the caller counts those. Thread-safe.
    """

    def __init__(
        self,
        model: "torch.nn.Module",
        tokenizer: "Tokenizer",
        *,
        name: str,
        dimension: int,
        max_tokens: int,
        pad_id: int,
        pooling: Pooling,
        query_prompt: str,
        device: Device,
        batch_tokens: int,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._name = name
        self._dimension = dimension
        self._max_tokens = max_tokens
        self._pad_id = pad_id
        self._pooling = pooling
        self._query_prompt = query_prompt
        self._device = device
        self._batch_tokens = batch_tokens
        n_workers = device.n_threads if device.kind == "cpu" else 1
        self._passage_pool = start_core_threads(n_workers, "embed-passages")
        self._query_pool = start_core_threads(1, "embed-query")
        self._queries: OrderedDict[str, FloatArray] = OrderedDict()
        self._queries_lock = threading.Lock()
        self._n_since_trim = 0

    @property
    def name(self) -> str:
        """Model name and revision."""
        return self._name

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._dimension

    @property
    def batch_tokens(self) -> int:
        """Padded tokens a forward pass, at most (one longer text passes alone)."""
        return self._batch_tokens

    def embed_passages(self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None) -> FloatArray:
        """float32[n, dimension], rows of length 1 in the order of `texts`; `on_progress` hears how many are done.

        Raises:
            UnsupportedError: the model gave a vector that is not finite on this device.
        """
        return self._embed(texts, self._passage_pool, on_progress)

    def embed_query(self, text: str) -> FloatArray:
        """float32[dimension] of length 1; the last 256 questions are remembered."""
        with self._queries_lock:
            known = self._queries.get(text)
            if known is not None:
                self._queries.move_to_end(text)
                return known
        vector: FloatArray = self._embed([self._query_prompt + text], self._query_pool, None)[0]
        vector.flags.writeable = False
        with self._queries_lock:
            self._queries[text] = vector
            while len(self._queries) > _QUERY_CACHE_SIZE:
                self._queries.popitem(last=False)
        return vector

    def close(self) -> None:
        """Stop the threads; what was asked for before is finished first."""
        self._passage_pool.shutdown()
        self._query_pool.shutdown()

    def _embed(
        self, texts: Sequence[str], pool: ThreadPoolExecutor, on_progress: Callable[[int], None] | None
    ) -> FloatArray:
        rows = self._tokenize(texts)
        vectors = np.zeros((len(rows), self._dimension), dtype=np.float32)
        batches = {
            pool.submit(self._forward, [rows[index] for index in batch]): batch
            for batch in _batches([len(row) for row in rows], self._batch_tokens)
        }
        n_done = 0
        try:
            for future in as_completed(batches):
                vectors[batches[future]] = future.result()
                n_done += len(batches[future])
                if on_progress is not None:
                    on_progress(n_done)
        except BaseException:
            for future in batches:
                future.cancel()
            raise
        self._n_since_trim += len(rows)
        if self._n_since_trim >= _TRIM_EVERY:
            self._n_since_trim = 0
            _return_free_memory()
        return vectors

    def _tokenize(self, texts: Sequence[str]) -> list[IdArray]:
        rows: list[IdArray] = []
        for first in range(0, len(texts), _TOKENIZE_TEXTS):
            # Without offsets, which only the counter of passages needs, this is twice as fast.
            encodings = self._tokenizer.encode_batch_fast(list(texts[first : first + _TOKENIZE_TEXTS]))
            rows.extend(np.array(encoding.ids, dtype=np.int64) for encoding in encodings)
        return rows

    def _forward(self, rows: list[IdArray]) -> FloatArray:
        """float32[B, D] unit vectors of B token rows."""
        import torch

        longest = max(len(row) for row in rows)
        longest = min(-(-longest // _LENGTH_STEP) * _LENGTH_STEP, self._max_tokens)
        ids = np.full((len(rows), longest), self._pad_id, dtype=np.int64)  # B, T
        mask = np.zeros((len(rows), longest), dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        with torch.inference_mode():
            attention = torch.from_numpy(mask).to(self._device.kind)
            output = self._model(input_ids=torch.from_numpy(ids).to(self._device.kind), attention_mask=attention)
            # Pooled in fp32: a sum over 256 bf16 states loses what the states still hold.
            states = output.last_hidden_state.float()  # B, T, D
            if self._pooling == "cls":
                pooled = states[:, 0]
            else:
                weights = attention.unsqueeze(-1).to(states.dtype)
                pooled = (states * weights).sum(1) / weights.sum(1)
            vectors: FloatArray = torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
        if not np.isfinite(vectors).all():
            raise UnsupportedError(f"{self._name} gives no finite vectors in this precision; use another dtype")
        return vectors


def load_embedder(model_folder: Path, *, name: str, device: Device, batch_tokens: int | None = None) -> TorchEmbedder:
    """Load the encoder in `model_folder` (never from a network, safetensors only) onto `device` in its dtype.

    Args:
        model_folder: config.json, model.safetensors, tokenizer.json and, as sentence-transformers writes them,
            modules.json and 1_Pooling/config.json.
        name: model name and revision; the name that stored vectors carry.
        device: what the probe found.
        batch_tokens: padded tokens a forward pass; chosen by the device where None.

    Raises:
        NotReadyError: a file is missing or broken.
        UnsafeModelError: the folder holds pickled weights or code.
        UnsupportedError: the model has layers after the transformer that are not pooling or normalizing.
    """
    _refuse_unsafe(model_folder)
    pooling = _read_pooling(model_folder)
    tokenizer = load_tokenizer(model_folder)
    max_tokens = read_sequence_limit(model_folder)
    tokenizer.enable_truncation(max_tokens)

    import torch
    from transformers import AutoModel
    from transformers.utils import logging as transformers_logging

    # On a CPU the fused attention is slower than two batched products in bf16 (10.4 against 6.7 ms for ten texts of
    # 200 tokens, Zen 5), and faster in fp32.
    attention = "eager" if device.kind == "cpu" and device.dtype == "bf16" else "sdpa"
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[device.dtype]
    transformers_logging.disable_progress_bar()
    try:
        model: Any = AutoModel.from_pretrained(
            str(model_folder),
            dtype=dtype,
            attn_implementation=attention,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError) as error:
        raise NotReadyError(f"the embedder in {model_folder} cannot be loaded; pull the model again") from error
    model = model.to(device.kind).eval()
    prompts = read_json(model_folder / "config_sentence_transformers.json").get("prompts")
    return TorchEmbedder(
        model,
        tokenizer,
        name=name,
        dimension=int(model.config.hidden_size),
        max_tokens=max_tokens,
        pad_id=int(model.config.pad_token_id or 0),
        pooling=pooling,
        query_prompt=str(prompts.get("query", "")) if isinstance(prompts, dict) else "",
        device=device,
        batch_tokens=batch_tokens or (_CPU_BATCH_TOKENS if device.kind == "cpu" else _GPU_BATCH_TOKENS),
    )


def _return_free_memory() -> None:
    """Give what is free back to the system, where the C library can.

    Activations of many shapes leave holes in the heaps of several threads: without this an ingest of 2,000 documents
    grew to 1.1 GB and with it stays near the weights and the kernels.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _batches(lengths: list[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indexes of texts by falling length, so many a batch that its padded tokens stay within `batch_tokens`."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    start = 0
    while start < len(order):
        # The longest text comes first, so that one too big for the machine fails at once and not at the end.
        n_texts = max(1, batch_tokens // lengths[order[start]])
        yield order[start : start + n_texts]
        start += n_texts


def _refuse_unsafe(model_folder: Path) -> None:
    for path in model_folder.rglob("*"):
        if path.suffix.lower() in _UNSAFE_SUFFIXES:
            raise UnsafeModelError(f"{path.name} can run code when it is loaded; keep only safetensors in the folder")
    if "auto_map" in read_json(model_folder / "config.json"):
        raise UnsafeModelError(f"the model in {model_folder} asks for code of its own; choose one that does not")
    if not (model_folder / "config.json").is_file():
        raise NotReadyError(f"there is no model in {model_folder}; pull it first")


def _read_pooling(model_folder: Path) -> Pooling:
    """How token states become one vector; mean where the folder does not say."""
    import json

    modules_path = model_folder / "modules.json"
    modules = json.loads(modules_path.read_text(encoding="utf-8")) if modules_path.is_file() else []
    folder = "1_Pooling"
    for module in modules:
        kind = str(module.get("type", "")).rsplit(".", 1)[-1]
        if kind not in _KNOWN_MODULES:
            raise UnsupportedError(f"the embedder has a layer of type {kind}; only pooling and normalizing are known")
        if kind == "Pooling":
            folder = str(module.get("path", folder))
    config = read_json(model_folder / folder / "config.json")
    if config.get("pooling_mode_cls_token") or config.get("pooling_mode") == "cls":
        return "cls"
    asked = sorted(key for key, value in config.items() if key.startswith("pooling_mode_") and value is True)
    if asked not in ([], ["pooling_mode_mean_tokens"]) or config.get("pooling_mode", "mean") != "mean":
        raise UnsupportedError("the embedder pools in a way that is not known here; choose one with mean or cls")
    return "mean"
