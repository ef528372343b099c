from pathlib import Path

import pytest

from rag.errors import InvalidInputError
from rag.evaluation.gate import Threshold, Worse, check_gate, read_gate, why_it_fails
from rag.evaluation.types import Case, CaseResult, Manifest, RunRecord, System

CASES = tuple(Case(case_id=str(n), question="?", reference_answers=("x",), document=f"d{n}") for n in range(40))


def record(**right: int) -> RunRecord:
    """Systems that get the first so many cases right."""
    manifest = Manifest(
        name="m",
        collection="c",
        seed=0,
        created_at="",
        cases_sha256="",
        systems=tuple(System(name=name, mode="grounded") for name in right),
    )
    results = tuple(
        CaseResult(
            case_id=case.case_id,
            system=name,
            text="x",
            abstained=False,
            outcome="correct" if place < n else "wrong",
        )
        for name, n in right.items()
        for place, case in enumerate(CASES)
    )
    return RunRecord(manifest=manifest, cases=CASES, results=results)


def nowhere(path: Path) -> RunRecord:
    raise AssertionError(path)


def test_gates_are_read() -> None:
    assert read_gate(" my.system.accuracy<= .5 ") == Threshold(
        text="my.system.accuracy<= .5", system="my.system", figure="accuracy", sign="<=", number=0.5
    )
    assert read_gate("new worse than runs/last week on accuracy") == Worse(
        text="new worse than runs/last week on accuracy", system="new", other="runs/last week", figure="accuracy"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "accuracy > 0.1",
        "a.accuracy = 0.1",
        "a.accuracy > x",
        "a.accuracy > nan",
        "a.beauty > 1",
        "a worse than b",
        "a worse than b on beauty",
        "a worse than b on answer_rate",
        "a.accuracy > 0.1; import os",
    ],
)
def test_what_is_no_gate_is_one_line_that_says_how(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_gate(text)
    assert "--fail-if" in str(caught.value) and "\n" not in str(caught.value)


def test_a_threshold_fails_where_it_holds_and_says_the_figure() -> None:
    run = record(a=30)
    why = why_it_fails(read_gate("a.accuracy < 0.8"), run, nowhere)
    assert why == "a.accuracy is 0.75 (30 of 40), which is < 0.8"
    assert why_it_fails(read_gate("a.accuracy < 0.75"), run, nowhere) is None
    assert why_it_fails(read_gate("a.accuracy <= 0.75"), run, nowhere) is not None


def test_what_is_undefined_cannot_pass() -> None:
    why = why_it_fails(read_gate("a.hallucination_rate > 0.1"), record(a=30), nowhere)
    assert why is not None and "undefined" in why


def test_worse_needs_a_difference_that_is_not_chance() -> None:
    run = record(a=36, b=10, c=35)
    why = why_it_fails(read_gate("b worse than a on accuracy"), run, nowhere)
    assert why is not None and why.startswith("b is worse than a on accuracy: 0.25 against 0.9 on 40 cases, p = ")
    assert why_it_fails(read_gate("a worse than b on accuracy"), run, nowhere) is None
    assert why_it_fails(read_gate("c worse than a on accuracy"), run, nowhere) is None
    assert why_it_fails(read_gate("b worse than a on wrong_rate"), run, nowhere) is not None  # where less is better


def test_another_run_is_named_by_its_folder(tmp_path: Path) -> None:
    gate = read_gate(f"b worse than {tmp_path} on accuracy")
    assert why_it_fails(gate, record(b=10), lambda path: record(b=36)) is not None
    assert why_it_fails(gate, record(b=10), lambda path: record(only=36)) is not None
    assert why_it_fails(gate, record(b=36), lambda path: record(b=36)) is None
    with pytest.raises(InvalidInputError, match="has no system b"):
        why_it_fails(gate, record(b=10), lambda path: record(c=36, d=1))


def test_names_are_known_before_a_long_run() -> None:
    with pytest.raises(InvalidInputError, match="no system is named z"):
        check_gate(read_gate("z.accuracy > 1"), ["a"])
    with pytest.raises(InvalidInputError, match="neither a system"):
        check_gate(read_gate("a worse than /nowhere/at/all on accuracy"), ["a"])
    check_gate(read_gate("a worse than b on accuracy"), ["a", "b"])
