import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from ingest.limits import MIB, Limits
from ingest.load import load
from ingest.sandbox import ParseCancelledError, Sandbox
from rag.errors import ConflictError, DocumentError, NoPagesError, NotFoundError

WAIT_SECONDS = 20.0
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits()) as shared:
        yield shared


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pdf(tmp_path_factory.mktemp("small") / "small.pdf", n_pages=2)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that keeps a child at work for several seconds of CPU time."""
    return write_pdf(tmp_path_factory.mktemp("large") / "large.pdf", n_pages=1_200, n_lines=50)


def write_pdf(path: Path, *, n_pages: int, n_lines: int = 1) -> Path:
    canvas = Canvas(str(path))
    for page in range(n_pages):
        text = canvas.beginText(72, 750)
        for line in range(n_lines):
            text.textLine(f"Page {page + 1}, line {line + 1}: the quick brown fox jumps over the lazy dog again.")
        canvas.drawText(text)
        canvas.showPage()
    canvas.save()
    return path


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(DocumentError) as error:
        action()
    return error.value.code


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def zygote_of_this_process() -> int:
    """The zygote that was started last. By its time, not its number: numbers are given again once they run out."""
    zygotes = [pid for pid in children_of_any_thread(os.getpid()) if is_zygote(pid)]
    return max(zygotes, key=started_at)


def is_zygote(pid: int) -> bool:
    return b"ingest.zygote" in Path(f"/proc/{pid}/cmdline").read_bytes()


def started_at(pid: int) -> int:
    """Clock ticks after the machine's start; see proc_pid_stat(5), field 22."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def children_of_any_thread(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def test_the_reply_equals_what_the_loader_makes(sandbox: Sandbox, small: Path) -> None:
    caged = sandbox.parse(small, name="small.pdf")
    direct = load(small, name="small.pdf", media_type=None, password=None, limits=Limits())
    assert caged == direct
    for page, same in zip(caged.pages, direct.pages, strict=True):
        assert page.char_boxes is not None and same.char_boxes is not None
        assert np.array_equal(page.char_boxes, same.char_boxes)


