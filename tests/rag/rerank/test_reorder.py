"""The order of hits, with rerankers whose figures are given."""

import datetime
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.scripted import ScriptedDecoder
from rag.answer import answer_question
from rag.answer_types import AskRequest
from rag.errors import InvalidInputError, NotReadyError
from rag.pipeline import Pipeline
from rag.rerank.fused import FusedReranker
from rag.rerank.reorder import RerankedSearch, Reranker, reorder
from rag.rerank.shipped import Parameters, is_shipped, read_parameters, write_parameters
from rag.rerank.signals import FEATURES, shared_words, signals
from rag.retrieve import Retriever, Weights
from rag.types import FloatArray, Hit, Passage, Scores

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)


class Given:
    """Probabilities from a table by passage id."""

    name = "given"

    def __init__(self, table: dict[int, float], depth: int = 10) -> None:
        self.table, self.depth = table, depth
        self.asked: list[tuple[str, int]] = []

    def score(self, query: str, hits: Sequence[Hit]) -> tuple[float, ...]:
        self.asked.append((query, len(hits)))
        return tuple(self.table.get(hit.passage.passage_id, 0.0) for hit in hits)


class Logits:
    """A PairModel that says what it is told."""

    def __init__(self, *logits: float) -> None:
        self.told = logits
        self.pairs: list[tuple[str, str]] = []

    def logits(self, pairs: Sequence[tuple[str, str]], *, cancel: object = None) -> FloatArray:
        self.pairs = list(pairs)
        return np.array([[one] for one in self.told[: len(pairs)]], dtype=np.float32)


def hit(
    rank: int, text: str = "", *, heading: str | None = None, dense: float | None = None, lexical: float | None = None
) -> Hit:
    passage = Passage(
        passage_id=rank, document_id="d", document_name="d.txt", collection="default", version=1, ordinal=rank,
        text=text, start=0, end=len(text), heading=heading, table_header=None, first_page=None, last_page=None,
        n_tokens=1, continues=False,
    )  # fmt: skip
    fused = 1 / (10 + rank)
    return Hit(
        rank=rank, passage=passage, score=fused, scores=Scores(dense=dense, lexical=lexical, fused=fused)
    )  # fmt: skip


def ids(hits: Sequence[Hit]) -> list[int]:
    return [one.passage.passage_id for one in hits]


def test_the_most_probable_comes_first_and_ties_keep_their_order() -> None:
    hits = [hit(rank) for rank in range(1, 5)]
    found = reorder(Given({1: 0.25, 2: 0.5, 3: 0.25, 4: 0.5}), "q", hits)
    assert ids(found) == [2, 4, 1, 3]
    assert [one.rank for one in found] == [1, 2, 3, 4]
    assert [one.score for one in found] == [one.scores.rerank for one in found] == [0.5, 0.5, 0.25, 0.25]
    assert found[0].scores.fused == hits[1].scores.fused


def test_what_is_not_read_stays_behind_in_its_order() -> None:
    reranker = Given({1: 0.1, 2: 0.4}, depth=2)
    found = reorder(reranker, "q", [hit(rank) for rank in range(1, 5)])
    assert ids(found) == [2, 1, 3, 4] and reranker.asked == [("q", 2)]
    assert [one.scores.rerank for one in found] == [0.4, 0.1, None, None]
    assert found[2].score == pytest.approx(0.1) and found[3].score == pytest.approx(0.1 * 13 / 14)


