"""One request on its way through an engine that gives logits: which token is chosen, and when the text ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm.engines.torch_citations import CitationMasks, MarkerGuard
from llm.errors import UnsupportedError
from llm.prompt_encoding import PromptEncoder
from llm.sampling import choose, make_generator, without_unsure
from llm.text_stream import TextStream
from llm.types import FinishReason, Generation, Request, Token

if TYPE_CHECKING:
    import torch

CheckLength = Callable[[Sequence[int], int, str], None]


@dataclass(slots=True, kw_only=True)
class Row:
    """A request, its text so far, and its own source of randomness."""

    request: Request
    prompt: list[int]
    text: TextStream
    end_ids: frozenset[int]
    counts_prompt: bool  # whether the repetition penalty counts the prompt's tokens
    text_of: Callable[[int], str]  # what a token adds
    opening: list[int]  # tokens of what the request is reluctant to begin with
    generator: "torch.Generator | None"
    guard: MarkerGuard | None
    new_ids: list[int] = field(default_factory=list)
    finish: FinishReason | None = None
    first_token_seconds: float | None = None
    opening_probability: float | None = None  # of the first token of `opening`, once the first token was chosen

    def takes(self, best: int) -> bool:
        """Whether the most probable token is the next one, whatever the other logits are; then it is chosen."""
        if self._is_reluctant or not self._is_greedy or not (self.guard is None or self.guard.allows(best)):
            return False
        if self.guard is not None:
            self.guard.push(best)
        return True

    def choose(self, logits: "torch.Tensor") -> int:
        """The next token by the request's own rules, from (V,) logits on the CPU."""
        allowed = logits
        if self._is_reluctant and self.request.reluctance is not None:
            allowed, self.opening_probability = without_unsure(
                allowed, self.opening[0], self.request.reluctance.least_probability
            )
        if self.guard is not None and self._is_greedy:
            chosen = self.guard.best(allowed)
        else:
            allowed = allowed if self.guard is None else self.guard.apply(allowed)
            seen = [*self.prompt, *self.new_ids] if self.counts_prompt else self.new_ids
            chosen = choose(allowed, self.request.sampling, seen, self.generator)
        if self.guard is not None:
            self.guard.push(chosen)
        return chosen

    @property
    def _is_reluctant(self) -> bool:
        """Whether the first token is still to be chosen, and not any one will do."""
        return bool(self.opening) and not self.new_ids

    @property
    def _is_greedy(self) -> bool:
        return self.request.sampling.temperature == 0 and self.request.sampling.repetition_penalty == 1.0

    def append(self, token_id: int, probability: float, seconds: float) -> tuple[Token, ...]:
        """Take the chosen token `seconds` after the start; the tokens whose text is certain now."""
        if self.first_token_seconds is None:
            self.first_token_seconds = seconds
        if self.request.cancel.is_set:
            self.finish = "cancelled"
            return ()
        self.new_ids.append(token_id)
        if token_id in self.end_ids:
            self.finish = "stop"
            return ()
        opening = self.opening_probability if len(self.new_ids) == 1 else None
        released = self.text.push(token_id, probability, opening_probability=opening)
        if self.text.stopped:
            self.finish = "stop"
        elif len(self.new_ids) >= self.request.sampling.max_new_tokens:
            self.finish = "length"
        return released

    def finish_text(self) -> tuple[Token, ...]:
        """No more tokens come; those that were held back."""
        released = self.text.finish()
        if self.text.stopped and self.finish == "length":
            self.finish = "stop"  # the last token's text was only decided now
        return released

    def generation(self, total_seconds: float) -> Generation:
        """What became of the request."""
        tokens = self.text.tokens
        return Generation(
            text=self.text.text,
            tokens=tokens,
            n_prompt_tokens=len(self.prompt),
            n_new_tokens=len(tokens),
            finish_reason=self.finish or "cancelled",
            first_token_seconds=self.first_token_seconds,
            total_seconds=total_seconds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RowMaker:
    """Reads requests for one model."""

    prompts: PromptEncoder
    decode: Callable[[Sequence[int]], str]  # without special tokens
    masks: CitationMasks
    end_ids: frozenset[int]
    counts_prompt: bool
    check_length: CheckLength

    def make(self, request: Request) -> Row:
        """The row of a request.

        Raises:
            PromptTooLongError: the prompt and `max_new_tokens` do not fit the context.
            UnsupportedError: beam search with a temperature or the citation rule, or a template that refuses the
                messages.
        """
        sampling = request.sampling
        if sampling.num_beams > 1 and sampling.temperature > 0:
            raise UnsupportedError("beam search does not sample; set temperature to 0 or num_beams to 1")
        if sampling.num_beams > 1 and request.n_markers is not None:
            raise UnsupportedError("beam search does not obey the citation rule; set num_beams to 1")
        prompt = self.prompts.encode_prompt(request.messages)
        self.check_length(prompt, sampling.max_new_tokens, "max_new_tokens")
        opening = [] if request.reluctance is None else self.prompts.encode_text(request.reluctance.text)
        return Row(
            request=request,
            prompt=prompt,
            text=TextStream(self.decode, sampling.stop),
            end_ids=self.end_ids,
            counts_prompt=self.counts_prompt,
            text_of=self.masks.text,
            opening=opening,
            generator=make_generator(sampling),
            guard=None if request.n_markers is None else self.masks.start(request.n_markers),
        )
