import datetime
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ingest.bounds import Bounds
from ingest.children import ParseCancelledError
from ingest.chunk import cut_passages
from ingest.pipeline import Ingestor
from llm.errors import ModelNotFoundError
from rag.catalog.catalog import Catalog
from rag.catalog.database import Database, sqlite_url
from rag.catalog.events import DocumentEvent
from rag.catalog.files import FileStore
from rag.errors import DocumentError, IndexMismatchError, NotReadyError, StorageError
from rag.hashing_embedder import HashingEmbedder
from rag.token_counter import WordCounter
from rag.types import Block, FloatArray, ParsedDocument, Receipt

DIMENSION = 16


class Clock:
    """A second later each time it is asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds = 0

    def __call__(self) -> datetime.datetime:
        with self._lock:
            self._seconds += 1
            return datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=self._seconds)


class PlainParser:
    """Reads a file as one paragraph a line; the first word of a file may ask for trouble."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.seen: list[str] = []

    def layers(self) -> dict[str, bool]:
        return {"none": False}

    def parse(
        self,
        path: Path,
        *,
        name: str,
        media_type: str | None = None,
        password: str | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> ParsedDocument:
        text = path.read_text(encoding="utf-8")
        self.seen.append(name)
        if text.startswith("CORRUPT"):
            raise DocumentError("corrupt", "the file is broken at page 3; save it again", page=3)
        if text.startswith("BUG"):
            raise ZeroDivisionError(text)
        if text.startswith("SLOW"):
            self.started.set()
            while not (cancel is not None and cancel()):
                time.sleep(0.005)
            raise ParseCancelledError("cancelled")
        if text.startswith("BLANK"):
            text = "  \n "
        return ParsedDocument(
            text=text,
            pages=(),
            blocks=tuple(blocks_of(text)),
            media_type="text/plain",
            receipt=Receipt(encoding="utf-8"),
        )


def blocks_of(text: str) -> Iterator[Block]:
    start = 0
    for line in text.splitlines(keepends=True):
        yield Block(kind="paragraph", start=start, end=start + len(line), heading=None)
        start += len(line)


class CountingIndexes:
    """Remembers which change it was brought up to."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.seq = 0
        self.n_snapshots = 0

    def catch_up(self) -> int:
        n_behind = self._catalog.changes.last_seq() - self.seq
        self.seq += n_behind
        return n_behind

    def snapshot(self) -> None:
        self.n_snapshots += 1


class WatchedEmbedder(HashingEmbedder):
    """Counts calls, refuses a word, and can be held before each call."""

    def __init__(self) -> None:
        super().__init__(DIMENSION)
        self.calls: list[int] = []
        self.before_call: Callable[[], None] = lambda: None

    def embed_passages(self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None) -> FloatArray:
        self.before_call()
        self.calls.append(len(texts))
        if any("UNEMBEDDABLE" in text for text in texts):
            raise RuntimeError(texts[0])
        return super().embed_passages(texts, on_progress=on_progress)


class World:
    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.catalog = Catalog(Database(sqlite_url(folder / "catalog.sqlite3")), FileStore(folder / "files"))
        self.catalog.start(self.clock())
        self.parser = PlainParser()
        self.indexes = CountingIndexes(self.catalog)
        self.embedder = WatchedEmbedder()
        self.events: list[tuple[str, float]] = []
        self.catalog.events.subscribe(self._note)

    def _note(self, event: DocumentEvent) -> None:
        self.events.append((event.document.status, event.document.progress))

    def ingestor(self, *, max_tokens: int = 8, bounds: Bounds | None = None, snapshot_when_idle: int = 100) -> Ingestor:
        return Ingestor(
            self.catalog,
            self.parser,
            self.indexes,
            lambda: self.embedder,
            lambda: WordCounter(max_tokens),
            self.clock,
            bounds=bounds,
            snapshot_when_idle=snapshot_when_idle,
        )

    def upload(self, text: str, name: str = "a.txt") -> str:
        staged = self.catalog.files.stage([text.encode()], 10**6)
        return self.catalog.documents.register(
            staged,
            name=name,
            collection="default",
            media_type="text/plain",
            metadata={},
            password=None,
            on_duplicate="skip",
            now=self.clock(),
        ).document.document_id

    def status(self, document_id: str) -> str:
        return self.catalog.documents.get(document_id).status


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.catalog.close()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_documents_become_ready_with_their_own_vectors(world: World) -> None:
    texts = [f"alpha{n} beta{n} gamma{n}\n" * (1 + n % 5) for n in range(20)]
    ids = [world.upload(text, f"{n}.txt") for n, text in enumerate(texts)]
    assert world.ingestor().run_until_idle() == 20
    for document_id, text in zip(ids, texts, strict=True):
        document = world.catalog.documents.get(document_id)
        passages = world.catalog.passages.of_document(document_id)
        assert (document.status, document.progress, document.n_passages) == ("ready", 1.0, len(passages))
        assert "".join(passage.text for passage in passages) == text == world.catalog.documents.text(document_id)
        stored, vectors = world.catalog.passages.vectors(passages[0].passage_id, passages[-1].passage_id)
        assert list(stored) == [passage.passage_id for passage in passages]
        expected = HashingEmbedder(DIMENSION).embed_passages([passage.text for passage in passages])
        assert vectors.tolist() == expected.tolist()
    assert world.indexes.seq == world.catalog.changes.last_seq() == 20
    assert world.ingestor().run_until_idle() == 0


def test_small_documents_share_calls_of_the_embedder(world: World) -> None:
    # While the first call is held, the others are parsed; they then fit into one call.
    def hold() -> None:
        if not world.embedder.calls:
            wait_until(lambda: len(world.parser.seen) == 12)

    world.embedder.before_call = hold
    for n in range(12):
        world.upload(f"document number {n}", f"{n}.txt")
    assert world.ingestor().run_until_idle() == 12
    assert sum(world.embedder.calls) == 12
    assert len(world.embedder.calls) <= 3  # the last file may still be on its way when the first call goes on


def test_a_long_document_is_embedded_in_slices_and_short_ones_pass_it(world: World) -> None:
    long_id = world.upload("one two three four five six seven eight\n" * 40, "long.txt")
    ready: list[str] = []
    world.catalog.events.subscribe(
        lambda event: ready.append(event.document.document_id) if event.document.status == "ready" else None
    )
    short: list[str] = []

    def upload_short() -> None:
        if len(world.embedder.calls) == 2:
            short.append(world.upload("a short one", "short.txt"))
            wait_until(lambda: "short.txt" in world.parser.seen)

    world.embedder.before_call = upload_short
    world.ingestor(bounds=Bounds(slice_tokens=32)).run_until_idle()
    assert ready == [short[0], long_id]
    assert len(world.embedder.calls) >= 10
    progress = [progress for status, progress in world.events if status == "embedding"]
    assert any(0.1 < value < 1 for value in progress)


def test_every_failure_is_its_own_documents(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    good = [world.upload(f"good words {n}", f"{n}.txt") for n in range(3)]
    bad = {word: world.upload(f"{word} xyzzy", f"{word}.txt") for word in ("CORRUPT", "BUG", "BLANK", "UNEMBEDDABLE")}
    assert world.ingestor().run_until_idle() == 3
    assert [world.status(document_id) for document_id in good] == ["ready"] * 3
    errors = {word: world.catalog.documents.get(document_id).error for word, document_id in bad.items()}
    codes = {word: error and (error.code, error.page) for word, error in errors.items()}
    assert codes == {
        "CORRUPT": ("corrupt", 3),
        "BUG": ("internal", None),
        "BLANK": ("no_text", None),
        "UNEMBEDDABLE": ("internal", None),
    }
    receipt = world.catalog.documents.get(bad["BLANK"]).receipt
    assert receipt is not None and receipt.encoding == "utf-8"
    output = capsys.readouterr()
    assert "document_failed_unexpectedly" in output.out + output.err
    assert "xyzzy" not in output.out + output.err + str(errors)


def test_a_document_cancelled_while_it_is_parsed_stays_cancelled(world: World) -> None:
    slow = world.upload("SLOW", "slow.txt")
    other = world.upload("another", "other.txt")
    ingestor = world.ingestor()
    ingestor.start()
    assert world.parser.started.wait(20)
    world.catalog.documents.cancel(slow, world.clock())
    wait_until(lambda: world.status(other) == "ready")
    ingestor.stop()
    assert world.status(slow) == "cancelled"
    assert world.catalog.jobs.n_queued() == 0


def test_a_document_deleted_while_it_is_embedded_leaves_nothing(world: World) -> None:
    doomed = world.upload("doomed words", "doomed.txt")

    def delete() -> None:
        world.catalog.documents.delete(doomed, world.clock())

    world.embedder.before_call = delete
    assert world.ingestor().run_until_idle() == 0
    assert world.catalog.passages.count() == 0
    assert world.catalog.jobs.n_queued() == 0


def test_a_new_version_while_the_old_one_is_embedded_wins(world: World) -> None:
    document_id = world.upload("old words", "a.txt")

    def replace() -> None:
        if not world.embedder.calls:
            staged = world.catalog.files.stage([b"new words"], 100)
            world.catalog.documents.replace_content(
                document_id, staged, name="a.txt", media_type="text/plain", password=None, now=world.clock()
            )

    world.embedder.before_call = replace
    assert world.ingestor().run_until_idle() == 1
    assert [passage.text for passage in world.catalog.passages.of_document(document_id)] == ["new words"]
    assert world.catalog.documents.get(document_id).live_version == 2


def test_the_worker_hears_of_uploads_and_stops_in_the_middle(world: World) -> None:
    ingestor = world.ingestor()
    ingestor.start()
    first = world.upload("first words", "1.txt")
    wait_until(lambda: world.status(first) == "ready")
    slow = world.upload("SLOW", "slow.txt")
    assert world.parser.started.wait(20)
    ingestor.stop()
    assert world.status(slow) == "queued"
    job = world.catalog.jobs.claim(world.clock())
    assert job is not None and (job.document_id, job.attempts) == (slow, 1)


def test_without_a_model_documents_wait_and_are_read_once_it_is_there(world: World) -> None:
    document_id = world.upload("some words", "a.txt")
    missing = [True]

    def make() -> HashingEmbedder:
        if missing[0]:
            raise ModelNotFoundError("no model is there; run citebound models pull")
        return world.embedder

    ingestor = Ingestor(world.catalog, world.parser, world.indexes, make, lambda: WordCounter(8), world.clock)
    with pytest.raises(NotReadyError, match="models pull"):
        ingestor.run_until_idle()
    ingestor.start()
    wait_until(lambda: ingestor.problem is not None)
    assert "models pull" in str(ingestor.problem)
    assert world.status(document_id) == "queued"
    assert not world.parser.seen
    missing[0] = False
    ingestor.wake()
    wait_until(lambda: world.status(document_id) == "ready")
    wait_until(lambda: ingestor.problem is None)
    ingestor.stop()


@pytest.mark.parametrize("error", [StorageError("the disk is full"), IndexMismatchError("run citebound reindex")])
def test_what_is_not_a_documents_fault_puts_it_back(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    ids = [world.upload(f"words {n}", f"{n}.txt") for n in range(3)]

    def refuse(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(world.catalog.documents, "publish", refuse)
        with pytest.raises(type(error)):
            world.ingestor().run_until_idle()
    assert [world.status(document_id) for document_id in ids] == ["queued"] * 3
    assert world.ingestor().run_until_idle() == 3


def test_jobs_that_could_not_be_released_are_released_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    document_id = world.upload("words", "a.txt")
    ingestor = world.ingestor()

    def refuse(*_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(world.catalog.documents, "publish", refuse)
        patch.setattr(world.catalog.jobs, "release", refuse)
        with pytest.raises(StorageError):
            ingestor.run_until_idle()
    assert world.status(document_id) in ("parsing", "embedding")
    assert ingestor.run_until_idle() == 1


def test_the_work_stays_within_its_bounds(world: World) -> None:
    most = [0]

    def look() -> None:
        with world.catalog.database.read() as session:
            running = session.connection().exec_driver_sql("SELECT count(*) FROM jobs WHERE status = 'running'")
            most[0] = max(most[0], running.scalar_one())

    world.embedder.before_call = look
    for n in range(30):
        world.upload(f"document number {n}", f"{n}.txt")
    bounds = Bounds(n_readers=2, max_documents=3, slice_tokens=8)
    assert world.ingestor(bounds=bounds).run_until_idle() == 30
    # Two readers may both see room for one more.
    assert 1 <= most[0] <= 4


def test_what_was_in_work_when_the_process_died_is_done_alone(world: World) -> None:
    ids = [world.upload(f"document number {n}", f"{n}.txt") for n in range(6)]
    for _ in range(3):
        assert world.catalog.jobs.claim(world.clock()) is not None
    world.catalog.jobs.recover(world.clock())
    running: list[int] = []

    def count() -> None:
        with world.catalog.database.read() as session:
            found = session.connection().exec_driver_sql("SELECT count(*) FROM jobs WHERE status = 'running'")
            running.append(found.scalar_one())

    world.embedder.before_call = count
    assert world.ingestor().run_until_idle() == 6
    assert [world.status(document_id) for document_id in ids] == ["ready"] * 6
    assert running[:3] == [1, 1, 1]


def test_passages_longer_than_the_embedder_reads_are_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # The cutter keeps to the limit, so one that does not has to be made up.
    monkeypatch.setattr(
        "ingest.reading.cut_passages", lambda parsed, counter, max_tokens: cut_passages(parsed, counter, max_tokens=9)
    )
    document_id = world.upload("a b c d e f g h i\n" * 3, "a.txt")
    world.ingestor(max_tokens=8).run_until_idle()
    receipt = world.catalog.documents.get(document_id).receipt
    assert receipt is not None and receipt.n_truncated_passages == 3


def test_snapshots_are_written_after_enough_documents(world: World) -> None:
    ingestor = world.ingestor(bounds=Bounds(snapshot_documents=2), snapshot_when_idle=5)
    for n in range(4):
        world.upload(f"document number {n}", f"{n}.txt")
    ingestor.run_until_idle()
    assert world.indexes.n_snapshots == 2
    world.upload("one more", "more.txt")
    ingestor.run_until_idle()
    assert world.indexes.n_snapshots == 3


@pytest.mark.parametrize("name", ["n_readers", "max_documents", "max_chars", "slice_tokens", "snapshot_documents"])
def test_a_bound_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Bounds(**{name: 0})
