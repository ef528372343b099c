import random

import pytest

from rag.twins import twin_of

TEXT = "The mill of Weskott was founded by Ada Brandt in 1871. Later Bo Lindgren sailed from Marwick to Osterby."
OTHERS = (
    "Who led the school of Tallin?",
    "When did the famous painter of Marwick die?",
    "What was the tower built of?",
)


def twins(question: str, n: int = 400) -> set[str]:
    found = (twin_of(question, OTHERS, TEXT, random.Random(seed)) for seed in range(n))
    return {twin for twin in found if twin is not None}


def test_a_name_is_exchanged_for_one_that_stands_after_the_same_word() -> None:
    found = twins("Where is the mill of Weskott?")
    assert "Where is the mill of Tallin?" in found  # of another question
    assert not {twin for twin in found if "Ada Brandt" in twin or "Osterby" in twin}  # after "by" and "to"
    assert "Who sailed from Weskott to Marwick?" not in twins("Who sailed from Marwick to Weskott?")
    assert twins("Where did Zed go to Marwick?") >= {"Where did Zed go to Osterby?"}  # of the text itself


def test_a_word_is_exchanged_for_one_between_the_same_two_words() -> None:
    found = twins("Who led the colony of Weskott?")
    assert {"Who led the school of Weskott?", "Who led the colony of Tallin?"} <= found
    assert all(twin.endswith("?") and len(twin.split()) == 6 for twin in found)


def test_some_are_denied_and_no_denial_twice() -> None:
    found = twins("When did the mill burn?")
    assert found == {"When didn't the mill burn?"}
    assert not twins("When didn't the mill burn?")


@pytest.mark.parametrize("question", ["Why?", "Who are they?"])
def test_where_nothing_can_be_exchanged_there_is_none(question: str) -> None:
    assert twins(question, 50) <= {"Who aren't they?"}
