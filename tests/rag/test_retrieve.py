import threading

import pytest

from rag.errors import InvalidFilterError, InvalidInputError
from rag.retrieve import MAX_QUERY_CHARS, Retriever, Weights

LEAVE = "annual leave is thirty days\nsick leave needs a note\nthe canteen serves soup\ntravel needs receipts"


@pytest.fixture
def indexes(library):
    opened = library.indexes()
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def retriever(library, indexes):
    return Retriever(library.catalog, indexes, library.embedder, Weights(dense=1.0, lexical=1.0, c=60.0))


def search(retriever, query, k=5, collection="default", metadata_filter=None):
    return retriever.search(query, k=k, collection=collection, metadata_filter=metadata_filter).hits


def ids(hits):
    return [hit.passage.passage_id for hit in hits]


def test_a_hit_is_a_stored_passage_with_its_scores_by_source(library, indexes, retriever):
    document = library.add(LEAVE, name="handbook.txt")
    indexes.catch_up()
    retrieved = retriever.search("canteen soup", k=2, collection="default", metadata_filter=None)
    assert retrieved.seconds > 0
    best = retrieved.hits[0]
    assert (best.rank, best.passage.text, best.passage.document_name) == (
        1,
        "the canteen serves soup\n",
        "handbook.txt",
    )
    assert best.passage.document_id == document.document_id
    dense = indexes.dense.search("default", library.embedder.embed_query("canteen soup"), 1)[0]
    lexical = indexes.lexical.search("default", "canteen soup", 1)[0]
    assert (best.scores.dense, best.scores.lexical) == (dense.score, lexical.score)
    assert best.score == best.scores.fused == pytest.approx(2 / 61)
    assert best.scores.rerank is None
    other = retrieved.hits[1]
    assert (other.rank, other.scores.lexical) == (2, None)  # it shares no word with the query


def test_ranks_count_from_one_and_scores_fall(library, indexes, retriever):
    library.add(LEAVE)
    indexes.catch_up()
    hits = search(retriever, "leave days", k=4)
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_k_limits_and_collections_are_apart(library, indexes, retriever):
    library.add(LEAVE)
    library.add("leave elsewhere", collection="other")
    indexes.catch_up()
    assert len(search(retriever, "leave", k=3)) == 3
    assert ids(search(retriever, "leave", k=1000, collection="other")) == [5]
    assert search(retriever, "leave", collection="never named") == ()


@pytest.mark.parametrize("k", [0, -1, 1001, 10_000, True, 2.0, "8", None])
def test_k_out_of_range_is_refused(retriever, k):
    with pytest.raises(InvalidInputError, match="from 1 to 1000"):
        search(retriever, "leave", k=k)


@pytest.mark.parametrize(("query", "said"), [("", "empty"), (" \n", "empty"), ("x" * 100_000, "100000 characters")])
def test_a_query_that_is_none_is_refused(retriever, query, said):
    with pytest.raises(InvalidInputError, match=said):
        search(retriever, query)


def test_the_longest_query_is_searched(library, indexes, retriever):
    library.add(LEAVE)
    indexes.catch_up()
    assert ids(search(retriever, ("soup " * MAX_QUERY_CHARS)[:MAX_QUERY_CHARS], k=1)) == [3]


def test_what_was_committed_before_a_search_is_found_in_both_indexes(library, indexes, retriever):
    library.add(LEAVE)  # nobody has told the indexes
    (hit,) = search(retriever, "soup", k=1)
    assert hit.scores.lexical is not None and hit.scores.dense is not None
    first = library.add("soup again")
    assert len(ids(search(retriever, "soup", k=9))) == 5
    library.delete(first.document_id)
    assert len(ids(search(retriever, "soup", k=9))) == 4


def test_a_search_does_not_wait_long_for_indexes_that_are_kept(library, indexes):
    library.add(LEAVE)
    held, release = threading.Event(), threading.Event()

    def keep() -> None:
        with library.catalog.database.exclusive():
            held.set()
            release.wait(10)

    with indexes._lock:  # a rebuild has it
        assert not indexes.await_changes(0.01)
    assert indexes.await_changes(0.01)
    keeper = threading.Thread(target=keep)
    keeper.start()
    assert held.wait(10)
    assert indexes.await_changes(0.01)  # up to date: nothing is waited for
    release.set()
    keeper.join()


