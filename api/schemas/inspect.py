"""What goes into and comes out of a look inside the decoder."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from api.schemas.answers import ModelOut
from api.schemas.documents import ResponseModel
from api.schemas.fields import Identifier, Number, RequestModel, Text, Whole, refuse
from llm.types import Message, SamplingParams

MAX_STEPS = 256  # the logits of all positions are in memory at once: 50 MB for a vocabulary of 49,152
MAX_ALTERNATIVES = 100
MAX_PROMPT_CHARS = 400_000
MAX_MESSAGES = 100


class MessageIn(RequestModel):
    """One turn, as the decoder reads it."""

    role: Literal["system", "user", "assistant"]
    content: Annotated[str, Text(0, MAX_PROMPT_CHARS, blanks=True)]


class InspectIn(RequestModel):
    """What to look at: a prompt (one turn of the user), messages, or a stored answer; and how to reshape it."""

    prompt: Annotated[str, Text(1, MAX_PROMPT_CHARS, blanks=True)] | None = None
    messages: Annotated[list[MessageIn], Field(min_length=1, max_length=MAX_MESSAGES)] | None = None
    answer_id: Identifier | None = None
    steps: Annotated[int, Whole(1, MAX_STEPS)] | None = None
    temperature: Annotated[float, Number("from 0 (greedy) to 10", ge=0, le=10)] = 0.0
    top_k: Annotated[int, Whole(0, 1_000_000)] = 0
    top_p: Annotated[float, Number("above 0 and at most 1", gt=0, le=1)] = 1.0
    seed: Annotated[int, Whole(0, 2**63 - 1)] | None = None
    alternatives: Annotated[int, Whole(0, MAX_ALTERNATIVES)] = 10

    @model_validator(mode="after")
    def _check_what(self) -> Self:
        if sum(given is not None for given in (self.prompt, self.messages, self.answer_id)) != 1:
            raise refuse("exactly one of prompt, messages and answer_id must be given")
        if self.temperature == 0 and (self.top_k or self.top_p < 1):
            raise refuse("top_k and top_p need a temperature above 0: at 0 the most probable token is taken")
        return self

    @property
    def turns(self) -> tuple[Message, ...]:
        """The prompt as the decoder's messages; empty for a stored answer."""
        if self.prompt is not None:
            return (Message(role="user", content=self.prompt),)
        return tuple(Message(role=message.role, content=message.content) for message in self.messages or ())

    def params(self, max_new_tokens: int) -> SamplingParams:
        """The parameters for a decoder."""
        return SamplingParams(
            max_new_tokens=max_new_tokens,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            seed=self.seed,
        )


class PromptTokenOut(ResponseModel):
    """One token of the prompt; `text` is empty while a character is incomplete."""

    text: str
    token_id: int


class AlternativeOut(ResponseModel):
    """One candidate for a position.

    `probability` is the model's own, `reshaped_probability` that of the draw under the request's parameters. `logit`
    is null where it is minus infinity.
    """

    text: str
    token_id: int
    logit: float | None
    probability: float
    reshaped_probability: float


class InspectedTokenOut(ResponseModel):
    """One token and the distribution behind it; entropy in nats, `n_kept` the tokens that could be drawn."""

    text: str
    token_id: int
    probability: float
    reshaped_probability: float
    n_kept: int
    entropy: float
    logsumexp: float
    tail_probability: float
    alternatives: list[AlternativeOut]


class InspectOut(ResponseModel):
    """The prompt's tokens and the distribution behind every token after it, of which there are `n_tokens` in all."""

    prompt: list[PromptTokenOut]
    tokens: list[InspectedTokenOut]
    n_tokens: int
    model: ModelOut
