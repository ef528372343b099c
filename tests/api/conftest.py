import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from api.connect import client_for
from api.serve import Running, running
from api.settings import Settings, load_settings

HANDBOOK = (
    "# Employee handbook\n\n"
    "## Leave\n\n"
    "Parents may take fourteen weeks of paid parental leave after the birth of a child. "
    "Special leave of two days is granted for moving house.\n\n"
    "## Travel\n\n"
    "Train journeys are booked in second class. The canteen serves lunch for six euros.\n"
)

MakeSettings = Callable[..., Settings]
Upload = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def make_settings(tmp_path_factory: pytest.TempPathFactory) -> MakeSettings:
    """Settings that need no weights, in a folder of their own unless one is given."""

    def make(**changes: Any) -> Settings:
        values: dict[str, Any] = {
            "data_dir": tmp_path_factory.mktemp("data"),
            "port": 0,
            "embedder": "hashing",
            "decoder": "scripted",
            "verifier": "overlap",
            "scripted_replies": ("Parents may take fourteen weeks of paid parental leave [1].",),
            "offline": True,
            "log_level": "error",
        }
        return load_settings(**{**values, **changes})

    return make


@pytest.fixture(scope="module")
def service(make_settings: MakeSettings) -> Iterator[Running]:
    with running(make_settings()) as started:
        yield started


@pytest.fixture(scope="module")
def client(service: Running) -> Iterator[httpx.Client]:
    """A client without any key, which is let in since no key is configured."""
    with httpx.Client(base_url=service.address, timeout=60.0) as http:
        wait_until_ready(http)
        yield http


@pytest.fixture(scope="module")
def owner(service: Running) -> Iterator[httpx.Client]:
    with client_for(service.address, service.token) as http:
        yield http


def wait_until_ready(http: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while (answer := http.get("/readyz")).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.02)


def finish(http: httpx.Client, document_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        document: dict[str, Any] = http.get(f"/v1/documents/{document_id}").json()
        if document["status"] in ("ready", "failed", "cancelled"):
            return document
        assert time.monotonic() < deadline, document
        time.sleep(0.02)


@pytest.fixture(scope="module")
def upload() -> Upload:
    """Uploads one file and returns the finished document."""

    def run(http: httpx.Client, name: str, content: str | bytes, **fields: str) -> dict[str, Any]:
        raw = content.encode() if isinstance(content, str) else content
        answer = http.post("/v1/documents", files={"file": (name, raw)}, data=fields)
        assert answer.status_code == 202, answer.text
        return finish(http, answer.json()["data"][0]["document_id"])

    return run


@pytest.fixture(scope="module")
def done() -> Callable[[httpx.Client, str], dict[str, Any]]:
    """Waits for a document."""
    return finish


@pytest.fixture(scope="module")
def ready() -> Callable[[httpx.Client], None]:
    """Waits for a service."""
    return wait_until_ready


@pytest.fixture(scope="module")
def handbook() -> str:
    return HANDBOOK


@pytest.fixture(scope="session")
def samples() -> Path:
    return Path(__file__).parents[2] / "docs" / "samples"


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command configures the logs of its process, which in a test is that of all tests."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
