import threading

import numpy as np
import pytest

from rag.catalog.documents import Registration
from rag.catalog.events import DocumentEvent
from rag.errors import (
    ConflictError,
    DuplicateError,
    IndexMismatchError,
    InvalidInputError,
    NoPagesError,
    NotFoundError,
)
from rag.types import Failure, Page, PageReceipt, Receipt

FAILURE = Failure(code="corrupt", message="the file is damaged; send it again", page=3)


def fail(bench, failure=FAILURE, receipt=None) -> str:
    job = bench.catalog.jobs.claim(bench.now)
    assert bench.catalog.documents.fail(job.job_id, job.document_id, failure, receipt, bench.now)
    return job.document_id


def test_an_upload_is_a_file_a_row_and_a_job(bench) -> None:
    registration = bench.register("alpha", name="Ａ\u0301.txt", metadata={"year": 2026, "tags": ["x"]}, password="pw")
    document = registration.document
    assert document == bench.catalog.documents.get(document.document_id)
    assert (document.name, document.collection, document.version, document.live_version) == (
        "Ａ\u0301.txt",
        "default",
        1,
        None,
    )
    assert (document.status, document.progress, document.n_passages, document.n_pages) == ("queued", 0.0, 0, None)
    assert document.metadata == {"year": 2026, "tags": ["x"]}
    assert document.created_at == document.updated_at and document.created_at.tzinfo is not None
    assert bench.catalog.files.path(document.document_id, 1).read_bytes() == b"alpha"
    assert bench.catalog.files.password(document.document_id, 1) == "pw"
    job = bench.catalog.jobs.get(registration.job_id)
    assert (job.kind, job.status, job.document_id) == ("ingest", "queued", document.document_id)


def test_a_duplicate_is_skipped_refused_or_replaces(bench) -> None:
    first = bench.register("alpha").document
    again = bench.register("alpha", name="b.txt")
    assert again == Registration(document=first, job_id=None, duplicate_of=first.document_id)
    with pytest.raises(DuplicateError) as caught:
        bench.register("alpha", on_duplicate="error")
    assert caught.value.document_id == first.document_id
    replaced = bench.register("alpha", name="c.txt", on_duplicate="replace")
    assert replaced.duplicate_of is None and replaced.job_id is not None
    assert (replaced.document.document_id, replaced.document.version, replaced.document.name) == (
        first.document_id,
        2,
        "c.txt",
    )
    assert bench.catalog.documents.list()[2] == 1


def test_the_same_bytes_in_another_collection_are_no_duplicate(bench) -> None:
    first = bench.register("alpha").document
    second = bench.register("alpha", collection="other")
    assert second.document.document_id != first.document_id and second.job_id is not None


def test_the_staged_file_is_used_up_whatever_comes(bench, tmp_path) -> None:
    bench.register("alpha")
    bench.register("alpha")
    for changes in ({"on_duplicate": "error"}, {"name": ""}, {"metadata": {"x": float("nan")}}):
        with pytest.raises((DuplicateError, InvalidInputError)):
            bench.register("alpha", **changes)
    with pytest.raises(NotFoundError):
        bench.replace("doc_none", "beta")
    assert list((tmp_path / "incoming").iterdir()) == []


@pytest.mark.parametrize("on_duplicate", ["skip", "error"])
@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_bytes_that_failed_before_are_tried_again(bench, on_duplicate: str, end: str) -> None:
    first = bench.register("locked").document
    if end == "failed":
        fail(bench, Failure(code="encrypted", message="the file needs a password; send it with the file"))
    else:
        bench.catalog.documents.cancel(first.document_id, bench.now)
    again = bench.register("locked", name="new.txt", password="pw", on_duplicate=on_duplicate)
    assert (again.document.document_id, again.document.version, again.document.status) == (
        first.document_id,
        1,
        "queued",
    )
    assert again.document.error is None and again.document.name == "new.txt" and again.duplicate_of is None
    assert bench.catalog.files.password(first.document_id, 1) == "pw"
    assert bench.publish("text of it").status == "ready"
    assert bench.register("locked").duplicate_of == first.document_id


