import dataclasses
import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from llm.errors import CancelledError
from llm.scripted import ScriptedDecoder
from llm.types import Cancel, Capabilities, Generation, Message, Request, SamplingParams, Token
from rag.answer import answer_question, stream_answer
from rag.answer_types import (
    Answered,
    AnswerEvent,
    AskRequest,
    Cited,
    Drafted,
    Retrieved,
    prompt_budget,
    search_query,
)
from rag.citations import Place
from rag.errors import InvalidInputError
from rag.pipeline import Pipeline
from rag.prompt import NOT_IN_DOCUMENTS, NOT_KNOWN
from rag.prompt_passage import Evidence
from rag.types import Answer, Box, Hit, Passage, Scores, Span

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
TEXTS = (
    "The Eiffel Tower was finished in 1889. It is 330 metres tall.",
    "The Brooklyn Bridge was opened in 1883 [1]. John Roebling designed the bridge.",
)
QUESTION = "When was the Brooklyn Bridge opened?"


def hits_of(texts: Sequence[str]) -> tuple[Hit, ...]:
    made = []
    for rank, text in enumerate(texts, start=1):
        passage = Passage(
            passage_id=rank,
            document_id=f"d{rank}",
            document_name=f"d{rank}.md",
            collection="default",
            version=1,
            ordinal=0,
            text=text,
            start=10,
            end=10 + len(text),
            heading=None,
            table_header=None,
            first_page=4,
            last_page=5,
            n_tokens=10,
            continues=False,
        )
        made.append(Hit(rank=rank, passage=passage, score=1 / rank, scores=Scores()))
    return tuple(made)


class Shelf:
    """A retriever that finds the same passages for every query and remembers what it was asked."""

    def __init__(self, texts: Sequence[str] = TEXTS) -> None:
        self.hits = hits_of(texts)
        self.asked: list[tuple[str, int, str, Mapping[str, Any] | None]] = []

    def search(self, query: str, *, k: int, collection: str, metadata_filter: Mapping[str, Any] | None) -> Retrieved:
        self.asked.append((query, k, collection, metadata_filter))
        return Retrieved(hits=self.hits[:k], seconds=0.01)


def ask(reply: str | ScriptedDecoder, question: str = QUESTION, *, shelf: Shelf | None = None, **more: Any) -> Answer:
    events = events_of(reply, question, shelf=shelf, **more)
    assert isinstance(events[-1], Answered)
    return events[-1].answer


def events_of(
    reply: str | ScriptedDecoder, question: str = QUESTION, *, shelf: Shelf | None = None, **more: Any
) -> list[AnswerEvent]:
    passed = {
        name: more.pop(name) for name in ("settings", "neighbour", "locate", "judge", "confidence") if name in more
    }
    cancel = more.pop("cancel", None)
    decoder = ScriptedDecoder([reply]) if isinstance(reply, str) else reply
    pipeline = Pipeline(retriever=shelf or Shelf(), decoder=decoder, **passed)
    request = AskRequest(question=question, **more)
    return list(stream_answer(request, pipeline, answer_id="a1", now=NOW, cancel=cancel))


def refusing() -> ScriptedDecoder:
    def refuse(messages: Sequence[Message]) -> str:
        raise AssertionError("the decoder must not be asked")

    return ScriptedDecoder(refuse)


def test_an_answer_without_markers_is_cited_all_the_same() -> None:
    answer = ask("The Brooklyn Bridge was opened in 1883.")
    assert answer.text == "The Brooklyn Bridge was opened in 1883. [2]"
    (citation,) = answer.citations
    assert citation.quote == "The Brooklyn Bridge was opened in 1883 [1]."
    assert citation.char_range.cut(" " * 10 + TEXTS[1]) == citation.quote
    assert (citation.passage_id, citation.document_id, citation.first_page) == (2, "d2", 4)
    assert citation.answer_span.cut(answer.text) == "The Brooklyn Bridge was opened in 1883."
    assert not answer.abstained
    assert answer.answer_id == "a1" and answer.created_at == NOW and answer.model is not None
    assert answer.confidence is not None and 0 < answer.confidence < 1
    assert answer.faithfulness is None and answer.claims == ()
    assert answer.usage.prompt_tokens > 20 and answer.usage.completion_tokens == 7
    assert answer.timings.retrieve_seconds == 0.01 and answer.timings.total_seconds > 0


