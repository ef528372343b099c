"""The engines that `benchmarks/decoder_engines.py` compares, ours and those of others, behind one signature."""

import dataclasses
import json
import pathlib
import shutil
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

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
