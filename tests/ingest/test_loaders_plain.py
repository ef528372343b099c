"""Plain text and its encodings."""

from pathlib import Path

import pytest

from ingest.limits import Limits
from ingest.loaders.encoding import decode, decode_markup
from ingest.loaders.plain import load_plain
from rag.errors import DocumentError
from rag.types import ParsedDocument


def parse(data: bytes, tmp_path: Path) -> ParsedDocument:
    path = tmp_path / "made.txt"
    path.write_bytes(data)
    return load_plain(path, name="made.txt", password=None, limits=Limits())


def test_paragraphs_lie_between_empty_lines(tmp_path: Path) -> None:
    parsed = parse(b"One line\r\nand  another.\r\n \t\r\n\r\nTwo.\x0cThree\n", tmp_path)
    assert [parsed.text[block.start : block.end] for block in parsed.blocks] == [
        "One line\nand another.",
        "Two.\nThree",
    ]
    assert parsed.receipt.encoding == "utf-8"
    assert parsed.title is None
    assert parsed.pages == ()


SENTENCES = {
    "utf-8": "Grüße, 你好, привет",
    "utf-8-sig": "Grüße mit Marke",
    "utf-16": "Grüße mit Marke",
    "utf-16-le": "Wide text without a mark",
    "utf-16-be": "Wide text without a mark",
    "utf-32": "Grüße mit Marke",
    "cp1252": "Voilà l’été où les élèves – « français » – étaient naïfs.",
    "cp1250": "Zażółć gęślą jaźń, proszę bardzo. Dziękuję za list i życzę zdrowia.",
    "cp1251": "Привет, как дела? Это обычный русский текст.",
    "koi8_r": "Привет, как дела? Это обычный русский текст.",
    "cp1253": "Καλημέρα κόσμε, τι κάνετε σήμερα;",
    "cp932": "日本語のテキストです。これは長い文章になります。",
    "gb18030": "这是一个简体中文的文本，用来测试编码检测。",
    "big5": "這是繁體中文的文字檔案，用來測試編碼。",
    "cp949": "한국어 텍스트 파일입니다. 인코딩 감지 시험.",
}


@pytest.mark.parametrize(("encoding", "text"), SENTENCES.items())
def test_encodings_are_found(encoding: str, text: str) -> None:
    decoded = decode(text.encode(encoding))
    assert decoded.text == text
    assert not decoded.damaged


@pytest.mark.parametrize("word", ["café", "Grüße", "naïve", "Ærø"])
def test_short_western_texts_are_western(word: str) -> None:
    assert decode(word.encode("cp1252")).text == word


def test_a_broken_byte_is_flagged_and_harms_no_other(tmp_path: Path) -> None:
    parsed = parse("Grüße aus Köln".encode() + b"\xff und mehr", tmp_path)
    assert parsed.text == "Grüße aus Köln\ufffd und mehr"
    assert parsed.receipt.pages[0].flags == ("badly_encoded",)
    assert "utf-8" in parsed.receipt.warnings[0]


@pytest.mark.parametrize(
    "data", [bytes(range(1, 256)), b"\x81\x8d\x8f\x90", b"\xff\xfea", b"\xef\xbb\xbf\xff", b"\xc3"]
)
def test_no_bytes_crash_the_decoder(data: bytes) -> None:
    assert isinstance(decode(data).text, str)


@pytest.mark.parametrize("label", ["nonsense", "base64", "idna", "utf-16", "utf_7\x00"])
def test_wrong_labels_are_passed_over(label: str) -> None:
    assert decode("Grüße ähnlich".encode(), declared=label).text == "Grüße ähnlich"


def test_a_page_may_name_its_encoding() -> None:
    assert decode_markup('<meta charset="iso-8859-1">“é”'.encode("cp1252")).text.endswith("“é”")
    assert decode_markup("<meta charset=iso-8859-5>Привет".encode("iso-8859-5")).text.endswith("Привет")


@pytest.mark.parametrize(("data", "code"), [(b"", "empty"), (b" \n\n", "no_text"), (b"\xef\xbb\xbf", "no_text")])
def test_nothing_is_an_error(tmp_path: Path, data: bytes, code: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(data, tmp_path)
    assert caught.value.code == code


def test_a_guessed_encoding_is_told_and_a_certain_one_is_not(tmp_path: Path) -> None:
    text = SENTENCES["cp1251"]
    assert parse(text.encode("utf-8"), tmp_path).receipt.warnings == ()
    parsed = parse(text.encode("cp1251"), tmp_path)
    (warning,) = parsed.receipt.warnings
    assert "does not say its encoding" in warning and parsed.receipt.encoding in warning
    assert parsed.text == text
