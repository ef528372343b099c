"""What flows in and out of a decoder. Imports no torch, so that anything may import it."""

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from llm.errors import CancelledError

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "cancelled"]
DeviceKind = Literal["cpu", "cuda", "mps"]
DType = Literal["bf16", "fp16", "fp32"]


class Cancel:
    """A one-way switch that stops a running request from another thread."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask for the stop; every engine obeys within one second, prefill included."""
        self._event.set()

    @property
    def is_set(self) -> bool:
        """Whether the stop was asked for."""
        return self._event.is_set()

    def raise_if_set(self) -> None:
        """Raise `CancelledError` once the stop was asked for."""
        if self._event.is_set():
            raise CancelledError("the request was cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation. `content` is data: special-token strings in it are plain text."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How the next token is chosen; the defaults are greedy decoding.

    Raises:
        ValueError: a value is outside its range, or not finite.
    """

    max_new_tokens: int = 128
    temperature: float = 0.0  # 0 = greedy
    top_k: int = 0  # 0 = off
    top_p: float = 1.0  # 1 = off
    min_p: float = 0.0  # 0 = off
    num_beams: int = 1  # 1 = no beam search
    repetition_penalty: float = 1.0  # 1 = off
    seed: int | None = None
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check every range once, where the value is made."""
        checks = (
            ("max_new_tokens", 1 <= self.max_new_tokens <= 8192, "1 to 8192"),
            ("temperature", math.isfinite(self.temperature) and 0 <= self.temperature <= 10, "0 to 10"),
            ("top_k", 0 <= self.top_k <= 1_000_000, "0 (off) to 1000000"),
            ("top_p", math.isfinite(self.top_p) and 0 < self.top_p <= 1, "above 0, at most 1"),
            ("min_p", math.isfinite(self.min_p) and 0 <= self.min_p < 1, "0 up to but not 1"),
            ("num_beams", 1 <= self.num_beams <= 16, "1 to 16"),
            (
                "repetition_penalty",
                math.isfinite(self.repetition_penalty) and 0.1 <= self.repetition_penalty <= 10,
                "0.1 to 10",
            ),
            ("seed", self.seed is None or 0 <= self.seed < 2**63, "0 to 2^63 - 1"),
            ("stop", len(self.stop) <= 16 and all(self.stop), "at most 16 strings, none empty"),
        )
        for name, ok, allowed in checks:
            if not ok:
                raise ValueError(f"{name} must be {allowed}, got {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reluctance:
    """A beginning that is taken only where the model is sure of it, such as that of an abstention.

    Where the first token of `text` is less probable than `least_probability` (under the model's own softmax), another
    one is chosen. Beam search, and engines that cannot, pass over it.
    """

    text: str
    least_probability: float  # 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One prompt and how to continue it."""

    messages: tuple[Message, ...]
    sampling: SamplingParams = SamplingParams()
    reluctance: Reluctance | None = None
    n_markers: int | None = None  # citation markers are [1] to [n] and no other (`llm.citation_rule`); None = no rule
    cancel: Cancel = field(default_factory=Cancel, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One generated token."""

    text: str  # what this token added to the text; may be "" while a character is incomplete
    token_id: int
    probability: float | None  # under the model's own softmax (temperature 1, nothing cut); None where unknown
    # Of the first token of a request with a `Reluctance`: how probable that beginning was. None elsewhere.
    opening_probability: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A finished continuation. `text` ends before the stop string, special tokens are not in it."""

    text: str
    tokens: tuple[Token, ...]
    n_prompt_tokens: int
    n_new_tokens: int
    finish_reason: FinishReason
    first_token_seconds: float | None  # None when no token was made
    total_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredToken:
    """One token of a given continuation and what the model thought of it."""

    text: str
    token_id: int
    log_probability: float  # natural logarithm


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptToken:
    """One token of an encoded prompt, the template's own included."""

    text: str  # what this token added; "" while a character is incomplete
    token_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One candidate for a position."""

    text: str
    token_id: int
    logit: float
    probability: float
    reshaped_probability: float | None = None  # under the sampling parameters; None where none were given


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenDistribution:
    """The distribution that stood behind one token, at temperature 1 with nothing cut."""

    text: str
    token_id: int
    probability: float
    entropy: float  # nats
    logsumexp: float
    tail_probability: float  # mass outside `alternatives`
    alternatives: tuple[Alternative, ...]  # most probable first
    reshaped_probability: float | None = None  # of this token, as in `Alternative`
    n_kept: int | None = None  # tokens that can be drawn under the sampling parameters; None where none were given


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Where and in which precision a model runs; probed once by `llm.device`, then passed in."""

    kind: DeviceKind
    name: str  # for people: "AMD EPYC", "NVIDIA H100"
    dtype: DType
    n_threads: int  # CPU threads for one matrix product


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an engine can do; what it lacks raises `UnsupportedError`."""

    streaming: bool = True
    batching: bool = True
    beam_search: bool = True
    scoring: bool = True
    distribution: bool = True
    token_probabilities: bool = True
    citation_rule: bool = True  # `Request.n_markers`; an engine without it writes as if there were no rule
    unsupported_sampling: frozenset[str] = frozenset()  # fields of `SamplingParams` that must stay at their defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """Which model answers, for people and for reports."""

    name: str
    engine: str
    device: str
    dtype: str
    context_tokens: int
    adapter: str | None = None  # merged into its weights

    @property
    def full_name(self) -> str:
        """The name, and that of the adapter: what decides which token follows which."""
        return self.name if self.adapter is None else f"{self.name} with {self.adapter}"


@runtime_checkable
class Decoder(Protocol):
    """A decoder language model. Thread-safe: an engine that can run one batch at a time queues the others."""

    @property
    def info(self) -> ModelInfo:
        """Name, engine, device, precision and context length."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do."""
        ...

    def generate(self, requests: Sequence[Request]) -> tuple[Generation, ...]:
        """Continue every request, batched; a cancelled one ends with finish_reason `cancelled`.

        Raises:
            PromptTooLongError: a prompt and its `max_new_tokens` do not fit the context.
        """
        ...

    def stream(self, request: Request) -> Iterator[Token | Generation]:
        """Yield each token as it is made and, last, the Generation. Closing the iterator cancels."""
        ...

    def score(
        self, prompts: Sequence[Sequence[Message]], continuations: Sequence[str]
    ) -> tuple[tuple[ScoredToken, ...], ...]:
        """Log-probability of each token of `continuations[i]` after `prompts[i]`, batched."""
        ...

    def distribution(
        self,
        prompt: Sequence[Message],
        token_ids: Sequence[int],
        *,
        n_alternatives: int = 10,
        sampling: SamplingParams | None = None,
        cancel: Cancel | None = None,
    ) -> tuple[TokenDistribution, ...]:
        """Teacher-force `token_ids` after `prompt` in one pass; one distribution a token.

        With `sampling`, also what its penalty, temperature, top-k, top-p and min-p make of each.

        Raises:
            PromptTooLongError: they do not fit the context.
            ValueError: an id is not of this model, or `n_alternatives` is negative.
            CancelledError: `cancel` was set.
        """
        ...

    def encode_prompt(self, messages: Sequence[Message]) -> tuple[PromptToken, ...]:
        """The tokens of a whole prompt with the chat template around it, as `generate` reads them."""
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens of a plain text; special-token strings in it count as ordinary text."""
        ...

    def count_prompt_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of a whole prompt with the chat template around it."""
        ...
