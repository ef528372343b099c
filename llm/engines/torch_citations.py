"""The citation rule on logits."""

import threading
from collections.abc import Callable, Sequence

import torch

from llm.citation_rule import CitationRule, RuleState, advance, may_follow

_MAX_MASKS = 1024  # of V bytes each; a state is a bracket's beginning and two facts, so there are few
_TRIES = 8  # most probable tokens looked at one by one before all of them are masked


class CitationMasks:
    """The rule for one vocabulary. Thread-safe.

    What one token adds is looked up when that token is asked about. Masks over all tokens, for which every one has to
    be decoded, are made only where a token is drawn, or where the most probable ones all break the rule.

    Args:
        decode: Ids to text, without special tokens.
        anchor: An ordinary token: decoders drop a blank at the beginning of a text.
        end_ids: Tokens that end a text.
        n_tokens: Size of the vocabulary.
    """

    def __init__(
        self, decode: Callable[[Sequence[int]], str], anchor: Sequence[int], end_ids: Sequence[int], n_tokens: int
    ) -> None:
        self._decode = decode
        self._anchor = list(anchor)
        self._end_ids = tuple(end_ids)
        self._n_tokens = n_tokens
        self._lock = threading.Lock()
        self._n_before: int | None = None  # characters of the anchor
        self._texts: dict[int, str] = {}
        self._rule: CitationRule | None = None
        self._masks: dict[tuple[RuleState, int], torch.Tensor] = {}

    def start(self, n_markers: int) -> "MarkerGuard":
        """A guard for one text with the markers [1] to [n_markers]."""
        return MarkerGuard(self, n_markers)

    def text(self, token_id: int) -> str:
        """What a token adds; nothing for one beyond the vocabulary, or that ends the text."""
        found = self._texts.get(token_id)
        if found is None:
            known = token_id < self._n_tokens and token_id not in self._end_ids
            found = self._texts[token_id] = self._decoded(token_id) if known else ""
        return found

    def mask(self, state: RuleState, n_markers: int, size: int) -> torch.Tensor:
        """(size,) True where a token may not follow."""
        key = (state, n_markers)
        with self._lock:
            if self._rule is None:
                self._rule = CitationRule([self._decoded(i) for i in range(self._n_tokens)], self._end_ids)
            found = self._masks.get(key)
            if found is None:
                found = torch.zeros(max(size, self._n_tokens), dtype=torch.bool)
                found[list(self._rule.forbidden(state, n_markers))] = True
                if state.in_number:
                    found[self._n_tokens :] = bool(found.any())  # rows of the head that stand for no token
                if len(self._masks) >= _MAX_MASKS:
                    self._masks.clear()
                self._masks[key] = found
        return found[:size]

    def _decoded(self, token_id: int) -> str:
        if self._n_before is None:
            self._n_before = len(self._decode(self._anchor))
        return self._decode([*self._anchor, token_id])[self._n_before :]


class MarkerGuard:
    """Follows one text and says what may come next."""

    def __init__(self, masks: CitationMasks, n_markers: int) -> None:
        self._masks = masks
        self._n_markers = n_markers
        self._state = RuleState()

    def allows(self, token_id: int) -> bool:
        """Whether a token may come next."""
        return may_follow(self._state, self._masks.text(token_id), self._n_markers)

    def best(self, logits: torch.Tensor) -> int:
        """The most probable token that may come next, from (V,) logits."""
        for token_id in logits.topk(min(_TRIES, logits.shape[-1])).indices.tolist():
            if self.allows(token_id):
                return int(token_id)
        return int(self.apply(logits).argmax())

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """(V,) logits with minus infinity where the rule would be broken."""
        mask = self._masks.mask(self._state, self._n_markers, logits.shape[-1]).to(logits.device)
        return logits.masked_fill(mask, float("-inf"))

    def push(self, token_id: int) -> None:
        """The token that was chosen."""
        self._state = advance(self._state, self._masks.text(token_id), self._n_markers) or RuleState()
