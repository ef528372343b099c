"""What goes into and out of answering a question (see `rag.answer`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from llm.types import Message, SamplingParams
from rag.attribution import DEFAULT_THRESHOLD
from rag.demonstrations import Demonstrations
from rag.errors import InvalidInputError
from rag.prompt import Shown
from rag.prompt_passage import Evidence
from rag.types import Answer, Citation, Claim, Hit, Mode, Policy, Trace

_ROOMY_TOKENS = 1000
_LONG_CHARS = 500  # of a question
_MAX_QUERY_HISTORY_CHARS = 600  # of the question before a follow-up


SURE_ABSTENTION = 0.55  # 15.8 % of answerable held-out questions are refused with it, and 62 % of the others
SUREST_ABSTENTION = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSettings:
    """How answers are made, the same for every question."""

    citation_threshold: float = DEFAULT_THRESHOLD  # 0..1: least attribution score of a citation
    max_sentences: int = 3  # what a decoder writes beyond them is not waited for
    abstain_below: float | None = None  # 0..1: least confidence of an answer where the question names none
    demonstrations: Demonstrations | None = None  # shown before the question; None = none
    sure_abstention: float = (
        SURE_ABSTENTION  # 0..1: the decoder abstains by itself only where it holds that more probable
    )
    surest_abstention: float = (
        SUREST_ABSTENTION  # the same of the first of two looks, after which `sure_abstention` is for both
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRequest:
    """One question and how to answer it.

    Raises:
        InvalidInputError: evidence is given for closed-book mode, or `shown` without an answer at the end of `history`.
    """

    question: str
    collection: str = "default"
    k: int = 8
    metadata_filter: Mapping[str, Any] | None = None
    mode: Mode = "grounded"
    evidence: tuple[Evidence, ...] | None = None  # takes the place of retrieval
    history: tuple[Message, ...] = ()  # oldest first, without the question
    shown: Shown | None = None  # for the last turn of `history`, where that is known and its documents are still there
    sampling: SamplingParams = field(default_factory=SamplingParams)
    prompt_tokens: int = 1000  # most tokens of the whole prompt, by the decoder's count
    abstain_below: float | None = None  # 0..1: abstain where the confidence is lower; None: as the settings say
    policy: Policy = "flag"
    verify: bool = True

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.mode == "closed_book" and self.evidence is not None:
            raise InvalidInputError("evidence must be left out in closed_book mode")
        if self.shown is not None and (not self.history or self.history[-1].role != "assistant"):
            raise InvalidInputError("what was shown for a turn belongs to a history that ends with its answer")


def prompt_budget(usual: int, question: str, *, evidence: bool, history: bool) -> int:
    """Tokens of the prompt where nobody names them: `usual`, and more where what is given would not fit.

    Args:
        usual: What a plain question is read with.
        question: What is asked.
        evidence: Whether passages came with the question; none of them may be left out.
        history: Whether turns of a conversation did.
    """
    return max(usual, _ROOMY_TOKENS) if evidence or history or len(question) > _LONG_CHARS else usual


class Found(Protocol):
    """What a search returns."""

    @property
    def hits(self) -> tuple[Hit, ...]:
        """Best first."""
        ...

    @property
    def seconds(self) -> float:
        """How long it took."""
        ...


class Search(Protocol):
    """The part of a retriever that answering needs."""

    def search(self, query: str, *, k: int, collection: str, metadata_filter: Mapping[str, Any] | None) -> Found:
        """The `k` best passages of a collection."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """The search is done; once, first."""

    hits: tuple[Hit, ...]
    seconds: float | None  # None where nothing was searched: closed book, or evidence given with the question


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """More text of the draft. A client replaces the draft by the answer's text; no marker comes in two halves."""

    text: str
    abstention_probability: float | None = None  # that the draft would have begun as an abstention does, if known


@dataclass(frozen=True, slots=True, kw_only=True)
class Cited:
    """One citation of the answer."""

    citation: Citation


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """One judged sentence of the answer."""

    claim: Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The whole answer; once, last."""

    answer: Answer
    trace: Trace | None = None  # None where the decoder was not asked
    shown: Shown | None = None  # for the next question; None where nothing was retrieved, or evidence was given


AnswerEvent = Retrieved | Drafted | Cited | Verified | Answered


def search_query(question: str, history: Sequence[Message]) -> str:
    """What is searched for: the question, after the beginning of the last question before it if there is one.

    A follow-up ("And when did he die?") names its subject only in the question before it.
    """
    before = next((message.content for message in reversed(history) if message.role == "user"), "").strip()
    return f"{before[:_MAX_QUERY_HISTORY_CHARS]}\n{question}" if before else question
