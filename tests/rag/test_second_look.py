"""The decoder asked twice: when, with what, and which draft stands."""

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import pytest

from llm.errors import CancelledError
from llm.types import Cancel, Generation, Message, Request, SamplingParams, Token
from rag.answer import stream_answer
from rag.answer_types import Answered, AnswerSettings, AskRequest, Drafted
from rag.pipeline import Pipeline
from rag.prompt import NOT_IN_DOCUMENTS
from rag.prompt_passage import Evidence
from rag.second_look import PARAMETERS, SecondLook, load_choice
from rag.verify.found_answers import LookedUp
from rag.verify.overlap_judge import OverlapJudge
from tests.rag.looked_twice import Listening, Reader, answer_of, choice, drafted, events_of, wavering
from tests.rag.test_answer_verified import NOW, QUESTION, Shelf


def test_another_likelier_place_is_shown_to_the_decoder_and_its_second_draft_stands() -> None:
    events, decoder = events_of("1889 [1]", "1883 [1]")
    answer = answer_of(events)
    assert answer.text == "1883 [2]"  # the marker is that of the passage in the whole prompt
    assert drafted(events).startswith("1883") and "1889" not in drafted(events)
    assert len(decoder.requests) == 2
    shown = decoder.requests[1].messages[-1].content
    assert "Brooklyn Bridge was opened in 1883" in shown and "Eiffel" not in shown
    assert answer.citations[0].quote.startswith("The Brooklyn Bridge")


def test_the_trace_is_that_of_the_draft_that_stands_and_both_are_paid_for() -> None:
    (*_, last), decoder = events_of("1889 [1]", "1883 [1]")
    assert isinstance(last, Answered) and last.trace is not None
    assert last.trace.messages == decoder.requests[1].messages
    one, _ = events_of("1883 [2]")
    assert last.answer.usage.prompt_tokens > answer_of(one).usage.prompt_tokens


def test_the_first_draft_stands_where_it_is_the_likelier_one() -> None:
    (*_, last), decoder = events_of("1889 [1]", "1883 [1]", taken=choice(bias=-100.0))
    assert len(decoder.requests) == 2
    assert isinstance(last, Answered) and last.trace is not None
    assert "Eiffel" in last.trace.messages[-1].content


@pytest.mark.parametrize(
    ("replies", "more"),
    [
        (["1883 [2]"], {}),  # nothing is likelier
        (["1889 [1]"], {"verify": False}),
        (["1889 [1]"], {"sampling": SamplingParams(temperature=0.7)}),
        ([NOT_IN_DOCUMENTS], {}),
        (["It was opened in 1889, " + "as everybody in the whole wide world has known for so many years. " * 3], {}),
        (["1889"], {"mode": "closed_book"}),
    ],
    ids=["found", "unverified", "sampled", "abstention", "long", "closed_book"],
)
def test_the_decoder_is_asked_once(replies: list[str], more: dict[str, Any]) -> None:
    _, decoder = events_of(*replies, **more)
    assert len(decoder.requests) == 1


def test_a_table_is_not_looked_at_twice() -> None:
    """What finds answers has read prose alone, and takes cells of other rows."""
    table = "Bridge | Opened\nBrooklyn Bridge | 1890\nTower Bridge | 1883"
    prose = "The Brooklyn Bridge was opened in 1890. The Tower Bridge was opened in 1883."
    for text, n_asked in ((table, 1), (prose, 2)):
        _, decoder = events_of("1890 [1]", "1883 [1]", evidence=(Evidence(id="a", text=text),))
        assert len(decoder.requests) == n_asked


def test_whether_there_is_an_answer_is_decided_by_both_looks() -> None:
    for openings, abstains in (((0.5, 0.5), False), ((0.3, 0.95), True), ((0.9, 0.9), True), ((0.8, 0.1), False)):
        events, decoder = wavering(*openings)
        assert answer_of(events).abstained == abstains, openings
        assert drafted(events) == ("" if abstains else "1883 [2]"), "what is withheld was not shown before"
        assert [one.sampling.max_new_tokens > 1 for one in decoder.requests] == [True, False], "its beginning tells"


def test_the_second_reading_is_of_the_sentence_of_the_answer_alone() -> None:
    text = "Ann drew it. Tom paid. It was opened in 1883. It was red. It burned."
    _, decoder = wavering(0.1, 0.1, text=text, replies=["1883 [1]"])
    shown = decoder.requests[1].messages[-1].content
    assert "It was opened in 1883." in shown
    assert not any(other in shown for other in ("Ann", "Tom", "red", "burned"))


def test_a_second_draft_that_stands_is_read_alone_where_it_stands() -> None:
    for alone, abstains in ((0.7, False), (0.999, True)):
        events, decoder = wavering(0.3, 0.1, alone, replies=["1889 [1]", "1883 [1]"])
        assert len(decoder.requests) == 3
        assert "1883" in decoder.requests[2].messages[-1].content
        assert answer_of(events).abstained == abstains


