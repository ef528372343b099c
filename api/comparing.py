"""The worker that runs comparisons: one at a time, in its own thread, going on where a stop or a crash left off."""

import json
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from api.comparison_bench import Decoders, comparison_bench, index_identity
from api.loading import Pending
from api.logs import frames
from llm.errors import CancelledError, LlmError
from llm.types import Cancel, Decoder
from rag.catalog.comparisons import NewResult
from rag.catalog.jobs import COMPARISON, Job
from rag.errors import CiteboundError, IndexMismatchError, NotFoundError, StorageError
from rag.evaluation.evidence import Yardstick
from rag.evaluation.plan import Plan, manifest_of, read_plan
from rag.evaluation.records import manifest_json, result_line
from rag.evaluation.run_folder import probe_line
from rag.evaluation.runs import Line, execute
from rag.evaluation.systems import Bench
from rag.evaluation.types import CaseResult, Manifest
from rag.prompt import PROMPT_VERSION
from rag.types import Failure
from rag.verify.types import Judge

if TYPE_CHECKING:  # the worker is a part, and works with all others
    from api.parts import Parts

T = TypeVar("T")

_log = structlog.get_logger(__name__)

_HOLD_ERRORS = (StorageError, IndexMismatchError)  # nothing to do with the comparison: it waits
_RETRY_SECONDS = 5.0
_LOOK_SECONDS = 0.2  # between two looks at a model that is loading


class LeftOutError(CancelledError):
    """This process was told to do without a model that the comparison needs; another will do it."""


class Comparing:
    """Claims comparisons from the queue of jobs, oldest first. Nothing runs before `start`.

    Args:
        decoder_named: Loads a decoder other than the service's own; it is kept as long as a comparison needs it.
        decoder_sha256: The hash of a loaded decoder's weights, by its name.
        summarize: The figures of a finished comparison, by its id.
    """

    def __init__(
        self,
        decoder_named: Callable[[str], Decoder],
        decoder_sha256: Callable[[str], str | None],
        summarize: Callable[["Parts", str], dict[str, Any]],
    ) -> None:
        self._decoder_named = decoder_named
        self._decoder_sha256 = decoder_sha256
        self._summarize = summarize
        self._state = threading.Condition()
        # All below is guarded by `_state`.
        self._thread: threading.Thread | None = None
        self._awake = False
        self._first: str | None = None  # the job to do next
        self._current: tuple[str, Cancel] | None = None  # comparison id, how to stop it
        # Touched by the working thread only.
        self._passed_over: set[str] = set()  # jobs that need what this process was started without

    def start(self, parts: "Parts", first: str | None = None) -> None:
        """Look at the queue now, the job `first` before all others; starts the thread if there is none."""
        with self._state:
            self._awake, self._first = True, first or self._first
            self._state.notify_all()
            if self._thread is None and not parts.stopping.is_set():
                self._thread = threading.Thread(target=self._work, args=(parts,), name="compare", daemon=True)
                self._thread.start()

    def stop_one(self, comparison_id: str) -> None:
        """Stop work on a comparison that was cancelled or deleted."""
        with self._state:
            if self._current is not None and self._current[0] == comparison_id:
                self._current[1].set()

    def stop(self) -> None:
        """Stop and wait for that; `Parts.stopping` is set before. What was at work is queued again."""
        with self._state:
            if self._current is not None:
                self._current[1].set()
            self._state.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self, parts: "Parts") -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._awake or parts.stopping.is_set())
                if parts.stopping.is_set():
                    return
                self._awake = False
            try:
                while not parts.stopping.is_set() and self._do_next(parts):
                    pass
            except Exception as error:
                _log.error("comparisons_paused", error=type(error).__name__, frames=frames(error))
                parts.stopping.wait(_RETRY_SECONDS)
                with self._state:
                    self._awake = True

    def _do_next(self, parts: "Parts") -> bool:
        """Do one comparison; False where none waits."""
        with self._state:
            first, self._first = self._first, None
        job = parts.catalog.jobs.claim(parts.now(), COMPARISON, first=first, without=self._passed_over)
        if job is None:
            return False
        comparison_id, cancel = str(job.payload["comparison_id"]), Cancel()
        with self._state:
            self._current = (comparison_id, cancel)
            if parts.stopping.is_set():
                cancel.set()
        try:
            self._compare(parts, job, comparison_id, cancel)
        except (CancelledError, NotFoundError):  # stopped, cancelled or deleted
            parts.catalog.jobs.release(job.job_id, parts.now())
        except _HOLD_ERRORS:
            parts.catalog.jobs.release(job.job_id, parts.now())
            raise
        except (CiteboundError, LlmError) as error:
            self._fail(parts, job, comparison_id, getattr(error, "code", "decoder"), str(error))
        except Exception as error:
            _log.error("comparison_failed", error=type(error).__name__, frames=frames(error))
            message = f"the program failed ({type(error).__name__}); see the log, then resume the comparison"
            self._fail(parts, job, comparison_id, "internal", message)
        finally:
            with self._state:
                self._current = None
        return True

    def _fail(self, parts: "Parts", job: Job, comparison_id: str, code: str, message: str) -> None:
        failure = Failure(code=code, message=message)
        parts.catalog.comparisons.fail(comparison_id, job.job_id, failure, parts.now())

    def _compare(self, parts: "Parts", job: Job, comparison_id: str, cancel: Cancel) -> None:
        comparisons = parts.catalog.comparisons
        plan = read_plan(comparisons.request(comparison_id))
        try:
            bench, yardstick, manifest = self._prepare(parts, plan, cancel)
        except LeftOutError:
            self._passed_over.add(job.job_id)
            raise
        if not comparisons.begin(comparison_id, job.job_id, manifest_json(manifest), parts.now()):
            return
        store = _CatalogStore(parts, comparison_id, job.job_id)
        execute(plan, store, bench=bench, yardstick=yardstick, cancel=cancel)
        figures = self._summarize(parts, comparison_id)
        comparisons.finish(comparison_id, job.job_id, figures, parts.now())

    def _prepare(self, parts: "Parts", plan: Plan, cancel: Cancel) -> tuple[Bench | None, Yardstick | None, Manifest]:
        """What answers and judges, as far as the plan needs it, and the account of it.

        Raises:
            LeftOutError: this process was started without it.
            NotReadyError: it could not be loaded.
            CancelledError: `cancel` was set.
        """
        judge: Judge | None = None
        if plan.judged and parts.settings.verifier != "none":
            judge = _loaded(parts, parts.judge, cancel)
        search = _loaded(parts, parts.search, cancel).retriever if plan.needs_search else None
        bench = None
        if plan.needs_decoder and search is not None:
            own = _loaded(parts, parts.decoder, cancel)
            bench = comparison_bench(parts, search, judge, Decoders(own, self._decoder_named))
        manifest = manifest_of(
            plan,
            created_at=parts.now().isoformat(),
            prompt_version=None if bench is None else PROMPT_VERSION,
            verifier=None if judge is None else judge.info,
            models={} if bench is None else self._models(plan, bench),
            index={} if search is None else index_identity(parts),
            version=version("citebound"),
        )
        return bench, None if judge is None else Yardstick(judge, search, plan.collection), manifest

    def _models(self, plan: Plan, bench: Bench) -> dict[str, Any]:
        """Which model answers under each system; loads those that are not the service's own."""
        infos = {system.name: bench.decoder(system.model).info for system in plan.systems if system.mode is not None}
        return {name: {**asdict(info), "sha256": self._decoder_sha256(info.name)} for name, info in infos.items()}


