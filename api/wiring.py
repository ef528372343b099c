"""Chooses the concrete classes, once. Nothing here imports torch before a model is loaded."""

import datetime
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import anyio
import structlog

from api.admission import Admission
from api.auth import Gate
from api.comparing import Comparing
from api.comparison_reports import build_summary
from api.loading import Pending
from api.metrics import Metrics
from api.page_images import PageImages
from api.parts import BACKUP_PREFIX, Parts, Search
from api.report_cache import ReportCache
from api.settings import Settings
from api.uploads import Receiver
from ingest.pipeline import Ingestor
from ingest.sandbox import Sandbox
from llm.adapters import Adapter, read_adapter, shipped_adapter
from llm.errors import UnsupportedError
from llm.scripted import ScriptedDecoder
from llm.sources import ModelStore
from llm.types import Decoder, Device
from rag.answer_types import AnswerSettings
from rag.attribution import DEFAULT_THRESHOLD
from rag.catalog.catalog import Catalog
from rag.catalog.database import Database
from rag.catalog.files import FileStore
from rag.catalog.folder import DataFolder
from rag.catalog.restore import restore_backup
from rag.confidence import ConfidenceModel, load_confidence
from rag.embed import Embedder, TokenCounter
from rag.errors import NotFoundError
from rag.hashing_embedder import HashingEmbedder
from rag.index.faiss import FaissIndex
from rag.index.lexical import LexicalIndex
from rag.index.sync import Indexes
from rag.passage_text import embedding_text
from rag.retrieve import Retriever, Weights
from rag.token_counter import WordCounter, load_token_counter, read_json
from rag.verify.cached_judge import CachedJudge
from rag.verify.overlap_judge import OverlapJudge

_log = structlog.get_logger(__name__)
T = TypeVar("T")

_HASHING = re.compile(r"hashing(?:-([1-9][0-9]{0,3}))?")  # the embedder without weights, with its dimension
_HASHING_DIMENSION = 64
_SCRIPTED = "scripted"
_VERIFIER_BASE = "all-MiniLM-L6-v2"  # the encoder that the shipped verifier was trained from
_HASHING_MAX_TOKENS = 128
_STOPPING = "the service is stopping"
_STATUSES = ("queued", "parsing", "embedding", "ready", "failed", "cancelled")


def utc_now() -> datetime.datetime:
    """The present time; everything below is given it."""
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderChoice:
    """The embedder of the settings, known before it is loaded."""

    name: str  # what its vectors carry
    dimension: int
    folder: Path | None  # None where there are no weights

    def load(self, device: Device | None) -> Embedder:
        """The embedder itself; imports torch where there are weights."""
        if self.folder is None or device is None:
            return HashingEmbedder(self.dimension)
        from rag.torch_embedder import load_embedder

        return load_embedder(self.folder, name=self.name, device=device)

    def counter(self) -> TokenCounter:
        """What cuts passages for it."""
        return WordCounter(_HASHING_MAX_TOKENS) if self.folder is None else load_token_counter(self.folder)