@pytest.mark.parametrize(
    ("reply", "text", "invalid"),
    [
        ("It was opened in 1883 [2].", "It was opened in 1883. [2]", ()),
        ("It was opened in 1883 [1].", "It was opened in 1883. [2]", ()),  # moved to the passage that says so
        ("It was opened in 1883 [9][0].", "It was opened in 1883. [2]", (9, 0)),
        ("Answer: 1883【2】", "1883 [2]", ()),
    ],
)
def test_markers_are_resolved_moved_or_listed_as_invalid(reply: str, text: str, invalid: tuple[int, ...]) -> None:
    answer = ask(reply)
    assert (answer.text, answer.invalid_markers) == (text, invalid)


@pytest.mark.parametrize(
    "reply",
    [
        NOT_IN_DOCUMENTS,
        "I don't know.",
        "The passages do not mention the bridge.",
        "",
        "   [1]",
        "It was opened in 1950 [2].",
        "Napoleon won the war.",
    ],
)
@pytest.mark.parametrize("policy", ["flag", "strict"])
def test_abstains_where_nothing_supports_an_answer(reply: str, policy: str) -> None:
    answer = ask(reply, policy=policy)
    assert answer.abstained and answer.text == NOT_IN_DOCUMENTS
    assert answer.citations == () and answer.claims == ()
    assert len(answer.retrieved) == 2


def test_without_hits_the_decoder_is_not_asked() -> None:
    answer = ask(refusing(), shelf=Shelf(()))
    assert answer.abstained and answer.text == NOT_IN_DOCUMENTS
    assert answer.model is None and answer.confidence is None and answer.timings.generate_seconds is None


def test_events_come_in_order_and_the_draft_is_what_was_written() -> None:
    events = events_of("It was opened in 1883 [2]. John Roebling designed it [2].")
    kinds = [type(event) for event in events]
    assert kinds[0] is Retrieved and kinds[-1] is Answered
    assert [kind for kind in dict.fromkeys(kinds)] == [Retrieved, Drafted, Cited, Answered]
    drafted = "".join(event.text for event in events if isinstance(event, Drafted))
    assert drafted == "It was opened in 1883 [2]. John Roebling designed it [2]."
    answer = events[-1].answer  # type: ignore[union-attr]
    assert [event.citation for event in events if isinstance(event, Cited)] == list(answer.citations)


class Letters:
    """A decoder that yields one character a token."""

    def __init__(self, reply: str) -> None:
        self._scripted, self._reply = ScriptedDecoder([reply]), reply
        self.n_made, self.closed = 0, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scripted, name)

    def stream(self, request: Request) -> Iterator[Token | Generation]:
        try:
            for letter in self._reply:
                self.n_made += 1
                yield Token(text=letter, token_id=ord(letter), probability=None)
            yield self._scripted.generate([request])[0]
        finally:
            self.closed = True


def test_a_marker_never_arrives_in_two_halves() -> None:
    letters = Letters("It was opened [in fact] in 1883 [2, 1] by them [2].")
    texts = [event.text for event in events_of(letters) if isinstance(event, Drafted)]  # type: ignore[arg-type]
    assert "".join(texts) == "It was opened [in fact] in 1883 [2, 1] by them [2]."
    assert [text for text in texts if "[2" in text] == ["[2, 1]", "[2]"]


def test_generation_is_stopped_where_nothing_more_would_be_kept() -> None:
    letters = Letters("It was opened in 1883. It was opened in 1883. It was opened in 1883. And so on.")
    answer = ask(letters)  # type: ignore[arg-type]
    assert answer.text == "It was opened in 1883. [2]"
    assert letters.closed and letters.n_made < 60
    assert answer.usage.completion_tokens == letters.n_made


