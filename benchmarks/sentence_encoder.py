"""The encoder of sentence-transformers in a process of its own, so that its memory is not counted with ours."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

BATCH_SIZES = (4, 8, 16, 32, 64)


class SentenceEncoder:
    """sentence-transformers in a process of its own, so that its memory is not counted here."""

    def __init__(self, model: Path, dtype: str) -> None:
        command = [sys.executable, __file__, str(model), dtype]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._receive()

    def encode(self, texts: list[str], batch_size: int) -> float:
        """Seconds that it takes."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"texts": texts, "batch_size": batch_size}) + "\n")
        self._process.stdin.flush()
        return self._receive()

    def best_batch(self, texts: list[str]) -> int:
        """The batch size of the shortest of two runs each."""
        seconds = {size: min(self.encode(texts, size) for _ in range(2)) for size in BATCH_SIZES}
        print(f"seconds by batch size: {seconds}", file=sys.stderr)
        return min(seconds, key=lambda size: seconds[size])

    def _receive(self) -> float:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process of sentence-transformers ended")
        return float(json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


def encode_lines(model_folder: Path, dtype: str) -> None:
    """The process: a line of JSON in, the seconds that its texts took out."""
    import torch
    from sentence_transformers import SentenceTransformer

    model_kwargs = {"dtype": torch.bfloat16 if dtype == "bf16" else torch.float32}
    model = SentenceTransformer(str(model_folder), device="cpu", local_files_only=True, model_kwargs=model_kwargs)
    model.encode(["warm up " * 100] * 64, show_progress_bar=False)
    print(json.dumps(0.0), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        started = time.perf_counter()
        model.encode(request["texts"], batch_size=request["batch_size"], show_progress_bar=False)
        print(json.dumps(time.perf_counter() - started), flush=True)


if __name__ == "__main__":
    encode_lines(Path(sys.argv[1]), sys.argv[2])
