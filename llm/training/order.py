"""Which data come when: drawn from the seed and the place alone, so that a resumed run reads on where it was."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def shuffled_batches(n: int, *, n_epochs: int, batch_size: int, seed: int) -> tuple[Sequence[int], ...]:
    """The numbers 0 … n − 1 once an epoch, each epoch shuffled anew, `batch_size` a step; the last may hold fewer."""
    rng = random.Random(seed)
    order: list[int] = []
    for _ in range(n_epochs):
        epoch = list(range(n))
        rng.shuffle(epoch)
        order += epoch
    return tuple(order[start : start + batch_size] for start in range(0, len(order), batch_size))


class SequenceOrder:
    """The same without end and without a list of all epochs: every epoch is a permutation of its own."""

    def __init__(self, *, n_sequences: int, seed: int) -> None:
        self.n_sequences = n_sequences
        self._seed = seed
        self._epoch = -1
        self._drawn: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def at(self, place: int) -> int:
        """The number of the sequence at `place`, from 0."""
        epoch, within = divmod(place, self.n_sequences)
        if epoch != self._epoch:
            self._epoch = epoch
            self._drawn = np.random.default_rng((self._seed, epoch)).permutation(self.n_sequences)
        return int(self._drawn[within])
