import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.text import content_words
from rag.verify.parts import MAX_PARTS, split_parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("The old bridge was opened in 1883.", ()),
        (
            "The old stone bridge was opened in 1883, and Otto Hall repaired it after a storm in 1901.",
            ("The old stone bridge was opened in 1883", "Otto Hall repaired it after a storm in 1901."),
        ),
        ("one two three, four five six, seven eight nine, ten eleven twelve, red blue green", 4),
    ],
)
def test_a_claim_falls_into_its_facts(text: str, parts: tuple[str, ...] | int) -> None:
    found = split_parts(text)
    assert (len(found) if isinstance(parts, int) else found) == parts


@given(st.text(alphabet="abc ,;", max_size=120))
def test_parts_lose_no_word_but_the_joining_ones(text: str) -> None:
    found = split_parts(text)
    assert len(found) <= MAX_PARTS
    assert len(found) != 1
    if found:
        assert [word for part in found for word in content_words(part)] == list(content_words(text))
