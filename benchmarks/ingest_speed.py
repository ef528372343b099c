"""How fast is ingest beside the encoder of sentence-transformers alone, and does memory stay flat?

    python benchmarks/ingest_speed.py --data DIR --model FOLDER [--limit 2000] [--parts 4] [--out FILE]

DIR holds `documents.jsonl.gz` (MedQuAD). Its first documents are written as Markdown files, uploaded into a new data
folder and ingested by the real catalog, sandbox, indexes and worker. A second process encodes exactly the stored
passages with `SentenceTransformer.encode` in the same precision: at batch 32 (its default) and at the best of several
batch sizes, found on a sample before. The documents go in parts, each part through both, so that what else the machine
does falls on both alike. Models are loaded and warm before anything is timed.
"""

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from ingest_store import Store, medquad, open_store, upload
from sentence_encoder import SentenceEncoder

from llm.device import measure_matrix_rate, probe_device
from llm.types import DType
from rag.passage_text import embedding_text
from rag.token_counter import load_token_counter
from rag.torch_embedder import load_embedder

_DEFAULT_BATCH = 32
_SAMPLE = 160  # passages on which the best batch size is found
_MIB = 1024 * 1024


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with documents.jsonl.gz")
    parser.add_argument("--model", type=Path, required=True, help="folder of the embedder")
    parser.add_argument("--limit", type=int, default=2000, help="documents")
    parser.add_argument("--parts", type=int, default=4, help="how often the two take turns")
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--out", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        figures = _run(Path(folder), arguments.data, arguments.model, arguments.limit, arguments.parts, arguments.dtype)
    report = json.dumps(figures, indent=2)
    print(report)
    if arguments.out is not None:
        arguments.out.write_text(report + "\n", encoding="utf-8")


def _run(folder: Path, data: Path, model: Path, limit: int, parts: int, dtype: DType) -> dict[str, Any]:
    device = probe_device("auto", dtype)
    embedder = load_embedder(model, name="benchmark", device=device)
    counter = load_token_counter(model)
    embedder.embed_passages(["warm up " * 100] * 64)
    files = list(medquad(data, limit))
    limit = len(files)
    with (
        open_store(folder / "data", embedder.name, embedder.dimension, lambda: embedder, lambda: counter) as store,
        SentenceEncoder(model, dtype) as reference,
    ):
        store.sandbox.start()
        watch = _Memory(store, limit)
        upload_seconds = ingest_seconds = default_seconds = best_seconds = alone_seconds = 0.0
        n_tokens = n_seen = last_id = 0
        best_batch = 0
        for part in range(parts):
            chosen = files[part * limit // parts : (part + 1) * limit // parts]
            started = time.perf_counter()
            for name, content in chosen:
                upload(store, name, content)
            upload_seconds += time.perf_counter() - started

            with watch.watching():
                started = time.perf_counter()
                store.ingestor.run_until_idle()
                ingest_seconds += time.perf_counter() - started

            ids = [int(number) for number in store.catalog.passages.ids() if number > last_id]
            passages = store.catalog.passages.get_many(ids)
            texts = [embedding_text(passages[number]) for number in ids]
            last_id, n_seen = ids[-1], n_seen + len(texts)
            n_tokens += sum(passages[number].n_tokens + 2 for number in ids)
            best_batch = best_batch or reference.best_batch(texts[:_SAMPLE])
            default_seconds += reference.encode(texts, _DEFAULT_BATCH)
            best_seconds += reference.encode(texts, best_batch)
            started = time.perf_counter()
            embedder.embed_passages(texts)
            alone_seconds += time.perf_counter() - started
            note = f"part {part + 1} of {parts}: {n_seen} passages, ingest {ingest_seconds:.1f} s"
            print(f"{note}, encode {default_seconds:.1f} s / {best_seconds:.1f} s", file=sys.stderr)
        check = store.indexes.check()
        documents, _, _ = store.catalog.documents.list(limit=1, status="failed")
    embedder.close()
    rate = measure_matrix_rate(device, dtype)
    flop = _flop_per_token(model, n_tokens / n_seen) * n_tokens
    rates = {
        "ingest": n_seen / ingest_seconds,
        "embedder_alone": n_seen / alone_seconds,
        "sentence_transformers_default_batch": n_seen / default_seconds,
        "sentence_transformers_best_batch": n_seen / best_seconds,
    }
    return {
        "command": f"python benchmarks/ingest_speed.py --data DIR --model FOLDER --limit {limit} --parts {parts}",
        "commit": _commit(),
        "machine": {"cpu": device.name, "cores": os.cpu_count(), "dtype": dtype, "system": platform.release()},
        "documents": limit,
        "failed": len(documents),
        "passages": n_seen,
        "tokens": n_tokens,
        "upload_seconds": round(upload_seconds, 2),
        "ingest_seconds": round(ingest_seconds, 2),
        "passages_per_second": {name: round(value, 1) for name, value in rates.items()},
        "best_batch_of_sentence_transformers": best_batch,
        "ingest_over_default_batch": round(default_seconds / ingest_seconds, 3),
        "ingest_over_best_batch": round(best_seconds / ingest_seconds, 3),
        "ingest_with_upload_over_default_batch": round(default_seconds / (ingest_seconds + upload_seconds), 3),
        "matrix_tflop_s": round(rate, 3),
        "share_of_matrix_rate": {
            "ingest": round(flop / ingest_seconds / rate / 1e12, 3),
            "embedder_alone": round(flop / alone_seconds / rate / 1e12, 3),
            "sentence_transformers": round(flop / default_seconds / rate / 1e12, 3),
        },
        "rss_mib": watch.figures(),
        "load_average": round(os.getloadavg()[0], 2),
        "check": str(check),
    }


class _Memory:
    """Resident memory of this process by the share of documents that are ready."""

    def __init__(self, store: Store, n_documents: int) -> None:
        self._n_documents = n_documents
        self._n_ready = 0
        self._before = _rss()
        self._peak = self._before
        self._samples: list[tuple[float, float]] = []  # (share of documents ready, MiB)
        self._stop = threading.Event()
        store.catalog.events.subscribe(self._hear)

    def _hear(self, event: Any) -> None:
        self._n_ready += event.document.status == "ready"

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Sample while the block runs."""
        self._stop.clear()
        thread = threading.Thread(target=self._sample)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(0.1):
            rss = _rss()
            self._peak = max(self._peak, rss)
            self._samples.append((self._n_ready / self._n_documents, rss))

    def figures(self) -> dict[str, float]:
        """Before, at quarters, and at most."""
        at = {f"at_{quarter} %": self._at(quarter / 100) for quarter in (10, 25, 50, 75, 100)}
        return {"before": round(self._before), **at, "peak": round(self._peak)}

    def _at(self, share: float) -> float:
        return round(max((rss for done, rss in self._samples if share - 0.1 <= done <= share), default=0.0))


def _flop_per_token(model_folder: Path, n_tokens: float) -> float:
    """2 · parameters without embeddings + 4 · layers · width · length, of a BERT-like encoder."""
    config = json.loads((model_folder / "config.json").read_text(encoding="utf-8"))
    width, layers = config["hidden_size"], config["num_hidden_layers"]
    parameters = layers * (4 * width**2 + 2 * width * config["intermediate_size"])
    return float(2 * parameters + 4 * layers * width * n_tokens)


def _rss() -> float:
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
