"""Engines of decoders on grounded prompts: how long an answer takes, and whether the texts agree.

    python benchmarks/decoder_engines.py convert MODEL_FOLDER MODEL.gguf --adapter FOLDER --work FOLDER
    python benchmarks/decoder_engines.py speed PROMPTS.jsonl --work FOLDER --out RUNS.jsonl
        [--engines transformers,torch,llama.cpp-q8_0,…] [--prompts 5] [--skip 0] [--threads 2]
    python benchmarks/decoder_engines.py agree PROMPTS.jsonl --work FOLDER --out TEXTS.jsonl [--engines …]
    python benchmarks/decoder_engines.py lookup PROMPTS.jsonl --work FOLDER --out RUNS.jsonl [--wish "In a sentence."]
    python benchmarks/decoder_engines.py follow PROMPTS.jsonl --work FOLDER --out RUNS.jsonl
    python benchmarks/decoder_engines.py report RUNS.jsonl

PROMPTS.jsonl is what `benchmarks/grounded_prompts.py` writes. `convert` merges the adapter and writes what the other
engines read; they need ctranslate2, openvino-genai, openvino-tokenizers and xllamacpp, which the service does not.

`speed` reads each prompt and makes 48 tokens, greedily and past the end of the answer, alone, with nothing kept from
other prompts; engines take turns on every prompt. `agree` writes greedy answers as the service asks for them; `lookup`
times answers with and without prompt lookup, with `--wish` added to each question; `follow` the first token of a
question, and of a second one whose prompt begins alike. `report` prints medians and spreads as JSON, and what of the
measured bandwidth and matrix rate is used; of `agree`, how many texts are those of the first engine, and how many more
are right. A text is right if it holds a reference, or abstains where no document answers.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import time
from collections.abc import Callable
from typing import Any

from engine_figures import N_NEW, figures
from stock_engines import ENGINES, Engine, forget, load, load_ours, write_genai, write_gguf


def main() -> None:
    """Run one of the steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(required=True)
    step = steps.add_parser("convert")
    step.set_defaults(run=convert)
    step.add_argument("model", type=pathlib.Path)
    step.add_argument("gguf", type=pathlib.Path)
    step.add_argument("--adapter", type=pathlib.Path, required=True)
    step.add_argument("--work", type=pathlib.Path, required=True)
    for name, run in (("speed", speed), ("agree", agree), ("lookup", lookup), ("follow", follow)):
        step = steps.add_parser(name)
        step.set_defaults(run=run)
        step.add_argument("prompts_file", type=pathlib.Path)
        step.add_argument("--work", type=pathlib.Path, required=True)
        step.add_argument("--out", type=pathlib.Path, required=True)
        step.add_argument("--engines", default=",".join(ENGINES))
        step.add_argument("--prompts", type=int, default=5)
        step.add_argument("--skip", type=int, default=0)
        step.add_argument("--threads", type=int, default=2)
        step.add_argument("--wish", default="", help="lookup only: added to each question")
    step = steps.add_parser("report")
    step.set_defaults(run=report)
    step.add_argument("runs", type=pathlib.Path)
    args = parser.parse_args()
    args.run(args)


def convert(args: argparse.Namespace) -> None:
    """Write the merged model for every engine."""
    import torch
    from transformers import AutoModelForCausalLM

    from llm.adapters import merge_adapter, read_adapter

    merged = args.work / "merged"
    merged.mkdir(parents=True, exist_ok=True)
    for path in args.model.iterdir():
        if path.suffix in (".json", ".jinja") and path.name != "citebound-model.json":
            shutil.copyfile(path, merged / path.name)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.bfloat16)
    merge_adapter(model, read_adapter(args.adapter))
    model.save_pretrained(merged)
    for kind in ("Q4_1", "Q8_0", "BF16"):
        write_gguf(args.gguf, model, args.work / f"{kind.lower()}.gguf", kind)
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(merged)).convert(str(args.work / "ctranslate2"), force=True)
    write_genai(model, merged, args.work)


