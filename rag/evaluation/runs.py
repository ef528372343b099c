"""One run: every case under every system, scored, traced and stored as soon as it is known.

Cases are worked through in order, and all systems of a case together: they share what was retrieved and what was
judged. A case is stored whole, so that a run that was killed goes on with the first case that is not. Systems are asked
one after the other; the decoder is not given batches.
"""

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import structlog

from llm.errors import CancelledError, LlmError
from llm.types import Cancel
from rag.errors import CiteboundError, IndexMismatchError, NotFoundError, NotReadyError, StorageError
from rag.evaluation.cause import Probe, Rerun, Swapped, find_cause, find_holders, needs_cause, partner, rerun_of
from rag.evaluation.evidence import CachedSearch, Yardstick
from rag.evaluation.obedience import Swap, draw_swaps, obeyed
from rag.evaluation.plan import Plan
from rag.evaluation.scored import score_case, score_external
from rag.evaluation.systems import Bench, answer_case
from rag.evaluation.types import Case, CaseFailure, CaseResult, System
from rag.types import Answer

_log = structlog.get_logger(__name__)

_HOLD_ERRORS = (StorageError, NotReadyError, IndexMismatchError)  # say nothing about the case: the run stops
_TRIES = 3  # a document can be deleted while an answer is written from it
_FLUSH_RESULTS = 200
_FLUSH_SECONDS = 1.0

