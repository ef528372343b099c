import numpy as np
import pytest

from rag.errors import NotFoundError


def test_get_many_keeps_the_order_and_leaves_out_what_is_not_there(bench) -> None:
    bench.ready("alpha beta gamma delta")
    passages = bench.catalog.passages
    assert list(passages.get_many([3, 99, 1, -1, 3])) == [3, 1]
    assert list(passages.get_many(np.array([2, 1], np.int64))) == [2, 1]
    assert passages.get_many([]) == {}
    assert len(passages.get_many(range(2000))) == 3


def test_passages_before_anything_is_ready(bench) -> None:
    document = bench.register("alpha").document
    passages = bench.catalog.passages
    assert passages.of_document(document.document_id) == ()
    assert passages.count() == 0 and passages.ids().tolist() == []
    with pytest.raises(NotFoundError):
        passages.of_document("doc_none")


def test_ids_by_collection_and_document(bench) -> None:
    first = bench.ready("alpha beta gamma", collection="a")
    second = bench.ready("delta epsilon zeta", collection="b")
    passages = bench.catalog.passages
    assert passages.ids().tolist() == [1, 2, 3, 4]
    assert passages.ids("b").tolist() == [3, 4] and passages.ids("b").dtype == np.int64
    assert passages.ids("none").tolist() == []
    assert passages.ids_of_documents([second.document_id, "doc_none", first.document_id]).tolist() == [1, 2, 3, 4]
    assert passages.ids_of_documents([]).tolist() == []
    assert [passage.passage_id for passage in passages.texts(2, 3)] == [2, 3]
    assert passages.count() == 4


def test_neighbours_stay_in_their_document(bench) -> None:
    bench.ready("alpha beta gamma delta")
    bench.ready("other text")
    passages = bench.catalog.passages
    middle = passages.get_many([2])[2]
    following, before = passages.neighbour(middle, 1), passages.neighbour(middle, -1)
    assert following is not None and before is not None
    assert (before.passage_id, following.passage_id) == (1, 3)
    assert passages.neighbour(following, 1) is None
    assert passages.neighbour(before, -1) is None


def test_no_id_is_given_out_twice(bench) -> None:
    document = bench.ready("alpha beta gamma")
    bench.catalog.documents.delete(document.document_id, bench.now)
    again = bench.ready("alpha beta gamma")
    assert bench.catalog.passages.ids().tolist() == [3, 4]
    assert again.document_id != document.document_id


def test_the_change_log_and_snapshots(bench) -> None:
    changes = bench.catalog.changes
    assert changes.last_seq() == 0 and changes.snapshot("dense") is None
    first = bench.ready("alpha beta gamma", collection="a")
    bench.ready("delta", collection="b")
    bench.catalog.documents.delete(first.document_id, bench.now)
    log = changes.since(0, 10)
    assert [(c.seq, c.kind, c.collection, c.first_passage_id, c.last_passage_id) for c in log] == [
        (1, "add", "a", 1, 2),
        (2, "add", "b", 3, 3),
        (3, "remove", "a", 1, 2),
    ]
    assert log[2].document_id == first.document_id and log[2].version == 1
    assert changes.since(1, 1) == log[1:2] and changes.since(3, 9) == ()
    assert changes.last_seq() == 3
    for seq in (2, 3):
        changes.record_snapshot("dense", f"dense-{seq}", "ab" * 32, seq, "stub-4")
    snapshot = changes.snapshot("dense")
    assert snapshot is not None and (snapshot.file_name, snapshot.seq, snapshot.embedder) == ("dense-3", 3, "stub-4")
    assert changes.snapshot("lexical") is None
    changes.forget_snapshot("dense")
    changes.forget_snapshot("dense")
    assert changes.snapshot("dense") is None


def test_a_passage_is_named_after_its_own_version_while_a_newer_one_waits_or_failed(bench) -> None:
    document = bench.ready("alpha beta")
    registration = bench.replace(document.document_id, "gamma", name="other.txt")
    (first, *_) = bench.catalog.passages.of_document(document.document_id)
    assert (first.version, first.document_name) == (1, document.name)
    assert bench.catalog.passages.get_many([first.passage_id])[first.passage_id].document_name == document.name
    assert registration.document.name == "other.txt"
