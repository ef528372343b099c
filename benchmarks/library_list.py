"""How long the page blocks while a person scrolls through a library of thousands of documents.

    python benchmarks/library_list.py [--documents 5000] [--rounds 3] [--data-dir DIR] [--json OUT]

Uploads small text files to a service without weights, opens the library in headless Chromium and turns the wheel until
the last document is shown. Reported are the longest main-thread task that the browser itself noted (Long Tasks API;
tasks under 50 ms are not noted), their number, and the longest time between two frames. A DIR that was filled before is
used again.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

from api.logs import configure_logs
from api.serve import running
from api.settings import load_settings

_FILES_A_REQUEST = 100
_WATCH = """
window.seen = { tasks: [], frames: [], last: null };
new PerformanceObserver((list) => { for (const task of list.getEntries()) seen.tasks.push(task.duration); })
  .observe({ type: "longtask", buffered: true });
const frame = (now) => {
  if (seen.last !== null) seen.frames.push(now - seen.last);
  seen.last = now;
  requestAnimationFrame(frame);
};
requestAnimationFrame(frame);
"""


def fill(client: httpx.Client, n_documents: int) -> None:
    """Upload documents and wait until all are ready."""
    for first in range(0, n_documents, _FILES_A_REQUEST):
        files = [
            (
                "file",
                (f"Report {n:05d} of the committee.txt", f"Report {n} says {n * 7} things.".encode()),
            )
            for n in range(first, min(first + _FILES_A_REQUEST, n_documents))
        ]
        client.post("/v1/documents", files=files).raise_for_status()
    while True:
        ready = client.get("/v1/documents", params={"status": "ready", "limit": 1}).json()["count"]
        print(f"\r{ready} of {n_documents} documents ready", end="", flush=True)
        if ready == n_documents:
            print()
            return
        time.sleep(1.0)


def scroll(page: Page, address: str, n_documents: int) -> dict[str, Any]:
    """Turn the wheel to the end of the list; what the browser saw meanwhile."""
    page.goto(f"{address}/#/library")
    page.locator("#documents > li").first.wait_for()
    page.mouse.move(600, 500)
    started = time.perf_counter()
    while page.locator("#documents > li").count() < n_documents:
        page.mouse.wheel(0, 1_500)
        time.sleep(0.03)
        if time.perf_counter() - started > 300:
            raise SystemExit("the end of the list was not reached in 300 s")
    seen = page.evaluate("window.seen")
    return {
        "longest_task_ms": round(max(seen["tasks"], default=0.0), 1),
        "tasks_over_50_ms": len(seen["tasks"]),
        "longest_frame_ms": round(max(seen["frames"]), 1),
        "median_frame_ms": round(statistics.median(seen["frames"]), 1),
        "seconds": round(time.perf_counter() - started, 1),
    }


def main() -> None:
    """Fill, scroll, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise SystemExit("Chromium is not installed")
    configure_logs("error", "text")
    with tempfile.TemporaryDirectory() as scratch:
        settings = load_settings(
            data_dir=arguments.data_dir or Path(scratch),
            port=0,
            embedder="hashing",
            decoder="scripted",
            verifier="overlap",
            offline=True,
            log_level="error",
        )
        with running(settings) as service, httpx.Client(base_url=service.address, timeout=120.0) as client:
            if client.get("/v1/documents", params={"limit": 1}).json()["count"] < arguments.documents:
                fill(client, arguments.documents)
            rounds = []
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                for _ in range(arguments.rounds):
                    page = browser.new_page(viewport={"width": 1280, "height": 800})
                    page.add_init_script(_WATCH)
                    rounds.append(scroll(page, service.address, arguments.documents))
                    print(json.dumps(rounds[-1]), flush=True)
                    page.close()
                browser.close()
    if arguments.json:
        arguments.json.write_text(json.dumps({"documents": arguments.documents, "rounds": rounds}, indent=1) + "\n")


if __name__ == "__main__":
    main()