class Loader:
    """Makes what takes long, one after the other in a thread of its own: indexes, embedder, decoder, judge.

    Args:
        settings: Which ones.
        decoder: False leaves the decoder out.
        judge: False leaves the judge out.
    """

    def __init__(self, settings: Settings, *, decoder: bool, judge: bool) -> None:
        self._settings = settings
        self._with_decoder = decoder
        self._with_judge = judge and settings.verifier != "none"
        self._models = ModelStore(settings.model_cache, offline=settings.offline)
        self._choice: EmbedderChoice | None = None
        self._device: Device | None = None
        self._reindexing = threading.Lock()

    def load(self, parts: Parts) -> None:
        """Fill the pending values of `parts` in the order in which they are needed."""
        if not self._with_decoder:
            parts.decoder.leave_out("this service was started without a decoder")
        if not self._with_judge:
            parts.judge.leave_out("this service was started without a verifier; see the setting verifier")
        self._load_search(parts)
        if self._with_decoder:
            _make(parts, parts.decoder, lambda: self._load_decoder(self._settings.decoder))
        if self._with_judge:
            _make(parts, parts.judge, self._load_judge)

    def reindex(self, parts: Parts) -> int:
        """Rebuild every index from the catalog; also mends indexes that could not be opened.

        Returns:
            The passages that were embedded again: 0 where their vectors are of the embedder of the settings.

        Raises:
            NotReadyError: the embedder or the indexes cannot be loaded; the message says why.
        """
        parts.begin()
        parts.embedder.wait()
        embedder = parts.embedder.get()
        with self._reindexing:
            n_embedded = 0
            if parts.catalog.passages.embedder() not in (None, embedder.name):
                n_embedded = parts.catalog.passages.embed_again(
                    lambda passages: embedder.embed_passages([embedding_text(passage) for passage in passages]),
                    embedder.name,
                )
            parts.search.wait()
            opened = parts.indexes.peek()
            if opened is not None:
                opened.rebuild()
            else:
                parts.indexes.make(lambda: self._open_indexes(parts))
                parts.indexes.get()
                parts.search.make(lambda: self._open_search(parts))
        parts.wake()
        return n_embedded

    def decoder_named(self, name: str) -> Decoder:
        """A decoder other than that of the settings, loaded now and kept by the caller alone.

        Raises:
            ModelNotFoundError: no source has a model of that name.
            DownloadError: it could not be fetched.
        """
        return self._load_decoder(name)

    def _load_search(self, parts: Parts) -> None:
        parts.indexes.make(lambda: self._open_indexes(parts))
        _make(parts, parts.embedder, self._load_embedder)
        missing = parts.indexes.missing or parts.embedder.missing
        if missing is None:
            parts.search.make(lambda: self._open_search(parts))
        else:
            parts.search.give_up(missing)

    def _open_indexes(self, parts: Parts) -> Indexes:
        choice, folder = self._chosen(), parts.folder.indexes_path
        lexical = LexicalIndex(folder / "lexical.sqlite3")
        try:
            indexes = Indexes(parts.catalog, FaissIndex(choice.dimension), lexical, folder, choice.name)
            indexes.open()
        except BaseException:
            lexical.close()
            raise
        return indexes

    def _open_search(self, parts: Parts) -> Search:
        settings, choice = parts.settings, self._chosen()
        embedder, indexes = parts.embedder.get(), parts.indexes.get()
        weights = Weights(dense=settings.dense_weight, lexical=settings.lexical_weight)
        ingestor = Ingestor(parts.catalog, parts.sandbox, indexes, lambda: embedder, choice.counter, parts.now)
        ingestor.start()
        retriever = Retriever(parts.catalog, indexes, embedder, weights)
        return Search(retriever=retriever, ingestor=ingestor, counter=choice.counter())

    def _load_embedder(self) -> Embedder:
        choice = self._chosen()
        return choice.load(None if choice.folder is None else self._probe())

    def _chosen(self) -> EmbedderChoice:
        if self._choice is None:
            self._choice = self._choose_embedder()
        return self._choice

    def _choose_embedder(self) -> EmbedderChoice:
        name = self._settings.embedder
        hashing = _HASHING.fullmatch(name)
        if hashing:
            stub = HashingEmbedder(int(hashing[1] or _HASHING_DIMENSION))
            return EmbedderChoice(name=stub.name, dimension=stub.dimension, folder=None)
        model = self._models.resolve(name)
        dimension = int(read_json(model.folder / "config.json").get("hidden_size", 0))
        return EmbedderChoice(name=f"{model.name}@{model.sha256[:12]}", dimension=dimension, folder=model.folder)

    def _load_decoder(self, name: str) -> Decoder:
        if name == _SCRIPTED:
            return ScriptedDecoder(self._settings.scripted_replies)
        model = self._models.resolve(name)
        device = self._probe()
        from llm.engines.torch import load_decoder

        adapter = self._adapter(model.name, model.sha256)
        return load_decoder(model.folder, name=model.name, device=device, adapter=adapter)

    def _adapter(self, name: str, sha256: str) -> Adapter | None:
        wanted = self._settings.decoder_adapter
        if wanted == "none":
            return None
        if wanted == "shipped":
            return shipped_adapter(sha256)
        adapter = read_adapter(Path(wanted).expanduser())
        if adapter.base_sha256 != sha256:
            raise UnsupportedError(
                f"the adapter {adapter.name} was trained on {adapter.base}, whose weights are not those of {name}; "
                "set decoder_adapter to shipped or none"
            )
        return adapter

    def _load_judge(self) -> CachedJudge:
        if self._settings.verifier == "overlap":
            return CachedJudge(OverlapJudge())
        from rag.verify.judge import load_judge

        return CachedJudge(load_judge(self._models.resolve(_VERIFIER_BASE).folder, self._probe()))

    def _probe(self) -> Device:
        if self._device is None:
            from llm.device import probe_device

            settings = self._settings
            self._device = probe_device(settings.device, settings.dtype, settings.threads)
        return self._device


def _make(parts: Parts, pending: Pending[T], build: Callable[[], T]) -> None:
    """Make a value unless the service is stopping."""
    if parts.stopping.is_set():
        pending.give_up(_STOPPING)
    else:
        pending.make(build)


