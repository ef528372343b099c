"""Prompts read by one model on all threads in turn, by one model a core at once, and two in one pass.

    python benchmarks/prefill_streams.py MODEL.xml [--tokens 500] [--rounds 8] [--threads 2]

MODEL.xml is a converted decoder (`.converted/openvino/*/model.xml` in the model cache). Each round reads as many new
prompts as there are threads in each of the three ways, in turn. Printed are prompt tokens a second, by the wall and by
processor time (the mean of all threads), median and best: several streams are worth while from 1.25 times the first row
on, by the wall and on an idle machine. Set OMP_WAIT_POLICY=PASSIVE.
"""

import argparse
import json
import pathlib
import random
import statistics
import threading
import time
from collections.abc import Callable

from llm.engines.openvino_model import OpenVinoModel
from llm.types import Device

PIECE = 256  # tokens read at once, as the service does
BLOCKS = 64  # of 32 tokens, for one prompt


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--tokens", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    team = load(args.model, args.threads, args.threads)
    single = [load(args.model, 1, 1) for _ in range(args.threads)]
    ways: dict[str, Callable[[list[list[int]]], None]] = {
        "one team, in turn": lambda prompts: in_turn(team, prompts),
        "one stream a core": lambda prompts: side_by_side(single, prompts),
        "one team, one pass": lambda prompts: read_together(team, prompts),
    }
    rng = random.Random(0)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(args.rounds + 1):
        prompts = [[rng.randrange(10, 40_000) for _ in range(args.tokens)] for _ in range(args.threads)]
        for name, way in ways.items():
            began, used = time.perf_counter(), time.process_time()
            way(prompts)
            taken = (time.perf_counter() - began, (time.process_time() - used) / args.threads)
            if number:  # kernels are made with the first round
                found[name].append(taken)
    n_tokens = args.tokens * args.threads
    rates = {
        name: {
            unit: [round(n_tokens / statistics.median(seconds)), round(n_tokens / min(seconds))]
            for unit, seconds in zip(("wall", "processor"), zip(*rows, strict=True), strict=True)
        }
        for name, rows in found.items()
    }
    print(json.dumps(rates, indent=1))


def load(path: pathlib.Path, n_threads: int, n_prompts: int) -> OpenVinoModel:
    """The model on so many threads, with room for so many prompts."""
    device = Device(kind="cpu", name="CPU", dtype="bf16", n_threads=n_threads)
    return OpenVinoModel(path, device, context_tokens=BLOCKS * n_prompts * 32, cache_bytes=1)


def read(model: OpenVinoModel, prompt: list[int]) -> None:
    """One prompt, in pieces."""
    blocks = list(range(BLOCKS))
    for at in range(0, len(prompt), PIECE):
        ids = prompt[at : at + PIECE]
        model.read([(ids, at, blocks)], [len(ids) - 1])


def in_turn(model: OpenVinoModel, prompts: list[list[int]]) -> None:
    """One prompt after the other."""
    for prompt in prompts:
        read(model, prompt)


def side_by_side(models: list[OpenVinoModel], prompts: list[list[int]]) -> None:
    """Each prompt by a model of its own, at once."""
    threads = [threading.Thread(target=read, args=pair) for pair in zip(models, prompts, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def read_together(model: OpenVinoModel, prompts: list[list[int]]) -> None:
    """All prompts in common passes of `PIECE` tokens."""
    step = PIECE // len(prompts)
    for at in range(0, len(prompts[0]), step):
        parts = [
            (prompt[at : at + step], at, list(range(number * BLOCKS, (number + 1) * BLOCKS)))
            for number, prompt in enumerate(prompts)
        ]
        sizes = [len(ids) for ids, _, _ in parts]
        model.read(parts, [sum(sizes[: number + 1]) - 1 for number in range(len(sizes))])


if __name__ == "__main__":
    main()