def read_prompts(args: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of the file that are asked for."""
    rows = [json.loads(line) for line in args.prompts_file.read_text("utf-8").splitlines()]
    return rows[args.skip : args.skip + args.prompts]


def encoder(work: pathlib.Path) -> Callable[[list[dict[str, str]]], list[int]]:
    """Messages → ids."""
    from transformers import AutoTokenizer

    from llm.prompt_encoding import PromptEncoder
    from llm.types import Message

    prompts = PromptEncoder(AutoTokenizer.from_pretrained(work / "merged"))
    return lambda messages: prompts.encode_prompt([Message(**message) for message in messages])


def write(out: pathlib.Path, row: dict[str, Any]) -> None:
    """Add one line."""
    with out.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def speed(args: argparse.Namespace) -> None:
    """Every engine on every prompt in turn."""
    import torch

    torch.set_num_threads(args.threads)
    encode, names = encoder(args.work), args.engines.split(",")
    engines: dict[str, Engine] = {}
    for name in names:
        before, began = memory_bytes(), time.perf_counter()
        engines[name] = load(name, args.work, args.threads)
        row = {"step": "load", "engine": name, "seconds": time.perf_counter() - began}
        write(args.out, row | {"bytes": memory_bytes() - before})
    prompts = [encode(row["messages"]) for row in read_prompts(args)]
    for engine in engines.values():
        engine(prompts[-1][:64], 2)
    write(args.out, {"step": "limits"} | limits(args.threads))
    for number, ids in enumerate(prompts):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            cpu, began = time.process_time(), time.perf_counter()
            first = engines[name](ids, N_NEW)
            total, cpu = time.perf_counter() - began, time.process_time() - cpu
            row = {"step": "speed", "engine": name, "n_prompt": len(ids), "first": first, "total": total, "cpu": cpu}
            write(args.out, row)
    write(args.out, {"step": "limits"} | limits(args.threads))


def limits(threads: int) -> dict[str, float]:
    """What the machine reads and multiplies just now."""
    from llm.device import measure_bandwidth, measure_matrix_rate, probe_device

    device = probe_device("cpu", "bf16", threads)
    rates = {f"{kind}_tflop_s": measure_matrix_rate(device, kind) for kind in ("bf16", "fp32")}  # type: ignore[arg-type]
    return {"bandwidth_gb_s": measure_bandwidth(device), **rates}


def memory_bytes() -> int:
    """Resident memory of this process."""
    pages = int(pathlib.Path("/proc/self/statm").read_text("utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def as_asked(row: dict[str, Any], name: str = "messages") -> Any:
    """The request that the service makes of a prompt."""
    from llm.types import Message, Reluctance, Request, SamplingParams
    from rag.answer_types import AnswerSettings
    from rag.prompt import NOT_IN_DOCUMENTS

    return Request(
        messages=tuple(Message(**message) for message in row[name]),
        sampling=SamplingParams(max_new_tokens=64),
        reluctance=Reluctance(text=NOT_IN_DOCUMENTS, least_probability=AnswerSettings().sure_abstention),
    )


def agree(args: argparse.Namespace) -> None:
    """Greedy answers of each engine: a digest of the text, and whether it is right. What is there is not made again."""
    import hashlib

    from rag.evaluation.scoring import contains_reference
    from rag.prompt import NOT_IN_DOCUMENTS

    rows = read_prompts(args)
    lines = args.out.read_text("utf-8").splitlines() if args.out.exists() else []
    there = {(row["engine"], row["id"]) for row in map(json.loads, lines)}
    for name in args.engines.split(","):
        kind, _, weights = name.partition("-")
        drafting = weights.endswith("+lookup")
        decoder = load_ours(kind, weights.removesuffix("+lookup"), args.work, args.threads, lookup=drafting)
        for row in rows:
            if (name, row["id"]) in there:
                continue
            (done,) = decoder.generate([as_asked(row)])
            digest = hashlib.sha256(done.text.encode()).hexdigest()[:16]
            line = {"step": "agree", "engine": name, "id": row["id"], "text": digest, "n": done.n_new_tokens}
            abstained = done.text.startswith(NOT_IN_DOCUMENTS)
            right = not abstained and contains_reference(done.text, row["references"])
            write(args.out, line | {"right": right if row["answerable"] else abstained})


def lookup(args: argparse.Namespace) -> None:
    """The same answers with and without prompt lookup, in turn."""
    decoder = load_ours("openvino", "", args.work, args.threads, lookup=True)
    for row in read_prompts(args):
        texts = {}
        asked = as_asked(wished(row, args.wish))
        for drafting in (True, False, False, True):
            forget(decoder)
            decoder._steps._with_lookup = drafting
            before, cpu = decoder._steps._n_steps, time.process_time()
            (done,) = decoder.generate([asked])
            line = {"cpu": time.process_time() - cpu, "reads": decoder._steps._n_steps - before}
            texts[drafting] = done.text
            seconds = done.total_seconds - done.first_token_seconds
            line |= {"step": "lookup", "id": row["id"], "drafting": drafting, "n": done.n_new_tokens}
            line |= {"seconds": seconds, "total": done.total_seconds, "copied": copied(done.text, row)}
            write(args.out, line)
        write(args.out, {"step": "lookup_same", "id": row["id"], "same": texts[True] == texts[False]})


def wished(row: dict[str, Any], wish: str) -> dict[str, Any]:
    """The row with `wish` after its question, which ends the last line but one of the prompt."""
    if not wish:
        return row
    *before, last = row["messages"]
    lines = last["content"].split("\n")
    lines[-2] += f" {wish}"
    return {**row, "messages": [*before, {**last, "content": "\n".join(lines)}]}


def copied(text: str, row: dict[str, Any]) -> bool:
    """Whether the answer, without its markers, stands in the prompt."""
    import re

    plain = re.sub(r"\s*\[\d+\]", "", text).strip(" .")
    return bool(plain) and plain in row["messages"][-1]["content"]


def follow(args: argparse.Namespace) -> None:
    """The first token of a question and of the next one, which begins alike; and of the next one alone."""
    from llm.types import SamplingParams

    decoder = load_ours("openvino", "", args.work, args.threads, lookup=True)
    for row in read_prompts(args):
        if row["next_messages"] is None:
            continue
        line: dict[str, Any] = {"step": "follow", "id": row["id"]}
        forget(decoder)
        for name, messages in (("first", "messages"), ("second", "next_messages"), ("alone", "next_messages")):
            if name == "alone":
                forget(decoder)
            cpu, sampling = time.process_time(), SamplingParams(max_new_tokens=1)
            (done,) = decoder.generate([dataclasses.replace(as_asked(row, messages), sampling=sampling)])
            line |= {name: done.first_token_seconds, f"n_{name}": done.n_prompt_tokens}
            line[f"cpu_{name}"] = time.process_time() - cpu
        write(args.out, line)


def report(args: argparse.Namespace) -> None:
    """Medians and spreads."""
    rows = [json.loads(line) for line in args.runs.read_text("utf-8").splitlines()]
    print(json.dumps(figures(rows), indent=1))


if __name__ == "__main__":
    main()
