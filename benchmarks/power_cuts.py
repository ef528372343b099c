"""Cut the power of the store 100 times and count what was lost: `python benchmarks/power_cuts.py --cuts 100`.

An ext4 file system on a loop file is mounted; a child process uploads, publishes and deletes documents on it and says
on a pipe what the store acknowledged, and when. At a random moment the power is cut (`power_cut.py`); the child is
killed, the file system is mounted again (its journal is replayed) and the store opened. Expected state lives in this
process, outside the store. What is acknowledged after the cut has begun counts as interrupted: `power_cut.py` says why,
and measures it.

Accepted: acknowledged ⊆ found ⊆ sent; every acknowledged upload is there with its SHA-256 and, once published, its
passages; every acknowledged delete stays; what a cut interrupted may be done or not done; both indexes agree with the
catalog after they opened. Needs root and Linux; says so and exits with 0 where it has not.
"""

import argparse
import dataclasses
import datetime
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from power_cut import cut_power, disk, may_cut, remount

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def open_store(folder: Path):
    """The catalog and both indexes of `folder`, with the stub embedder (no torch)."""
    from rag.catalog.catalog import Catalog
    from rag.catalog.database import Database
    from rag.catalog.files import FileStore
    from rag.catalog.folder import DataFolder
    from rag.hashing_embedder import HashingEmbedder
    from rag.index.faiss import FaissIndex
    from rag.index.lexical import LexicalIndex
    from rag.index.sync import Indexes

    owned = DataFolder(folder)
    owned.lock()
    catalog = Catalog(Database(owned.database_url), FileStore(folder))
    catalog.start(NOW)
    embedder = HashingEmbedder()
    indexes = Indexes(
        catalog,
        FaissIndex(embedder.dimension),
        LexicalIndex(folder / "indexes" / "lexical.sqlite3"),
        folder / "indexes",
        embedder.name,
    )
    indexes.open()
    return owned, catalog, indexes, embedder


def every_document(catalog):
    """The documents of `catalog`, page by page."""
    cursor = None
    while True:
        documents, cursor, _ = catalog.documents.list(sort="created_at", limit=1000, cursor=cursor)
        yield from documents
        if cursor is None:
            return


def child(folder: Path, seed: int) -> None:
    """Work until killed; one JSON line before each operation (`sent`) and one after it (`acknowledged`)."""
    from rag.types import NewPassage, ParsedDocument, Receipt

    rng = random.Random(seed)
    _, catalog, indexes, embedder = open_store(folder)

    def say(kind: str, op: str, key: str, document_id: str | None) -> None:
        os.write(
            1, (json.dumps([time.clock_gettime(time.CLOCK_MONOTONIC), kind, op, key, document_id]) + "\n").encode()
        )

    mine = [document.document_id for document in every_document(catalog)]
    say("ready", "", "", None)
    while True:
        if mine and rng.random() < 0.35:
            document_id = mine.pop(rng.randrange(len(mine)))
            say("sent", "delete", "", document_id)
            catalog.documents.delete(document_id, NOW)
            indexes.catch_up()
            say("acknowledged", "delete", "", document_id)
            continue
        data = rng.randbytes(rng.randrange(20, 4000)).hex().encode()
        key = hashlib.sha256(data).hexdigest()
        say("sent", "upload", key, None)
        staged = catalog.files.stage([data], 1_000_000)
        document = catalog.documents.register(
            staged,
            name="a.txt",
            collection="default",
            media_type="text/plain",
            metadata={},
            password=None,
            on_duplicate="skip",
            now=NOW,
        ).document
        say("acknowledged", "upload", key, document.document_id)
        job = catalog.jobs.claim(NOW)
        if job is None:
            continue
        text = catalog.files.path(job.document_id, job.version).read_text()
        cut = len(text) // 2
        passages = [
            NewPassage(ordinal=i, text=text[a:b], start=a, end=b, heading=None, table_header=None, first_page=None,
                       last_page=None, n_tokens=1, continues=False)
            for i, (a, b) in enumerate(((0, cut), (cut, len(text))))
        ]  # fmt: skip
        parsed = ParsedDocument(text=text, pages=(), blocks=(), media_type="text/plain", receipt=Receipt())
        vectors = embedder.embed_passages([p.text for p in passages])
        say("sent", "publish", "", job.document_id)
        catalog.documents.publish(
            job.job_id, job.document_id, job.version, parsed, passages, vectors, embedder.name, NOW
        )
        indexes.catch_up()
        say("acknowledged", "publish", "", job.document_id)
        if job.document_id not in mine:  # it was registered before the cut and is published after it
            mine.append(job.document_id)
        if rng.random() < 0.2:
            indexes.snapshot()


