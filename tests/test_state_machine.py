"""The store, ingest and search against a dict, in any order of operations, with every threshold shrunk to 2 or 3."""

import datetime
import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from ingest.limits import Limits
from ingest.pipeline import Ingestor
from ingest.run import Bounds
from ingest.sandbox import Sandbox
from rag.catalog.backup import write_backup
from rag.catalog.catalog import Catalog
from rag.catalog.check import check_catalog
from rag.catalog.database import Database
from rag.catalog.files import FileStore
from rag.catalog.folder import DataFolder
from rag.catalog.restore import restore_backup
from rag.errors import ConflictError, DuplicateError, NotFoundError
from rag.hashing_embedder import HashingEmbedder
from rag.index.faiss import FaissIndex
from rag.index.lexical import LexicalIndex
from rag.index.sync import Indexes
from rag.retrieve import Retriever, Weights
from rag.token_counter import WordCounter

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
WORDS = ("amber", "basalt", "cedar", "delta", "ember", "fjord")
BAD = b"%PDF-1.7\nthis is no PDF\n"  # fails in the parser, at every try
COLLECTIONS = ("left", "right")

contents = st.one_of(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(lambda words: (" ".join(words) + ".").encode()),
    st.just(BAD),
)


class Expected:
    """What the store should say of one document."""

    def __init__(self, collection: str, data: bytes) -> None:
        self.collection = collection
        self.newest = data
        self.live: bytes | None = None
        self.status = "queued"
        self.version = 1
        self.live_version: int | None = None


