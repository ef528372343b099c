"""Results, cases and manifests as JSON lines and back. What a line holds is checked when it is read."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from rag.errors import InvalidInputError
from rag.evaluation.types import Case, CaseResult, JudgeTrial, Manifest, System

_T = TypeVar("_T")
_RESULT = TypeAdapter(CaseResult)
_CASE = TypeAdapter(Case)
_MANIFEST = TypeAdapter(Manifest)
_SYSTEM = TypeAdapter(System)
_TRIALS = TypeAdapter(tuple[JudgeTrial, ...])


def result_line(result: CaseResult) -> str:
    """One line of `results.jsonl`, without its line end; the same result always gives the same line."""
    return _line(_RESULT, result)


def read_result(line: str) -> CaseResult:
    """The result on one line.

    Raises:
        InvalidInputError: the line is torn or holds something else.
    """
    return _read(_RESULT, line, "result")


def case_line(case: Case) -> str:
    """One line of a run's `cases.jsonl`."""
    return _line(_CASE, case)


def read_case(line: str) -> Case:
    """The case on one line of a run's own `cases.jsonl`; for files that people write see `rag.evaluation.cases`.

    Raises:
        InvalidInputError: the line is torn or holds something else.
    """
    return _read(_CASE, line, "case")


def manifest_json(manifest: Manifest) -> dict[str, Any]:
    """The manifest as JSON values."""
    return cast("dict[str, Any]", _MANIFEST.dump_python(manifest, mode="json"))


def system_json(system: System) -> dict[str, Any]:
    """A system and its settings as JSON values."""
    return cast("dict[str, Any]", _SYSTEM.dump_python(system, mode="json"))


def read_manifest(text: str) -> Manifest:
    """The manifest in a run's folder.

    Raises:
        InvalidInputError: it was not written by this version.
    """
    return _read(_MANIFEST, text, "manifest")


def trials_text(trials: Sequence[JudgeTrial]) -> str:
    """The text of `judge_trials.json`."""
    return json.dumps(_TRIALS.dump_python(tuple(trials), mode="json"), ensure_ascii=False, indent=1) + "\n"


def read_trials(text: str) -> tuple[JudgeTrial, ...]:
    """The inverse of `trials_text`.

    Raises:
        InvalidInputError: it was not written by this version.
    """
    return _read(_TRIALS, text, "list of trials")


def _line(adapter: TypeAdapter[_T], value: _T) -> str:
    return json.dumps(adapter.dump_python(value, mode="json"), ensure_ascii=False, allow_nan=False, sort_keys=True)


def _read(adapter: TypeAdapter[_T], text: str, what: str) -> _T:
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the line"
        raise InvalidInputError(f"not a stored {what}: {place}: {first['msg']}; run the comparison again") from None
