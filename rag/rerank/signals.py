"""What is known of each hit beside its fellows: the search's own scores, shared words, and what a model read.

All but the rank are differences to the best of the list, since none of these scores means the same for two queries.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rag.passage_text import embedding_text
from rag.text import content_words, split_sentences
from rag.types import FloatArray, Hit

Array = npt.NDArray[np.float64]

FEATURES = ("rank", "dense", "lexical", "words", "model")


def signals(query: str, hits: Sequence[Hit], logits: FloatArray | None) -> Array:
    """float64[n, len(FEATURES)], none above 0.

    rank: 1 − the place in the list. dense, lexical: the score less the best one; a hit that a source did not find
    counts as its worst one in the list. words: the weight of the query's words in the hit's best sentence, as a share
    of all that stand in the list, less the best share; a word weighs ln((n + 3/2) / (n_with + 1/2)) for the hits that
    hold it. model: the natural logarithm of the softmax of the logits over the list; 0 without logits.

    Args:
        query: what is asked.
        hits: best first.
        logits: float32[n], of a model that read each; None: nothing was read.
    """
    found = np.zeros((len(hits), len(FEATURES)))
    if not hits:
        return found
    found[:, 0] = -np.arange(len(hits))
    found[:, 1] = _below_best([hit.scores.dense for hit in hits])
    found[:, 2] = _below_best([hit.scores.lexical for hit in hits])
    found[:, 3] = _below_best(shared_words(query, [embedding_text(hit.passage) for hit in hits]))
    if logits is not None:
        plain = np.asarray(logits, dtype=np.float64)
        found[:, 4] = plain - np.logaddexp.reduce(plain)
    return found


def shared_words(query: str, texts: Sequence[str]) -> list[float]:
    """For each text the share, by weight, of the query's words that its best sentence holds; 0..1."""
    asked = set(content_words(query))
    sentences = [
        [asked.intersection(content_words(span.cut(text))) for span in split_sentences(text)] for text in texts
    ]
    n_with = {word: sum(any(word in one for one in held) for held in sentences) for word in asked}
    weights = {word: math.log((len(texts) + 1.5) / (n + 0.5)) for word, n in n_with.items() if n}
    total = math.fsum(weights.values())
    if not total:
        return [0.0] * len(texts)
    return [max((math.fsum(weights[word] for word in one) for one in held), default=0.0) / total for held in sentences]


def _below_best(scores: Sequence[float | None]) -> Array:
    """Each score less the best; one that is missing is the worst of those that are there."""
    known = [score for score in scores if score is not None]
    if not known:
        return np.zeros(len(scores))
    worst = min(known)
    return np.array([worst if score is None else score for score in scores]) - max(known)