@given(st.lists(st.floats(0, 1), max_size=6), st.integers(1, 4))
def test_nothing_is_lost_and_scores_fall(probabilities: list[float], depth: int) -> None:
    hits = [hit(rank) for rank in range(1, len(probabilities) + 1)]
    found = reorder(Given(dict(enumerate(probabilities, start=1)), depth), "q", hits)
    assert sorted(ids(found)) == ids(hits)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_a_search_is_deep_enough_for_the_reranker_and_gives_k(library) -> None:
    library.add("leave\nleave\nleave\nthe canteen serves soup")
    indexes = library.indexes()
    indexes.open()
    indexes.catch_up()
    plain = Retriever(library.catalog, indexes, library.embedder, Weights())
    reranker = Given({4: 0.9})
    search = RerankedSearch(plain, reranker)
    assert isinstance(reranker, Reranker)
    found = search.search("leave", k=2, collection="default")
    assert ids(found.hits) == [4, 1] and reranker.asked == [("leave", 4)]
    assert found.seconds > 0
    assert search.search("leave", k=2, collection="empty").hits == ()
    for query, k in (("", 2), ("leave", 0), ("leave", 1001)):
        with pytest.raises(InvalidInputError):
            search.search(query, k=k, collection="default")
    answer = answer_question(
        AskRequest(question="leave?", k=1),
        Pipeline(retriever=plain, decoder=ScriptedDecoder(["The canteen serves soup [1]."]), reranker=reranker),
        answer_id="a", now=NOW,
    )  # fmt: skip
    assert ids(answer.retrieved) == [4] and answer.retrieved[0].scores.rerank == 0.9
    indexes.close()


def test_signals_by_hand() -> None:
    hits = [
        hit(1, "Soup is served daily. Lunch costs six.", dense=0.5, lexical=3.0),
        hit(2, "Lunch soup.", dense=0.7),
        hit(3, "Nothing."),
    ]
    found = signals("Which soup for lunch?", hits, np.log(np.array([1, 2, 1], dtype=np.float32)))
    assert found[:, FEATURES.index("rank")].tolist() == [0, -1, -2]
    assert found[:, FEATURES.index("dense")] == pytest.approx([-0.2, 0, -0.2])  # the third counts as the worst
    assert found[:, FEATURES.index("lexical")].tolist() == [0, 0, 0]
    # Both words stand in two of three hits, and so weigh the same; no sentence of the first holds both.
    assert found[:, FEATURES.index("words")] == pytest.approx([-0.5, 0, -1])
    assert found[:, FEATURES.index("model")] == pytest.approx(np.log([0.25, 0.5, 0.25]))
    assert not signals("soup", hits, None)[:, FEATURES.index("model")].any()


def test_a_rare_word_weighs_more() -> None:
    in_one, in_two, in_three = math.log(4.5 / 1.5), math.log(4.5 / 2.5), math.log(4.5 / 3.5)  # of three texts
    found = shared_words("moon soup", ["the moon", "soup", "soup. soup."])
    assert found == pytest.approx([in_one / (in_one + in_two), *[in_two / (in_one + in_two)] * 2])
    found = shared_words("soup moon", ["soup", "soup", "soup moon"])
    assert found == pytest.approx([*[in_three / (in_three + in_one)] * 2, 1])
    assert shared_words("?", ["soup"]) == shared_words("moon", ["soup"]) == [0.0]


def test_the_fusion_is_a_logistic_function() -> None:
    parameters = Parameters(
        name="r", version="1", base_sha256="0", depth=3, weights={"rank": 0.5, "model": 2.0}, bias=0.25
    )
    model = Logits(0.0, math.log(3))
    hits = [hit(1, "one", heading="A › B"), hit(2, "two")]
    found = FusedReranker(model, parameters).score("which?", hits)
    odds = [2 * math.log(0.25) + 0.25, -0.5 + 2 * math.log(0.75) + 0.25]
    assert found == tuple(round(1 / (1 + math.exp(-one)), 6) for one in odds)
    assert model.pairs == [("A › B\none", "which?"), ("two", "which?")]
    assert FusedReranker(model, parameters).score("which?", []) == ()
    assert len(FusedReranker(model, parameters).score("which?", hits[:1])) == 1


def test_parameters_come_back_as_they_were_written(tmp_path) -> None:
    parameters = Parameters(
        name="r", version="1", base_sha256="0", depth=3, weights={"rank": 0.5}, bias=0.25, measured={"n": 3}
    )
    assert not is_shipped(tmp_path)
    with pytest.raises(NotReadyError, match="missing"):
        read_parameters(tmp_path)
    write_parameters(parameters, tmp_path)
    assert is_shipped(tmp_path) and read_parameters(tmp_path) == parameters
    (tmp_path / "reranker.json").write_text('{"name": "r"}')
    with pytest.raises(NotReadyError, match="another version"):
        read_parameters(tmp_path)
