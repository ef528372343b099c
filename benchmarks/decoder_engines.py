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
import collections
import dataclasses
import json
import os
import pathlib
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

N_NEW = 48
ENGINES = (
    "transformers",
    "torch",
    "llama.cpp-q4_1",
    "llama.cpp-q8_0",
    "llama.cpp-bf16",
    "ctranslate2-int8_float32",
    "ctranslate2-int8",
    "genai-bf16",
    "genai-int8",
    "openvino-bf16",
    "openvino-int8",
    "openvino-bf16+lookup",
)


class Engine(Protocol):
    """Makes a number of tokens after a prompt."""

    def __call__(self, ids: Sequence[int], n: int) -> float:
        """Seconds until the first token."""
        ...


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


def write_gguf(source: pathlib.Path, model: Any, target: pathlib.Path, kind: str) -> None:
    """The GGUF file `source` with the tensors of `model`, matrices as `kind`."""
    import gguf
    import numpy as np

    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
            continue
        sub_type = field.types[1] if len(field.types) > 1 else None
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=sub_type)
    config, tensors = model.config, model.state_dict()
    kinds = {"Q4_1": gguf.GGMLQuantizationType.Q4_1, "Q8_0": gguf.GGMLQuantizationType.Q8_0}
    matrix = kinds.get(kind, gguf.GGMLQuantizationType.BF16)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in tensors.items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = tensor.float().numpy()
        n_heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
        if n_heads is not None:  # llama.cpp turns neighbouring rows together, transformers halves of a head
            halves = values.reshape(n_heads, 2, -1, values.shape[1])
            values = np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))
        known = names.get_name(name, try_suffixes=(".weight",))
        if values.ndim == 2:
            writer.add_tensor(known, gguf.quantize(values, matrix), raw_dtype=matrix)
        else:
            writer.add_tensor(known, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_genai(model: Any, merged: pathlib.Path, work: pathlib.Path) -> None:
    """Graphs and tokenizers as OpenVINO GenAI reads them: the service's own graph, with all logits of a prompt."""
    import openvino as ov
    import openvino.opset13 as ops
    import openvino_tokenizers
    from transformers import AutoTokenizer

    from llm.engines.openvino_graph import build_graph

    tokenizer, detokenizer = openvino_tokenizers.convert_tokenizer(
        AutoTokenizer.from_pretrained(merged), with_detokenizer=True
    )
    for weights in ("bf16", "int8"):
        folder = work / f"genai-{weights}"
        shutil.copytree(merged, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors"))
        graph = build_graph(model, weights)
        (wanted,) = (node for node in graph.get_parameters() if node.friendly_name == "wanted")
        ids = next(node for node in graph.get_parameters() if node.friendly_name == "input_ids")
        zero = ops.constant(0, dtype="int64")
        n_rows = ops.gather(ops.shape_of(ids), zero, zero)
        wanted.output(0).replace(ops.range(zero, n_rows, ops.constant(1, dtype="int64"), "i64").output(0))
        graph.remove_parameter(wanted)
        ov.save_model(graph, folder / "openvino_model.xml", compress_to_fp16=False)
        ov.save_model(tokenizer, folder / "openvino_tokenizer.xml")
        ov.save_model(detokenizer, folder / "openvino_detokenizer.xml")


def load(name: str, work: pathlib.Path, threads: int) -> Engine:
    """An engine by its name."""
    kind, _, weights = name.partition("-")
    loaders: dict[str, Callable[[], Engine]] = {
        "transformers": lambda: load_transformers(work / "merged"),
        "torch": lambda: through_decoder(load_ours("torch", "", work, threads)),
        "llama.cpp": lambda: load_llama_cpp(work / f"{weights}.gguf", threads),
        "ctranslate2": lambda: load_ctranslate2(work, weights, threads),
        "genai": lambda: load_genai(work / name, threads),
        "openvino": lambda: through_decoder(
            load_ours("openvino", weights.removesuffix("+lookup"), work, threads, lookup=weights.endswith("+lookup"))
        ),
    }
    return loaders[kind]()


def load_transformers(folder: pathlib.Path) -> Engine:
    """Transformers' own generate in bf16."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="sdpa").eval()

    def run(ids: Sequence[int], n: int) -> float:
        first: list[float] = []

        def note(*_: Any, **__: Any) -> Any:
            first.append(time.perf_counter() - began)
            return torch.zeros(1, dtype=torch.bool)

        began = time.perf_counter()
        tokens = torch.tensor([list(ids)])
        model.generate(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=n,
            min_new_tokens=n,
            do_sample=False,
            stopping_criteria=[note],
        )
        return first[0]

    return run


def load_llama_cpp(path: pathlib.Path, threads: int) -> Engine:
    """llama.cpp's server core in this process."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx, settings.n_parallel, settings.n_batch, settings.n_ubatch = 4096, 1, 2048, 512
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
    settings.cache_ram_mib = 0
    settings.verbosity = -1
    server = xllamacpp.Server(settings)

    def run(ids: Sequence[int], n: int) -> float:
        request = {"prompt": list(ids), "n_predict": n, "ignore_eos": True, "temperature": 0, "cache_prompt": False}
        done = server.handle_completions(request)
        done = json.loads(done) if isinstance(done, str) else done
        return float(done["timings"]["prompt_ms"]) / 1000

    return run


def load_ctranslate2(work: pathlib.Path, kind: str, threads: int) -> Engine:
    """CTranslate2's generator."""
    import ctranslate2
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(work / "merged")
    model = ctranslate2.Generator(str(work / "ctranslate2"), compute_type=kind, intra_threads=threads)

    def run(ids: Sequence[int], n: int) -> float:
        first: list[float] = []

        def note(step: Any) -> bool:
            first.append(time.perf_counter() - began)
            return False

        tokens = tokenizer.convert_ids_to_tokens(list(ids))
        began = time.perf_counter()
        model.generate_batch(
            [tokens], max_length=n, min_length=n, include_prompt_in_result=False, sampling_topk=1, callback=note
        )
        return first[0]

    return run


def load_genai(folder: pathlib.Path, threads: int) -> Engine:
    """OpenVINO GenAI's pipeline as it is by default, without its prefix cache."""
    import numpy as np
    import openvino as ov
    import openvino_genai as genai

    scheduler = genai.SchedulerConfig()
    scheduler.enable_prefix_caching = False
    scheduler.max_num_batched_tokens = 2048
    pipeline = genai.LLMPipeline(str(folder), "CPU", INFERENCE_NUM_THREADS=threads, scheduler_config=scheduler)

    def run(ids: Sequence[int], n: int) -> float:
        settings = genai.GenerationConfig()
        settings.max_new_tokens = settings.min_new_tokens = n
        settings.ignore_eos, settings.do_sample = True, False
        tokens = ov.Tensor(np.array([ids], dtype=np.int64))
        done = pipeline.generate(genai.TokenizedInputs(tokens, ov.Tensor(np.ones((1, len(ids)), np.int64))), settings)
        return float(done.perf_metrics.get_ttft().mean) / 1000

    return run


def load_ours(engine: str, weights: str, work: pathlib.Path, threads: int, *, lookup: bool = False) -> Any:
    """One of the service's own engines on the merged weights."""
    from llm.device import probe_device
    from llm.engines.openvino import load_openvino_decoder
    from llm.engines.torch import load_decoder

    device = probe_device("cpu", "bf16", threads)
    if engine == "torch":
        return load_decoder(work / "merged", name=engine, device=device)
    return load_openvino_decoder(
        work / "merged",
        name=engine,
        device=device,
        conversions=work / "converted",
        weights=weights or None,
        lookup=lookup,
    )


def through_decoder(decoder: Any) -> Engine:
    """A decoder of ours that reads given ids, writes past the end, and keeps nothing for the next prompt."""
    from llm.types import Generation, Message, Request, SamplingParams

    class Ids:
        """Stands in for the encoder of prompts: these ids were encoded before."""

        def __init__(self, inner: Any) -> None:
            self.inner, self.ids = inner, []

        def encode_prompt(self, messages: Sequence[Message]) -> list[int]:
            return list(self.ids)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    given = Ids(decoder._rows.prompts)
    decoder._rows = dataclasses.replace(decoder._rows, end_ids=frozenset(), prompts=given)

    def run(ids: Sequence[int], n: int) -> float:
        given.ids = ids
        if hasattr(decoder, "_steps"):
            forget(decoder)
        events = decoder.stream(
            Request(messages=(Message(role="user", content=""),), sampling=SamplingParams(max_new_tokens=n))
        )
        done = [event for event in events if isinstance(event, Generation)][-1]
        assert done.n_new_tokens == n
        return float(done.first_token_seconds)

    return run


def forget(decoder: Any) -> None:
    """Nothing of earlier prompts is known any more."""
    pool = decoder._steps._pool
    decoder._steps._pool = type(pool)(pool.n_blocks, pool.block_tokens)


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
    found: dict[str, Any] = {"engines": {}}
    limits_rows = [row for row in rows if row["step"] == "limits"]
    if limits_rows:
        found["limits"] = {key: max(row[key] for row in limits_rows) for key in limits_rows[0] if key != "step"}
    for name in dict.fromkeys(row["engine"] for row in rows if row["step"] == "speed"):
        mine = [row for row in rows if row["step"] == "speed" and row["engine"] == name]
        found["engines"][name] = {
            "n": len(mine),
            "prompt_tokens": statistics.median(row["n_prompt"] for row in mine),
            "first_s": spread([row["first"] for row in mine]),
            "total_s": spread([row["total"] for row in mine]),
            "cpu_s": spread([row["cpu"] for row in mine]),
            "prefill_tok_s": round(statistics.median(row["n_prompt"] / row["first"] for row in mine)),
            "decode_tok_s": round(statistics.median((N_NEW - 1) / (row["total"] - row["first"]) for row in mine), 1),
            "load_s": spread([row["seconds"] for row in rows if row["step"] == "load" and row["engine"] == name]),
        }
    texts: dict[str, dict[str, str]] = collections.defaultdict(dict)
    for row in rows:
        if row["step"] == "agree":
            texts[row["engine"]][row["id"]] = row["text"]
    if texts:
        first = next(iter(texts))
        found["agreement_with"] = first
        found["agreement"] = {
            name: [sum(mine[key] == text for key, text in texts[first].items() if key in mine), len(mine)]
            for name, mine in texts.items()
        }
        rights = {
            name: {row["id"]: row["right"] for row in rows if row["step"] == "agree" and row["engine"] == name}
            for name in texts
        }
        found["right"] = {name: paired(mine, rights[first]) for name, mine in rights.items()}
    drafted = [row for row in rows if row["step"] == "lookup"]
    if drafted:
        found["lookup"] = {kind: lookup_figures(drafted, kind == "copied") for kind in ("copied", "others")}
        found["lookup"]["same_texts"] = [sum(row["same"] for row in rows if row["step"] == "lookup_same")]
        found["lookup"]["same_texts"].append(sum(row["step"] == "lookup_same" for row in rows))
    pairs = [row for row in rows if row["step"] == "follow"]
    if pairs:
        found["follow"] = {
            "n": len(pairs),
            "second_of_first": spread([row["second"] / row["first"] for row in pairs]),
            "second_of_alone": spread([row["second"] / row["alone"] for row in pairs]),
            "cpu_second_of_first": spread([row["cpu_second"] / row["cpu_first"] for row in pairs]),
            "tokens_first": spread([row["n_first"] for row in pairs]),
            "tokens_second": spread([row["n_second"] for row in pairs]),
        }
    print(json.dumps(found, indent=1))


def paired(mine: dict[str, bool], others: dict[str, bool]) -> dict[str, Any]:
    """Cases that both have, how many each has right, and the difference in points with its 95 % interval (normal)."""
    both = [(mine[key], others[key]) for key in mine.keys() & others.keys()]
    differences = [100 * (one - other) for one, other in both]
    mean = statistics.mean(differences)
    half = 1.96 * statistics.stdev(differences) / len(both) ** 0.5 if len(both) > 1 else float("inf")
    return {
        "cases": len(both),
        "right": sum(one for one, _ in both),
        "right_of_first": sum(other for _, other in both),
        "points_more": [round(mean, 2), round(mean - half, 2), round(mean + half, 2)],
    }


def lookup_figures(rows: list[dict[str, Any]], wanted: bool) -> dict[str, Any]:
    """How much faster answers are with drafts: decoding alone, and whole."""
    by_id: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    for row in rows:
        if row["copied"] == wanted and row["n"] > 1:
            by_id[row["id"]].append(row)
    figures: dict[str, Any] = {"n": len(by_id)}
    for key, name in (("seconds", "decoding"), ("total", "whole"), ("cpu", "cpu"), ("reads", "reads")):
        ratios = [
            sum(row[key] for row in mine if not row["drafting"]) / sum(row[key] for row in mine if row["drafting"])
            for mine in by_id.values()
        ]
        figures[f"faster_{name}"] = spread(ratios)
    return figures


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Least, quartiles and most."""
    if not values:
        return None
    cuts = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    figures = {"min": min(values), "q1": cuts[0], "median": cuts[1], "q3": cuts[2], "max": max(values)}
    return {name: round(value, 4) for name, value in figures.items()}


if __name__ == "__main__":
    main()
