"""A loaded torch engine that reads all requests together: continuous batching for GPUs."""

from functools import partial

import structlog
import torch

from llm.engines.packed_torch import PackedModel
from llm.engines.paged_decoder import PagedDecoder
from llm.engines.torch import TorchDecoder
from llm.errors import UnsupportedError
from llm.types import Decoder

CPU_CACHE_BYTES = 512 * 1024 * 1024
GPU_CACHE_SHARE = 0.5  # of the memory that is free once the weights are loaded

_log = structlog.get_logger(__name__)


def packed(decoder: Decoder, cache_bytes: int | None = None) -> Decoder:
    """A torch engine with its requests packed into common passes; `decoder` itself where that cannot be done.

    Beam search is left to `decoder`; the two take turns on the model. Give requests to the returned one alone.

    Args:
        decoder: A loaded engine.
        cache_bytes: Of keys and values; None = half of a GPU's free memory, 512 MiB on a CPU.
    """
    if not isinstance(decoder, TorchDecoder):
        return decoder
    if cache_bytes is None:
        on_gpu = decoder.info.device == "cuda"
        cache_bytes = int(torch.cuda.mem_get_info()[0] * GPU_CACHE_SHARE) if on_gpu else CPU_CACHE_BYTES
    try:
        pages = PackedModel(
            decoder.model,
            context_tokens=decoder.info.context_tokens,
            cache_bytes=cache_bytes,
            in_turn=partial(decoder.in_turn, cancels=()),
        )
    except UnsupportedError as error:
        _log.info("not_packed", model=decoder.info.name, reason=str(error))
        return decoder
    _log.info("packed", model=decoder.info.name, cache_bytes=pages.cache_bytes)
    return PagedDecoder(
        pages,
        decoder.vocabulary,
        info=decoder.info,
        end_ids=decoder.end_ids,
        n_vocabulary=int(decoder.model.get_input_embeddings().num_embeddings),
        reference=lambda: decoder,
    )
