import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.attribution import DEFAULT_THRESHOLD, Attributed, Attributor
from rag.prompt_passage import Evidence, PromptPassage, from_evidence
from rag.quotes import MAX_QUOTE_WORDS, narrow
from rag.text import split_sentences, words
from rag.types import Span

TESLA = (
    "Nikola Tesla was an inventor. He was born in Smiljan in 1856. He moved to New York in 1884, where he worked for "
    "Thomas Edison. His death came in New York in 1943."
)
EDISON = "Thomas Edison was born in Milan, Ohio. His death came in West Orange in 1931. Edison held 1,093 patents."


def passages(*texts: str) -> tuple[PromptPassage, ...]:
    return tuple(from_evidence(Evidence(id=f"e{n}", text=text)) for n, text in enumerate(texts, start=1))


def attribute(question: str, sentence: str, *texts: str, written: tuple[int, ...] = ()) -> Attributed:
    return Attributor(question, passages(*(texts or (TESLA, EDISON)))).attribute(sentence, written)


@pytest.mark.parametrize(
    ("question", "sentence", "marker", "quote"),
    [
        ("What was the year of the death of Tesla?", "1943.", 1, "His death came in New York in 1943."),
        (
            "When was the death of Edison?",
            "The death of Edison was in 1931.",
            2,
            "His death came in West Orange in 1931.",
        ),
        ("How many patents did Edison hold?", "1093", 2, "Edison held 1,093 patents."),
        ("Where was Edison born?", "Edison was born in Milan.", 2, "Thomas Edison was born in Milan, Ohio."),
    ],
)
def test_quotes_the_sentence_that_supports(question: str, sentence: str, marker: int, quote: str) -> None:
    found = attribute(question, sentence)
    assert [(one.marker, one.quote) for one in found.quotes] == [(marker, quote)]
    assert DEFAULT_THRESHOLD <= found.score <= 1


def test_the_questions_words_choose_between_places_that_hold_a_short_answer() -> None:
    text = "The bridge was opened in 1889. The tower was finished in 1889."
    assert attribute("When was the tower finished?", "1889", text).quotes[0].quote == "The tower was finished in 1889."
    assert attribute("When was the bridge opened?", "1889", text).quotes[0].quote == "The bridge was opened in 1889."


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("When did Tesla die?", "Tesla died in 1944."),  # the number is nowhere
        ("When did Tesla die?", "Tesla died in New York in 1931."),  # in another sentence
        ("Where was Tesla born?", "Tesla was born in Vienna."),
        ("Was Tesla an inventor?", "Yes."),  # says nothing by itself
        ("What is the capital of Peru?", "Lima."),
        ("Where was Tesla born?", ""),
        ("Where was Tesla born?", "..."),
    ],
)
def test_what_the_evidence_does_not_hold_is_not_cited(question: str, sentence: str) -> None:
    found = attribute(question, sentence)
    assert found.quotes == ()
    assert 0 <= found.score < DEFAULT_THRESHOLD


def test_a_bare_no_is_not_cited_from_a_sentence_that_has_a_no_in_it() -> None:
    text = "There is no core time on Fridays. The regular working week has 37.5 hours."
    assert attribute("Does the regular working week have 40 hours?", "No.", text).quotes == ()
    assert attribute("Is there core time on Fridays?", "There is no core time.", text).quotes


def test_nothing_is_cited_without_evidence() -> None:
    assert Attributor("Who?", ()).attribute("Tesla.") == Attributed(quotes=(), score=0.0)


def test_number_words_and_digits_are_the_same() -> None:
    assert attribute("How many moons has Mars?", "2", "Mars has two moons. Earth has one moon.").quotes


def test_a_written_marker_stands_where_its_passage_supports() -> None:
    copy = "Reports agree: Tesla moved to New York in 1884."
    assert attribute("When did Tesla move?", "In 1884.", TESLA, copy).quotes[0].marker == 2
    assert attribute("When did Tesla move?", "In 1884.", TESLA, copy, written=(1,)).quotes[0].marker == 1


