"""What words alone say of a claim, in figures worked out by hand."""

import pytest

from rag.verify.signals import LEXICAL_FEATURES, Wording, lexical_signals
from rag.verify.windows import EvidenceSentences, WordCounts

HANDBOOK = "Parental leave lasts 16 weeks. Sick leave is paid. A certificate follows after four weeks."


def figures(said: str, asked: str = "", evidence: str = HANDBOOK) -> dict[str, float]:
    sentences = EvidenceSentences([evidence], WordCounts())
    wording = Wording(text=f"{asked} {said}".strip(), own=said, asked=asked)
    windows = sentences.best_windows(sentences.weights_of(wording.text))
    values = lexical_signals(wording, sentences, windows).values
    return dict(zip(LEXICAL_FEATURES, map(float, values), strict=True))


def test_an_answer_stands_beside_what_was_asked_in_one_sentence() -> None:
    """Of "many", "weeks", "parental" and "leave" one stands with "four", and three with 16."""
    asked = "How many weeks of parental leave?"
    assert figures("16", asked)["answered_at_once"] == pytest.approx(3 / 4)
    assert figures("four", asked)["answered_at_once"] == pytest.approx(1 / 4)


def test_what_is_missing_of_the_answer_itself() -> None:
    found = figures("sixteen days", "How long is parental leave?")
    assert found["asked_missing"] == pytest.approx(1.0)
    assert found["said_missing"] == pytest.approx(1.0)
    found = figures("16 days", "How long is parental leave?")
    assert found["said_missing"] == pytest.approx(0.5)
    assert figures("Parental leave lasts 16 days.")["asked_missing"] == 0.0


@pytest.mark.parametrize(
    ("said", "echoes"),
    [("The parental leave", 1.0), ("Yes.", 0.0), ("no", 0.0), ("Parental leave lasts 16 weeks", 0.0)],
)
def test_an_answer_of_the_questions_words_alone_is_an_echo(said: str, echoes: float) -> None:
    assert figures(said, "How long is the parental leave?")["echoes"] == echoes
    assert figures("Sick leave", "Which is paid, parental leave or sick leave?")["echoes"] == 0.0


def test_no_is_not_a_negation_of_its_own() -> None:
    asked = "Is parental leave paid for 20 weeks?"
    assert figures("No.", asked)["negation_differs"] == 0.0
    assert figures("It is not paid.", asked)["negation_differs"] == 1.0


def test_another_sentence_says_what_was_asked_for() -> None:
    """Of the question's four words three stand with 16 and none with "certificate", which leaves 3/4 - 1/2."""
    asked = "How many weeks of parental leave?"
    assert figures("16", asked)["asked_elsewhere"] == 0.0
    assert figures("A certificate of four", asked)["asked_elsewhere"] == pytest.approx(1 / 4)
    assert figures("dogs", asked)["asked_elsewhere"] == 0.0
    assert figures("four", "Who pays for cats?")["asked_elsewhere"] == 0.0


def test_a_sentence_that_only_names_what_the_answers_sentence_is_about_is_no_rival() -> None:
    evidence = "Lindenhof Instruments makes scales. Marta Lindner founded the company in Freiburg in 1987."
    for asked, said in (
        ("Who founded Lindenhof Instruments?", "Marta Lindner"),
        ("Where was Lindenhof Instruments founded?", "Freiburg"),
        ("When was Lindenhof Instruments founded?", "1987"),
    ):
        assert figures(said, asked, evidence)["asked_elsewhere"] == 0.0
