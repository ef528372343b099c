"""`citebound compare` and `report` as a person runs them: killed where it hurts."""

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest

from api.cli.main import cli
from rag.errors import ConflictError, InvalidInputError

REPLY = "Parents may take fourteen weeks of paid parental leave."
CASES = [
    {"id": "leave", "question": "How long is parental leave?", "reference_answers": ["fourteen weeks"]},
    {"id": "king", "question": "Who is the king?", "answerable": False},
]


class Here:
    """A folder to run the command in: in this process, or in one of its own where an end or a limit is the point."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        monkeypatch.chdir(folder)
        for name, value in {
            "DATA_DIR": str(folder / "data"),
            "MODEL_CACHE": str(folder / "models"),
            "EMBEDDER": "hashing",
            "DECODER": "scripted",
            "VERIFIER": "overlap",
            "SCRIPTED_REPLIES": json.dumps([REPLY]),
            "OFFLINE": "true",
        }.items():
            monkeypatch.setenv(f"CITEBOUND_{name}", value)

    def write(self, name: str, rows: list[dict[str, Any]]) -> None:
        (self.folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, stdout and stderr; errors that the command would print are raised."""
        self._capsys.readouterr()
        code = cli.main(list(arguments), standalone_mode=False)
        printed = self._capsys.readouterr()
        return code or 0, printed.out, printed.err

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", "from api.cli.main import main; main()", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder, **more,
        )  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, monkeypatch, capsys)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def n_results(catalog: Path) -> int:
    """How many results are stored, read beside the process that writes them."""
    try:
        with closing(sqlite3.connect(f"file:{catalog}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT coalesce(max(n_results), 0) FROM comparisons").fetchone()[0])
    except sqlite3.OperationalError:  # it is just being made
        return 0


def test_answers_made_elsewhere_with_gates_and_the_report_again(here: Here) -> None:
    here.write("cases.jsonl", CASES)
    here.write("good.jsonl", [{"id": "leave", "text": "fourteen weeks"}, {"id": "king", "text": ""}])
    here.write("bad.jsonl", [{"id": "leave", "text": "<script>alert(1)</script>"}, {"id": "king", "text": "Olaf"}])
    compare = ("compare", "--cases", "cases.jsonl", "--system", "good=good.jsonl", "--system", "bad=bad.jsonl")
    code, out, errors = here.run(
        *compare, "--out", "run", "--json", "--fail-if", "bad.accuracy < 0.5", "--fail-if", "good.accuracy < 0.5"
    )
    made = json.loads(out)
    assert code == 3 and made["failed"] == ["bad.accuracy is 0 (0 of 1), which is < 0.5"]
    assert errors.strip().splitlines()[-1] == f"citebound: the gate fails: {made['failed'][0]}"
    assert not (here.folder / "models").exists()  # nothing was loaded
    assert "<script>alert" not in (here.folder / "run" / "report.html").read_text()
    before = {path.name: path.read_bytes() for path in (here.folder / "run").iterdir()}
    assert {"manifest.json", "cases.jsonl", "results.jsonl", "report.html", "report.json", "results.csv"} <= set(before)
    with pytest.raises(ConflictError, match="add --resume"):
        here.run(*compare, "--out", "run")
    code, out, _ = here.run(*compare, "--out", "run", "--resume", "--fail-if", "bad worse than run on accuracy")
    assert code == 0 and "good: correct 1" in out
    assert before == {path.name: path.read_bytes() for path in (here.folder / "run").iterdir()}

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    process = here.start("report", "run", preexec_fn=small_disk)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 1 and errors.startswith("citebound: ") and errors.count("\n") == 1
    assert before == {path.name: path.read_bytes() for path in (here.folder / "run").iterdir()}


def test_a_wrong_argument_is_one_line(here: Here) -> None:
    here.write("cases.jsonl", CASES)
    here.write("twice.jsonl", [CASES[0], CASES[0]])
    here.write("none.jsonl", [])
    for arguments, words in (
        (("--cases", "twice.jsonl", "--system", "grounded"), "'leave' was used before"),
        (("--cases", "cases.jsonl", "--system", "a=none.jsonl"), "no answers in it"),
        (("--cases", "cases.jsonl", "--system", "a:depth=3"), "'depth=3' is not known"),
        (("--cases", "cases.jsonl", "--system", "a", "--fail-if", "a is bad"), "cannot be read"),
        (("--cases", "cases.jsonl", "--system", "a", "--fail-if", "b.accuracy < 1"), "no system is named b"),
    ):
        with pytest.raises(InvalidInputError, match=words) as caught:
            here.run("compare", *arguments)
        assert "\n" not in str(caught.value)
    for arguments in (("--system", "a"), ("--cases", "cases.jsonl"), ("--draft", "3", "--system", "a")):
        with pytest.raises(click.UsageError):
            here.run("compare", *arguments)
    with pytest.raises(InvalidInputError, match="holds no run"):
        here.run("report", ".")


def test_a_run_that_is_killed_is_completed_by_resume(here: Here) -> None:
    (here.folder / "handbook.md").write_text(f"# Leave\n\n{REPLY} It begins with the birth of a child.\n")
    here.run("ingest", "handbook.md")
    cases = [{**CASES[0], "id": f"leave-{n}", "question": f"How long is parental leave, {n}?"} for n in range(150)]
    here.write("cases.jsonl", [*cases, CASES[1]])
    arguments = (
        "compare", "--cases", "cases.jsonl", "--collection", "default", "--system", "closed_book",
        "--system", "grounded", "--out", "run",
    )  # fmt: skip
    process = here.start(*arguments, start_new_session=True)
    deadline = time.monotonic() + 120
    while n_results(here.folder / "data" / "catalog.sqlite3") == 0:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (here.folder / "run" / "results.jsonl").exists()
    state = (here.folder / "run" / "comparison.json").read_text()
    _, out, _ = here.run(*arguments, "--resume")
    assert (here.folder / "run" / "comparison.json").read_text() == state  # the same comparison went on
    results = rows(here.folder / "run" / "results.jsonl")
    keys = [(row["case_id"], row["system"]) for row in results]
    assert len(keys) == len(set(keys)) == 302
    assert {row["outcome"] for row in results} == {"correct", "false_confidence"}
    assert "grounded: correct 150, false_confidence 1" in out


def test_drafted_cases_are_lines_to_edit(here: Here) -> None:
    (here.folder / "bridge.txt").write_text("The bridge over the river was opened in 1987 by the city council of Lund.")
    here.run("ingest", "bridge.txt")
    _, out, errors = here.run("compare", "--draft", "3", "--collection", "default")
    (case,) = [json.loads(line) for line in out.splitlines()]
    assert case["drafted"] is True and "edit them" in errors
    (here.folder / "drafted.jsonl").write_text("mine")
    with pytest.raises(FileExistsError):
        here.run("compare", "--draft", "3", "--cases", "drafted.jsonl")
    assert (here.folder / "drafted.jsonl").read_text() == "mine"
