"""What a process can no longer do after `cage.apply`. Each check runs in a forked child that reports through a pipe."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ingest import cage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the cage's kernel layers are Linux's")

ROOT = Path(cage.__file__).resolve().parent.parent

# The child is a fresh interpreter with one thread: a test process with threads cannot enter a user namespace.
PRELUDE = f"""
import json, os, socket, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from ingest import cage
result, target = int(sys.argv[1]), sys.argv[2]
def attempt(action):
    try:
        return repr(action())
    except BaseException as error:
        return type(error).__name__
def report(**found):
    os.write(result, json.dumps(found).encode())
"""


def caged(body: str, target: Path | str = "") -> tuple[dict[str, object], int]:
    """Run `body` after PRELUDE; what it reports, and how it ended."""
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", PRELUDE + body, str(write), str(target)],
        pass_fds=[write],
        env={"OPENBLAS_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        reported = pipe.read()
    return (json.loads(reported) if reported else {}), process.wait()


APPLY = "layers = cage.apply(memory_bytes=2**30, cpu_seconds=20, readable_files=files, readable_folders=folders)\n"


@pytest.fixture(scope="module")
def layers() -> dict[str, object]:
    found, code = caged("files, folders = [], []\n" + APPLY + "report(**layers)")
    assert code == 0
    return found


def needs(layers: dict[str, object], *names: str) -> None:
    missing = [name for name in names if not layers[name]]
    if missing:
        pytest.skip(f"this machine's kernel or container forbids {', '.join(missing)}")


def test_rlimits_and_no_new_privs_always_hold(layers: dict[str, object]) -> None:
    assert layers["rlimits"] is True
    assert layers["no_new_privs"] is True


def test_only_the_given_file_can_be_read(layers: dict[str, object], tmp_path: Path) -> None:
    needs(layers, "landlock")
    given, other = tmp_path / "given", tmp_path / "other"
    given.write_text("mine")
    other.write_text("not mine")
    found, _ = caged(
        "file = os.open(target, os.O_RDONLY); files, folders = [file], []\n"
        + APPLY
        + "report(given=attempt(lambda: Path(f'/proc/self/fd/{file}').read_text()),"
        "other=attempt(lambda: Path(target).with_name('other').read_text()),"
        "listing=attempt(lambda: os.listdir('/')), passwd=attempt(lambda: Path('/etc/passwd').read_text()))",
        given,
    )
    assert found == {
        "given": "'mine'",
        "other": "PermissionError",
        "listing": "PermissionError",
        "passwd": "PermissionError",
    }


def test_nothing_can_be_written_or_deleted(layers: dict[str, object], tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("still here")
    found, _ = caged(
        "folder = Path(target).parent; file = os.open(target, os.O_RDWR); files, folders = [], [folder]\n"
        + APPLY
        + "report(create=attempt(lambda: (folder / 'new').open('w')), overwrite=attempt(lambda: open(target, 'w')),"
        "append=attempt(lambda: open(target, 'a')), remove=attempt(lambda: os.unlink(target)),"
        "rename=attempt(lambda: os.rename(target, str(folder / 'b'))), mkdir=attempt(lambda: os.mkdir(folder / 'c')),"
        "through_open_file=attempt(lambda: os.write(file, b'gone')))",
        victim,
    )
    needs(layers, "seccomp")
    assert found.pop("through_open_file") == "OSError"  # RLIMIT_FSIZE
    assert set(found.values()) == {"PermissionError"}
    assert victim.read_text() == "still here"
    assert list(tmp_path.iterdir()) == [victim]


def test_no_socket_can_be_opened(layers: dict[str, object]) -> None:
    needs(layers, "seccomp")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found, _ = caged(
            "files, folders = [], []\n" + APPLY + "report(inet=attempt(lambda: socket.socket()),"
            "unix=attempt(lambda: socket.socket(socket.AF_UNIX)),"
            f"connect=attempt(lambda: socket.create_connection(('127.0.0.1', {port}))))"
        )
    assert set(found.values()) == {"PermissionError"}


def test_an_isolated_process_has_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found, _ = caged(
            "held = cage.isolate()['network_namespace']\n"
            f"report(held=held, connect=attempt(lambda: socket.create_connection(('127.0.0.1', {port}), 5).close()))"
        )
    if not found["held"]:
        pytest.skip("this machine forbids network namespaces")
    assert found["connect"] != "None"


def test_no_process_can_be_started_or_harmed(layers: dict[str, object]) -> None:
    needs(layers, "seccomp")
    found, _ = caged(
        "files, folders = [], [Path('/bin'), Path('/usr/bin')]\n" + APPLY + "report(fork=attempt(os.fork),"
        "run=attempt(lambda: os.execv('/bin/true', ['true'])), kill=attempt(lambda: os.kill(os.getppid(), 0)),"
        "own=attempt(lambda: os.kill(os.getpid(), 0)))"
    )
    assert found.pop("own") == "None"
    assert set(found.values()) == {"PermissionError"}


def test_memory_is_limited() -> None:
    found, _ = caged("files, folders = [], []\n" + APPLY + "report(big=attempt(lambda: len(bytearray(2**31))))")
    assert found == {"big": "MemoryError"}


def test_cpu_time_is_limited() -> None:
    _, code = caged("cage.apply(memory_bytes=2**30, cpu_seconds=1)\nwhile True: pass")
    assert code == -signal.SIGXCPU


def test_a_caged_process_dies_with_its_parent() -> None:
    # The middle process forks a caged grandchild and ends; the grandchild would sleep for a minute.
    body = """
import signal, time
parent = os.getpid()
pid = os.fork()
if pid == 0:
    os.close(result)
    cage.apply(memory_bytes=2**30, cpu_seconds=20, parent_pid=parent)
    os.write(int(target), b"caged")
    time.sleep(60)
    os._exit(0)
os.close(int(target))
time.sleep(0.5)
report(pid=pid)
"""
    read, write = os.pipe()
    result_read, result_write = os.pipe()
    subprocess.run(
        [sys.executable, "-I", "-c", PRELUDE + body, str(result_write), str(write)],
        pass_fds=[write, result_write],
        check=True,
        timeout=50,
    )
    os.close(write)
    os.close(result_write)
    with os.fdopen(read, "rb") as pipe, os.fdopen(result_read, "rb") as result:
        # The grandchild held the write end; reading to the end proves that it is gone.
        assert pipe.read() == b"caged"
        assert json.loads(result.read())["pid"] > 0


def test_library_folders_hold_the_interpreter_and_the_project() -> None:
    folders = cage.library_folders()
    assert Path(os.__file__).resolve().parent in [folder.resolve() for folder in folders]
    assert ROOT / "ingest" in folders
    assert ROOT not in folders


def test_mapped_memory_counts(layers: dict[str, object]) -> None:
    assert layers["rlimits"]
    found, _ = caged(
        "import mmap\nfiles, folders = [], []\n" + APPLY + "report(mapped=attempt(lambda: mmap.mmap(-1, 2**31)))"
    )
    assert found["mapped"] in ("OSError", "MemoryError")
