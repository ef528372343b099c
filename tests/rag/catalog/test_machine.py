"""Any sequence of calls against a dict that says what must be there; every threshold is small."""

import datetime
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from rag.catalog.backup import write_backup
from rag.catalog.catalog import Catalog
from rag.catalog.check import check_catalog
from rag.catalog.database import Database, sqlite_url
from rag.catalog.files import FileStore
from rag.catalog.restore import restore_backup
from rag.errors import ConflictError, DuplicateError
from rag.types import Failure, NewPassage, ParsedDocument, Receipt

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
CONTENTS = ["a", "bb", "ccc"]
IN_PROGRESS = ("queued", "parsing")


@dataclass
class Expected:
    """What is known of one document."""

    collection: str
    contents: list[str]  # of each version
    status: str = "queued"
    live: int | None = None
    attempts: int = 0


@dataclass
class World:
    """Everything that must be there."""

    documents: dict[str, Expected] = field(default_factory=dict)
    queue: list[tuple[str, str]] = field(default_factory=list)  # job_id, document_id
    running: list[tuple[str, str]] = field(default_factory=list)


class CatalogMachine(RuleBasedStateMachine):
    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="catalog-machine-"))
        self.world = World()
        self.seconds = 0
        self.highest_id = 0
        self.catalog = self.open(self.folder / "0")
        self.catalog.start(START)
        self.n_folders = 1

    def open(self, folder: Path) -> Catalog:
        folder.mkdir(exist_ok=True)
        return Catalog(Database(sqlite_url(folder / "catalog.sqlite3")), FileStore(folder))

    @property
    def now(self) -> datetime.datetime:
        self.seconds += 1
        return START + datetime.timedelta(seconds=self.seconds)

    def teardown(self) -> None:
        self.catalog.close()
        shutil.rmtree(self.folder)

    def drop_jobs(self, document_id: str) -> None:
        self.world.queue = [job for job in self.world.queue if job[1] != document_id]
        self.world.running = [job for job in self.world.running if job[1] != document_id]

    def queued(self, job_id: str, document_id: str) -> None:
        self.drop_jobs(document_id)
        self.world.queue.append((job_id, document_id))
        self.world.documents[document_id].status = "queued"
        self.world.documents[document_id].attempts = 0

    @rule(
        target=ids,
        content=st.sampled_from(CONTENTS),
        collection=st.sampled_from("xy"),
        on_duplicate=st.sampled_from(["skip", "replace", "error"]),
    )
    def upload(self, content: str, collection: str, on_duplicate: str):
        known = self.world.documents
        twins = [
            document_id
            for document_id, expected in known.items()
            if expected.collection == collection
            and (
                expected.contents[-1] == content or (expected.live and expected.contents[expected.live - 1] == content)
            )
        ]
        try:
            registration = self.catalog.documents.register(
                self.catalog.files.stage([content.encode()], 3),
                name=content,
                collection=collection,
                media_type="text/plain",
                metadata={},
                password=None,
                on_duplicate=on_duplicate,  # type: ignore[arg-type]
                now=self.now,
            )
        except DuplicateError as error:
            assert on_duplicate == "error" and error.document_id in twins
            return multiple()
        document_id = registration.document.document_id
        if not twins:
            assert document_id not in known and registration.job_id
            known[document_id] = Expected(collection=collection, contents=[content])
            self.queued(registration.job_id, document_id)
            return document_id
        assert document_id in twins
        expected = known[document_id]
        if on_duplicate == "replace":
            assert registration.job_id
            expected.contents.append(content)
            self.queued(registration.job_id, document_id)
        elif registration.job_id is not None:
            assert expected.status in ("failed", "cancelled") and expected.contents[-1] == content
            self.queued(registration.job_id, document_id)
        else:
            assert on_duplicate == "skip" and registration.duplicate_of == document_id
        return multiple()

    @rule(document_id=ids, content=st.sampled_from(CONTENTS))
    def replace(self, document_id: str, content: str) -> None:
        if document_id not in self.world.documents:
            return
        registration = self.catalog.documents.replace_content(
            document_id,
            self.catalog.files.stage([content.encode()], 3),
            name=None,
            media_type="text/plain",
            password=None,
            now=self.now,
        )
        assert registration.job_id
        self.world.documents[document_id].contents.append(content)
        self.queued(registration.job_id, document_id)

    @rule()
    def claim(self) -> None:
        job = self.catalog.jobs.claim(self.now)
        assert (job is None) == (not self.world.queue)
        if job is None:
            return
        expected_job = self.world.queue.pop(0)
        assert (job.job_id, job.document_id) == expected_job
        self.world.running.append(expected_job)
        expected = self.world.documents[expected_job[1]]
        expected.attempts += 1
        assert job.attempts == expected.attempts
        assert self.catalog.documents.set_status(expected_job[1], "parsing", 0.5, self.now)
        expected.status = "parsing"

    @rule(data=st.data(), fails=st.booleans())
    def finish(self, data: st.DataObject, fails: bool) -> None:
        if not self.world.running:
            return
        job_id, document_id = data.draw(st.sampled_from(self.world.running))
        self.world.running.remove((job_id, document_id))
        expected = self.world.documents[document_id]
        version = len(expected.contents)
        if fails:
            failure = Failure(code="corrupt", message="it is damaged; send it again")
            assert self.catalog.documents.fail(job_id, document_id, failure, None, self.now)
            expected.status = "failed"
            return
        self.publish(job_id, document_id, version, expected.contents[-1])
        expected.status, expected.live = "ready", version

    def publish(self, job_id: str, document_id: str, version: int, content: str) -> None:
        passages = tuple(
            NewPassage(
                ordinal=ordinal,
                text=character,
                start=ordinal,
                end=ordinal + 1,
                heading=None,
                table_header=None,
                first_page=None,
                last_page=None,
                n_tokens=1,
                continues=ordinal > 0,
            )
            for ordinal, character in enumerate(content)
        )
        parsed = ParsedDocument(text=content, pages=(), blocks=(), media_type="text/plain", receipt=Receipt())
        vectors = np.full((len(content), 2), len(content), np.float32)
        self.catalog.documents.publish(job_id, document_id, version, parsed, passages, vectors, "stub", self.now)
        ids = [passage.passage_id for passage in self.catalog.passages.of_document(document_id)]
        assert ids == list(range(ids[0], ids[0] + len(content))) and ids[0] > self.highest_id
        self.highest_id = ids[-1]

    @rule(document_id=ids)
    def cancel(self, document_id: str) -> None:
        expected = self.world.documents.get(document_id)
        if expected is None:
            return
        try:
            self.catalog.documents.cancel(document_id, self.now)
        except ConflictError:
            assert expected.status not in IN_PROGRESS
            return
        assert expected.status in IN_PROGRESS
        late = [job for job in self.world.running if job[1] == document_id]
        self.drop_jobs(document_id)
        expected.status = "cancelled"
        for job_id, _ in late:  # the worker that did not notice
            try:
                self.publish(job_id, document_id, len(expected.contents), expected.contents[-1])
            except ConflictError:
                continue
            raise AssertionError("cancelled work was published")

    @rule(document_id=ids)
    def retry(self, document_id: str) -> None:
        expected = self.world.documents.get(document_id)
        if expected is None:
            return
        try:
            registration = self.catalog.documents.retry(document_id, self.now)
        except ConflictError:
            assert expected.status not in ("failed", "cancelled")
            return
        assert expected.status in ("failed", "cancelled") and registration.job_id
        self.queued(registration.job_id, document_id)

    @rule(document_id=consumes(ids))
    def delete(self, document_id: str) -> None:
        expected = self.world.documents.pop(document_id, None)
        if expected is None:
            return
        self.drop_jobs(document_id)
        deleted = self.catalog.documents.delete(document_id, self.now)
        n_passages = len(expected.contents[expected.live - 1]) if expected.live else 0
        assert (deleted.passages, deleted.vectors) == (n_passages, n_passages)
        assert (deleted.files, deleted.remaining) == (len(expected.contents), 0)

    @rule()
    def restart(self) -> None:
        folder = self.catalog.files.root
        self.catalog.close()
        self.catalog = self.open(folder)
        self.recover()

    @rule()
    def move_by_backup(self) -> None:
        archive = self.folder / "backup.tar"
        write_backup(self.catalog, archive, self.now)
        self.catalog.close()
        self.catalog = self.open(self.folder / str(self.n_folders))
        self.n_folders += 1
        restore_backup(archive, self.catalog.database, self.catalog.files)
        self.recover()

    def recover(self) -> None:
        started = self.catalog.start(self.now)
        assert started.n_swept == 0
        back = []
        for job_id, document_id in self.world.running:
            expected = self.world.documents[document_id]
            expected.status = "failed" if expected.attempts >= 3 else "queued"
            if expected.status == "queued":
                back.append((job_id, document_id))
        order = [job_id for job_id, _ in self.world.queue + back]
        assert set(started.recovered.requeued) == {job_id for job_id, _ in back}
        self.world.running = []
        # the queue is in the order in which the jobs were made, and this keeps their numbers
        self.world.queue = sorted(self.world.queue + back, key=lambda job: self.job_order(job[0]))
        assert len(order) == len(self.world.queue)

    def job_order(self, job_id: str) -> datetime.datetime:
        return self.catalog.jobs.get(job_id).created_at

    @invariant()
    def everything_agrees(self) -> None:
        documents, _, count = self.catalog.documents.list(limit=1000)
        assert count == len(documents)
        found = {
            document.document_id: (document.collection, document.status, document.version, document.live_version)
            for document in documents
        }
        assert found == {
            document_id: (expected.collection, expected.status, len(expected.contents), expected.live)
            for document_id, expected in self.world.documents.items()
        }
        live: set[int] = set()
        for document_id, expected in self.world.documents.items():
            for version, content in enumerate(expected.contents, start=1):
                assert self.catalog.files.path(document_id, version).read_bytes() == content.encode()
            passages = self.catalog.passages.of_document(document_id)
            content = expected.contents[expected.live - 1] if expected.live else ""
            assert "".join(passage.text for passage in passages) == content
            live |= {passage.passage_id for passage in passages}
        assert set(self.catalog.passages.ids().tolist()) == live == self.replayed()

    def replayed(self) -> set[int]:
        """What an index holds that follows the log from its beginning, two lines at a time."""
        held: set[int] = set()
        seq = 0
        while changes := self.catalog.changes.since(seq, 2):
            for change in changes:
                ids = set(range(change.first_passage_id, change.last_passage_id + 1))
                held = held | ids if change.kind == "add" else held - ids
            seq = changes[-1].seq
        assert seq == self.catalog.changes.last_seq()
        return held

    @rule()
    def check(self) -> None:
        assert check_catalog(self.catalog).problems == ()


CatalogMachine.TestCase.settings = settings(
    max_examples=10, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestCatalogMachine = CatalogMachine.TestCase
