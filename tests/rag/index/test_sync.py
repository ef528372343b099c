import threading

import numpy as np
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.errors import IndexMismatchError
from rag.index import source
from rag.index.faiss import FaissIndex
from rag.index.sync import SNAPSHOT_NAME


@pytest.fixture
def indexes(library):
    opened = library.indexes()
    opened.open()
    yield opened
    opened.close()


def everything(indexes, library, collection="default"):
    """What both indexes find for anything, scores included."""
    query = "leave travel soup receipts canary"
    return (
        indexes.dense.search(collection, library.embedder.embed_query(query), 1000),
        indexes.lexical.search(collection, query, 1000),
    )


def files_hold(library, word: str) -> bool:
    return any(word.encode() in path.read_bytes() for path in library.folder.iterdir())


def test_catching_up_follows_additions_replacements_and_deletions(library, indexes):
    first = library.add("annual leave\nsick leave")
    second = library.add("travel receipts", collection="other")
    assert indexes.catch_up() == 2
    assert indexes.catch_up() == 0
    assert indexes.dense.passage_ids().tolist() == indexes.lexical.passage_ids().tolist() == [1, 2, 3]
    library.replace(first.document_id, "soup")
    library.delete(second.document_id)
    assert indexes.catch_up() == 3  # the old passages go, the new ones come, the other document goes
    assert indexes.dense.passage_ids().tolist() == indexes.lexical.passage_ids().tolist() == [4]
    assert [hit.passage_id for hit in indexes.lexical.search("default", "soup", 5)] == [4]
    assert indexes.check().agrees


def test_headings_are_searched_by_word(library, indexes):
    library.add("annual leave\nsick leave")
    indexes.catch_up()
    assert [hit.passage_id for hit in indexes.lexical.search("default", "chapter 1", 1)] == [2]


def test_additions_that_are_gone_already_are_skipped(library, indexes):
    document = library.add("annual leave")
    library.delete(document.document_id)
    kept = library.add("travel")
    assert indexes.catch_up() == 3
    assert indexes.dense.passage_ids().tolist() == [2]
    assert indexes.lexical.passage_ids().tolist() == [2]
    assert kept.n_passages == 1


def test_a_restart_finds_the_same(library, indexes):
    library.add("annual leave\nsick leave\ntravel")
    library.add("receipts and soup", collection="other")
    indexes.catch_up()
    before = everything(indexes, library), everything(indexes, library, "other")
    assert indexes.snapshot()
    assert not indexes.snapshot()  # it holds everything already
    late = library.add("more leave after the snapshot")
    again = library.indexes()
    again.open()
    assert len(again.dense.passage_ids()) == 5
    library.delete(late.document_id)
    again.catch_up()
    assert (everything(again, library), everything(again, library, "other")) == before
    assert again.check().agrees
    again.close()


def test_the_snapshot_is_used_when_it_can_be(library, indexes, monkeypatch):
    library.add("annual leave\nsick leave")
    indexes.snapshot()
    read = []
    monkeypatch.setattr(
        FaissIndex,
        "read_snapshot",
        lambda self, path, original=FaissIndex.read_snapshot: read.append(path.name) or original(self, path),
    )
    again = library.indexes()
    with structlog.testing.capture_logs() as logs:
        again.open()
    assert read == [SNAPSHOT_NAME]
    assert [entry for entry in logs if entry["log_level"] == "warning"] == []
    assert again.check().agrees
    again.close()


def broken_byte(library):
    path = library.folder / SNAPSHOT_NAME
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def missing(library):
    (library.folder / SNAPSHOT_NAME).unlink()


def valid_but_not_ours(library):
    index = FaissIndex(64)
    index.add("default", np.array([77]), np.eye(1, 64, dtype=np.float32))
    index.write_snapshot(library.folder / SNAPSHOT_NAME)


def of_the_future(library):
    snapshot = library.catalog.changes.snapshot("dense")
    library.catalog.changes.record_snapshot("dense", snapshot.file_name, snapshot.sha256, 999, snapshot.embedder)


def of_another_embedder(library):
    snapshot = library.catalog.changes.snapshot("dense")
    library.catalog.changes.record_snapshot("dense", snapshot.file_name, snapshot.sha256, snapshot.seq, "other")


