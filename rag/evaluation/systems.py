"""Systems as people name them, and what it takes to answer one case under each.

On the command line a system is `NAME[:key=value,…]`, or `NAME=FILE` for answers made elsewhere. A name that is a mode
("closed_book", "oracle") is of that mode unless it says otherwise; any other name is grounded.
"""

import dataclasses
import datetime
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from llm.types import Cancel, Decoder, SamplingParams
from rag.answer import answer_question
from rag.answer_types import AnswerSettings, AskRequest, Search, prompt_budget
from rag.citations import Locate
from rag.confidence import ConfidenceModel
from rag.errors import InvalidInputError
from rag.evaluation.types import Case, RetrieverName, System, SystemMode
from rag.pipeline import Pipeline
from rag.prompt_passage import Evidence, Neighbour
from rag.rerank.reorder import Reranker
from rag.second_look import SecondLook
from rag.types import Answer
from rag.verify.types import Judge

MODES: tuple[str, ...] = get_args(SystemMode)
_WHOLE = {"k", "prompt_tokens", "max_new_tokens", "top_k", "num_beams", "seed"}
_REAL = {"temperature", "top_p", "min_p", "repetition_penalty"}
_WORDS = {"mode", "model", "retriever", "rerank", "policy"}
_SAMPLING = {field.name for field in dataclasses.fields(SamplingParams)}
_KEYS = (*sorted(_WORDS), *sorted(_WHOLE), *sorted(_REAL))


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSystem:
    """A system as it was named: settings for the service, or the file that holds its answers."""

    name: str
    settings: Mapping[str, Any]  # the contract's fields; `sampling` is an object
    answers_path: Path | None = None


def read_system(text: str) -> NamedSystem:
    """What `--system TEXT` names.

    Raises:
        InvalidInputError: it has no name, an unknown key, or a value of the wrong kind; says which are known.
    """
    name, mark = text, ""
    cuts = [(text.index(sign), sign) for sign in ":=" if sign in text]
    if cuts:
        place, mark = min(cuts)
        name, rest = text[:place].strip(), text[place + 1 :].strip()
    name = name.strip()
    if not name:
        raise InvalidInputError(f"--system {text!r} has no name; write NAME:key=value,… or NAME=answers.jsonl")
    if mark == "=":
        if not rest:
            raise InvalidInputError(f"--system {text!r} names no file; write {name}=answers.jsonl")
        return NamedSystem(name=name, settings={}, answers_path=Path(rest).expanduser())
    settings: dict[str, Any] = {"mode": name if name in MODES else "grounded"}
    sampling: dict[str, Any] = {}
    for part in (part.strip() for part in rest.split(",")) if mark else ():
        key, equals, value = (side.strip() for side in part.partition("="))
        if not equals or not value or key not in _KEYS:
            raise InvalidInputError(f"--system {name}: {part!r} is not known; write key=value with {', '.join(_KEYS)}")
        (sampling if key in _SAMPLING else settings)[key] = _value(name, key, value)
    if settings["mode"] not in MODES:
        raise InvalidInputError(f"--system {name}: mode must be {', '.join(MODES)}")
    if sampling:
        settings["sampling"] = sampling
    return NamedSystem(name=name, settings=settings)


def _value(name: str, key: str, value: str) -> Any:
    try:
        if key in _WHOLE:
            return int(value)
        if key in _REAL:
            return float(value)
    except ValueError:
        kind = "a whole number" if key in _WHOLE else "a number"
        raise InvalidInputError(f"--system {name}: {key} must be {kind}, not {value!r}") from None
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What every system of a run is answered with; chosen once, by the caller."""

    retriever: Callable[[RetrieverName], Search]
    decoder: Callable[[str | None], Decoder]  # by model name; None is the service's own
    now: Callable[[], datetime.datetime]
    judge: Judge | None = None
    second_look: SecondLook | None = None
    reranker: Callable[[str | None], Reranker | None] = lambda name: None  # by name; None is the service's own
    settings: AnswerSettings = field(default_factory=AnswerSettings)
    neighbour: Neighbour | None = None
    locate: Locate | None = None
    confidence: ConfidenceModel | None = None
    document_text: Callable[[str, int], str] | None = None  # document id, version → its text

    def pipeline(self, system: System) -> Pipeline:
        """The parts that answer under `system`."""
        pipeline = Pipeline(
            retriever=self.retriever(system.retriever),
            decoder=self.decoder(system.model),
            judge=self.judge,
            second_look=self.second_look,
            reranker=self._reranker(system),
            settings=self.settings,
            neighbour=self.neighbour,
            locate=self.locate,
        )
        return pipeline if self.confidence is None else dataclasses.replace(pipeline, confidence=self.confidence)

    def _reranker(self, system: System) -> Reranker | None:
        """What reorders the hits of `system`: where it names none and one source alone is searched, nothing does."""
        if system.rerank is None and system.retriever != "hybrid":
            return None
        return self.reranker(system.rerank)


def answer_case(
    case: Case, system: System, bench: Bench, *, collection: str, seed: int, cancel: Cancel | None = None
) -> Answer:
    """`case` answered under `system` as the service answers; an oracle is given the gold passages as evidence.

    Closed book nothing is verified here: what the judge thinks of it is asked once, beside all other systems.

    Raises:
        InvalidInputError: an oracle case has no gold passage, or it exceeds the budget.
        CancelledError: `cancel` was set.
    """
    closed = system.mode == "closed_book"
    request = AskRequest(
        question=case.question,
        collection=collection,
        k=system.k,
        mode="closed_book" if closed else "grounded",
        evidence=gold_evidence(case) if system.mode == "oracle" else None,
        sampling=seeded(system.sampling, seed, case.case_id),
        prompt_tokens=prompt_budget(
            system.prompt_tokens, case.question, evidence=system.mode == "oracle", history=False
        ),
        policy=system.policy,
        verify=not closed,
    )
    name = hashlib.sha256(f"{system.name}\0{case.case_id}".encode()).hexdigest()[:32]
    return answer_question(request, bench.pipeline(system), answer_id=f"cmp_{name}", now=bench.now(), cancel=cancel)


def gold_evidence(case: Case) -> tuple[Evidence, ...]:
    """The gold passages as evidence, "gold 1" first.

    Raises:
        InvalidInputError: there are none.
    """
    if not case.gold_passages:
        raise InvalidInputError(
            "the case has no gold_passages, which an oracle reads; add them or leave the oracle out"
        )
    return tuple(Evidence(id=f"gold {number}", text=text) for number, text in enumerate(case.gold_passages, start=1))


def seeded(sampling: SamplingParams, seed: int, case_id: str) -> SamplingParams:
    """`sampling` with a seed of its own for each case, where it draws at random and names none."""
    if sampling.temperature == 0 or sampling.seed is not None:
        return sampling
    digest = hashlib.sha256(f"{seed}\0{case_id}".encode()).digest()
    return dataclasses.replace(sampling, seed=int.from_bytes(digest[:7], "big"))
