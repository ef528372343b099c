import json
import threading

import pytest

from llm.errors import CancelledError
from llm.types import Cancel
from rag.errors import ConflictError, InvalidInputError, StorageError
from rag.evaluation.cause import waterfalls
from rag.evaluation.obedience import count_obedience
from rag.evaluation.plan import Plan, check_plan, manifest_of, plan_json, read_plan
from rag.evaluation.published import write_report
from rag.evaluation.run_folder import RESULTS, begin_folder, read_folder
from rag.evaluation.runs import execute
from rag.evaluation.types import Case, ExternalAnswer, System

GOLD = "Parents may take fourteen weeks of paid parental leave."
CASES = (
    Case(
        case_id="leave",
        question="How long is parental leave?",
        reference_answers=("fourteen weeks",),
        gold_passages=(GOLD,),
    ),
    Case(
        case_id="lunch",
        question="What does lunch in the canteen cost?",
        reference_answers=("six euros",),
        gold_passages=("The canteen serves lunch for six euros.",),
    ),
    Case(case_id="king", question="Who is the king of the canteen?", answerable=False),
)
SYSTEMS = (
    System(name="closed", mode="closed_book"),
    System(name="grounded", mode="grounded"),
    System(name="oracle", mode="oracle"),
    System(
        name="theirs",
        answers=(
            ExternalAnswer(case_id="leave", text="<script>alert(1)</script>"),
            ExternalAnswer(case_id="lunch", text="", label="abstained"),
        ),
    ),
)
PLAN = Plan(name="test", collection="default", seed=3, cases=CASES, systems=SYSTEMS, n_swaps=2)


def manifest(plan: Plan):
    return manifest_of(plan, created_at="2026-01-02T03:04:05+00:00")


def run(lab, folder, plan: Plan = PLAN, reply=GOLD, **more) -> None:
    store = begin_folder(folder, manifest(plan), plan.cases, resume=more.pop("resume", False))
    execute(plan, more.pop("store", lambda s: s)(store), bench=lab.bench(reply), yardstick=lab.yardstick(), **more)


def told(folder) -> list[dict[str, object]]:
    """The results without what a clock decides."""
    rows = [json.loads(line) for line in (folder / RESULTS).read_text().splitlines()]
    timed = ("total_seconds", "first_token_seconds")
    rows = [{name: value for name, value in row.items() if name not in timed} for row in rows]
    return sorted(rows, key=lambda row: (row["case_id"], row["system"]))


def test_a_whole_run(lab, tmp_path) -> None:
    heard: list[tuple[int, int]] = []
    run(lab, tmp_path / "run", on_progress=lambda done, total: heard.append((done, total)))
    record, probes = read_folder(tmp_path / "run")
    outcomes = {(one.case_id, one.system): one.outcome for one in record.results}
    assert len(outcomes) == 12 and heard[-1] == (12, 12)
    assert outcomes["leave", "closed"] == outcomes["leave", "grounded"] == outcomes["leave", "oracle"] == "correct"
    assert outcomes["lunch", "closed"] == outcomes["lunch", "grounded"] == "wrong"
    assert outcomes["lunch", "oracle"] == "abstained"  # nothing it was shown supports the reply
    assert outcomes["king", "closed"] == "false_confidence"
    assert outcomes["lunch", "theirs"] == "abstained"
    failures = {(one.case_id, one.system): one.failure.code for one in record.results if one.failure}
    assert failures == {("king", "oracle"): "invalid", ("king", "theirs"): "no_answer"}
    causes = {(one.case_id, one.system): one.cause for one in record.results if one.cause}
    assert causes[("lunch", "grounded")] == "memory_over_evidence"
    (fall,) = waterfalls(record, probes)
    assert [fall.closed_book.value, fall.grounded.value, fall.oracle.value] == [0.5, 0.5, 0.5]
    assert (fall.recovered.numerator, fall.recovered.denominator) == (0.0, 1)
    assert sum(count_obedience(probe for probe in probes if probe.system == "oracle").values()) == 2
    report = write_report(tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<script>alert(1)" not in page
    assert report["complete"] and report["waterfalls"][0]["system"] == "grounded"
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    write_report(tmp_path / "run")
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}