def test_errors_of_the_loader_arrive(sandbox: Sandbox, tmp_path: Path) -> None:
    for name, content, code in (
        ("empty.txt", b"", "empty"),
        ("broken.pdf", b"%PDF-1.7 nothing more", "corrupt"),
        ("tool.bin", bytes(range(256)), "unsupported_type"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        assert code_of(lambda: sandbox.parse(path, name=name)) == code  # noqa: B023 - called at once
    with pytest.raises(FileNotFoundError):
        sandbox.parse(tmp_path / "absent.pdf", name="absent.pdf")


def test_pages_are_drawn(sandbox: Sandbox, small: Path, tmp_path: Path) -> None:
    image = Image.open(io.BytesIO(sandbox.render_page(small, 2)))
    assert (image.format, image.width) == ("PNG", 1400)
    capped = Image.open(io.BytesIO(sandbox.render_page(small, 1, max_pixels=10_000)))
    assert capped.width * capped.height <= 10_000
    with pytest.raises(NotFoundError):
        sandbox.render_page(small, 3)
    text = tmp_path / "a.md"
    text.write_text("# Title\n\nwords")
    with pytest.raises(NoPagesError):
        sandbox.render_page(text, 1)


def test_several_parses_run_at_once(sandbox: Sandbox, small: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        texts = set(pool.map(lambda _: sandbox.parse(small, name="a.pdf").text, range(24)))
    assert len(texts) == 1


def test_layers_are_told(sandbox: Sandbox) -> None:
    layers = sandbox.layers()
    assert layers["rlimits"] is True
    assert set(layers) == {
        "user_namespace", "network_namespace", "rlimits", "dies_with_parent", "no_new_privs", "landlock", "seccomp",
    }  # fmt: skip


def test_wall_clock_limit(small: Path, large: Path) -> None:
    with Sandbox(Limits(wall_seconds=0.5)) as sandbox:
        sandbox.layers()
        assert code_of(lambda: sandbox.parse(large, name="a.pdf")) == "timeout"
        assert sandbox.layers()["rlimits"]


def test_cpu_limit(small: Path, large: Path) -> None:
    with Sandbox(Limits(cpu_seconds=1)) as sandbox:
        assert code_of(lambda: sandbox.parse(large, name="a.pdf")) == "timeout"
        assert sandbox.parse(small, name="a.pdf").text


def test_memory_limit(small: Path, tmp_path: Path) -> None:
    text = tmp_path / "long.txt"
    text.write_text("A line of text that is repeated very often.\n" * 400_000)
    limits = Limits(memory_bytes=260 * MIB)
    if sys.platform != "linux":
        pytest.skip("macOS does not limit address space")
    with Sandbox(limits) as sandbox:
        assert code_of(lambda: sandbox.parse(text, name="long.txt")) == "out_of_memory"
        assert sandbox.parse(small, name="a.pdf").text


def test_reply_limit(small: Path) -> None:
    with Sandbox(Limits(max_reply_bytes=300)) as sandbox:
        assert code_of(lambda: sandbox.parse(small, name="a.pdf")) == "too_large"


def test_cancel_kills_the_child(small: Path, large: Path) -> None:
    with Sandbox(Limits()) as sandbox:
        sandbox.layers()
        asked = 0

        def cancel() -> bool:
            nonlocal asked
            asked += 1
            return asked > 5

        with pytest.raises(ParseCancelledError):
            sandbox.parse(large, name="a.pdf", cancel=cancel)
        if sys.platform == "linux":
            zygote = zygote_of_this_process()
            wait_for(lambda: not children_of(zygote))
        assert sandbox.parse(small, name="a.pdf", cancel=lambda: False).text


@linux_only
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_a_crash_costs_one_request(small: Path, large: Path, number: signal.Signals) -> None:
    with Sandbox(Limits()) as sandbox, ThreadPoolExecutor(1) as pool:
        sandbox.layers()
        zygote = zygote_of_this_process()
        parse = pool.submit(sandbox.parse, large, name="a.pdf")
        wait_for(lambda: children_of(zygote))
        os.kill(children_of(zygote)[0], number)
        with pytest.raises(DocumentError) as error:
            parse.result()
        assert error.value.code == "parser_crashed"
        assert sandbox.parse(small, name="a.pdf").text
        assert zygote_of_this_process() == zygote


@linux_only
def test_a_dead_zygote_is_replaced_and_its_children_end(small: Path, large: Path) -> None:
    with Sandbox(Limits()) as sandbox, ThreadPoolExecutor(1) as pool:
        sandbox.layers()
        zygote = zygote_of_this_process()
        stop = threading.Event()
        parse = pool.submit(sandbox.parse, large, name="a.pdf", cancel=stop.is_set)
        wait_for(lambda: children_of(zygote))
        child = children_of(zygote)[0]
        os.kill(zygote, signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{child}").exists())
        assert sandbox.parse(small, name="a.pdf").text  # a new zygote serves
        stop.set()  # the request that was under way is tried again until then
        with pytest.raises(ParseCancelledError):
            parse.result()


@linux_only
def test_nothing_outlives_the_process_that_uses_it(large: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    code = f"""
import sys, threading
sys.path.insert(0, {str(root)!r})
from pathlib import Path
from ingest.sandbox import Sandbox
sandbox = Sandbox()
sandbox.layers()
print("ready", flush=True)
sandbox.parse(Path({str(large)!r}), name="a.pdf")
"""
    user = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert user.stdout is not None
    with user.stdout:
        assert b"ready" in user.stdout.readline()
        (zygote,) = children_of_any_thread(user.pid)
        wait_for(lambda: children_of(zygote))
        child = children_of(zygote)[0]
        user.kill()
        user.wait()
        for pid in (zygote, child):
            wait_for(lambda: has_ended(pid))  # noqa: B023 - called at once


def has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@linux_only
def test_the_zygote_sees_no_torch_no_secret_and_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "hunter2")
    with Sandbox(Limits()) as sandbox, socket.create_server(("127.0.0.1", 0)):
        sandbox.layers()
        zygote = Path(f"/proc/{zygote_of_this_process()}")
        assert b"hunter2" not in (zygote / "environ").read_bytes()
        assert "libtorch" not in (zygote / "maps").read_text()
        assert len(list((zygote / "task").iterdir())) == 1
        # stdin, stdout, stderr, its socket, and its own: a selector and the two ends of its wake-up pipe.
        wait_for(lambda: len(list((zygote / "fd").iterdir())) == 7)


def test_a_closed_sandbox_says_so(small: Path) -> None:
    sandbox = Sandbox(Limits())
    sandbox.close()
    with pytest.raises(ConflictError):
        sandbox.parse(small, name="a.pdf")