def elsewhere(library):
    snapshot = library.catalog.changes.snapshot("dense")
    library.catalog.changes.record_snapshot(
        "dense", "../../etc/passwd", snapshot.sha256, snapshot.seq, snapshot.embedder
    )


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (broken_byte, "not the one that was written"),
        (missing, "missing"),
        (valid_but_not_ours, "not the one that was written"),
        (of_the_future, "does not know"),
        (of_another_embedder, "another embedder"),
        (elsewhere, "missing"),
    ],
)
def test_a_snapshot_that_cannot_be_trusted_is_never_parsed(library, indexes, damage, reason, monkeypatch):
    library.add("annual leave\nsick leave")
    indexes.snapshot()
    before = everything(indexes, library)
    damage(library)
    monkeypatch.setattr(FaissIndex, "read_snapshot", lambda self, path: pytest.fail("it was parsed"))
    again = library.indexes()
    with structlog.testing.capture_logs() as logs:
        again.open()
    assert [reason in entry["reason"] for entry in logs if entry["event"] == "dense_snapshot_not_used"] == [True]
    assert everything(again, library) == before
    assert library.catalog.changes.snapshot("dense") is None
    assert not (library.folder / SNAPSHOT_NAME).exists()
    again.close()


def test_a_snapshot_whose_hash_is_right_and_content_wrong_is_not_used(library, indexes):
    library.add("annual leave")
    indexes.snapshot()
    index = FaissIndex(32)
    digest = index.write_snapshot(library.folder / SNAPSHOT_NAME)
    library.catalog.changes.record_snapshot("dense", SNAPSHOT_NAME, digest, 1, library.embedder.name)
    again = library.indexes()
    again.open()
    assert again.check().agrees
    again.close()


def test_removal_forgets_the_snapshot_and_the_next_one_lacks_the_vectors(library, indexes):
    gone = library.add("annual canary leave")
    library.add("travel")
    indexes.snapshot()
    vector = library.catalog.passages.vectors(1, 1)[1].tobytes()
    path = library.folder / SNAPSHOT_NAME
    assert vector in path.read_bytes()
    library.delete(gone.document_id)
    indexes.catch_up()
    assert not path.exists()
    assert library.catalog.changes.snapshot("dense") is None
    assert not files_hold(library, "canari")  # the stem
    assert indexes.snapshot()
    assert vector not in path.read_bytes()


def test_a_removal_replayed_at_the_start_forgets_the_snapshot_too(library, indexes):
    gone = library.add("annual canary leave")
    indexes.snapshot()
    vector = library.catalog.passages.vectors(1, 1)[1].tobytes()
    library.delete(gone.document_id)  # and then the process ends before it catches up
    again = library.indexes()
    again.open()
    assert not any(vector in path.read_bytes() for path in library.folder.iterdir())
    assert not files_hold(library, "canari")
    again.close()


def test_half_written_snapshots_are_swept_at_the_start(library):
    leftover = library.folder / f".{SNAPSHOT_NAME}.0123456789abcdef.tmp"
    leftover.write_bytes(b"vectors")
    again = library.indexes()
    again.open()
    assert not leftover.exists()
    again.close()


def test_a_lost_lexical_file_is_replayed_and_one_from_the_future_rebuilt(library):
    indexes = library.indexes()
    indexes.open()
    library.add("annual leave\nsick leave")
    library.add("travel", collection="other")
    indexes.catch_up()
    before = everything(indexes, library)
    indexes.close()
    for path in library.folder.glob("lexical*"):
        path.unlink()
    again = library.indexes()
    again.open()
    assert everything(again, library) == before
    with again._lexical.batch(seq=999):
        again._lexical.add("default", [(500, "leave from elsewhere")])
    again.close()
    third = library.indexes()
    third.open()
    assert everything(third, library) == before
    assert third._lexical.seq() == library.catalog.changes.last_seq()
    third.close()


def test_check_names_what_is_missing_and_extra_and_a_start_repairs_it(library, indexes):
    library.add("annual leave\nsick leave\ntravel")
    indexes.catch_up()
    indexes._dense.remove(np.array([1]))
    indexes._dense.add("default", np.array([900]), np.eye(1, 64, dtype=np.float32))
    indexes._lexical.remove(np.array([2, 3]))
    indexes._lexical.add("default", [(901, "words")])
    check = indexes.check()
    assert (check.n_passages, check.n_dense, check.n_lexical) == (3, 3, 2)
    assert (check.dense_missing, check.dense_extra) == ((1,), (900,))
    assert (check.lexical_missing, check.lexical_extra) == ((2, 3), (901,))
    assert len(check.problems) == 4
    assert not check.agrees
    indexes.snapshot()
    again = library.indexes()
    with structlog.testing.capture_logs() as logs:
        again.open()
    assert {"dense_index_rebuilt", "lexical_index_rebuilt"} <= {entry["event"] for entry in logs}
    assert again.check().agrees
    again.close()


