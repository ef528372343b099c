"""What the catalog has for the indexes, in pieces that fit into memory."""

from collections.abc import Iterator, Sequence

import numpy as np

from rag.catalog.catalog import Catalog
from rag.catalog.changes import Change
from rag.index.protocol import StoredVectors
from rag.passage_text import embedding_text
from rag.types import IdArray, Passage

PASSAGES_AT_ONCE = 2048  # 3 MiB of vectors of length 384

Texts = list[tuple[int, str]]  # passage ids with what is searched by words: heading, table header and text


def removed_ids(changes: Sequence[Change]) -> IdArray:
    """Every id that the changes remove, ascending."""
    parts = [
        np.arange(change.first_passage_id, change.last_passage_id + 1) for change in changes if change.kind == "remove"
    ]
    return np.unique(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.int64)


def added_vectors(catalog: Catalog, changes: Sequence[Change]) -> Iterator[StoredVectors]:
    """The vectors of what the changes add and the catalog still has; those of small documents together."""
    waiting: list[StoredVectors] = []
    for collection, first, last in _added(changes):
        ids, vectors = catalog.passages.vectors(first, last)
        if not len(ids):
            continue
        n_waiting = sum(len(part.passage_ids) for part in waiting)
        if waiting and (waiting[0].collection != collection or n_waiting + len(ids) > PASSAGES_AT_ONCE):
            yield _together(waiting)
            waiting = []
        waiting.append(StoredVectors(collection, ids, vectors))
    if waiting:
        yield _together(waiting)


def added_texts(catalog: Catalog, changes: Sequence[Change]) -> Iterator[tuple[str, Texts]]:
    """Collections and the texts of what the changes add to them and the catalog still has."""
    for collection, first, last in _added(changes):
        yield collection, _texts(catalog.passages.texts(first, last))


def stored_vectors(catalog: Catalog) -> Iterator[StoredVectors]:
    """All vectors."""
    members = {collection.name: catalog.passages.ids(collection.name) for collection in catalog.documents.collections()}
    for first, last in _windows(catalog.passages.ids()):
        ids, vectors = catalog.passages.vectors(first, last)
        for collection, held in members.items():
            mine = np.isin(ids, held[np.searchsorted(held, first) : np.searchsorted(held, last, side="right")])
            if mine.any():
                yield StoredVectors(collection, ids[mine], vectors[mine])


def stored_texts(catalog: Catalog) -> Iterator[tuple[str, Texts]]:
    """All texts with their collections."""
    for first, last in _windows(catalog.passages.ids()):
        by_collection: dict[str, list[Passage]] = {}
        for passage in catalog.passages.texts(first, last):
            by_collection.setdefault(passage.collection, []).append(passage)
        for collection, passages in by_collection.items():
            yield collection, _texts(passages)


def _texts(passages: Sequence[Passage]) -> Texts:
    return [(passage.passage_id, embedding_text(passage)) for passage in passages]


def _added(changes: Sequence[Change]) -> Iterator[tuple[str, int, int]]:
    """Collection, first and last id, both included, of what the changes add."""
    for change in changes:
        if change.kind == "add":
            for first in range(change.first_passage_id, change.last_passage_id + 1, PASSAGES_AT_ONCE):
                yield change.collection, first, min(first + PASSAGES_AT_ONCE - 1, change.last_passage_id)


def _windows(ids: IdArray) -> Iterator[tuple[int, int]]:
    """First and last of so many of the ascending `ids` at a time."""
    for start in range(0, len(ids), PASSAGES_AT_ONCE):
        part = ids[start : start + PASSAGES_AT_ONCE]
        yield int(part[0]), int(part[-1])


def _together(parts: Sequence[StoredVectors]) -> StoredVectors:
    return StoredVectors(
        parts[0].collection,
        np.concatenate([part.passage_ids for part in parts]),
        np.concatenate([part.vectors for part in parts]),
    )
