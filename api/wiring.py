"""Puts the parts of a service together, once; what takes long to make is chosen in `api.loader`."""

import datetime
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio
import structlog

from api.admission import Admission
from api.auth import Gate
from api.comparing import Comparing
from api.comparison_reports import build_summary
from api.conversations import Conversations
from api.loader import Loader
from api.loading import Pending
from api.metrics import Metrics
from api.page_images import PageImages
from api.parts import BACKUP_PREFIX, Parts
from api.report_cache import ReportCache
from api.settings import Settings
from api.uploads import Receiver
from ingest.sandbox import Sandbox
from rag.answer_types import SURE_ABSTENTION, SUREST_ABSTENTION, AnswerSettings
from rag.attribution import DEFAULT_THRESHOLD
from rag.catalog.catalog import Catalog
from rag.catalog.database import Database
from rag.catalog.files import FileStore
from rag.catalog.folder import DataFolder
from rag.catalog.restore import restore_backup
from rag.confidence import ConfidenceModel, load_confidence
from rag.demonstrations import Demonstrations, Fixed, Nearest, read_demonstrations
from rag.embed import Embedder
from rag.errors import NotFoundError

_log = structlog.get_logger(__name__)

_STATUSES = ("queued", "parsing", "embedding", "ready", "failed", "cancelled")


def utc_now() -> datetime.datetime:
    """The present time; everything below is given it."""
    return datetime.datetime.now(datetime.UTC)


@contextmanager
def open_parts(settings: Settings, *, decoder: bool = True, judge: bool = True) -> Iterator[Parts]:
    """Own the data folder, put its catalog in order, and make every part; models are loaded by `Parts.begin`.

    Args:
        settings: Everything else.
        decoder: False never loads one: there is search and ingest, but no answers.
        judge: False never loads one: nothing is verified.

    Raises:
        FolderOwnedError: another process owns the folder; the message has its address.
        InvalidInputError: no confidence threshold is known for the setting `target_risk`, or the file of the setting
            `demonstrations` holds none.
        StorageError: the disk is full or failing.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(DataFolder(settings.data_dir))
        database = Database(settings.catalog_url or folder.database_url)
        catalog = Catalog(database, FileStore(folder.path))
        stack.callback(catalog.close)
        started = catalog.start(utc_now())
        sandbox = stack.enter_context(Sandbox(settings.limits))
        loader = Loader(settings, decoder=decoder, judge=judge)
        stack.callback(loader.close)
        parts = _parts(settings, folder, catalog, sandbox, loader)
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
    embedder: Pending[Embedder] = Pending("the embedder")
    questions = Admission(
        "questions",
        max_running=settings.max_running_questions,
        max_waiting=settings.max_waiting_questions,
        usual_seconds=2.0,
        max_per_client=settings.max_questions_per_key,
    )
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
        conversations=Conversations(catalog.passages.get_many),
        questions=questions,
        verifications=Admission(
            "verifications", max_running=1, max_waiting=settings.max_waiting_questions, usual_seconds=1.0
        ),
        event_streams=Admission(
            "event streams", max_running=settings.max_event_streams, max_waiting=0, usual_seconds=10.0
        ),
        upload_slots=anyio.CapacityLimiter(settings.max_parallel_uploads),
        generation_slots=anyio.CapacityLimiter(settings.max_running_questions),
        verification_slots=anyio.CapacityLimiter(1),
        answer_settings=_answer_settings(settings, confidence, embedder),
        confidence=confidence,
        closing=anyio.Event(),
        stopping=threading.Event(),
        embedder=embedder,
        indexes=Pending("the index"),
        search=Pending("the search"),
        decoder=Pending("the decoder"),
        judge=Pending("the verifier"),
        reranking=loader.reranking(),
        comparing=Comparing(loader.decoder_named, loader.decoder_sha256, build_summary),
        reports=ReportCache(folder.cache_path / "reports"),
        load=loader.load,
        begun=threading.Lock(),
        reindex=loader.reindex,
        now=utc_now,
    )


def _answer_settings(settings: Settings, confidence: ConfidenceModel, embedder: Pending[Embedder]) -> AnswerSettings:
    threshold, risk = settings.attribution_threshold, settings.target_risk
    sure = SURE_ABSTENTION if settings.sure_abstention is None else settings.sure_abstention
    demonstrations: Demonstrations | None = None
    if settings.demonstrations is not None:
        pool = read_demonstrations(settings.demonstrations.expanduser())
        n_shown = settings.n_demonstrations
        demonstrations = Nearest(pool, embedder.get, n_shown) if n_shown else Fixed(pool)
    return AnswerSettings(
        demonstrations=demonstrations,
        citation_threshold=DEFAULT_THRESHOLD if threshold is None else threshold,
        abstain_below=None if risk is None else confidence.threshold(risk),
        sure_abstention=sure,
        surest_abstention=max(sure, SUREST_ABSTENTION),
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
