"""A gate for continuous integration: one expression over a run, and the one line that says why it fails.

`SYSTEM.figure OP number` fails where it holds ("grounded.hallucination_rate > 0.1"). `SYSTEM worse than OTHER on
figure` fails where the difference is to the worse with p < .05, paired over the cases that both have; OTHER is a system
of the same run or the folder of another run. What is undefined fails: a gate that cannot be decided must not pass.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.errors import InvalidInputError
from rag.evaluation.differences import Settings, tested_differences
from rag.evaluation.figures import FIGURES, figure
from rag.evaluation.report_types import DifferenceView
from rag.evaluation.types import Case, CaseResult, RunRecord

ALPHA = 0.05
_N_RESAMPLES = 2_000
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_HOW = "write 'SYSTEM.figure > 0.1' or 'SYSTEM worse than OTHER on figure'"
_WORSE = re.compile(r"(?P<system>.+?)\s+worse\s+than\s+(?P<other>.+?)\s+on\s+(?P<figure>\w+)", re.DOTALL)
_THRESHOLD = re.compile(
    r"(?P<system>.+)\.(?P<figure>\w+)\s*(?P<sign>>=|<=|==|!=|>|<)\s*(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Fails where the figure of a system stands in this relation to a number."""

    text: str
    system: str
    figure: str
    sign: str
    number: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Worse:
    """Fails where a system is worse than another on a figure."""

    text: str
    system: str
    other: str  # a system of the run, or the folder of another run
    figure: str


Gate = Threshold | Worse


def read_gate(text: str) -> Gate:
    """The gate that an expression says.

    Raises:
        InvalidInputError: it says none, or names a figure that there is not; says how to write one.
    """
    said = text.strip()
    if match := _WORSE.fullmatch(said):
        name = _known_figure(said, match["figure"])
        if FIGURES[name].higher_is_better is None:
            raise InvalidInputError(
                f"--fail-if {said!r}: more {name} is neither better nor worse; compare another figure"
            )
        return Worse(text=said, system=match["system"].strip(), other=match["other"].strip(), figure=name)
    if match := _THRESHOLD.fullmatch(said):
        return Threshold(
            text=said,
            system=match["system"].strip(),
            figure=_known_figure(said, match["figure"]),
            sign=match["sign"],
            number=float(match["number"]),
        )
    raise InvalidInputError(f"--fail-if {said!r} cannot be read; {_HOW}")


def _known_figure(said: str, name: str) -> str:
    if name not in FIGURES:
        raise InvalidInputError(f"--fail-if {said!r}: there is no figure {name}; there are {', '.join(FIGURES)}")
    return name


def check_gate(gate: Gate, system_names: Sequence[str]) -> None:
    """See before a long run that a gate names what there will be.

    Raises:
        InvalidInputError: it names no system of the run, and no folder.
    """
    if gate.system not in system_names:
        raise InvalidInputError(
            f"--fail-if {gate.text!r}: no system is named {gate.system}; there are {', '.join(system_names)}"
        )
    if isinstance(gate, Worse) and gate.other not in system_names and not Path(gate.other).expanduser().is_dir():
        raise InvalidInputError(
            f"--fail-if {gate.text!r}: {gate.other} is neither a system of this run nor the folder of another"
        )


def why_it_fails(gate: Gate, record: RunRecord, read_run: Callable[[Path], RunRecord]) -> str | None:
    """One sentence where the gate fails; None where it passes.

    Args:
        gate: What to look at.
        record: The run.
        read_run: Reads the run in a folder.

    Raises:
        InvalidInputError: the gate names no system of the run, or no run.
    """
    check_gate(gate, [system.name for system in record.manifest.systems])
    own = _results(record, gate.system)
    if isinstance(gate, Threshold):
        return _over(gate, record.cases, own)
    other = _results(record, gate.other)
    where = gate.other
    if not other:
        folder = Path(gate.other).expanduser()
        other = _results_of_run(gate, read_run(folder))
        where = f"{gate.system} in {folder}"
    return _worse(gate, where, record, own, other)


def _over(gate: Threshold, cases: Sequence[Case], results: Mapping[str, CaseResult]) -> str | None:
    found = figure(gate.figure, cases, results)
    if found.value is None:
        return f"{gate.system}.{gate.figure} is undefined, so that {gate.text!r} cannot be ruled out"
    if not _OPERATORS[gate.sign](found.value, gate.number):
        return None
    counted = f"{found.numerator:g} of {found.denominator}"
    return f"{gate.system}.{gate.figure} is {found.value:.4g} ({counted}), which is {gate.sign} {gate.number:g}"


def _worse(
    gate: Worse,
    where: str,
    record: RunRecord,
    own: Mapping[str, CaseResult],
    other: Mapping[str, CaseResult],
) -> str | None:
    shared = sorted((case for case in record.cases if case.case_id in other), key=lambda case: case.case_id)
    view = _difference(gate, shared, own, other, record.manifest.seed) if shared else None
    if view is None or view.difference is None or view.p_value is None:
        return f"{gate.figure} of {gate.system} and {where} cannot be compared; it is undefined on {len(shared)} cases"
    up = FIGURES[gate.figure].higher_is_better
    to_the_worse = view.difference < 0 if up else view.difference > 0
    if not to_the_worse or view.p_value >= ALPHA:
        return None
    return (
        f"{gate.system} is worse than {where} on {gate.figure}: {view.system:.4g} against {view.baseline:.4g} "
        f"on {view.n} cases, p = {view.p_value:.2g}"
    )


def _difference(
    gate: Worse,
    cases: Sequence[Case],
    own: Mapping[str, CaseResult],
    other: Mapping[str, CaseResult],
    seed: int,
) -> DifferenceView | None:
    views = tested_differences(cases, other, own, Settings(seed=seed, n_resamples=_N_RESAMPLES))
    return next((view for view in views if view.figure == gate.figure), None)


def _results(record: RunRecord, system: str) -> dict[str, CaseResult]:
    return {result.case_id: result for result in record.results if result.system == system}


def _results_of_run(gate: Worse, record: RunRecord) -> dict[str, CaseResult]:
    """Those of the system of the same name, or of the only one."""
    names = [system.name for system in record.manifest.systems]
    if gate.system in names or len(names) == 1:
        return _results(record, gate.system if gate.system in names else names[0])
    raise InvalidInputError(f"--fail-if {gate.text!r}: the run in {gate.other} has no system {gate.system}")
