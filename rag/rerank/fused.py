"""A reranker: a logistic function of what the search knows and, where there is one, of what a cross-encoder reads.

Nothing in a passage is ever obeyed: it is only compared.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from llm.types import Device
from rag.cross_encoder import CrossEncoder, PairModel, load_cross_encoder
from rag.errors import NotReadyError
from rag.passage_text import embedding_text
from rag.rerank.shipped import SHIPPED_FOLDER, WEIGHTS_FILE, Parameters, read_parameters
from rag.rerank.signals import signals
from rag.types import FloatArray, Hit
from rag.weight_changes import read_changed, sha256_of_base

_DIGITS = 6  # of a probability


class FusedReranker:
    """`rag.rerank.reorder.Reranker`. Deterministic, and thread-safe where the model is."""

    def __init__(self, model: PairModel | None, parameters: Parameters) -> None:
        self._model = model
        self._parameters = parameters

    @property
    def name(self) -> str:
        """Of the trained weights."""
        return self._parameters.name

    @property
    def depth(self) -> int:
        """How many hits are read."""
        return self._parameters.depth

    def score(self, query: str, hits: Sequence[Hit]) -> tuple[float, ...]:
        """See Reranker."""
        if not hits:
            return ()
        logits = None if self._model is None else read_hits(self._model, query, hits)
        values = signals(query, hits, logits)
        probabilities = np.exp(-np.logaddexp(0.0, -self._parameters.log_odds(values)))
        return tuple(round(float(one), _DIGITS) for one in probabilities)


def read_hits(model: PairModel, query: str, hits: Sequence[Hit]) -> FloatArray:
    """float32[n]: what the model makes of each passage, read with its heading and cut where it is too long."""
    return model.logits([(embedding_text(hit.passage), query) for hit in hits])[:, 0]


def load_reranker(
    base_folder: Callable[[], Path], device: Callable[[], Device], folder: Path = SHIPPED_FOLDER
) -> FusedReranker:
    """The shipped reranker, or the one in `folder`; imports torch only where it has a cross-encoder.

    Args:
        base_folder: tells where the base encoder all-MiniLM-L6-v2 lies; asked only for a cross-encoder.
        device: tells where to run; asked only for a cross-encoder.
        folder: the figures, and the weights if there are any.

    Raises:
        NotReadyError: a file is missing, or the base is not the one that the reranker was trained from.
    """
    parameters = read_parameters(folder)
    if parameters.base_sha256 is None:
        return FusedReranker(None, parameters)
    base = base_folder()
    if sha256_of_base(base) != parameters.base_sha256:
        raise NotReadyError(
            f"{base} does not hold the encoder that the reranker was trained from; "
            "run citebound models pull all-MiniLM-L6-v2"
        )
    return FusedReranker(load_pair_model(base, folder, device()), parameters)


def load_pair_model(base_folder: Path, folder: Path, device: Device) -> CrossEncoder:
    """What reads passage and question; imports torch.

    Raises:
        NotReadyError: a file is missing or does not fit.
    """
    weights = read_changed(base_folder, folder / WEIGHTS_FILE)
    return load_cross_encoder(base_folder, weights, device, n_outcomes=1, autocast=False)