@contextmanager
def open_parts(settings: Settings, *, decoder: bool = True, judge: bool = True) -> Iterator[Parts]:
    """Own the data folder, put its catalog in order, and make every part; models are loaded by `Parts.begin`.

    Args:
        settings: Everything else.
        decoder: False never loads one: there is search and ingest, but no answers.
        judge: False never loads one: nothing is verified.

    Raises:
        FolderOwnedError: another process owns the folder; the message has its address.
        InvalidInputError: no confidence threshold is known for the setting `target_risk`.
        StorageError: the disk is full or failing.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(DataFolder(settings.data_dir))
        database = Database(settings.catalog_url or folder.database_url)
        catalog = Catalog(database, FileStore(folder.path))
        stack.callback(catalog.close)
        started = catalog.start(utc_now())
        sandbox = stack.enter_context(Sandbox(settings.limits))
        parts = _parts(settings, folder, catalog, sandbox, Loader(settings, decoder=decoder, judge=judge))
        parts.page_images.sweep(lambda document_id: _is_known(catalog, document_id))
        parts.reports.forget()
        for left_behind in folder.cache_path.glob(f"{BACKUP_PREFIX}*"):
            left_behind.unlink()
        _log.info("opened", n_swept=started.n_swept, n_requeued=len(started.recovered.requeued))
        stack.callback(parts.stop)
        yield parts


def _parts(settings: Settings, folder: DataFolder, catalog: Catalog, sandbox: Sandbox, loader: Loader) -> Parts:
    token = secrets.token_urlsafe(32)
    confidence = load_confidence()
    questions = Admission("questions", max_running=1, max_waiting=settings.max_waiting_questions, usual_seconds=2.0)
    return Parts(
        settings=settings,
        folder=folder,
        catalog=catalog,
        sandbox=sandbox,
        page_images=PageImages(folder.cache_path / "pages", catalog, sandbox, settings.max_pixels),
        receiver=Receiver(
            catalog,
            max_file_bytes=settings.max_file_bytes,
            max_request_bytes=settings.max_request_bytes,
            max_files=settings.max_request_files,
            now=utc_now,
        ),
        gate=Gate(catalog.keys, token, settings.host),
        token=token,
        metrics=Metrics(
            documents=lambda: {s: catalog.documents.list(status=s, limit=1)[2] for s in _STATUSES},
            passages=catalog.passages.count,
            jobs=catalog.jobs.n_queued,
            questions=lambda: questions.n_inside,
        ),
        questions=questions,
        verifications=Admission(
            "verifications", max_running=1, max_waiting=settings.max_waiting_questions, usual_seconds=1.0
        ),
        event_streams=Admission(
            "event streams", max_running=settings.max_event_streams, max_waiting=0, usual_seconds=10.0
        ),
        upload_slots=anyio.CapacityLimiter(settings.max_parallel_uploads),
        generation_slots=anyio.CapacityLimiter(1),
        verification_slots=anyio.CapacityLimiter(1),
        answer_settings=_answer_settings(settings, confidence),
        confidence=confidence,
        closing=anyio.Event(),
        stopping=threading.Event(),
        embedder=Pending("the embedder"),
        indexes=Pending("the index"),
        search=Pending("the search"),
        decoder=Pending("the decoder"),
        judge=Pending("the verifier"),
        comparing=Comparing(loader.decoder_named, build_summary),
        reports=ReportCache(folder.cache_path / "reports"),
        load=loader.load,
        begun=threading.Lock(),
        reindex=loader.reindex,
        now=utc_now,
    )


def _answer_settings(settings: Settings, confidence: ConfidenceModel) -> AnswerSettings:
    threshold, risk = settings.attribution_threshold, settings.target_risk
    return AnswerSettings(
        citation_threshold=DEFAULT_THRESHOLD if threshold is None else threshold,
        abstain_below=None if risk is None else confidence.threshold(risk),
    )


def _is_known(catalog: Catalog, document_id: str) -> bool:
    try:
        catalog.documents.get(document_id)
    except NotFoundError:
        return False
    return True


def restore_archive(settings: Settings, source: Path) -> dict[str, int]:
    """Read a backup into an empty data folder; returns the counts of documents, files and passages.

    Raises:
        ConflictError: the folder holds documents.
        FolderOwnedError: a process owns the folder.
        InvalidInputError: the archive is damaged or none of ours.
    """
    with DataFolder(settings.data_dir) as folder:
        database = Database(settings.catalog_url or folder.database_url)
        catalog = Catalog(database, FileStore(folder.path))
        try:
            summary = restore_backup(source, database, catalog.files)
            passages = catalog.passages.count()
        finally:
            catalog.close()
    return {"documents": summary.n_documents, "files": summary.n_files, "passages": passages}
