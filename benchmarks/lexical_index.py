"""Cost of the lexical index at several sizes, and what leaving out common words of a query does to recall.

    python benchmarks/lexical_index.py --data FOLDER [--sizes 5000 50000 100000] [--questions 300] [--json OUT]

FOLDER holds `squad_train` and `medquad`. Passages are the paragraphs of the former and pieces of 800 characters of the
latter, and for larger sizes the same once more. A question is found at k if its paragraph is among the first k.
"""

import argparse
import gzip
import json
import pathlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice

import numpy as np

from rag.index import lexical
from rag.index.lexical import LexicalIndex

SHARES = (1.0, 0.5, 0.25, 0.1, 0.05)  # words of more passages than this share are left out
PIECE_CHARS = 800
DOCUMENT_PASSAGES = 8
BATCH = 64


def rows(path: pathlib.Path) -> Iterator[dict]:
    """The lines of a file of JSON."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def timed(seconds: list[float], action):
    """What `action` returns; its time is added to `seconds`."""
    started = time.perf_counter()
    result = action()
    seconds.append(time.perf_counter() - started)
    return result


def milliseconds(seconds: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    return {f"ms_p{p}": round(1000 * float(np.percentile(seconds, p)), 2) for p in (50, 95)}


def measure(passages: list[str], questions: list[tuple[str, int]], rng: random.Random) -> Iterator[dict[str, object]]:
    """Build, search, remove."""
    n = len(passages)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "lexical.sqlite3"
        index = LexicalIndex(path)
        started = time.perf_counter()
        for start in range(0, n, BATCH):
            with index.batch(seq=start + BATCH):
                index.add("default", list(enumerate(passages[start : start + BATCH], start)))
        built = time.perf_counter() - started
        yield {"n": n, "build_seconds": round(built, 2), "mb": round(path.stat().st_size / 1e6, 1)}
        for share in SHARES:
            lexical.COMMON_SHARE, lexical.COMMON_AT_LEAST = share, 0
            yield {"n": n, "common_share": share} | search(index, questions)
        lexical.COMMON_SHARE, lexical.COMMON_AT_LEAST = 0.1, 1000
        yield {"n": n, "common_share": "as shipped"} | search(index, questions)

        seconds: list[float] = []
        for start in rng.sample(range(n - DOCUMENT_PASSAGES), 10):
            timed(seconds, lambda start=start: index.remove(np.arange(start, start + DOCUMENT_PASSAGES)))
        yield {"n": n, "removal_of": DOCUMENT_PASSAGES} | milliseconds(seconds)
        seconds = []
        timed(seconds, lambda: index.remove(np.arange(n // 2, n // 2 + n // 100)))
        yield {"n": n, "removal_of": n // 100, "seconds": round(seconds[0], 2)}
        index.close()


def search(index: LexicalIndex, questions: list[tuple[str, int]]) -> dict[str, object]:
    """Time and recall of the first 50; the first tenth of the questions is asked once before, to warm the cache."""
    for question, _ in questions[: len(questions) // 10]:
        index.search("default", question, 50)
    index._counts = {}
    seconds: list[float] = []
    found = {8: 0, 50: 0}
    for question, passage_id in questions:
        hits = timed(seconds, lambda question=question: index.search("default", question, 50))
        ids = [hit.passage_id for hit in hits]
        for k in found:
            found[k] += passage_id in ids[:k]
    return milliseconds(seconds) | {f"recall_at_{k}": round(n / len(questions), 3) for k, n in found.items()}


def main() -> None:
    """Print a line of JSON a measurement, and write all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 50_000, 100_000])
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()

    squad = list(rows(options.data / "squad_train" / "paragraphs.jsonl.gz"))
    passages = [row["context"] for row in squad]
    for row in rows(options.data / "medquad" / "documents.jsonl.gz"):
        passages += [row["answer"][at : at + PIECE_CHARS] for at in range(0, len(row["answer"]), PIECE_CHARS)]
    report = []
    for size in options.sizes:
        rng = random.Random(options.seed)
        asked = [(q["question"], number) for number, row in enumerate(squad[:size]) for q in row["questions"]]
        for line in measure(list(islice(cycle(passages), size)), rng.sample(asked, options.questions), rng):
            print(json.dumps(line), file=sys.stdout, flush=True)
            report.append(line)
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
