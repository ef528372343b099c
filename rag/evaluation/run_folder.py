"""A run in a folder of its own: `manifest.json`, `cases.jsonl`, `results.jsonl`, `probes.jsonl`.

Lines are added at the end and are on the disk before the next case begins. A process that was killed may leave a torn
last line; it is cut off when the folder is opened again, and its case is run again.
"""

import json
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from rag.catalog.faults import file_faults
from rag.catalog.files import publish_path, sync_folder
from rag.errors import ConflictError, InvalidInputError
from rag.evaluation.cause import Probe
from rag.evaluation.records import (
    case_line,
    manifest_json,
    read_case,
    read_manifest,
    read_result,
    result_line,
)
from rag.evaluation.runs import Line
from rag.evaluation.types import Case, CaseResult, Manifest, RunRecord

MANIFEST, CASES, RESULTS, PROBES = "manifest.json", "cases.jsonl", "results.jsonl", "probes.jsonl"
_PROBE = TypeAdapter(Probe)


def probe_line(probe: Probe) -> str:
    """One line of `probes.jsonl`, without its line end."""
    return json.dumps(_PROBE.dump_python(probe, mode="json"), ensure_ascii=False, allow_nan=False, sort_keys=True)


def read_probe(line: str) -> Probe:
    """The probe on one line.

    Raises:
        InvalidInputError: the line is torn or holds something else.
    """
    try:
        return _PROBE.validate_json(line)
    except ValidationError:
        raise InvalidInputError("not a stored probe; run the comparison again") from None


class RunFolder:
    """`rag.evaluation.runs.RunStore` over a folder. For one process at a time."""

    def __init__(self, folder: Path, cases: Sequence[Case], system_names: Sequence[str]) -> None:
        self._folder = folder
        self._case_numbers = {case.case_id: number for number, case in enumerate(cases)}
        self._system_numbers = {name: number for number, name in enumerate(system_names)}

    def done(self) -> Collection[tuple[int, int]]:
        """(case number, system number) of every result that is there; a torn last line is cut off first."""
        for name in (RESULTS, PROBES):
            _cut_torn_line(self._folder / name)
        return {
            (self._case_numbers[result.case_id], self._system_numbers[result.system])
            for result in _results(self._folder)
            if result.case_id in self._case_numbers and result.system in self._system_numbers
        }

    def append(self, lines: Sequence[Line], seconds_left: float | None) -> None:
        """Write lines and wait until the disk has them.

        Raises:
            StorageError: the disk is full or failing; what part of them is there is cut off at the next start.
        """
        probes = [probe_line(line.value) for line in lines if isinstance(line.value, Probe)]
        results = [result_line(line.value) for line in lines if isinstance(line.value, CaseResult)]
        _append(self._folder / PROBES, probes)  # first: a case counts as done once its results are there
        _append(self._folder / RESULTS, results)


def begin_folder(folder: Path, manifest: Manifest, cases: Sequence[Case], *, resume: bool) -> RunFolder:
    """Make a run's folder, or open the one of the same run again.

    Raises:
        ConflictError: it holds a run already and `resume` is false, or a run over other cases or systems.
        StorageError: the disk is full or failing.
    """
    names = [system.name for system in manifest.systems]
    if (folder / MANIFEST).exists():
        if not resume:
            raise ConflictError(f"{folder} holds a run already; add --resume to go on with it, or name another folder")
        stored = read_manifest((folder / MANIFEST).read_text(encoding="utf-8"))
        same = (stored.cases_sha256, stored.systems, stored.seed) == (
            manifest.cases_sha256,
            manifest.systems,
            manifest.seed,
        )
        if not same:
            raise ConflictError(f"{folder} holds a run over other cases, systems or seed; name another folder")
        return RunFolder(folder, cases, names)
    with file_faults():
        folder.mkdir(parents=True, exist_ok=True)
    write_texts(
        folder,
        {
            CASES: "".join(f"{case_line(case)}\n" for case in cases),
            RESULTS: "",
            PROBES: "",
            MANIFEST: json.dumps(manifest_json(manifest), ensure_ascii=False, indent=1, sort_keys=True) + "\n",
        },
    )
    return RunFolder(folder, cases, names)


def write_texts(folder: Path, texts: dict[str, str]) -> None:
    """Put each text at its name, whole or not at all, in this order.

    Raises:
        StorageError: the disk is full or failing; files that were there before are still there.
    """
    for name, text in texts.items():
        with publish_path(folder / name) as temporary, file_faults():
            temporary.write_text(text, encoding="utf-8")


def read_folder(folder: Path) -> tuple[RunRecord, tuple[Probe, ...]]:
    """The run in a folder; results come by case and then by system, the last line of each pair counts.

    Raises:
        InvalidInputError: there is none, or a line other than a torn last one cannot be read.
    """
    try:
        manifest = read_manifest((folder / MANIFEST).read_text(encoding="utf-8"))
        cases = tuple(read_case(line) for line in _lines(folder / CASES))
    except FileNotFoundError:
        raise InvalidInputError(f"{folder} holds no run; name a folder that citebound compare --out wrote") from None
    results = {(result.case_id, result.system): result for result in _results(folder)}
    probes = {(probe.case_id, probe.system): probe for probe in map(read_probe, _lines(folder / PROBES))}
    order = [(case.case_id, system.name) for case in cases for system in manifest.systems]
    record = RunRecord(manifest=manifest, cases=cases, results=tuple(results[key] for key in order if key in results))
    return record, tuple(probes[key] for key in order if key in probes)


def _results(folder: Path) -> Iterable[CaseResult]:
    return map(read_result, _lines(folder / RESULTS))


def _lines(path: Path) -> list[str]:
    """The whole lines of a file; what stands after the last line end is torn."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if path.name == CASES:
            raise
        return []
    return [line for line in data[: data.rfind(b"\n") + 1].decode("utf-8").split("\n") if line]


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with file_faults():
            os.truncate(path, whole)


def _append(path: Path, lines: Sequence[str]) -> None:
    if not lines:
        return
    with file_faults():
        is_new = not path.exists()
        with path.open("ab") as file:
            file.write("".join(f"{line}\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(path.parent)