class Store(RuleBasedStateMachine):
    """Every operation on the real thing and on the dict."""

    documents = Bundle("documents")
    sandbox: Sandbox  # shared by all examples: set by the test

    @initialize()
    def begin(self) -> None:
        self.scratch = Path(tempfile.mkdtemp())
        self.n_folders = 0
        self.model: dict[str, Expected] = {}
        self.gone: set[str] = set()
        self.seen_passage_ids: dict[int, str] = {}
        self.folder = self._next_folder()
        self._open()

    def teardown(self) -> None:
        if hasattr(self, "scratch"):
            self._close()
            shutil.rmtree(self.scratch)

    def _next_folder(self) -> DataFolder:
        self.n_folders += 1
        return DataFolder(self.scratch / f"data{self.n_folders}")

    def _open(self) -> None:
        self.folder.lock()
        embedder = HashingEmbedder(16)
        self.catalog = Catalog(Database(self.folder.database_url), FileStore(self.folder.path))
        self.catalog.start(NOW)
        self.indexes = Indexes(
            self.catalog,
            FaissIndex(embedder.dimension),
            LexicalIndex(self.folder.indexes_path / "lexical.sqlite3"),
            self.folder.indexes_path,
            embedder.name,
        )
        self.indexes.open()
        self.retriever = Retriever(self.catalog, self.indexes, embedder, Weights())
        self.ingestor = Ingestor(
            self.catalog,
            self.sandbox,
            self.indexes,
            lambda: embedder,
            lambda: WordCounter(3),
            lambda: NOW,
            bounds=Bounds(n_readers=2, max_documents=2, max_chars=60, slice_tokens=6, snapshot_documents=2),
            snapshot_when_idle=2,
        )

    def _close(self) -> None:
        self.indexes.close()
        self.catalog.close()
        self.folder.close()

    def _stage(self, data: bytes):
        return self.catalog.files.stage([data[:3], data[3:]], 10_000)

    def _alive_duplicate(self, collection: str, data: bytes) -> str | None:
        """Of several: one in use before one that failed, then the lower id (all are of the same moment here)."""
        twins = [
            (expected.status not in ("queued", "parsing", "embedding", "ready"), document_id)
            for document_id, expected in self.model.items()
            if expected.collection == collection and data in (expected.newest, expected.live)
        ]
        return min(twins)[1] if twins else None

    @rule(
        target=documents,
        data=contents,
        collection=st.sampled_from(COLLECTIONS),
        policy=st.sampled_from(("skip", "replace", "error")),
    )
    def upload(self, data: bytes, collection: str, policy: str):
        before = self._alive_duplicate(collection, data)
        arguments = {
            "name": "bad.pdf" if data == BAD else "a.txt", "collection": collection, "media_type": "text/plain",
            "metadata": {}, "password": None, "on_duplicate": policy, "now": NOW,
        }  # fmt: skip
        if before is None:
            registration = self.catalog.documents.register(self._stage(data), **arguments)
            assert registration.duplicate_of is None and registration.job_id is not None
            self.model[registration.document.document_id] = Expected(collection, data)
            return registration.document.document_id
        expected = self.model[before]
        in_use = expected.live == data or (
            expected.newest == data and expected.status in ("queued", "parsing", "embedding", "ready")
        )
        if policy == "error" and in_use:
            with pytest.raises(DuplicateError):
                self.catalog.documents.register(self._stage(data), **arguments)
            return multiple()
        registration = self.catalog.documents.register(self._stage(data), **arguments)
        assert registration.document.document_id == before
        if policy == "replace":
            expected.version += 1
            expected.newest, expected.status = data, "queued"
        elif in_use:
            assert registration.duplicate_of == before and registration.job_id is None
        else:
            expected.status = "queued"
        return multiple()

    @rule(document_id=documents, data=contents)
    def put(self, document_id: str, data: bytes) -> None:
        name = "bad.pdf" if data == BAD else "a.txt"
        if document_id in self.gone:
            with pytest.raises(NotFoundError):
                self.catalog.documents.replace_content(
                    document_id, self._stage(data), name=name, media_type="text/plain", password=None, now=NOW
                )
            return
        self.catalog.documents.replace_content(
            document_id, self._stage(data), name=name, media_type="text/plain", password=None, now=NOW
        )
        expected = self.model[document_id]
        expected.version += 1
        expected.newest, expected.status = data, "queued"

    @rule(document_id=documents)
    def cancel(self, document_id: str) -> None:
        if document_id in self.gone:
            return
        expected = self.model[document_id]
        if expected.status == "queued":
            assert self.catalog.documents.cancel(document_id, NOW).status == "cancelled"
            expected.status = "cancelled"
        else:
            with pytest.raises(ConflictError):
                self.catalog.documents.cancel(document_id, NOW)

    @rule(document_id=documents)
    def retry(self, document_id: str) -> None:
        if document_id in self.gone:
            return
        expected = self.model[document_id]
        if expected.status in ("failed", "cancelled"):
            self.catalog.documents.retry(document_id, NOW)
            expected.status = "queued"
        else:
            with pytest.raises(ConflictError):
                self.catalog.documents.retry(document_id, NOW)

    @rule(document_id=consumes(documents))
    def delete(self, document_id: str) -> None:
        if document_id in self.gone:
            with pytest.raises(NotFoundError):
                self.catalog.documents.delete(document_id, NOW)
            return
        self.catalog.documents.delete(document_id, NOW)
        self.indexes.catch_up()
        self.gone.add(document_id)
        del self.model[document_id]

    @rule()
    def work(self) -> None:
        self.ingestor.run_until_idle()
        for expected in self.model.values():
            if expected.status == "queued":
                expected.status = "failed" if expected.newest == BAD else "ready"
                if expected.newest != BAD:
                    expected.live, expected.live_version = expected.newest, expected.version

    @rule()
    def restart(self) -> None:
        self._close()
        self._open()

    @rule(damage=st.sampled_from(("none", "truncate", "remove")))
    def restart_with_damaged_indexes(self, damage: str) -> None:
        self.indexes.snapshot()
        self._close()
        for path in self.folder.indexes_path.iterdir():
            if damage == "truncate" and path.suffix != ".sqlite3" and "sqlite3-" not in path.name:
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            elif damage == "remove":
                path.unlink()
        self._open()

    @rule()
    def reindex(self) -> None:
        self.indexes.rebuild()

    @rule()
    def backup_and_restore(self) -> None:
        archive = self.scratch / "backup.tar"
        archive.unlink(missing_ok=True)
        write_backup(self.catalog, archive, NOW)
        self._close()
        self.folder = self._next_folder()
        with self.folder:
            database = Database(self.folder.database_url)
            restore_backup(archive, database, FileStore(self.folder.path))
            database.close()
        self._open()

    @rule(word=st.sampled_from(WORDS), collection=st.sampled_from(COLLECTIONS))
    def search(self, word: str, collection: str) -> None:
        hits = self.retriever.search(word, k=100, collection=collection, metadata_filter=None).hits
        holding = {
            document_id
            for document_id, expected in self.model.items()
            if expected.collection == collection and expected.live and word.encode() in expected.live
        }
        found = {hit.passage.document_id for hit in hits if word in hit.passage.text}
        assert found == holding
        for hit in hits:
            text = self.catalog.documents.text(hit.passage.document_id, hit.passage.version)
            assert text[hit.passage.start : hit.passage.end] == hit.passage.text

    @invariant()
    def the_store_says_what_the_dict_says(self) -> None:
        if not hasattr(self, "catalog"):
            return
        listed, _, count = self.catalog.documents.list(
            collection=None, status=None, q=None, sort="created_at", limit=1000, cursor=None
        )
        assert count == len(listed) == len(self.model)
        for document in listed:
            expected = self.model[document.document_id]
            assert (document.status, document.version, document.live_version) == (
                expected.status, expected.version, expected.live_version,
            )  # fmt: skip
            if expected.live_version is not None:
                text = self.catalog.documents.text(document.document_id, expected.live_version)
                assert text.strip() == (expected.live or b"").decode()
                passages = self.catalog.passages.of_document(document.document_id, expected.live_version)
                assert "".join(passage.text for passage in passages) == text
                for passage in passages:
                    first_owner = self.seen_passage_ids.setdefault(passage.passage_id, document.document_id)
                    assert first_owner == document.document_id, "a passage id was used again"

    @invariant()
    def everything_agrees(self) -> None:
        if not hasattr(self, "catalog"):
            return
        self.indexes.catch_up()
        check = self.indexes.check()
        assert check.agrees, check
        consistent = check_catalog(self.catalog)
        assert not consistent.problems, consistent


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_any_order_of_operations_agrees_with_a_dict() -> None:
    with Sandbox(Limits()) as sandbox:
        Store.sandbox = sandbox
        from hypothesis.stateful import run_state_machine_as_test

        run_state_machine_as_test(
            Store,
            settings=settings(
                max_examples=15, stateful_step_count=20, deadline=None, derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip
