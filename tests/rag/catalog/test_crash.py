import os
import signal
import subprocess
import sys
from pathlib import Path

from rag.catalog.check import check_catalog

_WORKER = """
import datetime, pathlib, sys
import numpy as np
from rag.catalog.catalog import Catalog
from rag.catalog.database import Database, sqlite_url
from rag.catalog.files import FileStore
from rag.types import NewPassage, ParsedDocument, Receipt

now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
folder, first = pathlib.Path(sys.argv[1]), int(sys.argv[2])
catalog = Catalog(Database(sqlite_url(folder / "catalog.sqlite3")), FileStore(folder))
catalog.start(now)
for number in range(first, first + 1000):
    text = f"text number {number}"
    registration = catalog.documents.register(
        catalog.files.stage([text.encode()], 99), name="a", collection="c", media_type="text/plain", metadata={},
        password=None, on_duplicate="skip", now=now)
    print("kept", registration.document.document_id, text, sep="|", flush=True)
    job = catalog.jobs.claim(now)
    text = catalog.files.path(job.document_id, job.version).read_text()
    passage = NewPassage(ordinal=0, text=text, start=0, end=len(text), heading=None, table_header=None,
                         first_page=None, last_page=None, n_tokens=1, continues=False)
    catalog.documents.publish(
        job.job_id, job.document_id, job.version,
        ParsedDocument(text=text, pages=(), blocks=(), media_type="text/plain", receipt=Receipt()),
        (passage,), np.ones((1, 4), np.float32), "stub", now)
    print("ready", job.document_id, "", sep="|", flush=True)
    if number % 3 == 0:
        print("deleting", job.document_id, "", sep="|", flush=True)
        catalog.documents.delete(job.document_id, now)
        print("deleted", job.document_id, "", sep="|", flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, open_bench) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    kept: dict[str, str] = {}
    ready: set[str] = set()
    deleting: set[str] = set()
    deleted: set[str] = set()
    for attempt, n_lines in enumerate((1, 6, 13, 24)):
        process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(folder), str(attempt * 1000)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(n_lines)]
        os.kill(process.pid, signal.SIGKILL)
        lines += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        for line in lines:
            if not line.endswith("\n"):
                continue
            event, document_id, text = line.rstrip("\n").split("|")
            if event == "kept":
                kept[document_id] = text
            else:
                {"ready": ready, "deleting": deleting, "deleted": deleted}[event].add(document_id)
        bench = open_bench(folder)
        catalog = bench.catalog
        assert check_catalog(catalog).problems == ()
        found = {document.document_id: document for document in catalog.documents.list(limit=1000)[0]}
        assert not deleted & found.keys()
        assert kept.keys() - deleting <= found.keys()
        for document_id, text in kept.items():
            if document_id in found:
                assert catalog.files.path(document_id, 1).read_text() == text
        assert all(found[document_id].status == "ready" for document_id in ready & found.keys())
        catalog.close()
