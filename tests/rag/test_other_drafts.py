"""Where nothing supports a draft, others are tried."""

import pytest

from rag.answer_types import Answered
from rag.prompt import NOT_IN_DOCUMENTS
from tests.rag.looked_twice import LIKELIEST, answer_of, choice, drafted, events_of, wavering

FIRST, SECOND, ALONE = 0.1, 0.1, 0.1  # how probable an abstention is: before passages, a stretch, the sentence
WRONG = ("1889 [1]", "1889 [1]", "1889 [1]")  # what the decoder says to these


def test_what_the_sentences_around_the_likeliest_place_make_it_write_stands_where_it_is_supported() -> None:
    events, decoder = wavering(FIRST, SECOND, ALONE, 0.1, replies=[*WRONG, "1883 [1]"])
    answer = answer_of(events)
    assert (answer.text, answer.abstained) == ("1883 [2]", False), "the marker is that of the whole prompt"
    assert answer.citations[0].quote.startswith("The Brooklyn Bridge")
    shown = decoder.requests[3].messages[-1].content
    assert "Brooklyn Bridge was opened in 1883. John Roebling" in shown and "Eiffel" not in shown
    assert isinstance(events[-1], Answered) and events[-1].trace is not None
    assert events[-1].trace.messages == decoder.requests[3].messages


def test_the_draft_that_was_passed_over_is_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for place, log_odds in (("1883", 2.0), ("1889", 9.0)):
        monkeypatch.setitem(LIKELIEST, place, log_odds)
    replies = ["1883 [2]", "1889 [1]", "1889 [1]"]
    events, decoder = wavering(FIRST, SECOND, ALONE, replies=replies, taken=choice(bias=100.0))
    assert answer_of(events).text == "1883 [2]"
    assert len(decoder.requests) == 3, "it is there already"


@pytest.mark.parametrize(
    ("reply", "opening"), [("1883 [1]", 0.5), ("1883 [1]", 0.9), (NOT_IN_DOCUMENTS, 0.1), ("1889 [1]", 0.1)]
)
def test_what_is_unlikely_no_answer_or_tried_already_changes_nothing(reply: str, opening: float) -> None:
    events, decoder = wavering(FIRST, SECOND, ALONE, opening, opening, replies=[*WRONG, reply, reply])
    assert answer_of(events).abstained
    assert len(decoder.requests) == 5, "the sentences around the likeliest place, the stretch around the next"


def test_what_nothing_supports_is_refused_and_everything_is_paid_for() -> None:
    events, decoder = wavering(FIRST, SECOND, ALONE, 0.1, 0.1, replies=[*WRONG, "1894 [1]", "1895 [1]"])
    answer = answer_of(events)
    assert answer.abstained and answer.text == NOT_IN_DOCUMENTS
    once = answer_of(wavering(0.1, 0.1)[0])
    assert answer.usage.prompt_tokens > 2 * once.usage.prompt_tokens
    assert answer.usage.completion_tokens > once.usage.completion_tokens
    assert isinstance(events[-1], Answered) and events[-1].trace is not None
    assert events[-1].trace.messages == decoder.requests[0].messages


def test_others_are_tried_too_where_an_unsupported_draft_would_be_withheld_anyway() -> None:
    events, _ = wavering(0.3, SECOND, 0.99, 0.1, replies=[*WRONG, "1883 [1]"])
    assert answer_of(events).text == drafted(events) == "1883 [2]"


def test_an_answer_that_is_withheld_for_other_reasons_is_not_asked_for_again() -> None:
    for openings, more in (((0.1, 0.1), {"abstain_below": 0.9999}), ((0.9, 0.9), {})):
        events, decoder = wavering(*openings, **more)
        assert answer_of(events).abstained
        assert len(decoder.requests) == 2


def test_an_engine_that_tells_no_probabilities_is_not_asked_again() -> None:
    events, decoder = events_of("1889 [1]", "1889 [1]")
    assert answer_of(events).abstained
    assert len(decoder.requests) == 2


@pytest.mark.parametrize("policy", ["flag", "strict"])
def test_no_refused_draft_is_told(policy: str) -> None:
    events, _ = wavering(FIRST, SECOND, ALONE, 0.1, replies=[*WRONG, "1883 [1]"], policy=policy)
    assert drafted(events) == answer_of(events).text == "1883 [2]"