def test_trying_again_without_a_password_keeps_the_old_one(bench) -> None:
    first = bench.register("locked", password="pw").document
    fail(bench)
    bench.register("locked")
    assert bench.catalog.files.password(first.document_id, 1) == "pw"


def test_bytes_that_are_searched_are_a_duplicate_even_when_their_replacement_failed(bench) -> None:
    document = bench.ready("alpha beta")
    bench.replace(document.document_id, "broken")
    fail(bench)
    assert bench.register("alpha beta").duplicate_of == document.document_id


def test_the_same_bytes_at_once_become_one_document(bench) -> None:
    registrations: list[Registration] = []
    barrier = threading.Barrier(4)
    staged = [bench.stage("alpha") for _ in range(4)]

    def upload(mine) -> None:
        barrier.wait()
        registrations.append(
            bench.catalog.documents.register(
                mine,
                name="a",
                collection="c",
                media_type="text/plain",
                metadata={},
                password=None,
                on_duplicate="skip",
                now=bench.now,
            )
        )

    threads = [threading.Thread(target=upload, args=(mine,)) for mine in staged]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({registration.document.document_id for registration in registrations}) == 1
    assert sorted(registration.job_id is None for registration in registrations) == [False, True, True, True]
    assert bench.catalog.documents.list()[2] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "  "},
        {"name": "a\nb"},
        {"name": "a\0b"},
        {"name": "\ud800"},
        {"name": "x" * 513},
        {"collection": ""},
        {"collection": "a\tb"},
        {"collection": "x" * 129},
        {"metadata": {"x": float("inf")}},
        {"metadata": {"x": object()}},
        {"metadata": {"x": "a\0b"}},
        {"metadata": {"x": "y" * 70_000}},
        {"metadata": ["x"]},
        {"metadata": {"x": "\ud800"}},
    ],
)
def test_what_cannot_be_stored_is_refused(bench, changes) -> None:
    with pytest.raises(InvalidInputError):
        bench.register("alpha", **changes)
    assert bench.catalog.documents.list() == ((), None, 0)


def test_a_published_version_is_searched_and_read(bench) -> None:
    content = "alpha beta γάμμα 😀 delta"
    boxes = np.arange(11 * 4, dtype=np.uint16).reshape(11, 4)
    pages = (
        Page(number=1, start=0, end=11, width=595.0, height=842.0, char_boxes=boxes),
        Page(number=2, start=11, end=len(content)),
    )
    bench.register("raw bytes")
    document = bench.publish(content, pages)
    documents, passages = bench.catalog.documents, bench.catalog.passages
    assert (document.status, document.progress, document.live_version) == ("ready", 1.0, 1)
    assert (document.n_pages, document.n_passages) == (2, 3)
    assert documents.text(document.document_id) == documents.text(document.document_id, 1) == content
    assert [(page.number, page.start, page.end) for page in documents.pages(document.document_id)] == [
        (1, 0, 11),
        (2, 11, len(content)),
    ]
    page, text = documents.page(document.document_id, 2)
    assert (page.number, text) == (2, content[11:])
    stored = documents.char_boxes(document.document_id, 1, 1)
    assert stored is not None and stored.dtype == np.uint16 and np.array_equal(stored, boxes)
    assert documents.char_boxes(document.document_id, 1, 2) is None
    assert documents.char_boxes(document.document_id, 1, 3) is None
    found = passages.of_document(document.document_id)
    assert [passage.text for passage in found] == [content[i : i + 10] for i in range(0, len(content), 10)]
    assert all(passage.text == content[passage.start : passage.end] for passage in found)
    assert found[1].document_name == "a.txt" and found[1].heading == "Part 1" and found[1].continues
    assert found == passages.of_document(document.document_id, 1)


