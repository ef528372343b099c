"""The torch engine: any causal or encoder–decoder model that transformers can load from safetensors.

Every forward pass takes a fair turn (`llm.engines.turns`), so concurrent requests advance together and a request may
score while another one streams. A cancelled request stops inside the pass: each layer asks before it runs.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer, GenerationConfig

from llm.adapters import Adapter, merge_adapter
from llm.engines.checkpoint import ask_before_each_layer, context_tokens, eos_ids
from llm.engines.local import LocalDecoder
from llm.engines.row import Row, RowMaker
from llm.engines.torch_runner import CausalRunner, EncoderDecoderRunner, Runner
from llm.engines.torch_teacher import Teacher, batches
from llm.engines.turns import Turns
from llm.engines.vocabulary import Vocabulary
from llm.errors import CancelledError, PromptTooLongError, UnsafeModelError, UnsupportedError
from llm.types import (
    Cancel,
    Capabilities,
    Device,
    Generation,
    ModelInfo,
    Request,
    Token,
)

_TORCH_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class TorchDecoder(LocalDecoder):
    """`llm.types.Decoder` over a loaded transformers model. Thread-safe.

    Sampling uses one generator a request, so a seed gives the same draw whatever else is in the batch. `model`,
    `vocabulary`, `end_ids` and `in_turn` are for what computes with the same model (`llm.engines.packed`).
    """

    def __init__(self, model: Any, tokenizer: Any, *, name: str, device: Device, adapter: str | None = None) -> None:
        self.model = model.eval()
        self._encoder_decoder = bool(model.config.is_encoder_decoder)
        self.vocabulary = Vocabulary(tokenizer, encoder_decoder=self._encoder_decoder)
        self.end_ids = eos_ids(model.config, model.generation_config, tokenizer)
        pad_id = next(iter([tokenizer.pad_token_id] if tokenizer.pad_token_id is not None else self.end_ids), 0)
        runner_class = EncoderDecoderRunner if self._encoder_decoder else CausalRunner
        self._runner: Runner = runner_class(model, pad_id=pad_id)
        self._turns = Turns()
        self._watched: tuple[Cancel, ...] = ()
        self._teacher = Teacher(
            teach=self._teach,
            prompts=self.vocabulary.prompts,
            decode=self.vocabulary.decode,
            decode_one=self.vocabulary.decode_one,
            check_length=self._check_length,
            n_vocabulary=int(model.get_input_embeddings().num_embeddings),
            counts_prompt=not self._encoder_decoder,
        )
        self._rows = RowMaker(
            prompts=self.vocabulary.prompts,
            decode=self.vocabulary.decode,
            masks=self.vocabulary.citation_masks(sorted(self.end_ids)),
            end_ids=self.end_ids,
            counts_prompt=not self._encoder_decoder,
            check_length=self._check_length,
        )
        ask_before_each_layer(model, self._stop_if_cancelled)
        # Defaults of the checkpoint must not leak into beam search.
        model.generation_config = GenerationConfig(eos_token_id=list(self.end_ids), pad_token_id=pad_id)
        self._info = ModelInfo(
            name=name,
            engine="transformers",
            device=device.kind,
            dtype=device.dtype,
            context_tokens=context_tokens(model.config, tokenizer),
            adapter=adapter,
        )

    @property
    def capabilities(self) -> Capabilities:
        """Everything."""
        return Capabilities()

    def generate(self, requests: Sequence[Request]) -> tuple[Generation, ...]:
        """Continue every request, batched by length; see `llm.types.Decoder`.

        Raises:
            PromptTooLongError: a prompt and its `max_new_tokens` do not fit the context.
            UnsupportedError: beam search together with a temperature, or a template that refuses the messages.
        """
        started = time.perf_counter()
        rows = [self._rows.make(request) for request in requests]
        for row in rows:
            if row.request.sampling.num_beams > 1:
                self._search(row, started)
        sampled = sorted((row for row in rows if row.request.sampling.num_beams == 1), key=lambda row: len(row.prompt))
        for batch in batches(sampled, lambda row: len(row.prompt)):
            for _ in self._decode(batch, started):
                pass
        return tuple(row.generation(time.perf_counter() - started) for row in rows)

    def stream(self, request: Request) -> Iterator[Token | Generation]:
        """Yield each token as its text is certain and, last, the Generation; closing the iterator stops the work.

        The prompt is checked here and not at the first `next`.

        Raises:
            As `generate`.
        """
        started = time.perf_counter()
        row = self._rows.make(request)
        return self._stream(row, started)

    def _stream(self, row: Row, started: float) -> Iterator[Token | Generation]:
        if row.request.sampling.num_beams > 1:
            self._search(row, started)
            yield from row.text.tokens
        else:
            yield from self._decode([row], started)
        yield row.generation(time.perf_counter() - started)

    def _check_length(self, prompt: Sequence[int], n_more: int, what: str) -> None:
        context = self._info.context_tokens
        needed = max(len(prompt), n_more) if self._encoder_decoder else len(prompt) + n_more
        if needed > context:
            raise PromptTooLongError(
                f"the prompt has {len(prompt)} tokens and {what} {n_more}, but {self._info.name} reads {context}; "
                "shorten the prompt or ask for fewer tokens"
            )

    def _decode(self, rows: Sequence[Row], started: float) -> Iterator[Token]:
        """Run the rows to their ends, yielding the tokens whose text is certain (of all rows, mixed)."""
        for row in rows:
            row.finish = "cancelled" if row.request.cancel.is_set else None
        active = [row for row in rows if row.finish is None]
        try:
            if active:
                prompts = [row.prompt for row in active]
                state, logits = self.in_turn(partial(self._runner.start, prompts), _cancels(active))
            while active:
                ids = self._choose(active, logits)
                for row, (token_id, probability) in zip(active, ids, strict=True):
                    yield from row.append(token_id, probability, time.perf_counter() - started)
                kept = [i for i, row in enumerate(active) if row.finish is None]
                if not kept:
                    break
                next_ids = [ids[i][0] for i in kept]
                if len(kept) < len(active):
                    self._runner.select(state, kept)
                    active = [active[i] for i in kept]
                logits = self.in_turn(partial(self._runner.step, state, next_ids), _cancels(active))
        except CancelledError:
            for row in active:
                row.finish = row.finish or "cancelled"
        for row in rows:
            yield from row.finish_text()

    def _choose(self, active: Sequence[Row], logits: torch.Tensor) -> list[tuple[int, float]]:
        """Each row's next id and its probability under the model's own softmax; `logits` is (B, V)."""
        best = logits.argmax(dim=-1).tolist()
        chosen: list[int] = []
        for i, row in enumerate(active):
            chosen.append(best[i] if row.takes(best[i]) else row.choose(logits[i].cpu()))
        index = torch.tensor(chosen, device=logits.device)[:, None]
        log_probabilities = logits.gather(1, index)[:, 0] - logits.logsumexp(dim=-1)
        return list(zip(chosen, log_probabilities.exp().tolist(), strict=True))

    def _search(self, row: Row, started: float) -> None:
        """Beam search for one row; probabilities come from a second pass over what was found."""
        sampling = row.request.sampling
        try:
            ids = self.in_turn(
                lambda: self._runner.beam(
                    row.prompt,
                    max_new_tokens=sampling.max_new_tokens,
                    num_beams=sampling.num_beams,
                    penalty=sampling.repetition_penalty,
                    eos_ids=sorted(self.end_ids),
                ),
                _cancels([row]),
            )
            end = next((i for i, token_id in enumerate(ids) if token_id in self.end_ids), None)
            kept = ids if end is None else ids[: end + 1]
            (logits,) = self.in_turn(partial(self._runner.teach, [row.prompt], [kept]), _cancels([row]))
        except CancelledError:
            row.finish = "cancelled"
            return
        probabilities = logits.softmax(dim=-1)
        for position, token_id in enumerate(kept):
            row.append(token_id, float(probabilities[position, token_id]), time.perf_counter() - started)
            if row.finish is not None:
                break
        row.finish = row.finish or "length"
        row.finish_text()

    def _teach(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]], cancels: Sequence[Cancel] = ()
    ) -> list[torch.Tensor]:
        return self.in_turn(partial(self._runner.teach, prompts, continuations), cancels)

    def in_turn(self, work: Callable[[], T], cancels: Sequence[Cancel] = ()) -> T:
        """Run `work` on the model when it is this caller's turn; it breaks off once all of `cancels` are set."""
        watched = tuple(cancels)
        with self._turns.take(lambda: bool(watched) and all(cancel.is_set for cancel in watched)):
            self._watched = watched
            try:
                with torch.inference_mode():
                    return work()
            finally:
                self._watched = ()

    def _stop_if_cancelled(self) -> None:
        if self._watched and all(cancel.is_set for cancel in self._watched):
            raise CancelledError("the request was cancelled")


