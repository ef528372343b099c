"""Questions whether something is so are answered with yes or no, where the verifier is sure of it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from llm.types import Cancel, Message
from rag.answer import stream_answer
from rag.answer_types import AskRequest, Verified
from rag.pipeline import Pipeline
from rag.prompt import NOT_IN_DOCUMENTS
from rag.second_look import SecondLook
from rag.types import Answer, Span
from rag.verify.overlap_judge import OverlapJudge
from rag.verify.types import Judgement, StatedClaim
from rag.yes_or_no import SURE
from tests.rag.looked_twice import Listening, Reader, answer_of, choice, drafted
from tests.rag.test_answer_verified import NOW, Shelf, hit

OPENED = "Was the Brooklyn Bridge opened in 1883?"
BRIDGE = "The Brooklyn Bridge was opened in 1883"
SHELF = Shelf(
    hit(1, "The Eiffel Tower was finished in 1889. It is 330 metres tall."),
    hit(2, f"Many were there. {BRIDGE}. John Roebling designed the bridge."),
    hit(3, "| name | opened |\n| --- | --- |\n| Brooklyn Bridge | 1883 |"),
)


class Sure(OverlapJudge):
    """Has read that what is asked is so, or is not, where 1883 is told; judges anything else by counting words."""

    def __init__(self, *, yes: float, no: float, passage: int | None = 1) -> None:
        super().__init__()
        self.scores = {"yes": yes, "no": no}
        self.passage = passage

    def judge(
        self, claims: Sequence[StatedClaim], evidence: Sequence[str], *, cancel: Cancel | None = None
    ) -> tuple[Judgement, ...]:
        found = super().judge(claims, evidence, cancel=cancel)
        return tuple(map(self._of, claims, found, [evidence] * len(claims)))

    def _of(self, claim: StatedClaim, other: Judgement, evidence: Sequence[str]) -> Judgement:
        score = self.scores.get(claim.text.casefold().strip(". "))
        if score is None or claim.question is None:
            return other
        if not any("1883" in text for text in evidence):
            score = 0.0
        at = None if self.passage is None else min(self.passage, len(evidence) - 1)
        span = None if at is None else Span(start=0, end=len(evidence[at]))
        label = "supported" if score >= self.info.threshold else "unsupported"
        return dataclasses.replace(other, label=label, score=score, evidence=at, span=span)


def ask(
    draft: str, judge: OverlapJudge, question: str = OPENED, *, looks: bool = True, **more: Any
) -> tuple[Answer, list[Any]]:
    pipeline = Pipeline(
        retriever=SHELF,
        decoder=Listening([draft] * 6),
        judge=judge,
        second_look=SecondLook(reader=Reader(), choice=choice()) if looks else None,
    )
    request = AskRequest(**{"question": question, "k": 3, **more})
    events = list(stream_answer(request, pipeline, answer_id="a1", now=NOW))
    return answer_of(events), events


@pytest.mark.parametrize(
    "draft",
    ["1883 [2]", "finished in 1889 [1]", "No towers were opened then [1]", "It opened in 1883 [2].", NOT_IN_DOCUMENTS],
)
@pytest.mark.parametrize("policy", ["flag", "strict"])
def test_yes_stands_with_the_sentence_that_says_so(draft: str, policy: str) -> None:
    answer, events = ask(draft, Sure(yes=0.97, no=0.01), policy=policy)
    assert answer.text == f"Yes. [2] {BRIDGE}. [2]"
    assert not answer.abstained
    assert drafted(events) == answer.text
    assert [claim.text.rstrip(".") for claim in answer.claims] == ["Yes", BRIDGE]
    assert [claim.verdict for claim in answer.claims] == ["supported", "supported"]
    assert all(citation.quote.startswith("The Brooklyn Bridge") for citation in answer.citations[1:])
    assert sum(isinstance(event, Verified) for event in events) == 2
    assert answer.confidence == min(claim.score for claim in answer.claims) <= 0.97, "that of the verifier"
    refused, _ = ask(draft, Sure(yes=0.97, no=0.01), policy=policy, abstain_below=0.99)
    assert refused.abstained


def test_no_stands_with_the_sentence_that_says_otherwise() -> None:
    answer, _ = ask("1883 [2]", Sure(yes=0.02, no=0.9), "Was the Brooklyn Bridge opened in 1890?")
    assert answer.text == f"No. [2] {BRIDGE}. [2]"


@pytest.mark.parametrize(("yes", "no"), [(SURE - 0.01, 0.1), (0.1, SURE - 0.01), (0.3, 0.3)])
def test_what_is_not_sure_is_left_to_the_decoder(yes: float, no: float) -> None:
    answer, _ = ask("John Roebling designed it [2]", Sure(yes=yes, no=no))
    assert answer.text.startswith("John Roebling")
    answer, _ = ask(NOT_IN_DOCUMENTS, Sure(yes=yes, no=no))
    assert answer.abstained


@pytest.mark.parametrize("draft", ["Yes [2]", "No [2]", "Yes, it was opened in 1883 [2]"])
def test_a_draft_that_replies_is_left_as_the_decoder_wrote_it(draft: str) -> None:
    answer, _ = ask(draft, Sure(yes=0.97, no=0.97))
    assert answer.text == draft


@pytest.mark.parametrize(
    "question",
    ["When was the Brooklyn Bridge opened?", "Was it the Brooklyn Bridge or the Eiffel Tower?", "Brooklyn Bridge"],
)
def test_other_questions_are_left_to_the_decoder(question: str) -> None:
    answer, _ = ask("1883 [2]", Sure(yes=0.97, no=0.01), question)
    assert answer.text == "1883 [2]"


def test_a_table_is_cited_and_not_read_out() -> None:
    answer, _ = ask("1883 [3]", Sure(yes=0.97, no=0.01, passage=2))
    assert answer.text == "Yes. [3]"
    assert "1883" in answer.citations[0].quote


def test_a_reply_that_was_read_in_no_single_place_is_not_given() -> None:
    answer, _ = ask("1883 [2]", Sure(yes=0.97, no=0.01, passage=None))
    assert answer.text == "1883 [2]"


def test_nothing_replies_where_the_draft_was_told_as_it_was_written() -> None:
    answer, _ = ask("1883 [2]", Sure(yes=0.97, no=0.01), looks=False)
    assert answer.text == "1883 [2]"


def test_a_follow_up_is_read_with_the_question_before_it() -> None:
    history = (
        Message(role="user", content="When was the Brooklyn Bridge opened?"),
        Message(role="assistant", content="1883 [1]"),
    )
    answer, _ = ask("1883 [2]", Sure(yes=0.97, no=0.01), "Was it opened in 1883?", history=history)
    assert answer.text.startswith("Yes. [2]")