def test_a_written_marker_is_moved_to_the_passage_that_supports() -> None:
    assert attribute("When was the death of Edison?", "In 1931.", written=(1,)).quotes[0].marker == 2


def test_a_written_marker_alone_supports_nothing() -> None:
    assert attribute("Where was Tesla born?", "In Vienna.", written=(1,)).quotes == ()


def test_a_second_quote_only_for_what_the_first_does_not_hold() -> None:
    found = attribute("Tell me about Edison.", "He was born in Milan, Ohio and held 1093 patents.")
    assert {one.quote for one in found.quotes} == {
        "Thomas Edison was born in Milan, Ohio.",
        "Edison held 1,093 patents.",
    }
    assert len(attribute("When was the death of Tesla?", "In New York in 1943.").quotes) == 1


def test_two_sentences_in_a_row_are_quoted_together_where_the_name_stands_in_the_first() -> None:
    text = "Ada Lovelace was a mathematician. She wrote the first program."
    (quote,) = attribute("Who wrote the first program?", "The mathematician Ada Lovelace.", text).quotes
    assert quote.quote == text


def test_a_table_row_is_quoted_as_a_row() -> None:
    table = "Name | Days\nAnna Smith | 30\nBob Jones | 25"
    assert attribute("How many days has Bob Jones?", "25", table).quotes[0].quote == "Bob Jones | 25"


def test_a_marker_in_the_evidence_stays_in_the_quote() -> None:
    text = "The tower is 330 m tall [2]. It is made of iron."
    assert attribute("How tall is the tower?", "330 m", text).quotes[0].quote == "The tower is 330 m tall [2]."


def test_a_long_sentence_is_cut_to_the_clauses_around_the_words() -> None:
    filler = ", ".join(
        f"the {name} went on to other things" for name in ("first", "second", "third", "fourth", "fifth")
    )
    text = f"In a long year of many events, {filler}, the bridge collapsed at dawn, {filler}."
    (quote,) = attribute("When did the bridge collapse?", "The bridge collapsed at dawn.", text).quotes
    assert "the bridge collapsed at dawn" in quote.quote
    assert len(words(quote.quote)) <= MAX_QUOTE_WORDS
    assert quote.span.cut(text) == quote.quote


def test_offsets_are_those_of_the_document() -> None:
    passage = from_evidence(Evidence(id="e", text=TESLA))
    moved = passage.pieces[0]
    moved = dataclasses.replace(moved, span=Span(start=500, end=500 + len(TESLA)), passage_id=7)
    (quote,) = Attributor("When?", (dataclasses.replace(passage, pieces=(moved,)),)).attribute("In 1856.").quotes
    assert quote.span == Span(start=500 + TESLA.index("He was born"), end=500 + TESLA.index(" He moved"))


TEXT = st.text(alphabet="abc ABC.,;:|1\n(“”)", max_size=300)


@settings(max_examples=80)
@given(st.lists(TEXT, min_size=1, max_size=3), TEXT, TEXT)
def test_quotes_are_literal_and_scores_in_range(texts: list[str], question: str, sentence: str) -> None:
    shown = passages(*texts)
    shown = tuple(passage for passage in shown if passage.pieces[0].text)
    found = Attributor(question, shown).attribute(sentence)
    assert 0 <= found.score <= 1
    assert len(found.quotes) <= 2
    for quote in found.quotes:
        assert quote.span.cut(shown[quote.marker - 1].pieces[0].text) == quote.quote != ""


@settings(max_examples=80)
@given(st.lists(st.sampled_from(["alpha", "beta", "gamma,", "(delta)", "so;", "—", "x |"]), min_size=1, max_size=120))
def test_a_narrowed_quote_is_short_and_inside(parts: list[str]) -> None:
    text = "Before. " + " ".join(parts)
    span = Span(start=8, end=len(text))
    found = narrow(text, span, {"alpha": 2.0, "delta": 1.0}, max_words=10)
    assert span.start <= found.start <= found.end <= span.end
    assert len(words(found.cut(text))) <= (20 if " | " in text else 10)


def test_sentences_of_the_examples_are_cut_as_meant() -> None:
    assert len(split_sentences(TESLA)) == 4
