"""The hub source against a small server that speaks the hub's protocol on loopback."""

import hashlib
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMIT = "a" * 40
FILES = {
    "config.json": b'{"architectures": ["LlamaForCausalLM"]}',
    "model.safetensors": b"weights" * 1000,
    "pytorch_model.bin": b"\x80\x04.",
    "tokenizer.json": b"{}",
}
RESOLVE = """
import sys
from pathlib import Path
from llm.errors import LlmError
from llm.sources import ModelStore
try:
    found = ModelStore(Path(sys.argv[1])).resolve(sys.argv[2])
    print(found.name, found.kind, found.source, sorted(p.name for p in found.folder.iterdir()))
except LlmError as error:
    print(type(error).__name__, error)
"""


class Hub(http.server.BaseHTTPRequestHandler):
    announced = hashlib.sha256(FILES["model.safetensors"]).hexdigest()

    def do_HEAD(self) -> None:
        self.do_GET(body=False)

    def do_GET(self, body: bool = True) -> None:
        if self.path.startswith("/api/models/org/tiny"):
            siblings = [
                {"rfilename": name, "size": len(data)}
                | (
                    {"lfs": {"sha256": self.announced, "size": len(data), "pointerSize": 100}}
                    if name.endswith(".safetensors")
                    else {}
                )
                for name, data in FILES.items()
            ]
            data = json.dumps({"id": "org/tiny", "modelId": "org/tiny", "sha": COMMIT, "siblings": siblings}).encode()
            self.reply(200, data, body, {"Content-Type": "application/json"})
            return
        name = self.path.rsplit("/", 1)[-1].split("?")[0]
        if f"/org/tiny/resolve/{COMMIT}/" in self.path and name in FILES:
            tag = hashlib.sha256(FILES[name]).hexdigest()
            self.reply(200, FILES[name], body, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT})
        else:
            self.reply(404, b"{}", body, {"X-Error-Code": "RepoNotFound"})

    def reply(self, status: int, data: bytes, body: bool, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


def resolve(endpoint: str, cache: Path, name: str) -> str:
    # In a process of its own, since the hub's client reads its endpoint when it is imported.
    environment = {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(cache / "hf"),
        "PATH": "/usr/bin:/bin",
        "HF_HUB_DISABLE_XET": "1",
    }
    command = [sys.executable, "-c", RESOLVE, str(cache), name]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_a_repository_is_pulled_without_its_pickles(hub: str, tmp_path: Path) -> None:
    said = resolve(hub, tmp_path / "cache", "org/tiny")
    names = ["citebound-model.json", "config.json", "model.safetensors", "tokenizer.json"]
    assert said == f"org/tiny decoder hub {names}"
    manifest = json.loads((tmp_path / "cache" / "org--tiny" / "citebound-model.json").read_text())
    assert manifest["revision"] == COMMIT
    assert manifest["sha256"] == Hub.announced


def test_a_file_that_is_not_what_the_hub_announced_is_refused(
    hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hub, "announced", "0" * 64)
    said = resolve(hub, tmp_path / "cache", "org/tiny")
    assert said.startswith("ModelIntegrityError model.safetensors")
    assert not (tmp_path / "cache" / "org--tiny").exists()


def test_an_unknown_repository_and_an_unreachable_hub_are_sentences(hub: str, tmp_path: Path) -> None:
    assert resolve(hub, tmp_path / "cache", "org/unknown").startswith("ModelNotFoundError")
    assert resolve("http://127.0.0.1:9", tmp_path / "cache", "org/tiny").startswith("DownloadError")
