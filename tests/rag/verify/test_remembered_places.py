"""What was read for a question is not read again at once."""

from collections.abc import Sequence

import numpy as np

from llm.types import Cancel
from rag.cross_encoder import TokenScores
from rag.types import FloatArray
from rag.verify.remembered_places import RememberedPlaces


class Counting:
    """Numbers what it reads."""

    def __init__(self) -> None:
        self.read: list[tuple[str, str]] = []

    def logits(self, pairs: Sequence[tuple[str, str]], *, cancel: Cancel | None = None) -> FloatArray:
        return np.zeros((len(pairs), 3), dtype=np.float32)

    def token_scores(self, pairs: Sequence[tuple[str, str]], *, cancel: Cancel | None = None) -> list[TokenScores]:
        self.read += pairs
        n = len(self.read)
        empty = np.zeros((0, 2), np.float32)
        return [TokenScores(values=empty, spans=(), nowhere=np.array([n, at], np.float32)) for at in range(len(pairs))]


def test_only_what_is_new_is_read() -> None:
    model = Counting()
    places = RememberedPlaces(model)
    first = places.token_scores([("a", "q"), ("b", "q")])
    again = places.token_scores([("b", "q"), ("c", "q"), ("a", "q")])
    assert model.read == [("a", "q"), ("b", "q"), ("c", "q")]
    assert [again[0], again[2]] == [first[1], first[0]]


def test_the_oldest_are_forgotten() -> None:
    model = Counting()
    places = RememberedPlaces(model)
    for number in range(200):
        places.token_scores([(str(number), "q")])
    places.token_scores([("199", "q")])
    assert len(model.read) == 200
    places.token_scores([("0", "q")])
    assert len(model.read) == 201
    assert len(places._known) <= 64