def _cancels(rows: Sequence[Row]) -> tuple[Cancel, ...]:
    return tuple(row.request.cancel for row in rows)


def load_decoder(folder: Path, *, name: str, device: Device, adapter: Adapter | None = None) -> TorchDecoder:
    """Load a checked model folder (`llm.sources`) onto the device in its precision; sets torch's thread count.

    Args:
        folder: The model.
        name: What it is called.
        device: Where it runs.
        adapter: Merged into the weights.

    Raises:
        UnsafeModelError: the folder has no safetensors weights.
        UnsupportedError: transformers has no class for the model, it has no fast tokenizer, or the adapter does not
            fit it.
    """
    if not any(folder.glob("*.safetensors")):
        raise UnsafeModelError(f"{folder} has no safetensors weights; nothing else is loaded")
    started = time.perf_counter()
    torch.set_num_threads(device.n_threads)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        model_class = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model = model_class.from_pretrained(
            folder,
            dtype=_TORCH_DTYPES[device.dtype],
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            attn_implementation="sdpa",
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (ValueError, KeyError, OSError) as error:
        raise UnsupportedError(f"transformers cannot load {folder}: {error}") from error
    if adapter is not None:
        merge_adapter(model, adapter)
    decoder = TorchDecoder(
        model.to(device.kind), tokenizer, name=name, device=device, adapter=adapter.name if adapter else None
    )
    _log.info(
        "model_loaded",
        model=name,
        adapter=decoder.info.adapter,
        device=device.kind,
        dtype=device.dtype,
        seconds=time.perf_counter() - started,
    )
    return decoder
