"""Remembers for a moment what was read for a question: it is read before an answer is judged, and then again."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

from llm.types import Cancel
from rag.cross_encoder import PlaceModel, TokenScores
from rag.types import FloatArray
from rag.verify.digests import digest_of

_MOST = 64  # pairs


class RememberedPlaces:
    """A PlaceModel around another one. Thread-safe. Keys are digests and values are numbers: no text is kept."""

    def __init__(self, model: PlaceModel) -> None:
        self.model = model
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, TokenScores] = OrderedDict()  # least recently used first

    def logits(self, pairs: Sequence[tuple[str, str]], *, cancel: Cancel | None = None) -> FloatArray:
        """See `rag.cross_encoder.PairModel`."""
        return self.model.logits(pairs, cancel=cancel)

    def token_scores(self, pairs: Sequence[tuple[str, str]], *, cancel: Cancel | None = None) -> list[TokenScores]:
        """See `rag.cross_encoder.PlaceModel`."""
        keys = [digest_of(*pair) for pair in pairs]
        with self._lock:
            found = {key: self._known[key] for key in keys if key in self._known}
        new = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in found}
        if new:
            found.update(zip(new, self.model.token_scores(list(new.values()), cancel=cancel), strict=True))
        with self._lock:
            for key in keys:
                self._known[key] = found[key]
                self._known.move_to_end(key)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return [found[key] for key in keys]