def test_vectors_come_back_as_they_were(bench) -> None:
    bench.ready("alpha beta gamma delta", name="1")
    bench.ready("epsilon zeta eta theta", name="2")
    ids, vectors = bench.catalog.passages.vectors(2, 5)
    assert ids.tolist() == [2, 3, 4, 5] and ids.dtype == np.int64
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, np.concatenate([bench.vectors(3), bench.vectors(3)])[1:5])
    ids, vectors = bench.catalog.passages.vectors(90, 99)
    assert ids.shape == (0,) and vectors.shape == (0, 0)


def test_a_replacement_takes_the_place_of_the_old_version_at_once(bench) -> None:
    document = bench.ready("alpha beta gamma")
    old = bench.catalog.passages.of_document(document.document_id)
    bench.replace(document.document_id, "new bytes", name="b.txt")
    waiting = bench.catalog.documents.get(document.document_id)
    assert (waiting.version, waiting.live_version, waiting.status, waiting.name) == (2, 1, "queued", "b.txt")
    assert len(bench.catalog.passages.get_many([passage.passage_id for passage in old])) == 2
    ready = bench.publish("one two three four")
    assert (ready.version, ready.live_version, ready.n_passages) == (2, 2, 2)
    assert bench.catalog.passages.get_many([passage.passage_id for passage in old]) == {}
    new = bench.catalog.passages.of_document(document.document_id)
    assert min(p.passage_id for p in new) > max(p.passage_id for p in old)
    # the old version's text and bytes stay, its passages do not
    assert bench.catalog.documents.text(document.document_id, 1) == "alpha beta gamma"
    assert bench.catalog.documents.text(document.document_id) == "one two three four"
    assert bench.catalog.files.path(document.document_id, 1).read_bytes() == b"alpha beta gamma"
    with pytest.raises(NotFoundError):
        bench.catalog.passages.of_document(document.document_id, 1)
    assert [(c.kind, c.version, c.first_passage_id, c.last_passage_id) for c in bench.catalog.changes.since(0, 9)] == [
        ("add", 1, 1, 2),
        ("remove", 1, 1, 2),
        ("add", 2, 3, 4),
    ]


def test_a_failed_replacement_leaves_the_old_version_searched(bench) -> None:
    document = bench.ready("alpha beta gamma")
    bench.replace(document.document_id, "broken")
    fail(bench)
    failed = bench.catalog.documents.get(document.document_id)
    assert (failed.status, failed.version, failed.live_version, failed.n_passages) == ("failed", 2, 1, 2)
    assert failed.error is not None and "version 1 is still the one that is searched" in failed.error.message
    assert (failed.error.code, failed.error.page) == ("corrupt", 3)
    assert len(bench.catalog.passages.of_document(document.document_id)) == 2
    assert bench.catalog.documents.text(document.document_id) == "alpha beta gamma"
    with pytest.raises(NotFoundError, match="no text"):
        bench.catalog.documents.text(document.document_id, 2)


def test_a_failure_keeps_its_receipt(bench) -> None:
    bench.register("scan")
    receipt = Receipt(pages=(PageReceipt(page=1, n_chars=0, flags=("image_only",)),), warnings=("no text",))
    document_id = fail(bench, Failure(code="no_text", message="no text came; send a file with text"), receipt)
    document = bench.catalog.documents.get(document_id)
    assert document.receipt == receipt
    assert document.error == Failure(code="no_text", message="no text came; send a file with text")
    retried = bench.catalog.documents.retry(document_id, bench.now)
    assert (retried.document.status, retried.document.error, retried.document.receipt) == ("queued", None, None)
    assert bench.publish("now it has").status == "ready"


