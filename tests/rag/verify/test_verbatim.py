"""What the evidence says word for word."""

import pytest

from rag.verify.verbatim import is_verbatim
from rag.verify.windows import EvidenceSentences, WordCounts

COUNTS = WordCounts(n_texts=1, n_with={})
CLAIM = "First-class tickets are allowed on journeys of more than three hours"


def held(claim: str, evidence: str) -> bool:
    return is_verbatim(claim, EvidenceSentences([evidence], COUNTS).sentences)


@pytest.mark.parametrize(
    "evidence",
    [
        f"{CLAIM}.",
        "FIRST-CLASS tickets are allowed on journeys\nof more than three hours!",
        f"Since 2026, {CLAIM}, says Finance.",
        f"Nobody asked. {CLAIM}. It is not so elsewhere.",
    ],
)
def test_a_sentence_that_says_it_word_for_word(evidence: str) -> None:
    assert held(CLAIM, evidence)


@pytest.mark.parametrize(
    "evidence",
    [
        f"It is not true that {CLAIM}.",
        f"{CLAIM}, unless Finance says otherwise.",
        f"He claimed that {CLAIM}.",
        f"It isn't so that {CLAIM}.",
        "First-class tickets are allowed. They are for journeys of more than three hours.",
        "First-class tickets are never allowed on journeys of more than three hours.",
        "",
    ],
)
def test_a_sentence_that_takes_it_back_or_says_something_else(evidence: str) -> None:
    assert not held(CLAIM, evidence)


def test_a_few_words_are_no_statement() -> None:
    assert not held("three hours", "It takes three hours.")
