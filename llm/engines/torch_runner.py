"""Batched forward passes of transformers models: prompt, then token by token, or a whole continuation at once.

Shapes: B rows, T tokens, V vocabulary. Logits come back as float32 on the model's device.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache, EncoderDecoderCache, GenerationConfig
from transformers.modeling_outputs import BaseModelOutput

Ids = Sequence[int]


@dataclass(slots=True)
class RunState:
    """What a batch carries from step to step."""

    cache: Any
    mask: torch.Tensor | None  # (B, T) of the prompt and all new tokens; None while nothing is padded
    positions: torch.Tensor  # (B,) position of the next token
    encoded: torch.Tensor | None = field(default=None)  # (B, T, C) encoder output of an encoder–decoder


class Runner(ABC):
    """One model's forward passes; the caller takes turns and switches gradients off."""

    def __init__(self, model: Any, *, pad_id: int) -> None:
        self._model = model
        self._pad_id = pad_id
        self._device = model.device
        self._accepted = set(inspect.signature(model.forward).parameters)

    @abstractmethod
    def start(self, prompts: Sequence[Ids]) -> tuple[RunState, torch.Tensor]:
        """Read the prompts; (B, V) logits of the first new token of each."""

    @abstractmethod
    def step(self, state: RunState, ids: Ids) -> torch.Tensor:
        """Append one token a row; (B, V) logits of the next one."""

    @abstractmethod
    def teach(self, prompts: Sequence[Ids], continuations: Sequence[Ids]) -> list[torch.Tensor]:
        """In one pass, the logits that stood behind every token of each continuation: (len(continuation), V) each."""

    def select(self, state: RunState, rows: Sequence[int]) -> None:
        """Keep only these rows of the batch."""
        index = torch.tensor(rows, device=self._device)
        state.cache.batch_select_indices(index)
        state.positions = state.positions[index]
        if state.mask is not None:
            state.mask = state.mask[index]
        if state.encoded is not None:
            state.encoded = state.encoded[index]

    def beam(self, prompt: Ids, *, max_new_tokens: int, num_beams: int, penalty: float, eos_ids: Ids) -> list[int]:
        """The best continuation that transformers' beam search finds, end token included where there is one."""
        ids = torch.tensor([prompt], device=self._device)
        settings = GenerationConfig(
            max_new_tokens=max_new_tokens,
            num_beams=num_beams,
            do_sample=False,
            repetition_penalty=penalty,
            eos_token_id=list(eos_ids),
            pad_token_id=self._pad_id,
            decoder_start_token_id=getattr(self._model.config, "decoder_start_token_id", None),
        )
        output = self._model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings)
        skip = 1 if self._model.config.is_encoder_decoder else len(prompt)
        return [int(token) for token in output[0, skip:]]

    def _pad(self, rows: Sequence[Ids], *, left: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(B, T) ids and their mask; the mask is None where no row needs padding."""
        width = max(len(row) for row in rows)
        if all(len(row) == width for row in rows):
            return torch.tensor([list(row) for row in rows], device=self._device), None
        gaps = [width - len(row) for row in rows]
        filled = [
            [self._pad_id] * gap + list(row) if left else list(row) + [self._pad_id] * gap
            for row, gap in zip(rows, gaps, strict=True)
        ]
        kept = [
            [0] * gap + [1] * len(row) if left else [1] * len(row) + [0] * gap
            for row, gap in zip(rows, gaps, strict=True)
        ]
        return torch.tensor(filled, device=self._device), torch.tensor(kept, device=self._device)


class CausalRunner(Runner):
    """Decoder-only models; batches are padded on the left."""

    def start(self, prompts: Sequence[Ids]) -> tuple[RunState, torch.Tensor]:
        """See `Runner`."""
        ids, mask = self._pad(prompts, left=True)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=self._device)
        state = RunState(cache=DynamicCache(config=self._model.config), mask=mask, positions=lengths)
        logits = self._forward(ids, mask, self._positions(ids, mask), state.cache, keep=1)
        return state, logits[:, -1].float()

    def step(self, state: RunState, ids: Ids) -> torch.Tensor:
        """See `Runner`."""
        column = torch.tensor([[token] for token in ids], device=self._device)
        if state.mask is not None:
            state.mask = torch.cat([state.mask, state.mask.new_ones((len(ids), 1))], dim=1)
        logits = self._forward(column, state.mask, state.positions[:, None], state.cache, keep=1)
        state.positions = state.positions + 1
        return logits[:, -1].float()

    def teach(self, prompts: Sequence[Ids], continuations: Sequence[Ids]) -> list[torch.Tensor]:
        """See `Runner`."""
        rows = [[*prompt, *continuation] for prompt, continuation in zip(prompts, continuations, strict=True)]
        ids, mask = self._pad(rows, left=True)
        keep = max(len(continuation) for continuation in continuations) + 1
        logits = self._forward(ids, mask, self._positions(ids, mask), None, keep=keep)
        return [logits[i, -len(c) - 1 : -1].float() for i, c in enumerate(continuations)]

    def _positions(self, ids: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        if mask is None:
            return torch.arange(ids.shape[1], device=self._device).expand(ids.shape)
        return (mask.cumsum(dim=1) - 1).clamp(min=0)

    def _forward(
        self, ids: torch.Tensor, mask: torch.Tensor | None, positions: torch.Tensor, cache: Any, *, keep: int
    ) -> torch.Tensor:
        more: dict[str, Any] = {"use_cache": cache is not None}
        if cache is not None:
            more["past_key_values"] = cache
        if "position_ids" in self._accepted:
            more["position_ids"] = positions
        if "logits_to_keep" in self._accepted:
            more["logits_to_keep"] = keep
        logits: torch.Tensor = self._model(input_ids=ids, attention_mask=mask, **more).logits
        return logits[:, -keep:]


class EncoderDecoderRunner(Runner):
    """Encoder–decoder models such as T5; the prompt is padded on the right and encoded once."""

    def start(self, prompts: Sequence[Ids]) -> tuple[RunState, torch.Tensor]:
        """See `Runner`."""
        encoded, mask = self._encode(prompts)
        state = RunState(
            cache=EncoderDecoderCache(DynamicCache(config=self._model.config), DynamicCache(config=self._model.config)),
            mask=mask,
            positions=torch.zeros(len(prompts), dtype=torch.long, device=self._device),
            encoded=encoded,
        )
        return state, self.step(state, [self._start_id] * len(prompts))

    def step(self, state: RunState, ids: Ids) -> torch.Tensor:
        """See `Runner`."""
        logits: torch.Tensor = self._model(
            encoder_outputs=BaseModelOutput(last_hidden_state=state.encoded),
            attention_mask=state.mask,
            decoder_input_ids=torch.tensor([[token] for token in ids], device=self._device),
            past_key_values=state.cache,
            use_cache=True,
        ).logits
        state.positions = state.positions + 1
        return logits[:, -1].float()

    def teach(self, prompts: Sequence[Ids], continuations: Sequence[Ids]) -> list[torch.Tensor]:
        """See `Runner`."""
        encoded, mask = self._encode(prompts)
        shifted, _ = self._pad(
            [[self._start_id, *continuation][:-1] or [self._start_id] for continuation in continuations], left=False
        )
        logits = self._model(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
            attention_mask=mask,
            decoder_input_ids=shifted,
            use_cache=False,
        ).logits
        return [logits[i, : len(continuation)].float() for i, continuation in enumerate(continuations)]

    @property
    def _start_id(self) -> int:
        return int(self._model.config.decoder_start_token_id)

    def _encode(self, prompts: Sequence[Ids]) -> tuple[torch.Tensor, torch.Tensor]:
        ids, mask = self._pad(prompts, left=False)
        if mask is None:
            mask = torch.ones_like(ids)
        encoded: torch.Tensor = self._model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
        return encoded, mask
