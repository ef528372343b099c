"""One service and, a file, one browser. Nothing here is skipped where CI is set."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest

from api.serve import running
from api.settings import load_settings

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SAMPLES = Path(__file__).parents[2] / "docs" / "samples"
# What the decoder always says. Of the handbook the first sentence is true, the second has a number changed.
REPLY = (
    "Up to 60 hours may be saved on the time account [1]. The regular working week has 48.5 hours. "
    "The company was sold to a bank in Zurich."
)

Visit = Callable[..., Any]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service without weights; the client is for what a test prepares."""
    settings = load_settings(
        data_dir=tmp_path_factory.mktemp("page"),
        port=0,
        embedder="hashing",
        decoder="scripted",
        verifier="overlap",
        scripted_replies=(REPLY,),
        offline=True,
        log_level="error",
    )
    with running(settings) as started, httpx.Client(base_url=started.address, timeout=60.0) as http:
        deadline = time.monotonic() + 60
        while http.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        add(http, SAMPLES / "employee-handbook.pdf", "handbook")
        yield http


def add(http: httpx.Client, path: Path, collection: str) -> str:
    """Upload a file, wait for it, and return its id."""
    answer = http.post("/v1/documents", files={"file": (path.name, path.read_bytes())}, data={"collection": collection})
    document_id: str = answer.json()["data"][0]["document_id"]
    deadline = time.monotonic() + 60
    while http.get(f"/v1/documents/{document_id}").json()["status"] not in ("ready", "failed"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return document_id


@pytest.fixture(scope="session")
def samples() -> Path:
    return SAMPLES


@pytest.fixture(scope="session")
def upload() -> Callable[[httpx.Client, Path, str], str]:
    """Adds a document past the page."""
    return add


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; CI must have it", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Closed after each file: an open one holds the thread's event loop."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed")
    if CHROMIUM is None:
        _missing("Chromium is not installed")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def axe() -> Any:
    """axe-core, which looks for what people with disabilities stumble over."""
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        _missing("axe-playwright-python is not installed")
    return Axe()


@pytest.fixture
def visit(browser: Any, site: httpx.Client) -> Iterator[Visit]:
    """Opens the page as a new person. At the end nothing was asked elsewhere, and nothing was complained of.

    `collection` is chosen beforehand, `script` runs before the page's own, `forgive` are complaints that are meant.
    """
    contexts: list[Any] = []
    asked: list[str] = []
    said: list[str] = []
    forgiven: list[str] = []
    own = str(site.base_url).rstrip("/")

    def open_page(
        path: str = "/",
        *,
        width: int = 1280,
        collection: str = "handbook",
        script: str = "",
        forgive: tuple[str, ...] = (),
        **settings: Any,
    ) -> Any:
        forgiven.extend(forgive)
        settings = {"reduced_motion": "reduce", **settings}
        context = browser.new_context(viewport={"width": width, "height": 800}, base_url=own, **settings)
        contexts.append(context)
        context.set_default_timeout(60_000)
        context.add_init_script(f"try {{ localStorage['citebound-collection'] ??= '\"{collection}\"'; }} catch {{}}")
        if script:
            context.add_init_script(script)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith((f"{own}/", "blob:", "data:"))] == []
    assert [text for text in said if not any(part in text for part in forgiven)] == []


@pytest.fixture
def ask() -> Callable[..., Any]:
    """Asks, waits for the whole answer, and returns its place in the conversation."""

    def run(page: Any, question: str) -> Any:
        n_turns = page.locator(".turn").count()
        page.fill("#question", question)
        page.press("#question", "Enter")
        turn = page.locator(".turn").nth(n_turns)
        turn.locator(".costs").first.wait_for()
        page.locator("#send").wait_for()
        return turn

    return run
