"""How far ahead ingest may work."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far ahead the work may run, which is also what memory it holds."""

    n_readers: int = 2  # files parsed at once
    max_documents: int = 64  # claimed and not yet published
    max_chars: int = 4_000_000  # of parsed text not yet published; one document more may pass it for each reader
    slice_tokens: int = 16_384  # of passages in one call of the embedder
    snapshot_documents: int = 2_000  # published between two snapshots of the indexes

    def __post_init__(self) -> None:
        """Refuse a bound that would stop everything."""
        for name in self.__slots__:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
