"""Cut the power of the store 100 times and count what was lost: `python benchmarks/power_cuts.py --cuts 100`.

An ext4 file system on a loop file is mounted; a child process uploads, publishes and deletes documents on it and says
on a pipe what the store acknowledged. At a random moment the file system is shut down with the ioctl that drops what is
not yet on the medium (EXT4_IOC_SHUTDOWN, flag NOLOGFLUSH), as a power cut does; the child is killed, the file system is
mounted again (its journal is replayed) and the store opened. Expected state lives in this process, outside the store.

Accepted: acknowledged ⊆ found ⊆ sent; every acknowledged upload is there with its SHA-256 and, once published, its
passages; every acknowledged delete stays; what a cut interrupted may be done or not done; both indexes agree with the
catalog after they opened. Needs root and Linux; says so and exits with 0 where it has not.
"""

import argparse
import datetime
import fcntl
import hashlib
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXT4_IOC_SHUTDOWN = 0x8004587D
NOLOGFLUSH = 2
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


def child(folder: Path, seed: int) -> None:
    """Work until killed; one JSON line before each operation (`sent`) and one after it (`acknowledged`)."""
    from rag.types import NewPassage, ParsedDocument, Receipt

    rng = random.Random(seed)
    _, catalog, indexes, embedder = open_store(folder)

    def say(kind: str, op: str, key: str, document_id: str | None) -> None:
        os.write(1, (json.dumps([kind, op, key, document_id]) + "\n").encode())

    mine = [
        d.document_id
        for d in catalog.documents.list(
            collection=None, status=None, q=None, sort="created_at", limit=1000, cursor=None
        )[0]
    ]
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


def judge(
    folder: Path, sent: set[str], uploads: dict[str, str], ready: set[str], deleted: set[str], maybe: set[str]
) -> list[str]:
    """Every broken promise after a cut, as sentences."""
    from rag.catalog.check import check_catalog

    owned, catalog, indexes, _ = open_store(folder)
    found = {
        d.document_id: d
        for d in catalog.documents.list(
            collection=None, status=None, q=None, sort="created_at", limit=1000, cursor=None
        )[0]
    }
    wrong = [f"{d.document_id}: nobody sent it" for d in found.values() if d.sha256 not in sent]
    for document_id, key in uploads.items():
        if document_id in deleted:
            if document_id in found:
                wrong.append(f"{document_id}: its acknowledged delete did not stay")
            continue
        if document_id in maybe and document_id not in found:
            continue
        if document_id not in found:
            wrong.append(f"{document_id}: an acknowledged upload is gone")
            continue
        data = catalog.files.path(document_id, 1).read_bytes()
        if hashlib.sha256(data).hexdigest() != key:
            wrong.append(f"{document_id}: its bytes are not those that were acknowledged")
        if document_id in ready and (found[document_id].status != "ready" or found[document_id].n_passages != 2):
            wrong.append(f"{document_id}: its acknowledged passages are gone ({found[document_id].status})")
    check = indexes.check()
    if not check.agrees:
        wrong.append(f"indexes disagree with the catalog: {check}")
    wrong += check_catalog(catalog).problems
    indexes.close()
    catalog.close()
    owned.close()
    return wrong


def run_until_cut(mount: Path, seed: int, seconds: float, flags: list[str]) -> list[list[str | None]]:
    """Start a child, cut the power after `seconds` of work, return what it had said."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--child", str(mount / "data"), "--seed", str(seed), *flags],
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    first = process.stdout.readline()
    if not first:
        raise SystemExit(f"the child ended before it began: {process.wait()}")
    time.sleep(seconds)
    handle = os.open(mount, os.O_RDONLY)
    fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
    os.close(handle)
    os.killpg(process.pid, signal.SIGKILL)
    rest = process.stdout.read().decode().splitlines()
    process.wait()
    return [json.loads(line) for line in rest if line.endswith("]")]


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
    if sys.platform != "linux" or os.geteuid() != 0:
        print("skipped: power cuts need root on Linux (a loop-mounted file system is shut down)")
        return
    rng = random.Random(args.seed)
    flags = ["--no-fsync"] if args.no_fsync else []
    counts = {"cuts": 0, "uploads": 0, "publications": 0, "deletes": 0, "cut inside an operation": 0}
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        image, mount = Path(scratch) / "disk.img", Path(scratch) / "mnt"
        mount.mkdir()
        with image.open("wb") as file:
            file.truncate(256 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
        sent: set[str] = set()
        uploads: dict[str, str] = {}
        ready: set[str] = set()
        deleted: set[str] = set()
        try:
            for cut in range(args.cuts):
                said = run_until_cut(mount, rng.randrange(2**32), rng.uniform(0.02, args.max_seconds), flags)
                open_operation: list[str | None] | None = None
                for kind, op, key, document_id in said:
                    open_operation = [op, key, document_id] if kind == "sent" else None
                    if kind == "sent" and op == "upload":
                        sent.add(str(key))
                    if kind != "acknowledged":
                        continue
                    counts[{"upload": "uploads", "publish": "publications", "delete": "deletes"}[str(op)]] += 1
                    if op == "upload":
                        uploads[str(document_id)] = str(key)
                    elif op == "publish":
                        ready.add(str(document_id))
                    else:
                        deleted.add(str(document_id))
                maybe = {str(open_operation[2])} if open_operation and open_operation[0] == "delete" else set()
                counts["cut inside an operation"] += open_operation is not None
                counts["cuts"] += 1
                subprocess.run(["umount", str(mount)], check=True)
                subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
                broken = judge(mount / "data", sent, uploads, ready, deleted, maybe)
                for document_id in maybe:
                    uploads.pop(document_id, None)
                wrong += [f"cut {cut}: {line}" for line in broken]
                if (cut + 1) % 10 == 0:
                    print(
                        f"{cut + 1} cuts, {len(uploads)} documents acknowledged so far, {len(wrong)} promises broken",
                        flush=True,
                    )
        finally:
            subprocess.run(["umount", "-l", str(mount)], check=False)
    print(json.dumps({**counts, "seed": args.seed, "promises broken": len(wrong)}))
    for line in wrong[:20]:
        print(line)
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
