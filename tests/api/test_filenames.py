import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.filenames import display_name


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\report.pdf", "report.pdf"),
        ("", "unnamed"),
        (None, "unnamed"),
        ("..", "unnamed"),
        ("folder/", "unnamed"),
        ("a\x00b\r\nc.txt", "abc.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("e\u0301t\u00e9.txt", "\u00e9t\u00e9.txt"),
        ("  two   words .txt ", "two words .txt"),
    ],
)
def test_names_are_made_safe_to_show(given_name: str | None, shown: str) -> None:
    assert display_name(given_name) == shown


def test_a_long_name_keeps_its_suffix() -> None:
    name = display_name("x" * 400 + ".docx")
    assert len(name) == 255
    assert name.endswith("x.docx")


@given(st.text(max_size=400))
def test_whatever_is_given_can_be_shown(given_name: str) -> None:
    name = display_name(given_name)
    assert 1 <= len(name) <= 255
    assert "/" not in name
    assert all(unicodedata.category(c) not in ("Cc", "Cs") for c in name)
    assert display_name(name) == name