@pytest.mark.parametrize("how", ["cancel", "delete", "replace"])
def test_work_that_was_overtaken_is_not_published(bench, how: str) -> None:
    document = bench.register("alpha").document
    job = bench.catalog.jobs.claim(bench.now)
    bench.catalog.documents.set_status(document.document_id, "embedding", 0.5, bench.now)
    if how == "cancel":
        bench.catalog.documents.cancel(document.document_id, bench.now)
    elif how == "delete":
        bench.catalog.documents.delete(document.document_id, bench.now)
    else:
        bench.replace(document.document_id, "beta")
    assert bench.catalog.jobs.cancelled(job.job_id)
    with pytest.raises(ConflictError):
        bench.catalog.documents.publish(
            job.job_id,
            document.document_id,
            1,
            bench.parsed("alpha"),
            bench.passages("alpha"),
            bench.vectors(1),
            bench.embedder,
            bench.now,
        )
    assert not bench.catalog.documents.fail(job.job_id, document.document_id, FAILURE, None, bench.now)
    assert bench.catalog.passages.count() == 0 and bench.catalog.changes.last_seq() == 0
    if how != "replace":
        assert not bench.catalog.documents.set_status(document.document_id, "embedding", 0.9, bench.now)
    if how == "cancel":
        assert bench.catalog.documents.get(document.document_id).status == "cancelled"


def test_a_cancelled_replacement_leaves_the_old_version_searched(bench) -> None:
    document = bench.ready("alpha beta gamma")
    bench.replace(document.document_id, "beta")
    cancelled = bench.catalog.documents.cancel(document.document_id, bench.now)
    assert (cancelled.status, cancelled.live_version) == ("cancelled", 1)
    assert len(bench.catalog.passages.of_document(document.document_id)) == 2
    assert bench.catalog.jobs.claim(bench.now) is None


def test_states_forbid(bench) -> None:
    document = bench.ready("alpha")
    with pytest.raises(ConflictError, match="ready"):
        bench.catalog.documents.cancel(document.document_id, bench.now)
    with pytest.raises(ConflictError, match="ready"):
        bench.catalog.documents.retry(document.document_id, bench.now)
    for call in (bench.catalog.documents.cancel, bench.catalog.documents.retry, bench.catalog.documents.delete):
        with pytest.raises(NotFoundError):
            call("doc_none", bench.now)


def test_progress_is_that_of_document_and_job(bench) -> None:
    registration = bench.register("alpha")
    bench.catalog.jobs.claim(bench.now)
    assert bench.catalog.documents.set_status(registration.document.document_id, "embedding", 0.25, bench.now)
    document = bench.catalog.documents.get(registration.document.document_id)
    assert (document.status, document.progress) == ("embedding", 0.25)
    assert bench.catalog.jobs.get(registration.job_id).progress == 0.25
    for status, progress in (("ready", 1.0), ("embedding", 1.5), ("embedding", float("nan"))):
        with pytest.raises(InvalidInputError):
            bench.catalog.documents.set_status(registration.document.document_id, status, progress, bench.now)


@pytest.mark.parametrize("case", ["none", "offsets", "count", "nan", "boxes", "flat"])
def test_what_does_not_fit_together_is_not_published(bench, case: str) -> None:
    bench.register("alpha beta gamma")
    job = bench.catalog.jobs.claim(bench.now)
    text, passages, vectors, pages = "alpha beta gamma", bench.passages("alpha beta gamma"), bench.vectors(2), ()
    if case == "none":
        passages, vectors = (), bench.vectors(0)
    elif case == "offsets":
        text = " " + text
    elif case == "count":
        vectors = bench.vectors(3)
    elif case == "nan":
        vectors[1, 2] = np.nan
    elif case == "flat":
        vectors = vectors[:, 0]
    else:
        pages = (Page(number=1, start=0, end=16, char_boxes=np.zeros((15, 4), np.uint16)),)
    with pytest.raises(InvalidInputError):
        bench.catalog.documents.publish(
            job.job_id,
            job.document_id,
            1,
            bench.parsed(text, pages),
            passages,
            vectors,
            bench.embedder,
            bench.now,
        )
    assert bench.catalog.documents.get(job.document_id).status == "queued"
    assert bench.catalog.passages.count() == 0


