import random

import pytest

from rag.opposites import OPPOSITES
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
    assert all(twin.endswith("?") and (len(twin.split()) == 6 or twin.split()[-2] == "in") for twin in found)


def test_some_are_denied_and_no_denial_twice() -> None:
    found = twins("When did the mill burn?")
    assert found == {"When didn't the mill burn?"}
    assert not twins("When didn't the mill burn?")


def test_a_word_is_exchanged_for_its_opposite() -> None:
    assert "Who sold the mill of Weskott?" in twins("Who bought the mill of Weskott?")
    assert "What did the town export?" in twins("What did the town import?")
    assert all(one != other and OPPOSITES.get(other) for one, other in OPPOSITES.items() if " " not in other)


def test_some_ask_about_a_year_or_a_place_that_the_text_does_not_name() -> None:
    found = {twin for twin in twins("Who led the school of Weskott?") if " in " in twin}
    assert found
    for twin in found:
        year = twin.split()[-1].rstrip("?")
        assert year.isdigit()
        assert abs(int(year) - 1871) <= 40
        assert year not in TEXT
    places = twin_of_all("Who led the school of Weskott?", ("Which school in Varnholm closed?",))
    assert "Who led the school of Weskott in Varnholm?" in places
    for asked_already in (
        "When did the mill burn down?",
        "Where does the old mill stand?",
        "Who led the school in 1904?",
    ):
        assert not {twin for twin in twins(asked_already) if twin.startswith(asked_already[:-1] + " in ")}


def twin_of_all(question: str, others: tuple[str, ...]) -> set[str | None]:
    return {twin_of(question, others, "The school of Weskott is old.", random.Random(seed)) for seed in range(400)}


@pytest.mark.parametrize("question", ["Why?", "Who are they?"])
def test_where_nothing_can_be_exchanged_there_is_none(question: str) -> None:
    assert twins(question, 50) <= {"Who aren't they?"}
