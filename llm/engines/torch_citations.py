"""The citation rule on logits."""

import threading
from collections.abc import Callable, Sequence

import torch

from llm.citation_rule import CitationRule, RuleState, advance

_MAX_MASKS = 1024  # of V bytes each; a state is a bracket's digits and two facts, so there are few


class CitationMasks:
    """Masks of one vocabulary, made when a state is met for the first time. Thread-safe."""

    def __init__(self, rule: CitationRule) -> None:
        self._rule = rule
        self._masks: dict[tuple[RuleState, int], torch.Tensor] = {}

    def start(self, n_markers: int) -> "MarkerGuard":
        """A guard for one text with the markers [1] to [n_markers]."""
        return MarkerGuard(self, self._rule, n_markers)

    def mask(self, state: RuleState, n_markers: int, size: int) -> torch.Tensor:
        """(size,) True where a token may not follow."""
        key = (state, n_markers)
        found = self._masks.get(key)
        if found is None:
            found = torch.zeros(max(size, self._rule.n_tokens), dtype=torch.bool)
            found[list(self._rule.forbidden(state, n_markers))] = True
            if state.number is not None:
                found[self._rule.n_tokens :] = bool(found.any())  # rows of the head that stand for no token
            if len(self._masks) >= _MAX_MASKS:
                self._masks.clear()
            self._masks[key] = found
        return found[:size]


class MarkerGuard:
    """Follows one text and says what may come next."""

    def __init__(self, masks: CitationMasks, rule: CitationRule, n_markers: int) -> None:
        self._masks = masks
        self._rule = rule
        self._n_markers = n_markers
        self._state = RuleState()

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """(V,) logits with minus infinity where the rule would be broken."""
        mask = self._masks.mask(self._state, self._n_markers, logits.shape[-1]).to(logits.device)
        return logits.masked_fill(mask, float("-inf"))

    def push(self, token_id: int) -> None:
        """The token that was chosen."""
        self._state = advance(self._state, self._rule.text(token_id), self._n_markers) or RuleState()


class LazyMasks:
    """The masks of a tokenizer, made with the first request that needs them: every token is decoded once for that."""

    def __init__(self, decode: Callable[[Sequence[int]], str], anchor: Sequence[int], end_ids: Sequence[int]) -> None:
        self._decode = decode
        self._anchor = list(anchor)
        self._end_ids = tuple(end_ids)
        self._lock = threading.Lock()
        self._made: CitationMasks | None = None

    def get(self, n_tokens: int) -> CitationMasks:
        """The masks for a vocabulary of that many ids."""
        with self._lock:
            if self._made is None:
                # After an ordinary token, since decoders drop a blank at the beginning of a text.
                before = len(self._decode(self._anchor))
                texts = [self._decode([*self._anchor, token_id])[before:] for token_id in range(n_tokens)]
                self._made = CitationMasks(CitationRule(texts, self._end_ids))
            return self._made