class _CatalogStore:
    """`rag.evaluation.runs.RunStore` over the catalog."""

    def __init__(self, parts: "Parts", comparison_id: str, job_id: str) -> None:
        self._parts = parts
        self._comparison_id = comparison_id
        self._job_id = job_id

    def done(self) -> Collection[tuple[int, int]]:
        return self._parts.catalog.comparisons.done(self._comparison_id)

    def append(self, lines: "Sequence[Line]", seconds_left: float | None) -> None:
        kept = self._parts.catalog.comparisons.append(
            self._comparison_id,
            self._job_id,
            [_new_result(line) for line in lines],
            seconds_left=seconds_left,
            now=self._parts.now(),
        )
        if not kept:
            raise CancelledError("the comparison was cancelled or deleted")


def _new_result(line: Line) -> NewResult:
    value = line.value
    is_result = isinstance(value, CaseResult)
    return NewResult(
        kind=line.kind,
        case_number=line.case_number,
        system_number=line.system_number,
        payload=json.loads(result_line(value) if isinstance(value, CaseResult) else probe_line(value)),
        document_ids=line.document_ids,
        failed=is_result and getattr(value, "failure", None) is not None,
    )


def _loaded(parts: "Parts", pending: Pending[T], cancel: Cancel) -> T:
    """A part, once it is loaded.

    Raises:
        CancelledError: nobody waits for it any more.
        LeftOutError: this process was started without it.
        NotReadyError: it could not be loaded; the message says why.
    """
    parts.begin()
    while not pending.wait(_LOOK_SECONDS):
        cancel.raise_if_set()
    if parts.stopping.is_set():
        raise CancelledError("the service is stopping")
    if not pending.is_wanted:
        raise LeftOutError("this process was started without a model that the comparison needs")
    return pending.get()
