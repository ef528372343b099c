"""Text as it grows: whole characters, no half stop string, nothing lost."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from llm.text_stream import TextStream, token_texts


def decode_bytes(ids: Sequence[int]) -> str:
    """One id a byte, as byte-level tokenizers decode."""
    return bytes(ids).decode("utf-8", errors="replace")


@given(text=st.text(max_size=60))
def test_the_pieces_are_the_text_and_never_hold_half_a_character(text: str) -> None:
    stream = TextStream(decode_bytes)
    said = ""
    for token in text.encode():
        said += "".join(released.text for released in stream.push(token, 0.5))
        assert text.startswith(said)
    said += "".join(released.text for released in stream.finish())
    assert said == stream.text == text
    assert [token.token_id for token in stream.tokens] == list(text.encode())


@given(ids=st.lists(st.integers(0, 255), max_size=40))
def test_broken_bytes_are_not_lost(ids: list[int]) -> None:
    assert "".join(token_texts(decode_bytes, ids)) == decode_bytes(ids)


@given(
    text=st.text(alphabet="ab日", max_size=40),
    stops=st.lists(st.text(alphabet="ab日", min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_a_stop_string_never_leaks_not_even_half(text: str, stops: list[str]) -> None:
    # The first stop string to be complete ends the text; of several complete at once the one that begins first.
    end = min((text.index(stop) + len(stop) for stop in stops if stop in text), default=len(text))
    cut = min((text[:end].index(stop) for stop in stops if stop in text[:end]), default=len(text))
    stream = TextStream(decode_bytes, stops)
    said = ""
    for token in text.encode():
        said += "".join(released.text for released in stream.push(token, None))
        assert text[:cut].startswith(said)
        if stream.stopped:
            break
    said += "".join(released.text for released in stream.finish())
    assert stream.stopped == any(stop in text for stop in stops)
    assert said == stream.text == text[:cut]


def test_a_stop_string_over_several_tokens() -> None:
    pieces = {0: "Hello ", 1: "wor", 2: "ld. E", 3: "N", 4: "D of it"}
    stream = TextStream(lambda ids: "".join(pieces[i] for i in ids), ["END"])
    released = [[token.text for token in stream.push(i, None)] for i in range(5)]
    assert released == [["Hello "], ["wor"], [], [], ["ld. ", "", ""]]
    assert stream.stopped
    assert stream.text == "Hello world. "


def test_a_beginning_that_comes_to_nothing_is_released() -> None:
    pieces = {0: "a E", 1: "N", 2: "X"}
    stream = TextStream(lambda ids: "".join(pieces[i] for i in ids), ["END"])
    assert stream.push(0, None) == stream.push(1, None) == ()
    assert "".join(token.text for token in stream.push(2, None)) == "a ENX"
