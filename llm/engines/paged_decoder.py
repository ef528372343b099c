"""A decoder over a model that reads all requests together and keeps their cache in blocks; what computes it is its own.

The model returns logits; sampling, reluctance, stop strings and the citation rule are those of the torch engine. Beam
search is left to a torch engine of the same model, which is loaded when it is first asked for.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import torch

from llm.batching import PagedSteps
from llm.engines.local import LocalDecoder
from llm.engines.paged_model import PagedModel
from llm.engines.row import Row, RowMaker
from llm.engines.torch_teacher import Teacher
from llm.engines.vocabulary import Vocabulary
from llm.errors import PromptTooLongError
from llm.types import (
    Cancel,
    Capabilities,
    Decoder,
    Generation,
    ModelInfo,
    Request,
    Token,
)


class PagedDecoder(LocalDecoder):
    """`llm.types.Decoder` over a model whose cache is kept in blocks. Thread-safe.

    Concurrent requests are read together. Sampling uses one generator a request, so a seed gives the same draw
    whatever else runs.

    Args:
        model: Gives the logits.
        vocabulary: Its tokenizer.
        info: What it is.
        end_ids: Tokens that end an answer.
        n_vocabulary: Logits of one place.
        reference: Loads the torch engine of the same model, for beam search.
        lookup: Whether a request that runs alone drafts tokens by prompt lookup.
    """

    def __init__(
        self,
        model: PagedModel,
        vocabulary: Vocabulary,
        *,
        info: ModelInfo,
        end_ids: frozenset[int],
        n_vocabulary: int,
        reference: Callable[[], Decoder],
        lookup: bool = True,
    ) -> None:
        self.vocabulary = vocabulary
        self._info = info
        self._steps = PagedSteps(model, lookup=lookup)
        self._load_reference = reference
        self._loading = threading.Lock()
        self._reference: Decoder | None = None
        self._rows = RowMaker(
            prompts=vocabulary.prompts,
            decode=vocabulary.decode,
            masks=vocabulary.citation_masks(sorted(end_ids)),
            end_ids=end_ids,
            counts_prompt=True,
            check_length=self._check_length,
        )
        self._teacher = Teacher(
            teach=self._teach,
            prompts=vocabulary.prompts,
            decode=vocabulary.decode,
            decode_one=vocabulary.decode_one,
            check_length=self._check_length,
            n_vocabulary=n_vocabulary,
            counts_prompt=True,
        )

    @property
    def capabilities(self) -> Capabilities:
        """Everything; for beam search a torch engine is loaded beside this one."""
        return Capabilities()

    def generate(self, requests: Sequence[Request]) -> tuple[Generation, ...]:
        """Continue every request, batched; see `llm.types.Decoder`.

        Raises:
            PromptTooLongError: a prompt and its `max_new_tokens` do not fit the context.
            UnsupportedError: beam search together with a temperature or the citation rule, or a template that refuses
                the messages.
        """
        started = time.perf_counter()
        rows = [self._rows.make(request) for request in requests]
        searched = iter(self._search([row.request for row in rows if row.request.sampling.num_beams > 1]))
        runs = [None if row.request.sampling.num_beams > 1 else self._steps.add(row) for row in rows]
        try:
            for run in runs:
                while run is not None and not run.done:
                    self._steps.wait(run)
                    run.out.clear()
        finally:
            for run in runs:
                if run is not None:
                    self._steps.drop(run)
        return tuple(
            next(searched) if run is None else row.generation(time.perf_counter() - started)
            for row, run in zip(rows, runs, strict=True)
        )

    def stream(self, request: Request) -> Iterator[Token | Generation]:
        """Yield each token as its text is certain and, last, the Generation; closing the iterator stops the work.

        The prompt is checked here and not at the first `next`.

        Raises:
            As `generate`.
        """
        started = time.perf_counter()
        row = self._rows.make(request)
        if request.sampling.num_beams > 1:
            return self._reference_decoder().stream(request)
        return self._stream(row, started)

    def _stream(self, row: Row, started: float) -> Iterator[Token | Generation]:
        run = self._steps.add(row)
        try:
            while not run.done or run.out:
                self._steps.wait(run)
                while run.out:
                    yield run.out.popleft()
        finally:
            self._steps.drop(run)
        yield row.generation(time.perf_counter() - started)

    def _check_length(self, prompt: Sequence[int], n_more: int, what: str) -> None:
        if len(prompt) + n_more > self._info.context_tokens:
            raise PromptTooLongError(
                f"the prompt has {len(prompt)} tokens and {what} {n_more}, but {self._info.name} reads "
                f"{self._info.context_tokens}; shorten the prompt or ask for fewer tokens"
            )

    def _teach(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]], cancels: Sequence[Cancel] = ()
    ) -> list[torch.Tensor]:
        return [
            torch.from_numpy(self._steps.teach(prompt, continuation, cancels))
            for prompt, continuation in zip(prompts, continuations, strict=True)
        ]

    def _search(self, requests: Sequence[Request]) -> tuple[Generation, ...]:
        return self._reference_decoder().generate(requests) if requests else ()

    def _reference_decoder(self) -> Decoder:
        with self._loading:
            if self._reference is None:
                self._reference = self._load_reference()
            return self._reference