def test_closing_the_answer_closes_the_decoder() -> None:
    letters = Letters("It was opened in 1883.")
    events = stream_answer(
        AskRequest(question=QUESTION),
        Pipeline(retriever=Shelf(), decoder=letters),  # type: ignore[arg-type]
        answer_id="a",
        now=NOW,
    )
    assert isinstance(next(events), Retrieved) and isinstance(next(events), Drafted)
    events.close()  # type: ignore[attr-defined]
    assert letters.closed and letters.n_made < 5


def test_cancelling_raises_and_asks_nothing_more() -> None:
    cancel = Cancel()
    cancel.set()
    with pytest.raises(CancelledError):
        ask(refusing(), cancel=cancel)


def test_cancelling_while_the_decoder_runs_raises() -> None:
    cancel = Cancel()
    events = stream_answer(
        AskRequest(question=QUESTION),
        Pipeline(retriever=Shelf(), decoder=ScriptedDecoder(["It was opened in 1883."])),
        answer_id="a",
        now=NOW,
        cancel=cancel,
    )
    next(events), next(events)
    cancel.set()
    with pytest.raises(CancelledError):
        list(events)


MIXED = "It was opened in 1883. Napoleon admired it greatly."


def test_flag_changes_no_word() -> None:
    answer = ask(MIXED)
    assert answer.text == "It was opened in 1883. [2] Napoleon admired it greatly."
    assert answer.removed == ()
    assert answer.confidence is not None and answer.confidence < 0.5


def test_strict_removes_what_nothing_supports_and_shows_no_draft_of_it() -> None:
    events = events_of(MIXED, policy="strict")
    answer = events[-1].answer  # type: ignore[union-attr]
    assert answer.text == "It was opened in 1883. [2]"
    (removed,) = answer.removed
    assert (removed.text, removed.verdict, removed.reason) == (
        "Napoleon admired it greatly.",
        "unsupported",
        "no supporting passage",
    )
    assert [event.text for event in events if isinstance(event, Drafted)] == ["It was opened in 1883. [2]"]
    assert all(citation.answer_span.end <= len(answer.text) for citation in answer.citations)


def test_abstains_below_a_confidence_that_is_still_told() -> None:
    sure = ask(MIXED, abstain_below=0.0)
    assert not sure.abstained and sure.confidence is not None and sure.confidence < 0.5
    unsure = ask(MIXED, abstain_below=0.5)
    assert unsure.abstained and unsure.text == NOT_IN_DOCUMENTS and unsure.citations == ()
    assert unsure.confidence == sure.confidence


def test_closed_book_shows_no_document_and_cites_nothing() -> None:
    shelf = Shelf()
    answer = ask("In 1883 [1].", mode="closed_book", shelf=shelf)
    assert (answer.text, answer.abstained, answer.citations) == ("In 1883.", False, ())
    assert answer.invalid_markers == (1,) and answer.confidence is None and answer.retrieved == ()
    assert shelf.asked == [] and answer.timings.retrieve_seconds is None
    assert ask("", mode="closed_book").text == NOT_KNOWN
    assert ask("I do not know.", mode="closed_book").abstained


def test_evidence_takes_the_place_of_retrieval() -> None:
    shelf = Shelf()
    answer = ask(
        "In 1883.", shelf=shelf, evidence=(Evidence(id="gold", text="Lo! The Brooklyn Bridge opened in 1883."),)
    )
    (citation,) = answer.citations
    assert (citation.passage_id, citation.document_id, citation.document_version) == (None, "gold", 1)
    assert citation.char_range == Span(start=4, end=39)
    assert shelf.asked == [] and answer.retrieved == ()
    with pytest.raises(InvalidInputError, match="closed_book"):
        AskRequest(question="?", mode="closed_book", evidence=())


def test_blank_evidence_supports_nothing() -> None:
    assert ask(refusing(), evidence=(Evidence(id="e", text="  "),)).abstained
    assert ask(refusing(), evidence=()).abstained


