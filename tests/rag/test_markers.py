import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.markers import drop_markers, escape_markers, find_markers, held_back

BRACKETS = st.text(alphabet="[]［］【】〔〕⟦⟧^0123 4,;-–†a\u200b\u202e\npassge", max_size=40)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Paris [1].", [(1,)]),
        ("[1][2]", [(1,), (2,)]),
        ("[1, 2]", [(1, 2)]),
        ("[2-4]", [(2, 3, 4)]),
        ("[1990-2015]", [(1990, 2015)]),
        ("【3】 and ［4］ and [^5]", [(3,), (4,), (5,)]),
        ("【1†source】", [(1,)]),
        ("[Passage 2] [source: 3]", [(2,), (3,)]),
        ("[1 and 2]", [(1, 2)]),
        ("[2, 2]", [(2,)]),
        ("[１２]", [(12,)]),
        ("[a] (1) [] [one] [1 Peter]", []),
    ],
)
def test_reads_markers(text: str, numbers: list[tuple[int, ...]]) -> None:
    assert [marker.numbers for marker in find_markers(text)] == numbers


def test_drops_markers_with_the_blanks_before_them() -> None:
    assert drop_markers("Paris [1] is big [2, 3].") == "Paris is big."


@given(BRACKETS)
def test_escaped_text_holds_no_marker(text: str) -> None:
    escaped = escape_markers(text)
    assert find_markers(escaped) == ()
    assert escape_markers(escaped) == escaped


def test_escaping_shows_the_numbers_and_takes_out_what_hides_them() -> None:
    assert escape_markers("as shown [1] and ［3］ [^2]") == "as shown (1) and (3) (^2)"
    assert escape_markers("a [\u200b1\u202e] b") == "a (1) b"
    assert escape_markers("see [12.4%] [Smith]") == "see (12.4%) [Smith]"


@given(st.lists(st.sampled_from(["a", " ", "[", "1", "]", "【", "2", ",", "】", "[1]", "†", "x"]), max_size=30))
def test_no_marker_is_shown_in_two_halves(pieces: list[str]) -> None:
    whole = "".join(pieces)
    shown, text, deltas = 0, "", []
    for piece in pieces:
        text += piece
        visible = len(text) - held_back(text)
        if visible > shown:
            deltas.append((shown, visible))
            shown = visible
    for marker in find_markers(whole):
        for start, end in deltas:
            assert not (start < marker.end and marker.start < end) or (start <= marker.start and marker.end <= end)


@pytest.mark.parametrize("text", ["so [see the annex", "a[b]c", "[" + "1" * 500, "done [1]", "(1"])
def test_what_cannot_be_a_marker_is_not_held_back(text: str) -> None:
    assert held_back(text) == 0