def test_what_the_catalog_has_no_more_is_no_hit(library, indexes, retriever, monkeypatch):
    monkeypatch.setattr(indexes, "await_changes", lambda seconds: False)  # as where something keeps them for longer
    document = library.add(LEAVE)
    library.add("leave that stays")
    indexes.catch_up()
    library.delete(document.document_id)  # the indexes have not heard of it
    assert ids(search(retriever, "leave", k=1)) == [5]


def test_more_is_fetched_where_much_is_gone(library, indexes, retriever, monkeypatch):
    monkeypatch.setattr(indexes, "await_changes", lambda seconds: False)  # as where something keeps them for longer
    document = library.add("\n".join(f"leave leave leave {n}" for n in range(300)))
    library.add("leave that stays although it is the worst of all hits")
    indexes.catch_up()
    library.delete(document.document_id)
    assert ids(search(retriever, "leave leave 5", k=2)) == [301]


def test_a_replaced_version_is_no_hit(library, indexes, retriever, monkeypatch):
    monkeypatch.setattr(indexes, "await_changes", lambda seconds: False)  # as where something keeps them for longer
    document = library.add("annual leave")
    indexes.catch_up()
    library.replace(document.document_id, "soup")
    assert search(retriever, "annual leave") == ()
    indexes.catch_up()
    assert [hit.passage.version for hit in search(retriever, "annual leave")] == [2]


def test_a_filter_limits_the_documents(library, indexes, retriever):
    library.add("annual leave of 2020", metadata={"year": 2020})
    library.add("annual leave of 2021", metadata={"year": 2021, "tags": ["hr"]})
    library.add("travel", metadata={"year": 2021}, name="travel.txt")
    library.add("annual leave", metadata={"year": 2021}, collection="other")
    indexes.catch_up()
    assert ids(search(retriever, "annual leave", metadata_filter={"year": {"$gte": 2021}})) == [2, 3]
    assert ids(search(retriever, "annual leave", metadata_filter={"tags": "hr"})) == [2]
    assert ids(search(retriever, "annual leave", metadata_filter={"document_name": "travel.txt"})) == [3]
    assert search(retriever, "annual leave", metadata_filter={"year": 1999}) == ()
    assert len(search(retriever, "annual leave", metadata_filter={})) == 3
    with pytest.raises(InvalidFilterError):
        search(retriever, "annual leave", metadata_filter={"$where": 1})


def test_a_rare_document_is_found_behind_many_better_ones(library, indexes, retriever):
    """A filter is applied inside the indexes, not to their first hits."""
    library.add("\n".join(f"annual leave {n}" for n in range(300)), metadata={"year": 2020})
    library.add("leave", metadata={"year": 2021})
    indexes.catch_up()
    assert ids(search(retriever, "annual leave", k=3, metadata_filter={"year": 2021})) == [301]


def test_a_document_being_replaced_is_searched_by_its_old_version_with_a_filter(library, indexes, retriever):
    document = library.add("annual leave", metadata={"year": 2020})
    indexes.catch_up()
    staged = library.catalog.files.stage([b"new"], 100)
    library.catalog.documents.replace_content(
        document.document_id, staged, name=None, media_type="text/plain", password=None, now=document.created_at
    )
    assert ids(search(retriever, "leave", metadata_filter={"year": 2020})) == [1]


def test_a_source_without_weight_is_not_asked(library, indexes, monkeypatch):
    library.add(LEAVE)
    indexes.catch_up()
    lexical = Retriever(library.catalog, indexes, library.embedder, Weights(dense=0.0, lexical=1.0))
    with monkeypatch.context() as patch:
        patch.setattr(library.embedder, "embed_query", lambda *_: pytest.fail("it embedded"))
        hits = search(lexical, "soup")
    assert ids(hits) == [3]
    assert hits[0].scores.dense is None
    dense = Retriever(library.catalog, indexes, library.embedder, Weights(dense=1.0, lexical=0.0))
    assert {hit.scores.lexical for hit in search(dense, "soup")} == {None}


@pytest.mark.parametrize(
    "weights",
    [(0.0, 0.0, 60.0), (-1.0, 1.0, 60.0), (float("nan"), 1.0, 60.0), (1.0, float("inf"), 60.0), (1.0, 1.0, -1.0)],
)
def test_weights_that_rank_nothing_are_refused(weights):
    with pytest.raises(ValueError, match="weights and c must be"):
        Weights(dense=weights[0], lexical=weights[1], c=weights[2])