def test_a_run_goes_on_where_it_was_killed_and_redoes_a_torn_line(lab, tmp_path) -> None:
    run(lab, tmp_path / "whole")

    class Dies:
        """Keeps one case, then half a line of the next: what a kill leaves."""

        def __init__(self, store) -> None:
            self._store = store

        def done(self):
            return self._store.done()

        def append(self, lines, seconds_left):
            self._store.append(lines[:4] if len(lines) > 4 else lines, seconds_left)
            with (tmp_path / "run" / RESULTS).open("ab") as file:
                file.write(b'{"case_id": "lun')
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(lab, tmp_path / "run", store=Dies)
    with pytest.raises(ConflictError, match="--resume"):
        run(lab, tmp_path / "run")
    run(lab, tmp_path / "run", resume=True)
    assert told(tmp_path / "run") == told(tmp_path / "whole")
    run(lab, tmp_path / "run", resume=True, reply="nobody is asked again")
    assert told(tmp_path / "run") == told(tmp_path / "whole")


def test_a_folder_is_not_continued_with_other_cases(lab, tmp_path) -> None:
    run(lab, tmp_path / "run")
    other = Plan(name="test", collection="default", seed=3, cases=CASES[:1], systems=SYSTEMS[:2])
    with pytest.raises(ConflictError, match="other cases"):
        run(lab, tmp_path / "run", other, resume=True)
    with pytest.raises(InvalidInputError, match="holds no run"):
        read_folder(tmp_path)


def test_cancel_stops_and_keeps_what_is_there(lab, tmp_path) -> None:
    cancel = Cancel()

    def reply(messages) -> str:
        if "lunch" in messages[-1].content:
            cancel.set()
        return GOLD

    with pytest.raises(CancelledError):
        run(lab, tmp_path / "run", reply=reply, cancel=cancel)
    run(lab, tmp_path / "run", resume=True)
    assert len(read_folder(tmp_path / "run")[0].results) == 12


def test_a_failing_disk_stops_the_run_and_a_bug_does_not(lab, tmp_path) -> None:
    def broken(messages) -> str:
        if "lunch" in messages[-1].content:
            raise RuntimeError("secret words of a document")
        return GOLD

    run(lab, tmp_path / "run", reply=broken)
    text = (tmp_path / "run" / RESULTS).read_text()
    assert '"code": "internal"' in text and "secret" not in text

    def full(messages) -> str:
        raise StorageError("the disk is full")

    with pytest.raises(StorageError):
        run(lab, tmp_path / "full", reply=full)


def test_a_plan_survives_being_stored() -> None:
    assert read_plan(json.loads(json.dumps(plan_json(PLAN)))) == PLAN
    with pytest.raises(InvalidInputError, match="another version"):
        read_plan({"name": "x"})


@pytest.mark.parametrize(
    ("cases", "systems", "words"),
    [
        ((), SYSTEMS, "no cases"),
        (CASES, (), "no systems"),
        ((CASES[0], CASES[0]), SYSTEMS[:1], "'leave' is there twice"),
        (CASES, (SYSTEMS[0], SYSTEMS[0]), "'closed' is there twice"),
        (CASES, (System(name="empty", answers=()),), "has no answers"),
        (CASES, (System(name="x", answers=(ExternalAnswer(case_id="?", text=""),)),), "no case has the id"),
        (CASES, (System(name="x", mode="grounded", rerank="big"),), "no reranker"),
    ],
)
def test_what_cannot_be_run_is_refused_before_it_begins(cases, systems, words) -> None:
    with pytest.raises(InvalidInputError, match=words):
        check_plan(Plan(name="x", collection="default", seed=0, cases=cases, systems=systems))


def test_answers_made_elsewhere_need_nothing_that_is_loaded(tmp_path) -> None:
    cases = tuple(Case(case_id=str(n), question="?", reference_answers=("yes",)) for n in range(5000))
    answers = tuple(ExternalAnswer(case_id=case.case_id, text="yes") for case in cases)
    plan = Plan(
        name="many",
        collection="default",
        seed=0,
        cases=cases,
        systems=(System(name="a", answers=answers), System(name="b", answers=answers[:2500])),
        judged=False,
    )
    store = begin_folder(tmp_path / "run", manifest(plan), cases, resume=False)
    before = threading.active_count()
    execute(plan, store, bench=None, yardstick=None)
    record, probes = read_folder(tmp_path / "run")
    assert len(record.results) == 10_000 and probes == () and threading.active_count() == before
    assert sum(one.failure is not None for one in record.results) == 2500