def test_rebuilding_repairs_and_embeds_nothing(library, indexes, monkeypatch):
    library.add("annual leave\nsick leave")
    library.add("travel", collection="other")
    indexes.catch_up()
    before = everything(indexes, library), everything(indexes, library, "other")
    indexes._dense.remove(np.array([1]))
    indexes._lexical.add("other", [(901, "words")])
    monkeypatch.setattr(library.embedder, "embed_passages", lambda *_: pytest.fail("it embedded"))
    indexes.rebuild()
    assert (everything(indexes, library), everything(indexes, library, "other")) == before
    assert indexes.check().agrees


def test_small_pieces_make_no_difference(library, indexes, monkeypatch):
    monkeypatch.setattr(source, "PASSAGES_AT_ONCE", 2)
    library.add("annual leave\nsick leave\ntravel\nsoup\nreceipts")
    library.add("leave", collection="other")
    library.add("more travel\nmore soup")
    indexes.catch_up()
    assert indexes.check().agrees
    before = everything(indexes, library), everything(indexes, library, "other")
    indexes.rebuild()
    assert (everything(indexes, library), everything(indexes, library, "other")) == before


def test_another_embedder_is_a_mismatch_only_while_there_are_vectors(library):
    document = library.add("annual leave")
    other = library.indexes("another-64")
    for call in (other.open, other.rebuild):
        with pytest.raises(IndexMismatchError, match="made by hashing-64, the settings ask for another-64; run citeb"):
            call()
    library.delete(document.document_id)
    other.open()
    other.close()


def test_vectors_of_another_length_are_a_mismatch(library, indexes):
    library.add("annual leave")
    library.embedder._dimension = 32
    other = library.indexes("hashing-64")
    with pytest.raises(IndexMismatchError, match="citebound reindex"):
        other.open()


def test_catching_up_inside_a_write_is_a_mistake(library, indexes):
    with library.catalog.database.write(), pytest.raises(RuntimeError, match="after the write"):
        indexes.catch_up()


def test_a_failed_change_is_tried_again(library, indexes, monkeypatch):
    library.add("annual leave")
    with monkeypatch.context() as patch:
        patch.setattr(indexes._lexical, "add", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            indexes.catch_up()
    assert indexes.catch_up() == 1
    assert indexes.check().agrees


def test_many_threads_catch_up_while_others_search(library, indexes):
    failures: list[BaseException] = []
    done = threading.Event()

    def guarded(action):
        def run():
            try:
                while not done.is_set():
                    action()
            except BaseException as error:
                failures.append(error)

        return run

    threads = [
        threading.Thread(target=guarded(action))
        for action in (
            indexes.catch_up,
            indexes.catch_up,
            indexes.snapshot,
            lambda: everything(indexes, library),
            lambda: everything(indexes, library),
            lambda: indexes.check().agrees or pytest.fail("they disagree"),
        )
    ]
    for thread in threads:
        thread.start()
    documents = []
    for number in range(25):
        documents.append(library.add(f"annual leave {number}\ntravel {number}"))
        if number % 3 == 2:
            library.delete(documents.pop(0).document_id)
            indexes.catch_up()
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    indexes.catch_up()
    assert indexes.check().agrees


@given(
    st.lists(st.sampled_from(["add", "replace", "delete", "catch_up", "snapshot", "restart", "rebuild"]), max_size=14)
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_history_equals_a_fresh_build(make_library, steps):
    make_library.counter = getattr(make_library, "counter", 0) + 1
    library = make_library(f"history{make_library.counter}")
    indexes = library.indexes()
    indexes.open()
    documents: list[str] = []
    for number, step in enumerate(steps):
        if step == "add":
            documents.append(library.add(f"annual leave {number}\ntravel", collection="ab"[number % 2]).document_id)
        elif step == "replace" and documents:
            library.replace(documents[0], f"soup {number}")
        elif step == "delete" and documents:
            library.delete(documents.pop(0))
        elif step == "restart":
            indexes.close()
            indexes = library.indexes()
            indexes.open()
        elif step in ("catch_up", "snapshot", "rebuild"):
            getattr(indexes, step)()
    indexes.catch_up()
    assert indexes.check().agrees
    found = everything(indexes, library, "a"), everything(indexes, library, "b")
    indexes.rebuild()
    assert (everything(indexes, library, "a"), everything(indexes, library, "b")) == found
    indexes.close()
