import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.markers import find_markers
from rag.verify.claims import needs_question, split_claims, statement


def texts(text: str, question: str | None = None) -> list[str]:
    return [claim.text for claim in split_claims(text, question)]


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("The tower is 300 m high [1]. It opened in 1889 [1][2].", ["The tower is 300 m high", "It opened in 1889"]),
        ("Dr. Roth met Mr. Hall at 5 p.m. They spoke.", ["Dr. Roth met Mr. Hall at 5 p.m.", "They spoke."]),
        ("- Coal is burnt.\n- Oil is burnt [2].", ["Coal is burnt.", "Oil is burnt"]),
        ("1. Wash it.\n2. Dry it.", ["Wash it.", "Dry it."]),
        ("Hello! The tower is high. Does that help?", ["The tower is high."]),
        ("Sure. Here is the answer: The tower is high.", ["The tower is high."]),
        ("The tower is high. Let me know if you need more.", ["The tower is high."]),
        ("Of course, the tower is high.", ["Of course, the tower is high."]),
        ("The documents do not contain an answer to this question.", []),
        ("I do not know the answer to this question.", []),
        ("[1]", []),
        ("", []),
        ("日本の首都は東京です。人口は多い。", ["日本の首都は東京です。", "人口は多い。"]),
    ],
)
def test_an_answer_falls_into_claims(text: str, claims: list[str]) -> None:
    assert texts(text, "What of it?") == claims


@pytest.mark.parametrize("text", ["308", "Helene Roth", "Because it rained", "It was built in 1889.", "Yes."])
def test_a_short_or_leaning_answer_carries_its_question(text: str) -> None:
    (claim,) = split_claims(text, "What about the old bridge?")
    assert claim.question == "What about the old bridge?"
    assert statement(claim) == f"What about the old bridge? {text}"


def test_of_several_sentences_those_that_stand_by_themselves_carry_none() -> None:
    text = "The old bridge over the river was opened in 1883. Otto Hall repaired the bridge in 1901."
    assert [claim.question for claim in split_claims(text, "When was it opened?")] == [None, None]
    assert not needs_question("The old bridge over the river was opened in 1883.")
    (only,) = split_claims("The old bridge over the river was opened in 1883.", "When was it opened?")
    assert only.question == "When was it opened?"


def test_a_short_item_is_read_after_the_line_that_leads_into_the_list() -> None:
    claims = split_claims("The causes are:\n- Coal [1]\n- Oil", "What are the causes of the haze?")
    assert [statement(claim) for claim in claims] == ["The causes are: Coal", "The causes are: Oil"]


def test_a_marker_inside_a_sentence_is_not_read() -> None:
    (claim,) = split_claims("The town of Ulm [1] has the tallest church tower in the world [2].")
    assert statement(claim) == "The town of Ulm has the tallest church tower in the world"


@given(st.text(st.characters(blacklist_categories=("Cs",)) | st.sampled_from(" .\n[1]?:-"), max_size=200))
def test_offsets_are_exact_and_in_order(text: str) -> None:
    claims = split_claims(text, "Why?")
    end = 0
    for claim in claims:
        assert claim.text == text[claim.start : claim.end] != ""
        assert claim.start >= end
        end = claim.end
        edges = find_markers(claim.text)
        assert not edges or (edges[0].start > 0 and edges[-1].end < len(claim.text))


def test_a_long_answer_is_split_in_no_time() -> None:
    assert len(split_claims("The tower is high [1]. " * 5_000)) == 5_000
