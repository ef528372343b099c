"""A decoder from nothing: tokenizer, pretraining, tuning and an answer through the service, by the commands alone.

    python benchmarks/tiny_model.py medquad/documents.jsonl.gz OUT [--share 1.0]

Learns from the sample documents and MedQuAD (`question`, `answer` and `focus` in each line). The commands are printed
as they run; the last line is one JSON object: seconds of each step, bytes a token, losses before and after, speeds, and
an answer to a question about documents that were then added. `--share 0.1` takes a tenth of text and steps. Run again
with the same arguments, it goes on where it was.
"""

import argparse
import gzip
import json
import os
import pathlib
import random
import shlex
import subprocess
import sys
import time
from typing import Any

SAMPLES = pathlib.Path(__file__).parents[1] / "docs" / "samples"
SENTENCE_CHARS = 160  # of an answer that is learned: its first sentence
CONTEXT_CHARS = 400  # of a passage that it is learned from: a small model reads short prompts


def read_rows(path: pathlib.Path, n_rows: int) -> list[dict[str, str]]:
    """A draw of subjects with all their rows that have an answer."""
    subjects: dict[str, list[dict[str, str]]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if len(row["answer"]) >= SENTENCE_CHARS:
                subjects.setdefault(row["focus"], []).append(row)
    drawn = list(subjects.values())
    random.Random(0).shuffle(drawn)
    return [row for rows in drawn for row in rows][:n_rows]


def write_lines(path: pathlib.Path, rows: list[dict[str, Any]]) -> None:
    """JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def paragraph(row: dict[str, str]) -> dict[str, Any]:
    """A row as a paragraph with a question whose answer is its first sentence."""
    text = row["answer"][:CONTEXT_CHARS].rsplit(" ", 1)[0]
    answer = text.split(". ", 1)[0][:SENTENCE_CHARS]
    return {"title": row["focus"], "context": text, "questions": [{"question": row["question"], "answer": answer}]}


def main() -> None:
    """Run the steps and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("medquad", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--share", type=float, default=1.0)
    options = parser.parse_args()
    out: pathlib.Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    environment = {
        "CITEBOUND_DATA_DIR": str(out / "data"),
        "CITEBOUND_DECODER": str(out / "tuned" / "model"),
        "CITEBOUND_DECODER_ADAPTER": "none",
        "CITEBOUND_EMBEDDER": "hashing",
        "CITEBOUND_VERIFIER": "none",
        "CITEBOUND_PROMPT_TOKENS": "600",
        "CITEBOUND_MAX_NEW_TOKENS": "48",
        "PYTHONPATH": str(SAMPLES.parents[1]),
    }
    figures: dict[str, Any] = {"share": options.share}

    def citebound(step: str, *arguments: str) -> str:
        print(f"$ citebound {shlex.join(arguments)}", flush=True)
        began = time.perf_counter()
        command = [sys.executable, "-c", "from api.cli.main import main; main()", *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | environment)
        figures[f"{step}_seconds"] = round(time.perf_counter() - began, 1)
        print(done.stdout, end="", flush=True)
        return done.stdout

    rows = read_rows(options.medquad, max(200, round(16_000 * options.share)))
    medquad, paragraphs = out / "medquad.jsonl", out / "paragraphs.jsonl"
    write_lines(medquad, [{"question": row["question"], "answer": row["answer"]} for row in rows])
    write_lines(paragraphs, [paragraph(row) for row in rows])
    corpus, words, base, tuned = (out / name for name in ("corpus.jsonl", "words", "base", "tuned"))
    documents = [str(path) for path in sorted(SAMPLES.iterdir()) if path.suffix != ".py"]

    fields = ("--field", "question", "--field", "answer")
    citebound("corpus", "train", "corpus", *documents, str(medquad), *fields, "--out", str(corpus))
    made = citebound("tokenizer", "train", "tokenizer", str(corpus), "--vocabulary", "4096", "--out", str(words))
    figures["bytes_per_token"] = json.loads(made)["bytes_per_token"]
    n_steps = max(20, round(400 * options.share))
    begun = ("pretrain", str(corpus), "--tokenizer", str(words), "--out", str(base), "--max-steps", str(n_steps))
    shape = ("--hidden-size", "192", "--n-layers", "6", "--n-heads", "6", "--n-kv-heads", "2")
    paced = ("--n-epochs", "2", "--warmup-steps", "20")
    figures["pretrain"] = json.loads(citebound("pretrain", "train", *begun, *shape, *paced))
    learned = ("sft", "--squad", str(paragraphs), "--base", str(base / "model"), "--out", str(tuned), "--rank", "0")
    n_groups = max(20, round(1500 * options.share))
    sized = ("--groups", str(n_groups), "--peak-lr", "5e-4", "--max-tokens", "1200")
    figures["sft"] = json.loads(citebound("sft", "train", *learned, *sized))

    folder = out / "documents"
    folder.mkdir(exist_ok=True)
    for number, row in enumerate(rows[:20]):
        (folder / f"{number}.txt").write_text(f"{row['focus']}\n\n{row['answer'][:CONTEXT_CHARS]}\n", encoding="utf-8")
    citebound("ingest", "ingest", str(folder))
    answer = json.loads(citebound("ask", "ask", rows[0]["question"], "-k", "3", "--json"))
    figures["question"], figures["answer"] = rows[0]["question"], answer["text"]
    figures["total_seconds"] = round(sum(value for name, value in figures.items() if name.endswith("_seconds")), 1)
    print(json.dumps(figures, ensure_ascii=False))


if __name__ == "__main__":
    main()
