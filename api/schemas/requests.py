"""Request bodies."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from api.schemas.fields import (
    CollectionName,
    JsonObject,
    Number,
    Question,
    RequestModel,
    Text,
    Whole,
    explain,
    refuse,
)
from llm.types import Message, SamplingParams
from rag.types import Mode, Policy

MAX_EVIDENCE = 100
MAX_EVIDENCE_CHARS = 1_000_000
MAX_HISTORY = 100


class SearchIn(RequestModel):
    """What to look for and where."""

    query: Question
    k: Annotated[int, Whole(1, 100)] = 8
    collection: CollectionName = "default"
    filter: JsonObject = Field(default_factory=dict)


class EvidenceIn(RequestModel):
    """A text that stands in for retrieval."""

    id: Annotated[str, Text(1, 200)]
    text: Annotated[str, Text(1, 100_000)]


class TurnIn(RequestModel):
    """One earlier turn of the conversation."""

    role: Literal["user", "assistant"]
    content: Annotated[str, Text(0, 32_000)]


class SamplingIn(RequestModel):
    """How the next token is chosen; what is left out takes the service's default."""

    max_new_tokens: Annotated[int, Whole(1, 8192)] | None = None
    temperature: Annotated[float, Number("from 0 (greedy) to 10", ge=0, le=10)] | None = None
    top_k: Annotated[int, Whole(0, 1_000_000)] | None = None
    top_p: Annotated[float, Number("above 0 and at most 1", gt=0, le=1)] | None = None
    min_p: Annotated[float, Number("from 0 up to but not 1", ge=0, lt=1)] | None = None
    num_beams: Annotated[int, Whole(1, 16)] | None = None
    repetition_penalty: Annotated[float, Number("from 0.1 to 10", ge=0.1, le=10)] | None = None
    seed: Annotated[int, Whole(0, 2**63 - 1)] | None = None
    stop: Annotated[
        list[Annotated[str, Text(1, 200, blanks=True)]],
        Field(max_length=16),
        explain("must be at most 16 strings of 1 to 200 characters"),
    ] = Field(default_factory=list)

    def params(self, max_new_tokens: int) -> SamplingParams:
        """The parameters for a decoder; `max_new_tokens` holds where the request names none."""
        given = {name: value for name, value in self if value is not None}
        return SamplingParams(**{"max_new_tokens": max_new_tokens, **given, "stop": tuple(self.stop)})


class AskIn(RequestModel):
    """A question and how to answer it."""

    question: Question
    collection: CollectionName = "default"
    k: Annotated[int, Whole(1, 100)] = 8
    filter: JsonObject = Field(default_factory=dict)
    mode: Mode = "grounded"
    evidence: (
        Annotated[
            list[EvidenceIn],
            Field(min_length=1, max_length=MAX_EVIDENCE),
        ]
        | None
    ) = None
    history: Annotated[list[TurnIn], Field(max_length=MAX_HISTORY)] = Field(default_factory=list)
    model: Annotated[str, Text(1, 200)] | None = None
    sampling: SamplingIn = SamplingIn()
    prompt_tokens: Annotated[
        int | None,
        Whole(64, 131_072),
        Field(
            description="Most tokens of the prompt. Left out or null: the service's setting (500), and 1,000 for a "
            "question with evidence or a history, or a long one."
        ),
    ] = None
    abstain_below: Annotated[float, Number("from 0 to 1", ge=0, le=1)] | None = None
    policy: Policy = "flag"
    verify: Annotated[bool, Field(description="Whether claims are checked; with policy strict they always are.")] = True
    stream: bool = False

    @model_validator(mode="after")
    def _check_evidence(self) -> Self:
        rows = self.evidence or []
        if len({row.id for row in rows}) < len(rows):
            raise refuse("evidence must have a different id in each row")
        if sum(len(row.text) for row in rows) > MAX_EVIDENCE_CHARS:
            raise refuse(f"evidence must have at most {MAX_EVIDENCE_CHARS:,} characters in all")
        if rows and self.mode == "closed_book":
            raise refuse("evidence must be left out in closed_book mode")
        return self

    @property
    def turns(self) -> tuple[Message, ...]:
        """The history as the decoder's messages."""
        return tuple(Message(role=turn.role, content=turn.content) for turn in self.history)
