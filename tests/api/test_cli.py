"""The command `citebound` as a person runs it: in a process of its own, with what needs no weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.cli.client import WaitNotice

REPLY = "Marta Lindner and Osman Yildiz founded the company in 1987."
SAMPLES = Path(__file__).parents[2] / "docs" / "samples"


@pytest.fixture
def run(tmp_path: Path):
    """Runs the command with a data folder of its own; returns the finished process."""
    environment = {
        **os.environ,
        "CITEBOUND_DATA_DIR": str(tmp_path / "data"),
        "CITEBOUND_MODEL_CACHE": str(tmp_path / "models"),
        "CITEBOUND_EMBEDDER": "hashing",
        "CITEBOUND_DECODER": "scripted",
        "CITEBOUND_VERIFIER": "overlap",
        "CITEBOUND_SCRIPTED_REPLIES": json.dumps([REPLY]),
        "CITEBOUND_OFFLINE": "true",
    }

    def command(*arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", "from api.cli.main import main; main()", *arguments],
            capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120,
        )  # fmt: skip
        assert done.returncode == expect, done.stderr
        return done

    return command


def test_help_imports_nothing_heavy_and_shows_an_example() -> None:
    script = (
        "import sys\nfrom api.cli.main import cli\ncli.main(['--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'transformers', 'fastapi', 'sqlalchemy', 'pydantic', 'numpy', 'httpx', 'faiss'}\n"
        "sys.exit(str(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Example:" in done.stdout and "citebound ask" in done.stdout


def test_llm_types_import_no_torch() -> None:
    script = "import sys, llm.types; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize(
    "command",
    [
        "serve",
        "ingest",
        "list",
        "delete",
        "search",
        "ask",
        "verify",
        "compare",
        "report",
        "train",
        "models",
        "keys",
        "reindex",
        "doctor",
        "backup",
        "restore",
        "demo",
    ],
)
def test_every_command_explains_itself(command: str) -> None:
    from click.testing import CliRunner

    from api.cli.main import cli

    shown = CliRunner().invoke(cli, [command, "--help"])
    assert shown.exit_code == 0
    assert "Example:" in shown.output and f"citebound {command}" in shown.output


@pytest.mark.parametrize(
    "arguments",
    [
        *(["models", name] for name in ("list", "pull", "info", "convert")),
        *(["keys", name] for name in ("add", "list", "revoke")),
        *([name] for name in ("serve", "ingest", "list", "delete", "search", "ask", "verify")),
        *([name] for name in ("reindex", "doctor", "backup", "restore")),
    ],
    ids=" ".join,
)
def test_every_command_takes_a_data_folder_and_shows_an_example(arguments: list[str]) -> None:
    from click.testing import CliRunner

    from api.cli.main import cli

    shown = CliRunner().invoke(cli, [*arguments, "--help"]).output
    assert "--data-dir" in shown and f"citebound {' '.join(arguments)}" in shown.partition("Example:")[2]


def test_a_file_that_cannot_be_sent_harms_no_other(run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "good.txt").write_text("Otters sleep in the afternoon.")
    (folder / "same.txt").write_text("Otters sleep in the afternoon.")
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.txt")).write_text("A name that is no UTF-8.")
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    done = json.loads(run("ingest", str(folder), "--json").stdout)["data"]
    assert [(row["name"], row["status"]) for row in done] == [
        ("caf?.txt", "ready"), ("good.txt", "ready"), ("same.txt", "ready"),
    ]  # fmt: skip
    assert done[1]["document_id"] == done[2]["document_id"] == done[2]["duplicate_of"]

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "other.txt").write_text("Badgers dig at night.")
    done = run("ingest", str(tmp_path / "pipe"), str(tmp_path / "other.txt"), expect=1)
    lines = done.stdout.splitlines()
    assert lines[0].endswith("failed: it is no regular file; name a file or a folder") and ": ready" in lines[1]


def test_a_file_has_one_line_whatever_its_name() -> None:
    from api.cli.documents import summary_line

    row = {"path": "in/a\n\x1b[31mé.txt", "error": None, "status": "ready", "n_passages": 1, "document_id": "doc_1"}
    assert summary_line(row) == "in/a??[31mé.txt: ready, 1 passages, id doc_1"


def test_a_request_that_would_be_too_large_is_cut(run, tmp_path: Path) -> None:
    (tmp_path / "citebound.toml").write_text("max_request_bytes = 20000\n")
    paths = [tmp_path / f"{number}.txt" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_text(f"Otter {number}. " * 900)
    paths[1].write_text("Otter. " * 9000)
    done = json.loads(run("ingest", *map(str, paths), "--json", expect=1).stdout)["data"]
    assert [row["status"] for row in done] == ["ready", "failed", "ready"]
    assert done[1]["error"]["code"] == "too_large"


def test_an_id_that_is_refused_keeps_no_other_from_being_deleted(run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Otters sleep.")
    (row,) = json.loads(run("ingest", str(tmp_path / "a.txt"), "--json").stdout)["data"]
    done = run("delete", "no/such", row["document_id"], expect=1)
    assert done.stdout.startswith(f"{row['document_id']}: deleted 1 passages") and "0 remain" in done.stdout
    assert done.stderr.startswith("citebound: no/such: ") and done.stderr.count("\n") == 1


def test_the_setting_k_holds_where_no_flag_is_given(run, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text(f"Otter number {number} sleeps.")
    run("ingest", *(str(tmp_path / f"{number}.txt") for number in range(3)))
    (tmp_path / "citebound.toml").write_text("k = 2\n")
    assert len(json.loads(run("search", "otter", "--json").stdout)["hits"]) == 2
    assert len(json.loads(run("ask", "Where is the otter?", "--json").stdout)["retrieved"]) == 2
    assert len(json.loads(run("search", "otter", "-k", "1", "--json").stdout)["hits"]) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["search", "x", "-k", "0"], "no whole number from 1 to 100"),
        (["search", "x", "-k", "abc"], "no whole number from 1 to 100"),
        (["ingest", "/no/such/file"], "does not exist"),
        (["ingest"], "Missing argument"),
        (["serve", "--port", "70000"], "from 0 to 65,535"),
        (["backup", "no/such/folder/b.tar"], "there is no folder no/such/folder"),
    ],
)
def test_a_wrong_argument_is_one_line_that_says_what_is_right(run, arguments: list[str], says: str) -> None:
    done = run(*arguments, expect=2)
    assert done.stdout == ""
    assert says in done.stderr and done.stderr.startswith("citebound: ") and done.stderr.count("\n") == 1


def test_a_wrong_setting_is_one_line(run, tmp_path: Path) -> None:
    (tmp_path / "citebound.toml").write_text("prot = 8000\n")
    done = run("list", expect=1)
    assert done.stderr == "citebound: there is no setting named 'prot'; correct it in citebound.toml\n"


def test_from_files_to_a_cited_answer_and_back_to_nothing(run, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7 nothing more")
    done = run(
        "ingest", str(SAMPLES / "travel-policy.md"), str(SAMPLES / "employee-handbook.pdf"), str(broken), expect=1
    )
    lines = done.stdout.splitlines()
    assert [line.split(":")[1].split(",")[0].strip() for line in lines[:3]] == ["ready", "ready", "failed"]

    rows = json.loads(run("list", "--json").stdout)["data"]
    assert {row["name"]: row["status"] for row in rows} == {
        "travel-policy.md": "ready", "employee-handbook.pdf": "ready", "broken.pdf": "failed",
    }  # fmt: skip

    hits = json.loads(run("search", "daily allowance Japan", "--json").stdout)["hits"]
    assert "6,500 JPY" in hits[0]["text"]

    asked = run("ask", "Who founded the company?")
    assert "[1]" in asked.stdout and "employee-handbook.pdf, page 1" in asked.stdout
    answer = json.loads(run("ask", "Who founded the company?", "--json", "--inspect").stdout)
    assert answer["citations"][0]["page"] == {"start": 1, "end": 1}
    assert "".join(token["text"] for token in answer["inspect"]["tokens"]) == REPLY
    table = run("ask", "Who founded the company?", "--inspect").stdout.splitlines()
    assert [line.split()[0] for line in table if line.startswith('"Marta"')] == ['"Marta"']
    assert not any("█" in line for line in table)
    drawn = run("ask", "Who founded the company?", "--inspect", "--temperature", "0.7", "--top-k", "2").stdout
    assert "drawn" in drawn and "kept" in drawn

    assert json.loads(run("doctor", "--check", "--json").stdout)["check"]["ok"] is True
    assert "passages indexed, 0 embedded again" in run("reindex").stdout

    archive = tmp_path / "backup.tar"
    run("backup", str(archive))
    assert archive.stat().st_mode & 0o077 == 0
    run("backup", str(archive), expect=2)
    run("restore", str(archive), "--data-dir", str(tmp_path / "restored"))
    restored = json.loads(run("list", "--json", "--data-dir", str(tmp_path / "restored")).stdout)["data"]
    assert {row["document_id"] for row in restored} == {row["document_id"] for row in rows}
    run("restore", str(archive), expect=1)

    deleted = run("delete", *(row["document_id"] for row in rows)).stdout
    assert deleted.count("0 remain") == 3
    assert json.loads(run("search", "daily allowance Japan", "--json").stdout)["hits"] == []
    assert "no document has that id" in run("delete", rows[0]["document_id"], expect=1).stderr


def test_an_encrypted_file_is_read_with_its_password(run, tmp_path: Path) -> None:
    import pypdf

    writer = pypdf.PdfWriter(SAMPLES / "employee-handbook.pdf")
    writer.encrypt("secret", algorithm="AES-256")
    writer.write(tmp_path / "locked.pdf")
    assert "again with --password" in run("ingest", "locked.pdf", expect=1).stdout
    assert "another --password" in run("ingest", "locked.pdf", "--password", "wrong", expect=1).stdout
    assert "ready" in run("ingest", "locked.pdf", "--password", "secret").stdout


def test_waiting_is_told_once_for_each_reason_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    tell = WaitNotice()
    for reason in ("the embedder is loading", "the embedder is loading", "the decoder is loading"):
        tell(reason)
    assert capsys.readouterr().err == "the embedder is loading\nthe decoder is loading\n"


def test_doctor_tells_of_the_folder_and_engine_in_use(run, tmp_path: Path) -> None:
    machine = json.loads(run("doctor", "--json", "--data-dir", str(tmp_path / "other")).stdout)["machine"]
    assert machine["data_dir"] == str(tmp_path / "other")
    assert machine["engine"] == ("openvino" if machine["kind"] == "cpu" else "torch")


def test_the_way_out_does_not_wait_for_a_model_that_is_loading() -> None:
    script = (
        "import threading, time\nfrom api.cli.main import leave\nfrom api.thread_names import LOADING_THREAD\n"
        "threading.Thread(target=time.sleep, args=(60,), name=LOADING_THREAD).start()\nprint('said')\nleave(3)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (3, "said\n")


def test_keys_are_shown_once_and_revoked(run) -> None:
    made = json.loads(run("keys", "add", "--name", "laptop", "--json").stdout)
    listed = run("keys", "list", "--json").stdout
    for wrong in ("", "x/../../documents"):
        assert "citebound keys list" in run("keys", "revoke", wrong, expect=1).stderr
    assert made["key"] not in listed and made["key_id"] in listed
    run("keys", "revoke", made["key_id"])
    assert json.loads(run("keys", "list", "--json").stdout)["data"][0]["revoked_at"] is not None
