"""How likely a passage answers a question, by the verifier's encoder: what the reranker reads hits with."""

from collections.abc import Sequence

import numpy as np

from llm.types import Cancel
from rag.cross_encoder import PlaceModel
from rag.types import FloatArray
from rag.verify.found_answers import best_log_odds


class AnswerReader:
    """`rag.cross_encoder.PairModel` of passage and question. Thread-safe where the model is."""

    def __init__(self, model: PlaceModel) -> None:
        self._model = model

    def logits(self, pairs: Sequence[tuple[str, str]], *, cancel: Cancel | None = None) -> FloatArray:
        """float32[n, 1]: the log-odds of the likeliest answer in each passage against there being none.

        Raises:
            CancelledError: `cancel` was set.
        """
        read = self._model.token_scores(pairs, cancel=cancel)
        return np.array([[best_log_odds(one)] for one in read], dtype=np.float32).reshape(-1, 1)