def test_a_follow_up_is_searched_with_the_question_before_it() -> None:
    history = (
        Message(role="user", content="Who designed the Brooklyn Bridge?"),
        Message(role="assistant", content="John Roebling [2]."),
    )
    shelf = Shelf()
    ask("In 1883.", "And when was the bridge opened?", shelf=shelf, history=history, k=1, metadata_filter={"a": 1})
    query, k, collection, metadata_filter = shelf.asked[0]
    assert query == "Who designed the Brooklyn Bridge?\nAnd when was the bridge opened?"
    assert (k, collection, metadata_filter) == (1, "default", {"a": 1})
    assert search_query("Who?", ()) == "Who?"


def test_history_and_sampling_reach_the_decoder() -> None:
    seen: list[Sequence[Message]] = []

    def reply(messages: Sequence[Message]) -> str:
        seen.append(messages)
        return "one two three four"

    history = (Message(role="user", content="Hello there"), Message(role="assistant", content="Hello [1]."))
    sampling = SamplingParams(max_new_tokens=2)
    answer = ask(ScriptedDecoder(reply), mode="closed_book", history=history, sampling=sampling)
    assert [message.content for message in seen[0]][1:3] == ["Hello there", "Hello."]
    assert answer.text == "one two"


class Ruled(ScriptedDecoder):
    """Says that it obeys the citation rule, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(["In 1883 [2]."])
        self.asked: list[Request] = []

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities()

    def stream(self, request: Request) -> Iterator[Token | Generation]:
        self.asked.append(request)
        return super().stream(request)


def test_only_markers_of_passages_can_be_written_where_the_engine_can_see_to_it() -> None:
    decoder = Ruled()
    assert ask(decoder).text == "In 1883. [2]"
    ask(decoder, k=1)
    ask(decoder, mode="closed_book")
    ask(decoder, sampling=SamplingParams(num_beams=2))  # beam search does not obey the rule
    assert [request.n_markers for request in decoder.asked] == [2, 1, None, None]


def test_dropped_hits_are_named() -> None:
    answer = ask("In 1883.", shelf=Shelf((TEXTS[1], TEXTS[1], "Other text. " * 2000)), k=3)
    assert [(row.passage_id, row.reason) for row in answer.dropped] == [(2, "duplicate"), (3, "budget")]
    assert len(answer.retrieved) == 3


def test_pages_and_boxes_come_from_the_locator() -> None:
    box = Box(page=5, x0=0.1, y0=0.1, x1=0.2, y1=0.2)
    answer = ask("In 1883.", locate=lambda *_: Place(first_page=5, last_page=5, boxes=(box,)))
    assert (answer.citations[0].first_page, answer.citations[0].boxes) == (5, (box,))


def test_a_question_beyond_the_budget_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="raise prompt_tokens"):
        ask(refusing(), "why " * 200, prompt_tokens=100)


def test_the_answer_is_the_same_drained_or_streamed() -> None:
    drained = answer_question(
        AskRequest(question=QUESTION, mode="closed_book"),
        Pipeline(retriever=Shelf(), decoder=ScriptedDecoder(["In 1883."])),
        answer_id="a1",
        now=NOW,
    )
    streamed = ask("In 1883.", mode="closed_book")
    assert dataclasses.replace(drained, timings=streamed.timings) == streamed


def test_what_documents_say_is_never_formatted_or_obeyed() -> None:
    text = "{0} %s {question} [2]. The Brooklyn Bridge was opened in 1883 [7]."
    answer = ask("It was opened in 1883.", shelf=Shelf((text,)))
    assert answer.citations[0].quote == "The Brooklyn Bridge was opened in 1883 [7]."
    assert answer.text == "It was opened in 1883. [1]"


def test_a_prompt_has_more_room_where_nothing_of_what_is_given_may_be_left_out() -> None:
    assert prompt_budget(500, "When?", evidence=False, history=False) == 500
    assert prompt_budget(500, "When?", evidence=True, history=False) == 1000
    assert prompt_budget(500, "When?", evidence=False, history=True) == 1000
    assert prompt_budget(500, "When? " * 100, evidence=False, history=False) == 1000
    assert prompt_budget(2000, "When?", evidence=True, history=False) == 2000
