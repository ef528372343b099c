"""What is to be run, checked before it begins, and the account of everything that it depends on."""

import dataclasses
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from rag.errors import InvalidInputError
from rag.evaluation.records import case_line
from rag.evaluation.types import Case, Manifest, System

MAX_SWAPS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be run; everything but the parts that answer and judge."""

    name: str
    collection: str
    seed: int
    cases: tuple[Case, ...]
    systems: tuple[System, ...]
    judged: bool = True  # whether claims are read by the judge
    trace: bool = True  # whether wrong answers of grounded systems are rerun to find their cause
    n_swaps: int = 0  # cases on which context obedience is tried

    @property
    def needs_decoder(self) -> bool:
        """Whether a system answers here."""
        return any(system.mode is not None for system in self.systems)

    @property
    def needs_search(self) -> bool:
        """Whether the collection is looked into."""
        return self.needs_decoder or self.judged


_PLAN = TypeAdapter(Plan)


def check_plan(plan: Plan, rerankers: Collection[str] = ()) -> Plan:
    """`plan`, if it can be run with rerankers of these names.

    Raises:
        InvalidInputError: no case or system, an id or name twice, an answer to no case, a system without answers, a
            reranker that is not there; says what to do.
    """
    if not plan.cases or not plan.systems:
        raise InvalidInputError(f"there are no {'systems' if plan.cases else 'cases'}; give at least one")
    _once("case id", (case.case_id for case in plan.cases))
    _once("system name", (system.name for system in plan.systems))
    known = {case.case_id for case in plan.cases}
    for system in plan.systems:
        if system.rerank is not None and system.rerank not in rerankers:
            choice = f" or name one of: {', '.join(rerankers)}" if rerankers else ""
            raise InvalidInputError(
                f"system {system.name}: there is no reranker named {system.rerank!r}; leave it out{choice}"
            )
        if system.answers is None:
            continue
        if not system.answers:
            raise InvalidInputError(f"system {system.name} has no answers; give its answers or leave it out")
        _once(f"answer id of system {system.name}", (answer.case_id for answer in system.answers))
        for answer in system.answers:
            if answer.case_id not in known:
                raise InvalidInputError(f"system {system.name}: no case has the id {answer.case_id!r}")
    return plan


def _once(what: str, values: Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise InvalidInputError(f"the {what} {value!r} is there twice; give each its own")
        seen.add(value)


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values."""
    return cast("dict[str, Any]", _PLAN.dump_python(plan, mode="json"))


def read_plan(value: Mapping[str, Any]) -> Plan:
    """The inverse of `plan_json`.

    Raises:
        InvalidInputError: it is none of this version.
    """
    try:
        return _PLAN.validate_python(value)
    except ValidationError as error:
        raise InvalidInputError("the stored comparison is of another version; delete it and start it anew") from error


def cases_sha256(cases: Sequence[Case]) -> str:
    """What two runs over the same cases share."""
    return hashlib.sha256("".join(f"{case_line(case)}\n" for case in cases).encode()).hexdigest()


def manifest_of(plan: Plan, **known: Any) -> Manifest:
    """The manifest of a plan; `known` are the fields that the caller knows: time, models, index, verifier, versions."""
    return Manifest(
        name=plan.name,
        collection=plan.collection,
        seed=plan.seed,
        cases_sha256=cases_sha256(plan.cases),
        systems=tuple(
            system if system.answers is None else dataclasses.replace(system, answers=()) for system in plan.systems
        ),
        **known,
    )
