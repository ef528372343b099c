"""Request bodies in OpenAI's dialect. Fields that are not known here are ignored, null is as good as left out."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from api.schemas.fields import Number, Text, Whole, explain, refuse
from llm.types import Message, Reluctance, SamplingParams

MAX_CONTENT_CHARS = 400_000
MAX_MESSAGES = 500
MAX_INPUTS = 2_048
MAX_TOP_LOGPROBS = 20
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


class DialectModel(BaseModel):
    """A request body of which only the known fields are read."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, frozen=True)


def _plain_content(value: Any) -> Any:
    """A content of several text parts as one text."""
    if value is None:
        return ""
    if not isinstance(value, list):
        return value
    texts = []
    for part in value:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind != "text" or not isinstance(part.get("text"), str):
            raise refuse("must be a string or parts of type text; images, sound and files are not read here")
        texts.append(part["text"])
    return "\n".join(texts)


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _texts_only(value: Any) -> Any:
    found = _one_or_more(value)
    if isinstance(found, list) and any(isinstance(item, int | list) for item in found):
        raise refuse("must be a string or a list of strings; token ids are not taken, since they are another model's")
    return found


def _only(allowed: Any, sentence: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if value is not None and value != allowed:
            raise refuse(sentence)
        return value

    return BeforeValidator(check)


def _free_choice(value: Any) -> Any:
    if value not in (None, "none", "auto"):
        raise refuse("must be none or auto: no tools are called here")
    return value


def _text_format(value: Any) -> Any:
    if value is not None and not (isinstance(value, dict) and value.get("type") == "text"):
        raise refuse("must be of type text: no other form can be promised here")
    return value


class ChatMessageIn(DialectModel):
    """One turn."""

    role: Annotated[
        Literal["system", "developer", "user", "assistant"],
        explain("must be system, developer, user or assistant; no tools are called here"),
    ]
    content: Annotated[str, Text(0, MAX_CONTENT_CHARS, blanks=True), BeforeValidator(_plain_content)] = ""

    @property
    def turn(self) -> Message:
        """The turn as the decoder reads it."""
        return Message(role=_ROLES[self.role], content=self.content)  # type: ignore[arg-type]


class StreamOptionsIn(DialectModel):
    """How to stream."""

    include_usage: bool | None = None


class ReluctanceIn(DialectModel):
    """A beginning that is taken only where the model is sure of it."""

    text: Annotated[str, Text(1, 2_000)]
    least_probability: Annotated[float, Number("from 0 to 1", ge=0, le=1)]


class ChatIn(DialectModel):
    """`POST /v1/chat/completions`: `model` is `rag:COLLECTION` or the decoder's name.

    `reluctance` and `n_markers` are what one Citebound asks of the decoder of another.
    """

    model: Annotated[str, Text(1, 200)]
    messages: Annotated[list[ChatMessageIn], Field(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool | None = None
    stream_options: StreamOptionsIn | None = None
    max_tokens: Annotated[int, Whole(1, 8192)] | None = None
    max_completion_tokens: Annotated[int, Whole(1, 8192)] | None = None
    temperature: Annotated[float, Number("from 0 (greedy) to 10", ge=0, le=10)] | None = None
    top_p: Annotated[float, Number("above 0 and at most 1", gt=0, le=1)] | None = None
    top_k: Annotated[int, Whole(0, 1_000_000)] | None = None
    min_p: Annotated[float, Number("from 0 up to but not 1", ge=0, lt=1)] | None = None
    repetition_penalty: Annotated[float, Number("from 0.1 to 10", ge=0.1, le=10)] | None = None
    seed: Annotated[int, Whole(-(2**63), 2**63 - 1)] | None = None
    stop: (
        Annotated[
            list[Annotated[str, Text(1, 200, blanks=True)]],
            Field(max_length=16),
            BeforeValidator(_one_or_more),
            explain("must be a string or at most 16 strings of 1 to 200 characters"),
        ]
        | None
    ) = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Whole(0, MAX_TOP_LOGPROBS)] | None = None
    n: Annotated[Any, _only(1, "must be 1: one completion is written for a request")] = None
    tool_choice: Annotated[Any, BeforeValidator(_free_choice)] = None
    response_format: Annotated[Any, BeforeValidator(_text_format)] = None
    reluctance: ReluctanceIn | None = None
    n_markers: Annotated[int, Whole(0, 1_000)] | None = None

    @property
    def includes_usage(self) -> bool:
        """Whether a stream ends with the usage."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def wanted_reluctance(self) -> Reluctance | None:
        """The reluctance as the decoder takes it."""
        if self.reluctance is None:
            return None
        return Reluctance(text=self.reluctance.text, least_probability=self.reluctance.least_probability)

    def params(self, max_new_tokens: int) -> SamplingParams:
        """The parameters for a decoder; greedy where no temperature is given."""
        names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return SamplingParams(
            max_new_tokens=self.max_completion_tokens or self.max_tokens or max_new_tokens,
            seed=None if self.seed is None else self.seed % 2**63,
            stop=tuple(self.stop or ()),
            **given,
        )


class EmbeddingsIn(DialectModel):
    """`POST /v1/embeddings`."""

    model: Annotated[str, Text(1, 200)]
    input: Annotated[
        list[Annotated[str, Text(1, MAX_CONTENT_CHARS, blanks=True)]],
        Field(min_length=1, max_length=MAX_INPUTS),
        BeforeValidator(_texts_only),
    ]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Whole(1, 100_000)] | None = None