Kind = Literal["result", "probe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line to store. `document_ids` are those whose words it may hold."""

    kind: Kind
    case_number: int
    system_number: int
    value: CaseResult | Probe
    document_ids: frozenset[str] = frozenset()


class RunStore(Protocol):
    """Where a run is kept."""

    def done(self) -> Collection[tuple[int, int]]:
        """(case number, system number) of every result that is there."""
        ...

    def append(self, lines: Sequence[Line], seconds_left: float | None) -> None:
        """Keep lines, so that they survive a power cut.

        Raises:
            CancelledError: nobody wants the run any more.
            StorageError: the disk is full or failing; none of them is kept.
        """
        ...


def execute(
    plan: Plan,
    store: RunStore,
    *,
    bench: Bench | None,
    yardstick: Yardstick | None,
    cancel: Cancel | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Run what is not stored yet.

    Args:
        plan: What is to be run.
        store: Where it is kept.
        bench: What systems answer with; None where all answers were made elsewhere.
        yardstick: Reads claims; None where nothing is judged.
        cancel: Stops the run within a second; what is stored stays.
        on_progress: Hears how many of how many results are stored.

    Raises:
        CancelledError: `cancel` was set, or nobody wants the run any more.
        StorageError, NotReadyError, IndexMismatchError: the run cannot go on at present; what is stored stays.
    """
    _Run(plan, store, bench, yardstick, cancel or Cancel(), on_progress).work()


class _Run:
    def __init__(
        self,
        plan: Plan,
        store: RunStore,
        bench: Bench | None,
        yardstick: Yardstick | None,
        cancel: Cancel,
        on_progress: Callable[[int, int], None],
    ) -> None:
        self._plan = plan
        self._store = store
        self._searches: dict[str, CachedSearch] = {}
        self._bench = None if bench is None else dataclasses.replace(bench, retriever=self._cached(bench))
        self._yardstick = yardstick
        self._cancel = cancel
        self._on_progress = on_progress
        self._answers = {
            system.name: {answer.case_id: answer for answer in system.answers or ()} for system in plan.systems
        }
        swaps = draw_swaps(plan.cases, plan.n_swaps, plan.seed) if bench is not None and plan.n_swaps else ()
        self._swaps = {swap.case_id: swap for swap in swaps}

    def work(self) -> None:
        n_systems, n_total = len(self._plan.systems), len(self._plan.cases) * len(self._plan.systems)
        done = set(self._store.done())
        left = [
            number
            for number in range(len(self._plan.cases))
            if not all((number, system) in done for system in range(n_systems))
        ]
        n_before, waiting = len(self._plan.cases) - len(left), list[Line]()
        started = flushed = time.perf_counter()
        for n_worked, number in enumerate(left, start=1):
            self._cancel.raise_if_set()
            waiting.extend(self._case(number))
            now = time.perf_counter()
            if n_worked == len(left) or len(waiting) >= _FLUSH_RESULTS or now - flushed >= _FLUSH_SECONDS:
                self._store.append(waiting, (now - started) / n_worked * (len(left) - n_worked))
                waiting, flushed = [], now
                self._on_progress((n_before + n_worked) * n_systems, n_total)

    def _case(self, number: int) -> Iterator[Line]:
        """All lines of one case."""
        case = self._plan.cases[number]
        for search in self._searches.values():
            search.clear()
        if self._yardstick is not None:
            self._yardstick.clear()
        worked = [self._answer(case, system) for system in self._plan.systems]
        probes: dict[int, Probe] = {}
        for place, system in enumerate(self._plan.systems):
            result, answer = worked[place]
            probe = self._probe(case, system, result, answer, {r.system: r for r, _ in worked})
            if probe is not None:
                probes[place] = probe
                worked[place] = (dataclasses.replace(result, cause=probe.cause), answer)
        documents = {hit.passage.document_id for _, answer in worked if answer for hit in answer.retrieved}
        if self._yardstick is not None:
            documents |= self._yardstick.document_ids
        told = frozenset(documents)
        for place, (result, _) in enumerate(worked):
            yield Line(kind="result", case_number=number, system_number=place, value=result, document_ids=told)
        for place, probe in probes.items():
            yield Line(kind="probe", case_number=number, system_number=place, value=probe, document_ids=told)

    def _answer(self, case: Case, system: System) -> tuple[CaseResult, Answer | None]:
        """The scored answer of one system; what fails is a result as well."""
        for last in (False,) * (_TRIES - 1) + (True,):
            try:
                if system.answers is not None:
                    given = self._answers[system.name].get(case.case_id)
                    if given is None:
                        return _failed(case, system, "no_answer", "the system has no answer to this case"), None
                    result = score_external(case, given, system, self._yardstick, cancel=self._cancel)
                    return result, None
                assert self._bench is not None
                plan = self._plan
                answer = answer_case(
                    case, system, self._bench, collection=plan.collection, seed=plan.seed, cancel=self._cancel
                )
                scored = score_case(case, system, answer, self._bench, self._yardstick, cancel=self._cancel)
                return scored, answer
            except (CancelledError, *_HOLD_ERRORS):
                raise
            except NotFoundError as error:
                if last:
                    return _failed(case, system, error.code, str(error)), None
            except CiteboundError as error:
                return _failed(case, system, error.code, str(error)), None
            except LlmError as error:
                return _failed(case, system, "decoder", str(error)), None
            except Exception as error:
                _log.error("case_failed_unexpectedly", system=system.name, error=type(error).__name__)
                message = f"the program failed on this case ({type(error).__name__}); see the log"
                return _failed(case, system, "internal", message), None
        raise AssertionError("every try returns or raises")

    def _probe(
        self, case: Case, system: System, result: CaseResult, answer: Answer | None, results: Mapping[str, CaseResult]
    ) -> Probe | None:
        """What reruns tell of one answer; None where there is nothing to ask."""
        if system.mode not in ("grounded", "oracle") or self._bench is None:
            return None
        swapped = self._swap(case, system)
        traced = self._plan.trace and system.mode == "grounded" and answer is not None and needs_cause(result)
        if not traced:
            return None if swapped is None else Probe(case_id=case.case_id, system=system.name, swapped=swapped)
        closed_book = self._rerun(case, system, "closed_book", results)
        oracle = self._rerun(case, system, "oracle", results) if case.gold_passages else None
        search = self._bench.retriever("hybrid")
        holders = find_holders(case, search, self._plan.collection) if case.answerable else ()
        holder_ids = tuple(sorted(passage.passage_id for passage in holders))
        cut = {item.passage_id for item in answer.dropped if item.reason == "budget"} if answer is not None else set()
        return Probe(
            case_id=case.case_id,
            system=system.name,
            cause=find_cause(case, result, holder_ids=holder_ids, cut_ids=cut, closed_book=closed_book),
            holder_ids=holder_ids,
            closed_book=closed_book,
            oracle=oracle,
            swapped=swapped,
        )

    def _rerun(
        self, case: Case, system: System, mode: Literal["closed_book", "oracle"], results: Mapping[str, CaseResult]
    ) -> Rerun | None:
        """The same question in another mode: the answer of a system that has it, or one made now."""
        other = partner(self._plan.systems, system, mode)
        if other is not None:
            known = results[other.name]
            return None if known.failure is not None else rerun_of(known)
        rerun = dataclasses.replace(system, mode=mode, policy="flag")
        made = self._only_answer(case, rerun)
        if made is None or self._bench is None:
            return None
        return rerun_of(score_case(case, rerun, made, self._bench, None, cancel=self._cancel))

    def _swap(self, case: Case, system: System) -> Swapped | None:
        swap: Swap | None = self._swaps.get(case.case_id)
        if swap is None:
            return None
        answer = self._only_answer(
            dataclasses.replace(case, gold_passages=swap.evidence), dataclasses.replace(system, mode="oracle")
        )
        if answer is None:
            return None
        did = obeyed(swap, case.reference_answers, answer.text, abstained=answer.abstained)
        return Swapped(text=answer.text, reference=swap.reference, stand_in=swap.stand_in, obeyed=did)

    def _only_answer(self, case: Case, system: System) -> Answer | None:
        """An answer for a rerun; None where it cannot be had, which leaves what hangs on it undefined."""
        assert self._bench is not None
        plan = self._plan
        try:
            return answer_case(
                case, system, self._bench, collection=plan.collection, seed=plan.seed, cancel=self._cancel
            )
        except (CancelledError, *_HOLD_ERRORS):
            raise
        except Exception as error:  # a rerun explains; it must not end the run
            _log.warning("rerun_failed", system=system.name, mode=system.mode, error=type(error).__name__)
            return None

    def _cached(self, bench: Bench) -> Callable[[Any], CachedSearch]:
        """One search a kind of retriever, which remembers what the present case asked."""

        def retriever(name: Any) -> CachedSearch:
            if name not in self._searches:
                self._searches[name] = CachedSearch(bench.retriever(name))
            return self._searches[name]

        return retriever


def _failed(case: Case, system: System, code: str, message: str) -> CaseResult:
    return CaseResult(
        case_id=case.case_id,
        system=system.name,
        text=None,
        abstained=False,
        outcome=None,
        failure=CaseFailure(code=code, message=message),
    )
