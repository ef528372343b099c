"""Where evidence answers a question, and how what was said compares with it."""

import numpy as np
import pytest

from rag.cross_encoder import TokenScores
from rag.types import Span
from rag.verify.found_answers import ANSWER_FEATURES, AnswerPlace, FoundAnswer, LookedUp, likely_places
from rag.verify.windows import Stretch

ASKED = "When was the bridge opened?"


def scored(text: str, places: dict[str, float], nowhere: float = 0.0) -> TokenScores:
    """Scores of the words of `text`: those of a place are shared by the tokens where it begins and ends."""
    spans, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        spans.append((start, at))
    values = np.full((len(spans), 2), -15.0, dtype=np.float32)
    for place, score in places.items():
        start = text.index(place)
        first = next(index for index, span in enumerate(spans) if span[0] == start)
        last = next(index for index, span in enumerate(spans) if span[1] == start + len(place))
        values[first, 0] = values[last, 1] = score / 2
    return TokenScores(values=values, spans=tuple(spans), nowhere=np.array([nowhere / 2, nowhere / 2], np.float32))


TEXT = "The bridge was opened in May 1883 and painted in 1890 by Otto Hall"


def found_in(said: str, *read: TokenScores, texts: tuple[str, ...] = (TEXT,)) -> FoundAnswer:
    stretches = tuple(Stretch(evidence=number, text=text) for number, text in enumerate(texts))
    return LookedUp(question=ASKED, stretches=stretches, scores=read).compare(said)


def signals(said: str, *read: TokenScores, texts: tuple[str, ...] = (TEXT,)) -> dict[str, float]:
    found = found_in(said, *read, texts=texts)
    return dict(zip(ANSWER_FEATURES, found.values.tolist(), strict=True))


def test_what_was_said_is_what_was_found() -> None:
    read = scored(TEXT, {"May 1883": 8.0, "1890": 2.0}, nowhere=1.0)
    assert signals("May 1883.", read) == pytest.approx({"found_said": 7.0, "found_gap": 0.0, "found_other": 0.0})
    other = found_in("1890", read)
    assert (other.text, other.best) == ("May 1883", pytest.approx(7.0))
    assert other.place is not None and other.place.stretch == Stretch(evidence=0, text=TEXT)


@pytest.mark.parametrize(("told", "said"), [("16", "sixteen"), ("sixteen", "16"), ("four", "4"), ("twenty", "20")])
def test_a_small_number_is_the_same_in_words_and_in_digits(told: str, said: str) -> None:
    text = f"There are {told} weeks of leave, and three of notice"
    read = scored(text, {told: 8.0, "three": 2.0})
    stretches = (Stretch(evidence=0, text=text),)
    looked = LookedUp(question="How many weeks of leave?", stretches=stretches, scores=(read,))
    assert looked.compare(said).gap == 0.0
    assert looked.compare("five").gap < -10.0


def test_another_place_lies_below_the_best_one() -> None:
    read = scored(TEXT, {"May 1883": 8.0, "1890": 2.0}, nowhere=1.0)
    other = np.log(1 + np.exp(1.0)) - np.log(1 + np.exp(7.0))
    assert signals("It was in 1890", read) == pytest.approx(
        {"found_said": 1.0, "found_gap": -6.0, "found_other": other}
    )


def test_what_is_no_likelier_than_no_answer_is_no_rival() -> None:
    read = scored(TEXT, {"May 1883": -4.0, "1890": -9.0})
    found = signals("It was in 1890", read)
    assert found["found_gap"] == pytest.approx(-5.0)
    assert -0.02 < found["found_other"] < 0


def test_a_whole_sentence_is_met_by_the_place_that_it_holds() -> None:
    read = scored(TEXT, {"May 1883": 8.0, "1890": 2.0})
    assert signals("The bridge was opened in May 1883.", read)["found_gap"] == 0.0


def test_the_words_of_the_question_are_no_answer() -> None:
    read = scored(TEXT, {"The bridge": 8.0, "1890": 2.0})
    assert signals("The bridge in 1890", read)["found_said"] == pytest.approx(2.0)


def test_something_that_stands_nowhere_is_as_unlikely_as_can_be() -> None:
    found = signals("In 1999", scored(TEXT, {"May 1883": 8.0}))
    assert (found["found_said"], found["found_gap"]) == pytest.approx((-20, -28))


def test_the_best_stretch_decides_each_against_its_own_nowhere() -> None:
    other = "Roads were closed in 1883 for long"
    reads = scored(TEXT, {"May 1883": 6.0}, nowhere=5.0), scored(other, {"1883": 4.0}, nowhere=-4.0)
    found = signals("1883", *reads, texts=(TEXT, other))
    assert (found["found_said"], found["found_gap"]) == pytest.approx((8.0, 0.0))


def test_an_answer_ends_where_it_begins_or_later() -> None:
    read = scored(TEXT, {"May 1883": 8.0})
    places = list(likely_places(read))
    assert all(start < end for _, start, end in places)
    assert places[0][0] == pytest.approx(8.0)
    assert [log_odds for log_odds, *_ in places] == sorted((log_odds for log_odds, *_ in places), reverse=True)


def test_nothing_to_read_is_no_answer() -> None:
    empty = TokenScores(values=np.zeros((0, 2), np.float32), spans=(), nowhere=np.zeros(2, np.float32))
    found = found_in("1883", empty, texts=("",))
    assert (found.text, found.best, found.place, found.said_place) == ("", -20.0, None, None)
    assert np.isfinite(found.values).all()


def test_what_was_said_and_what_was_found_have_their_places() -> None:
    found = found_in("It was in 1890", scored(TEXT, {"May 1883": 8.0, "1890": 2.0}))
    assert found.place is not None and found.said_place is not None
    assert (found.place.text, found.said_place.text) == ("May 1883", "1890")
    assert found_in("In 1999", scored(TEXT, {"May 1883": 8.0})).said_place is None


def test_the_sentences_around_a_place() -> None:
    text = "One came first. Two came next. Three was third. Four was last."
    at = text.index("Three")
    place = AnswerPlace(stretch=Stretch(evidence=0, text=text), span=Span(start=at, end=at + len("Three")))
    assert place.around(0) == "Three was third."
    assert place.around(1) == "Two came next. Three was third. Four was last."
    assert place.around(9) == text
    first = AnswerPlace(stretch=Stretch(evidence=0, text=text), span=Span(start=0, end=3))
    assert first.around(1) == "One came first. Two came next."


def test_the_likeliest_places_are_of_different_sentences() -> None:
    first, second = "It opened in 1883 or in 1884 . Hall painted it in 1890 .", "It burned in 1901 ."
    stretches = (Stretch(evidence=0, text=first), Stretch(evidence=1, text=second))
    read = (scored(first, {"1883": 9.0, "1884": 8.0, "1890": 2.0}), scored(second, {"1901": 5.0}))
    looked = LookedUp(question=ASKED, stretches=stretches, scores=read)
    assert [(place.text, place.stretch.evidence) for place in looked.places(2)] == [("1883", 0), ("1901", 1)]
    assert [place.text for place in looked.places(3)] == ["1883", "1901", "1890"]
    assert looked.places(0) == ()
    assert LookedUp(question=ASKED, stretches=(), scores=()).places(2) == ()
