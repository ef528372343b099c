import threading
from pathlib import Path

import numpy as np
import pytest

from rag.catalog.answers import Answers
from rag.catalog.catalog import Catalog
from rag.catalog.deletion import delete_rows
from rag.errors import NotFoundError
from rag.types import (
    Answer,
    Citation,
    Failure,
    Hit,
    NewPassage,
    Page,
    PageReceipt,
    ParsedDocument,
    Receipt,
    Scores,
    Span,
    Timings,
    Usage,
)

CANARY = "Xylophon-Kanarienvogel-4711"


def holders(folder: Path, word: bytes) -> list[str]:
    """Files anywhere in the folder with these bytes."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and word in path.read_bytes()]


def upload_canary(bench, seed: int = 0) -> str:
    """A document with the canary in every place a document can have words in."""
    content = f"{CANARY} one. " * 300
    registration = bench.register(
        content + str(seed), name=f"{CANARY}.txt", metadata={"author": CANARY}, password=f"{CANARY}-password"
    )
    job = bench.catalog.jobs.claim(bench.now)
    passages = tuple(
        NewPassage(
            ordinal=ordinal,
            text=content[start : start + 100],
            start=start,
            end=min(start + 100, len(content)),
            heading=f"{CANARY} heading",
            table_header=f"{CANARY} header",
            first_page=1,
            last_page=1,
            n_tokens=9,
            continues=False,
        )
        for ordinal, start in enumerate(range(0, len(content), 100))
    )
    vector = np.frombuffer(CANARY.encode()[:24], np.float32)
    parsed = ParsedDocument(
        text=content,
        pages=(Page(number=1, start=0, end=len(content), char_boxes=np.ones((len(content), 4), np.uint16)),),
        blocks=(),
        media_type="text/plain",
        receipt=Receipt(pages=(PageReceipt(page=1, n_chars=len(content)),), warnings=(f"{CANARY} warning",)),
        title=f"{CANARY} title",
    )
    bench.catalog.documents.publish(
        job.job_id,
        job.document_id,
        1,
        parsed,
        passages,
        np.nan_to_num(np.tile(vector, (len(passages), 1))),
        bench.embedder,
        bench.now,
    )
    return registration.document.document_id


def answer_about(catalog: Catalog, document_id: str, now) -> None:
    passages = catalog.passages.of_document(document_id)
    passage = passages[0]
    Answers(catalog.database).save(
        Answer(
            answer_id="ans_canary",
            question="Which bird?",
            mode="grounded",
            collection="default",
            text=f"It is {CANARY}. [1]",
            abstained=False,
            citations=(
                Citation(
                    marker=1,
                    passage_id=passage.passage_id,
                    document_id=document_id,
                    document_name=passage.document_name,
                    document_version=1,
                    first_page=1,
                    last_page=1,
                    char_range=Span(start=0, end=20),
                    quote=passage.text[:20],
                    answer_span=Span(start=0, end=10),
                ),
            ),
            invalid_markers=(),
            claims=(),
            removed=(),
            faithfulness=None,
            confidence=None,
            retrieved=tuple(
                Hit(rank=rank, passage=each, score=1.0, scores=Scores()) for rank, each in enumerate(passages[:8], 1)
            ),
            dropped=(),
            model=None,
            usage=Usage(),
            timings=Timings(),
            created_at=now,
        )
    )


def test_after_a_deletion_no_byte_is_left_anywhere(tmp_path: Path, open_bench) -> None:
    folder = tmp_path / "data"
    bench = open_bench(folder)
    keeper = bench.ready("something that stays")
    document_id = upload_canary(bench)
    answer_about(bench.catalog, document_id, bench.now)
    bench.catalog.documents.list(q="xylo")
    bench.replace(document_id, f"{CANARY} second version")  # unparsed
    job = bench.catalog.jobs.claim(bench.now)
    failure = Failure(code="corrupt", message=f"{CANARY} cannot be read; send another file")
    bench.catalog.documents.fail(job.job_id, document_id, failure, None, bench.now)
    assert holders(folder, CANARY.encode()) != []

    deleted = bench.catalog.documents.delete(document_id, bench.now)

    assert deleted.document_id == document_id and deleted.files == 2 and deleted.remaining == 0
    assert deleted.passages == deleted.vectors > 10
    assert holders(folder, CANARY.encode()) == []
    assert holders(folder, CANARY.encode()[:24]) == []  # the vectors are made of these bytes
    with pytest.raises(NotFoundError):
        bench.catalog.documents.delete(document_id, bench.now)
    bench.catalog.close()
    assert holders(folder, CANARY.encode()) == []

    again = open_bench(folder)
    assert again.catalog.passages.count() == keeper.n_passages
    with pytest.raises(NotFoundError):
        again.catalog.documents.get(document_id)
    assert again.catalog.answers.get("ans_canary").payload["text"] is None
    assert holders(folder, CANARY.encode()) == []


def test_many_deletions_among_things_that_stay(tmp_path: Path, open_bench) -> None:
    folder = tmp_path / "data"
    bench = open_bench(folder)
    for number in range(6):
        bench.ready(f"stays {number} " * 50, name=f"{number}")
        document_id = upload_canary(bench, number)
        assert bench.catalog.documents.delete(document_id, bench.now).remaining == 0
        assert holders(folder, CANARY.encode()) == []
    assert bench.catalog.documents.list()[2] == 6


def test_an_open_snapshot_is_counted_as_remaining(sqlite_bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = sqlite_bench
    document = bench.ready("alpha beta gamma")
    database = bench.catalog.database
    monkeypatch.setattr(database, "truncate_log", lambda: type(database).truncate_log(database, 0.1))
    with database.snapshot():
        assert bench.catalog.documents.delete(document.document_id, bench.now).remaining == 1


def test_a_deletion_waits_for_a_backup(sqlite_bench) -> None:
    bench = sqlite_bench
    document = bench.ready("alpha beta gamma")
    results = []
    thread = threading.Thread(
        target=lambda: results.append(bench.catalog.documents.delete(document.document_id, bench.now))
    )
    with bench.catalog.backup_gate:
        thread.start()
        thread.join(0.3)
        assert thread.is_alive() and results == []
        with pytest.raises(NotFoundError):  # the row is gone already
            bench.catalog.documents.get(document.document_id)
        bench.register("the others go on")
    thread.join()
    assert results[0].remaining == 0 and results[0].files == 1


def test_a_deletion_is_no_part_of_another_write(bench) -> None:
    document = bench.ready("alpha")
    with bench.catalog.database.write(), pytest.raises(RuntimeError):
        bench.catalog.documents.delete(document.document_id, bench.now)
    assert bench.catalog.documents.get(document.document_id).status == "ready"


def test_a_deletion_cut_short_is_finished_at_the_next_start(tmp_path: Path, open_bench) -> None:
    folder = tmp_path / "data"
    bench = open_bench(folder)
    document_id = upload_canary(bench)
    # as if the process had died between the commit and the removal of the files
    with bench.catalog.database.write() as session:
        delete_rows(session, document_id, bench.now)
    assert holders(folder, CANARY.encode()) != []
    bench.catalog.close()
    open_bench(folder)
    assert holders(folder, CANARY.encode()) == []


def test_counts_on_both_databases(bench) -> None:
    document = bench.ready("alpha beta gamma")
    bench.replace(document.document_id, "two")
    deleted = bench.catalog.documents.delete(document.document_id, bench.now)
    assert (deleted.passages, deleted.vectors, deleted.files, deleted.remaining) == (2, 2, 2, 0)
    unread = bench.register("never read").document
    deleted = bench.catalog.documents.delete(unread.document_id, bench.now)
    assert (deleted.passages, deleted.vectors, deleted.files, deleted.remaining) == (0, 0, 1, 0)