def test_vectors_of_two_embedders_are_never_mixed(bench) -> None:
    assert bench.catalog.passages.embedder() is None
    document = bench.ready("alpha")
    assert bench.catalog.passages.embedder() == "stub-4"
    bench.register("beta")
    bench.embedder = "other-4"
    with pytest.raises(IndexMismatchError, match=r"stub-4.*other-4.*citebound reindex"):
        bench.publish("beta")
    # without any passage left, the other one may start
    bench.catalog.documents.delete(document.document_id, bench.now)
    bench.catalog.jobs.recover(bench.now)
    bench.publish("beta")
    assert bench.catalog.passages.embedder() == "other-4"


def test_embedding_again_is_all_or_nothing(bench) -> None:
    bench.ready("alpha beta gamma delta epsilon")
    bench.catalog.changes.record_snapshot("dense", "f", "0" * 64, 1, "stub-4")

    def broken(passages):
        if passages[0].ordinal:
            raise RuntimeError
        return np.ones((len(passages), 2), np.float32)

    with pytest.raises(RuntimeError):
        bench.catalog.passages.embed_again(broken, "new-2", batch_size=2)
    assert bench.catalog.passages.embedder() == "stub-4" and bench.catalog.changes.snapshot("dense") is not None
    n = bench.catalog.passages.embed_again(
        lambda passages: np.array([[p.passage_id, 1] for p in passages], np.float32), "new-2", batch_size=2
    )
    ids, vectors = bench.catalog.passages.vectors(1, 99)
    assert n == len(ids) == 3 and vectors.tolist() == [[1, 1], [2, 1], [3, 1]]
    assert bench.catalog.passages.embedder() == "new-2" and bench.catalog.changes.snapshot("dense") is None


def test_pages_that_are_not_there(bench) -> None:
    plain = bench.ready("alpha")
    with pytest.raises(NoPagesError):
        bench.catalog.documents.page(plain.document_id, 1)
    assert bench.catalog.documents.pages(plain.document_id) == ()
    bench.register("paged")
    paged = bench.publish("beta", (Page(number=1, start=0, end=4),))
    for number in (0, 2):
        with pytest.raises(NotFoundError, match="pages 1 to 1"):
            bench.catalog.documents.page(paged.document_id, number)
    for version in (0, 2):
        with pytest.raises(NotFoundError, match="versions 1 to 1"):
            bench.catalog.documents.text(paged.document_id, version)


def test_events_follow_every_change_and_are_true_when_heard(bench) -> None:
    heard: list[tuple[str, float, bool]] = []

    def listen(event: DocumentEvent) -> None:
        if not event.deleted:
            assert bench.catalog.documents.get(event.document.document_id) == event.document
        heard.append((event.document.status, event.document.progress, event.deleted))

    unsubscribe = bench.catalog.events.subscribe(listen)
    bench.catalog.events.subscribe(lambda event: 1 / 0)  # harms nobody
    document = bench.register("alpha").document
    bench.catalog.documents.set_status(document.document_id, "parsing", 0.1, bench.now)
    bench.publish("alpha")
    bench.replace(document.document_id, "beta")
    bench.catalog.documents.cancel(document.document_id, bench.now)
    bench.catalog.documents.retry(document.document_id, bench.now)
    fail(bench)
    bench.catalog.documents.delete(document.document_id, bench.now)
    unsubscribe()
    bench.register("gamma")
    assert heard == [
        ("queued", 0.0, False),
        ("parsing", 0.1, False),
        ("ready", 1.0, False),
        ("queued", 0.0, False),
        ("cancelled", 0.0, False),
        ("queued", 0.0, False),
        ("failed", 1.0, False),
        ("failed", 1.0, True),
    ]


def test_metadata_of_what_is_searched(bench) -> None:
    ready = bench.ready("alpha", metadata={"year": 2020})
    bench.register("beta", metadata={"year": 2021})
    bench.catalog.jobs.claim(bench.now)
    bench.ready("gamma", metadata={"year": 2022}, collection="other")
    assert bench.catalog.documents.metadata("default") == {ready.document_id: {"year": 2020}}
