"""A decoder that wavers and a reader with a view of its own, for tests of drafts that are looked at twice."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from llm.scripted import ScriptedDecoder
from llm.types import Cancel, Generation, Request, Token
from rag.answer import stream_answer
from rag.answer_types import Answered, AnswerEvent, AskRequest, Drafted
from rag.cross_encoder import TokenScores
from rag.pipeline import Pipeline
from rag.prompt_passage import Evidence
from rag.second_look import Choice, SecondLook
from rag.types import Answer
from rag.verify.found_answers import LookedUp
from rag.verify.overlap_judge import OverlapJudge
from rag.verify.windows import EvidenceSentences, WordCounts
from tests.rag.test_answer_verified import NOW, QUESTION, Shelf

LIKELIEST = {"1883": 9.0, "1889": 2.0}  # of places, by what stands there


class Listening(ScriptedDecoder):
    """Remembers what it was asked."""

    def __init__(self, replies: list[str]) -> None:
        super().__init__(replies)
        self.requests: list[Request] = []

    def stream(self, request: Request) -> Iterator[Token | Generation]:
        self.requests.append(request)
        return super().stream(request)


class Wavering(Listening):
    """Tells how probable it holds an abstention: one figure a request, in turn."""

    def __init__(self, replies: list[str], openings: list[float]) -> None:
        super().__init__(replies)
        self._openings = iter(openings)

    def stream(self, request: Request) -> Iterator[Token | Generation]:
        opening = next(self._openings)
        for number, event in enumerate(super().stream(request)):
            if isinstance(event, Generation):
                first = dataclasses.replace(event.tokens[0], opening_probability=opening)
                event = dataclasses.replace(event, tokens=(first, *event.tokens[1:]))
            elif number == 0:
                event = dataclasses.replace(event, opening_probability=opening)
            yield event


class Reader:
    """Looks up by what LIKELIEST says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def look_up(self, question: str, evidence: Sequence[str], *, cancel: Cancel | None = None) -> LookedUp:
        self.asked.append(question)
        stretches = EvidenceSentences(evidence, WordCounts()).best_stretches({})
        return LookedUp(question=question, stretches=stretches, scores=tuple(scored(one.text) for one in stretches))


def scored(text: str) -> TokenScores:
    spans, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word.rstrip("."))
        spans.append((start, at))
    values = np.full((len(spans), 2), -8.0, dtype=np.float32)
    for place, score in LIKELIEST.items():
        for index, (start, end) in enumerate(spans):
            if text[start:end] == place:
                values[index] = score / 2
    return TokenScores(values=values, spans=tuple(spans), nowhere=np.zeros(2, np.float32))


def choice(bias: float = 0.0, **weights: float) -> Choice:
    return Choice(fitted_on="a test", least_gap=1.0, bias=bias, weights=weights)


def events_of(*replies: str, taken: Choice | None = None, reader: Reader | None = None, **more: Any) -> tuple[
    list[AnswerEvent], Listening
]:  # fmt: skip
    decoder = Listening(list(replies))
    look = SecondLook(reader=reader or Reader(), choice=taken or choice(said_more=1.0))
    pipeline = Pipeline(retriever=Shelf(), decoder=decoder, judge=OverlapJudge(), second_look=look)
    request = AskRequest(**{"question": QUESTION, "k": 2, **more})
    return list(stream_answer(request, pipeline, answer_id="a1", now=NOW)), decoder


def wavering(
    *openings: float, replies: Sequence[str] = ("1883 [2]",), text: str | None = None, taken: Choice | None = None,
    **more: Any,
) -> tuple[list[AnswerEvent], Wavering]:  # fmt: skip
    decoder = Wavering(list(replies), list(openings))
    look = SecondLook(reader=Reader(), choice=taken or choice(said_more=1.0))
    pipeline = Pipeline(retriever=Shelf(), decoder=decoder, judge=OverlapJudge(), second_look=look)
    if text is not None:
        more["evidence"] = (Evidence(id="a", text=text),)
    request = AskRequest(**{"question": QUESTION, "k": 2, **more})
    return list(stream_answer(request, pipeline, answer_id="a1", now=NOW)), decoder


def answer_of(events: Sequence[AnswerEvent]) -> Answer:
    assert isinstance(events[-1], Answered)
    return events[-1].answer


def drafted(events: Sequence[AnswerEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Drafted))
