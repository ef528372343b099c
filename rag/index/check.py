"""Compares the indexes with the catalog, id by id."""

from dataclasses import dataclass

import numpy as np

from rag.catalog.catalog import Catalog
from rag.index.protocol import PassageIndex, TextIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexCheck:
    """How the indexes compare with the catalog; ids ascending, and all empty where everything agrees."""

    n_passages: int  # in the catalog
    n_dense: int
    n_lexical: int
    dense_missing: tuple[int, ...]
    dense_extra: tuple[int, ...]
    lexical_missing: tuple[int, ...]
    lexical_extra: tuple[int, ...]
    problems: tuple[str, ...]  # one sentence each, those of the sets above included

    @property
    def agrees(self) -> bool:
        """Whether the indexes hold exactly what the catalog does."""
        return not self.problems


def compare(catalog: Catalog, dense: PassageIndex, lexical: TextIndex, problems: tuple[str, ...] = ()) -> IndexCheck:
    """The ids of both indexes against the catalog's; `problems` known already are passed on."""
    wanted, in_dense, in_lexical = catalog.passages.ids(), dense.passage_ids(), lexical.passage_ids()
    differences = {
        "are missing from the dense index": np.setdiff1d(wanted, in_dense),
        "are in the dense index but not in the catalog": np.setdiff1d(in_dense, wanted),
        "are missing from the lexical index": np.setdiff1d(wanted, in_lexical),
        "are in the lexical index but not in the catalog": np.setdiff1d(in_lexical, wanted),
    }
    found = [f"{len(ids)} passages {what}; run citebound reindex" for what, ids in differences.items() if len(ids)]
    dense_missing, dense_extra, lexical_missing, lexical_extra = (tuple(ids.tolist()) for ids in differences.values())
    return IndexCheck(
        n_passages=len(wanted),
        n_dense=len(in_dense),
        n_lexical=len(in_lexical),
        dense_missing=dense_missing,
        dense_extra=dense_extra,
        lexical_missing=lexical_missing,
        lexical_extra=lexical_extra,
        problems=(*found, *problems),
    )