@dataclasses.dataclass
class Promises:
    """What the store has acknowledged so far, kept outside it."""

    sent: set[str] = dataclasses.field(default_factory=set)
    """SHA-256 of everything ever sent."""
    uploads: dict[str, str] = dataclasses.field(default_factory=dict)
    """SHA-256 by document."""
    ready: set[str] = dataclasses.field(default_factory=set)
    deleted: set[str] = dataclasses.field(default_factory=set)
    undecided: set[str] = dataclasses.field(default_factory=set)
    """Documents whose delete the last cut interrupted: they may be there or not."""
    counts: Counter[str] = dataclasses.field(default_factory=Counter)

    def hear(self, said: list[list[Any]], cut_at: float) -> None:
        """Take in what a child said; an operation that was not acknowledged before `cut_at` was interrupted."""
        interrupted: list[list[Any]] = []
        for at, kind, op, key, document_id in said:
            if kind == "sent":
                interrupted.append([op, document_id])
                if op == "upload":
                    self.sent.add(key)
                continue
            if at >= cut_at:
                self.counts["acknowledged after the cut had begun"] += 1
                continue
            interrupted.pop()
            self.counts[{"upload": "uploads", "publish": "publications", "delete": "deletes"}[op]] += 1
            if op == "upload":
                self.uploads[document_id] = key
            elif op == "publish":
                self.ready.add(document_id)
            else:
                self.deleted.add(document_id)
        self.counts["cuts"] += 1
        self.counts["cut inside an operation"] += bool(interrupted)
        self.undecided = {document_id for op, document_id in interrupted if op == "delete"}

    def settle(self, found: set[str]) -> None:
        """What an interrupted delete came to holds from now on."""
        self.deleted |= self.undecided - found
        self.undecided = set()


def judge(folder: Path, promises: Promises) -> list[str]:
    """Every broken promise after a cut, as sentences; settles what was undecided."""
    from rag.catalog.check import check_catalog

    owned, catalog, indexes, _ = open_store(folder)
    found = {document.document_id: document for document in every_document(catalog)}
    wrong = [f"{d.document_id}: nobody sent it" for d in found.values() if d.sha256 not in promises.sent]
    wrong += [f"{name}: its acknowledged delete did not stay" for name in promises.deleted & found.keys()]
    for name, key in promises.uploads.items():
        if name in promises.deleted or (name in promises.undecided and name not in found):
            continue
        if name not in found:
            wrong.append(f"{name}: an acknowledged upload is gone")
            continue
        if hashlib.sha256(catalog.files.path(name, 1).read_bytes()).hexdigest() != key:
            wrong.append(f"{name}: its bytes are not those that were acknowledged")
        if name in promises.ready and (found[name].status != "ready" or found[name].n_passages != 2):
            wrong.append(f"{name}: its acknowledged passages are gone ({found[name].status})")
    check = indexes.check()
    if not check.agrees:
        wrong.append(f"indexes disagree with the catalog: {check}")
    wrong += check_catalog(catalog).problems
    promises.settle(set(found))
    indexes.close()
    catalog.close()
    owned.close()
    return wrong


def run_until_cut(mount: Path, seed: int, seconds: float, flags: list[str]) -> tuple[list[list[Any]], float]:
    """Start a child, cut the power after `seconds` of work; what it had said, and when the cut began."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--child", str(mount / "data"), "--seed", str(seed), *flags],
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    first = process.stdout.readline()
    if not first:
        raise SystemExit(f"the child ended before it began: {process.wait()}")
    time.sleep(seconds)
    cut_at = cut_power(mount)
    os.killpg(process.pid, signal.SIGKILL)
    rest = process.stdout.read().decode().splitlines()
    process.wait()
    return [json.loads(line) for line in rest if line.endswith("]")], cut_at


def main() -> None:
    """Parse the arguments, cut, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-seconds", type=float, default=1.0, help="longest work between two cuts")
    parser.add_argument(
        "--no-fsync", action="store_true", help="leave fsync of files out: shows that the cuts can hurt"
    )
    parser.add_argument("--child", type=Path)
    args = parser.parse_args()
    if args.child:
        if args.no_fsync:
            os.fsync = lambda descriptor: None
        child(args.child, args.seed)
    if not may_cut():
        return
    rng = random.Random(args.seed)
    flags = ["--no-fsync"] if args.no_fsync else []
    promises = Promises()
    wrong: list[str] = []
    with disk(256 << 20) as (image, mount):
        for cut in range(args.cuts):
            seed, seconds = rng.randrange(2**32), rng.uniform(0.02, args.max_seconds)
            said, cut_at = run_until_cut(mount, seed, seconds, flags)
            promises.hear(said, cut_at)
            remount(image, mount)
            wrong += [f"cut {cut}: {line}" for line in judge(mount / "data", promises)]
            if (cut + 1) % 10 == 0:
                uploads = promises.counts["uploads"]
                print(f"{cut + 1} cuts, {uploads} uploads acknowledged, {len(wrong)} promises broken", flush=True)
    print(json.dumps({**promises.counts, "seed": args.seed, "promises broken": len(wrong)}))
    for line in wrong[:20]:
        print(line)
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
