"""Kill the service with SIGKILL in the middle of an ingest, start it again, and prove that nothing disagrees.

    python benchmarks/service_kill.py --data DIR [--limit 2000] [--kills 3] [--seed 1]

DIR holds `documents.jsonl.gz` (MedQuAD). Its first documents are uploaded over HTTP to `citebound serve` with the
models of the settings; nothing that was acknowledged is sent again. At the end every acknowledged document must be
ready with the bytes that were sent, and `citebound doctor --check` must agree.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from ingest_store import medquad

_FILES_A_REQUEST = 20


def serve(folder: Path) -> tuple[subprocess.Popen[bytes], httpx.Client]:
    """Start the service on a free port and return it with a client of its owner."""
    from rag.catalog.folder import DataFolder

    command = [str(Path(sys.executable).with_name("citebound")), "serve", "--port", "0", "--data-dir", str(folder)]
    log = (folder.parent / "serve.log").open("ab")
    environment = {**os.environ, "CITEBOUND_LOG_LEVEL": "warning"}
    process = subprocess.Popen(command, stderr=log, start_new_session=True, env=environment)
    while True:
        owner = DataFolder.owner(folder)
        if owner is not None and owner.pid == process.pid and owner.address and owner.token:
            headers = {"Authorization": f"Bearer {owner.token}"}
            return process, httpx.Client(base_url=owner.address, headers=headers, timeout=120, trust_env=False)
        if process.poll() is not None:
            raise SystemExit("the service ended; see its log")
        time.sleep(0.05)


def statuses(client: httpx.Client) -> dict[str, int]:
    """How many documents are in which state."""
    names = ("queued", "parsing", "embedding", "ready", "failed")
    return {name: client.get("/v1/documents", params={"status": name, "limit": 1}).json()["count"] for name in names}


def main() -> None:
    """Upload, kill, restart, wait, check, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    waiting = list(medquad(arguments.data, arguments.limit))
    acknowledged: dict[str, str] = {}  # document id → SHA-256 of what was sent
    seen: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "data"
        folder.mkdir()
        process, client = serve(folder)
        for kill in range(arguments.kills + 1):
            end = time.monotonic() + rng.uniform(8, 20)
            while waiting and (kill == arguments.kills or time.monotonic() < end):
                batch, waiting = waiting[:_FILES_A_REQUEST], waiting[_FILES_A_REQUEST:]
                rows = client.post("/v1/documents", files=[("file", file) for file in batch]).json()["data"]
                for row, (_, content) in zip(rows, batch, strict=True):
                    acknowledged[row["document_id"]] = hashlib.sha256(content).hexdigest()
            if kill == arguments.kills:
                break
            time.sleep(max(0.0, end - time.monotonic()))
            seen.append(statuses(client))
            print(f"kill {kill + 1}: {seen[-1]}", flush=True)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process, client = serve(folder)
        while (now := statuses(client))["queued"] + now["parsing"] + now["embedding"]:
            time.sleep(1)
        wrong = [
            document_id
            for document_id, digest in acknowledged.items()
            if (document := client.get(f"/v1/documents/{document_id}").json()).get("status") != "ready"
            or document["sha256"] != digest
        ]
        citebound = str(Path(sys.executable).with_name("citebound"))
        command = [citebound, "doctor", "--check", "--json", "--data-dir", str(folder)]
        check = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)["check"]
        process.send_signal(signal.SIGTERM)
        process.wait()
    figures = {"acknowledged": len(acknowledged), "not ready or other bytes": len(wrong), "kills": seen, "check": check}
    print(json.dumps(figures, indent=1))
    raise SystemExit(1 if wrong or not check["ok"] else 0)


if __name__ == "__main__":
    main()