def test_the_first_look_abstains_by_itself_only_where_it_is_surest() -> None:
    _, decoder = wavering(0.1, 0.1)
    first, second = (one.reluctance for one in decoder.requests)
    assert first is not None and first.least_probability == AnswerSettings().surest_abstention
    assert second == first
    _, decoder = wavering(0.1, verify=False)
    (alone,) = (one.reluctance for one in decoder.requests)
    assert alone is not None and alone.least_probability == AnswerSettings().sure_abstention


def test_what_is_not_looked_at_twice_is_held_against_its_own_probability() -> None:
    table = "Bridge | Opened\nBrooklyn Bridge | 1883\nTower Bridge | 1894"
    long = (
        "The Brooklyn Bridge was opened in 1883. John Roebling designed the bridge. The bridge was opened in 1883. [1]"
    )
    for opening, abstains in ((0.5, False), (0.7, True)):
        events, decoder = wavering(opening, text=table, replies=["1883 [1]"])
        assert (answer_of(events).abstained, len(decoder.requests)) == (abstains, 1)
        events, decoder = wavering(opening, replies=[long])
        assert (answer_of(events).abstained, len(decoder.requests)) == (abstains, 1)
        assert bool(drafted(events)) != abstains, "what is withheld was not shown before"


def test_both_looks_are_paid_for_and_the_trace_is_that_of_the_answer() -> None:
    (*_, last), decoder = wavering(0.2, 0.2)
    assert isinstance(last, Answered) and last.trace is not None
    assert last.trace.messages == decoder.requests[0].messages
    (*_, once), _ = events_of("1883 [2]")
    assert isinstance(once, Answered)
    assert last.answer.usage.completion_tokens == once.answer.usage.completion_tokens + 1
    assert last.answer.usage.prompt_tokens > once.answer.usage.prompt_tokens


@pytest.mark.parametrize("second", [NOT_IN_DOCUMENTS, "1889 [1]", ""])
def test_a_second_draft_that_says_nothing_else_changes_nothing(second: str) -> None:
    events, decoder = events_of("1889 [1]", second, taken=choice(bias=100.0))
    assert len(decoder.requests) == 2
    assert isinstance(events[-1], Answered) and events[-1].trace is not None
    assert events[-1].trace.messages == decoder.requests[0].messages
    assert not drafted(events), "what nothing supports is not told"


def test_a_long_draft_is_shown_as_it_comes() -> None:
    long = "It was opened in 1889, " + "and this has been known to all of us for many years. " * 4
    events, _ = events_of(long)
    assert sum(isinstance(event, Drafted) for event in events) > 1


def test_under_strict_no_draft_is_shown_before_it_is_checked() -> None:
    events, _ = events_of("1889 [1]", "1883 [1]", policy="strict")
    assert drafted(events) == answer_of(events).text == "1883 [2]"


def test_a_follow_up_is_looked_up_with_the_question_before_it() -> None:
    reader = Reader()
    history = (Message(role="user", content="What is the Brooklyn Bridge?"), Message(role="assistant", content="A."))
    events_of("1889 [1]", "1883 [1]", reader=reader, question="When was it opened?", history=history)
    assert "Brooklyn" in reader.asked[0] and "When was it opened?" in reader.asked[0]


def test_a_request_that_is_cancelled_meanwhile_ends() -> None:
    cancel = Cancel()

    class Cancelling(Reader):
        def look_up(self, question: str, evidence: Sequence[str], *, cancel: Cancel | None = None) -> LookedUp:
            found = super().look_up(question, evidence)
            assert cancel is not None
            cancel.set()
            return found

    look = SecondLook(reader=Cancelling(), choice=choice(said_more=1.0))
    pipeline = Pipeline(retriever=Shelf(), decoder=Listening(["1889 [1]"]), judge=OverlapJudge(), second_look=look)
    with pytest.raises(CancelledError):
        list(stream_answer(AskRequest(question=QUESTION, k=2), pipeline, answer_id="a", now=NOW, cancel=cancel))


def test_a_reader_that_goes_away_frees_the_decoder() -> None:
    """Closing the events closes the draft that is being written."""
    closed: list[bool] = []

    class Watched(Listening):
        def stream(self, request: Request) -> Iterator[Token | Generation]:
            try:
                yield from super().stream(request)
            finally:
                closed.append(True)

    long = "It was opened in 1889, " + "and this has been known to all of us for many years " * 40
    look = SecondLook(reader=Reader(), choice=choice())
    pipeline = Pipeline(retriever=Shelf(), decoder=Watched([long]), judge=OverlapJudge(), second_look=look)
    events = stream_answer(AskRequest(question=QUESTION, k=2), pipeline, answer_id="a", now=NOW)
    assert isinstance(events, Generator)
    while not isinstance(next(events), Drafted):
        assert not closed
    events.close()
    assert closed == [True]


def test_the_shipped_figures_are_read() -> None:
    found = load_choice(PARAMETERS)
    assert found.least_gap > 0
    assert set(found.weights) == {
        "said_more", "gap", "found", "first_probability", "second_probability", "first_abstention",
        "second_abstention",
    }  # fmt: skip
