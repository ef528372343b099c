"""What questions are answered with."""

from dataclasses import dataclass, field

from llm.types import Decoder
from rag.answer_types import AnswerSettings, Search
from rag.citations import Locate
from rag.confidence import ConfidenceModel, load_confidence
from rag.prompt_passage import Neighbour
from rag.rerank.reorder import Reranker
from rag.second_look import SecondLook
from rag.verify.types import Judge


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What questions are answered with, the same for every question."""

    retriever: Search
    decoder: Decoder
    judge: Judge | None = None  # None: nothing is verified
    second_look: SecondLook | None = None  # None: the first draft stands
    reranker: Reranker | None = None  # of the hits for the question; None: they stay as the retriever has them
    settings: AnswerSettings = field(default_factory=AnswerSettings)
    neighbour: Neighbour | None = None  # gives cut-off passages their context (see `build_prompt`)
    locate: Locate | None = None  # gives citations pages and boxes; without it they have the pages of the passage
    confidence: ConfidenceModel = field(default_factory=load_confidence)
