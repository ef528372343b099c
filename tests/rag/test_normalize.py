import unicodedata

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag.normalize import is_normalized, normalize, normalize_with_map

anything = st.text(alphabet=st.characters())  # lone surrogates included
tricky = st.text(alphabet="a \t\n\r\x00\u00ad\ufeff\u200b\u2028ﬁﬃe\u0301\u0323\u1100\u1161\u11a8\u00a0\x85\u202e\ud800")


@pytest.mark.parametrize(
    ("source", "stored"),
    [
        ("ofﬁce ﬂow eﬃcient ﬅ", "office flow efficient st"),
        ("a\r\nb\rc\u2028d\x85e\x0cf", "a\nb\nc\nd\ne\nf"),
        ("nul\x00 bell\x07 del\x7f", "nul bell del"),
        ("\ufeffbom", "bom"),
        ("co\u00adop\u200bera\u2060te", "cooperate"),
        ("e\u0301a\u0308", "éä"),
        ("a\u0301\u0323", "ạ\u0301"),  # dot below (220) sorts before acute (230) and composes first
        ("\u1100\u1161\u11a8", "각"),
        ("a \t b", "a\tb"),
        ("a\u00a0\u00a0b", "a b"),
        ("a  \n   b", "a\nb"),
        ("a\n\n\n\n\nb", "a\n\nb"),
        ("safe\u202eexe.fdp\u202c", "safeexe.fdp"),
        ("lone\ud800surrogate", "lonesurrogate"),
        ("tag\U000e0041ged", "tagged"),
        ("nonchar\U0001fffe", "nonchar"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("שלום", "שלום"),
        ("family 👨\u200d👩\u200d👧", "family 👨\u200d👩\u200d👧"),
    ],
)
def test_stored_form(source: str, stored: str) -> None:
    assert normalize(source) == stored


def test_map_follows_each_character() -> None:
    text, source = normalize_with_map("a\u00ad ﬁ\r\n e\u0301x")
    assert text == "a fi\néx"
    assert source.tolist() == [0, 2, 3, 3, 5, 7, 9]


def test_blanks_are_kept_on_request() -> None:
    assert normalize("def f():\r\n    return  1", keep_spaces=True) == "def f():\n    return  1"


@given(st.one_of(anything, tricky))
@example("\ufb01\u0301")
@example("\u200b\n \n \n")
def test_normalizing_twice_changes_nothing(source: str) -> None:
    for keep_spaces in (False, True):
        once = normalize(source, keep_spaces=keep_spaces)
        assert normalize(once, keep_spaces=keep_spaces) == once
    assert is_normalized(normalize(source))


@given(st.one_of(anything, tricky))
def test_result_is_nfc_without_control_characters(source: str) -> None:
    text = normalize(source)
    assert unicodedata.is_normalized("NFC", text)
    assert not [char for char in text if unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t"]
    text.encode("utf-8")


@given(st.one_of(anything, tricky))
def test_map_is_ascending_and_in_bounds(source: str) -> None:
    text, origin = normalize_with_map(source)
    assert len(origin) == len(text)
    assert np.all(np.diff(origin) >= 0)
    assert not len(origin) or (origin[0] >= 0 and origin[-1] < len(source))


@given(st.text(alphabet="abc xyz,.äöü東京\n", max_size=60))
def test_plain_characters_map_to_themselves(source: str) -> None:
    text, origin = normalize_with_map(source)
    assert all(source[index] == char for char, index in zip(text, origin, strict=True))
