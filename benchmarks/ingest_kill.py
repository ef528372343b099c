"""kill -9 in the middle of ingest, again and again: does everything agree afterwards?

    python benchmarks/ingest_kill.py --data DIR (--model FOLDER | --stub) [--documents 300] [--kills 6] [--seed 0]

DIR holds `documents.jsonl.gz`. All documents are uploaded first. A child process then ingests them and is killed with
SIGKILL, its whole process group with it, at a random moment; the next child goes on where it was. The last one works
until nothing is queued. With `--stub` vectors are hashed words, so that a run takes seconds. Exit status 1 if anything
differs.
"""

import argparse
import contextlib
import json
import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import structlog
from ingest_store import Store, medquad, open_store, upload

from rag.embed import Embedder, TokenCounter
from rag.hashing_embedder import HashingEmbedder
from rag.token_counter import WordCounter, load_token_counter, read_json


def main() -> None:
    """Print what was found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with documents.jsonl.gz")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", type=Path, help="folder of the embedder")
    what.add_argument("--stub", action="store_true", help="hashed words in place of a model")
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)  # the folder to work in
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if arguments.child is not None:
        with _open(arguments.child, arguments.model) as store:
            print("open", flush=True)
            store.ingestor.run_until_idle()
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = _torture(Path(folder) / "data", arguments)
    print(json.dumps(figures, indent=2))
    sys.exit(0 if figures["agrees"] else 1)


def _torture(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    with _open(folder, arguments.model) as store:
        sent = {upload(store, name, content) for name, content in medquad(arguments.data, arguments.documents)}
    rng = random.Random(arguments.seed)
    command = [sys.executable, __file__, *sys.argv[1:], "--child", str(folder)]
    kills: list[dict[str, float]] = []
    while True:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert child.stdout is not None
        if len(kills) < arguments.kills:
            # A quarter of the kills fall into the start, where a crash is put in order.
            if rng.random() < 0.75:
                child.stdout.readline()
            seconds = rng.uniform(0.0, 3.0)
            try:
                child.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                kills.append({"after_seconds": round(seconds, 3), "ready": _n_ready(folder)})
                continue
        status = child.wait()
        if status != 0:
            raise RuntimeError(f"the child ended with status {status}")
        break
    time.sleep(0.1)
    with _open(folder, arguments.model) as store:
        return {"kills": kills, **_compare(store, sent)}


def _n_ready(folder: Path) -> int:
    """Documents that are ready, read beside the store, which nobody has open."""
    with contextlib.closing(sqlite3.connect(f"file:{folder / 'catalog.sqlite3'}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM documents WHERE status = 'ready'").fetchone()[0])


def _compare(store: Store, sent: set[str]) -> dict[str, Any]:
    """Count everything from the side of the catalog and from the side of the indexes."""
    check = store.indexes.check()
    statuses: dict[str, int] = {}
    passage_ids: list[int] = []
    for document_id in sorted(sent):
        document = store.catalog.documents.get(document_id)
        statuses[document.status] = statuses.get(document.status, 0) + 1
        passages = store.catalog.passages.of_document(document_id)
        if document.status == "ready":
            text = store.catalog.documents.text(document_id)
            assert "".join(passage.text for passage in passages) == text, document_id
        assert len(passages) == document.n_passages, document_id
        passage_ids.extend(passage.passage_id for passage in passages)
    catalog_ids = sorted(int(number) for number in store.catalog.passages.ids())
    n_vectors = sum(len(store.catalog.passages.vectors(number, number)[0]) for number in catalog_ids)
    agrees = (
        statuses == {"ready": len(sent)}
        and sorted(passage_ids) == catalog_ids
        and n_vectors == len(catalog_ids)
        and check.agrees
    )
    return {
        "documents": len(sent),
        "statuses": statuses,
        "passages": len(catalog_ids),
        "vectors": n_vectors,
        "indexes": str(check),
        "agrees": agrees,
    }


def _open(folder: Path, model: Path | None) -> AbstractContextManager[Store]:
    name, dimension, embedder, counter = _stub() if model is None else _real(model)
    return open_store(folder, name, dimension, embedder, counter)


def _stub() -> tuple[str, int, Callable[[], Embedder], Callable[[], TokenCounter]]:
    stub = HashingEmbedder()
    return stub.name, stub.dimension, lambda: stub, lambda: WordCounter(200)


def _real(model: Path) -> tuple[str, int, Callable[[], Embedder], Callable[[], TokenCounter]]:
    def load() -> Embedder:
        from llm.device import probe_device
        from rag.torch_embedder import load_embedder

        return load_embedder(model, name="benchmark", device=probe_device())

    dimension = int(read_json(model / "config.json")["hidden_size"])
    return "benchmark", dimension, load, lambda: load_token_counter(model)


if __name__ == "__main__":
    main()
