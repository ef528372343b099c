import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import wire
from rag.errors import DocumentError
from rag.types import Block, Page, PageReceipt, ParsedDocument, Receipt

BOXES = np.arange(24, dtype=np.uint16).reshape(6, 4)
DOCUMENT = ParsedDocument(
    text="Über\n\nleaf 💡",
    pages=(
        Page(number=1, start=0, end=6, width=595.3, height=841.9, char_boxes=BOXES),
        Page(number=2, start=6, end=12, width=None, height=None),
    ),
    blocks=(
        Block(kind="heading", start=0, end=4, heading="Über"),
        Block(kind="table", start=6, end=12, heading="Über", table_header="leaf"),
    ),
    media_type="application/pdf",
    receipt=Receipt(
        pages=(PageReceipt(page=1, n_chars=6, flags=("rotated",)), PageReceipt(page=2, n_chars=6, ocr=True)),
        n_truncated_passages=2,
        encoding="utf-8",
        warnings=("A sentence.",),
    ),
    title="Über",
)


def reply_of(parsed: ParsedDocument) -> bytes:
    return b"".join(wire.encode_parsed(parsed))


def changed(**fields: object) -> bytes:
    header, body = wire.split(reply_of(DOCUMENT))
    return wire.frame({**header, **fields}) + bytes(body)


def test_a_document_survives_the_wire() -> None:
    decoded = wire.decode_parsed(*wire.split(reply_of(DOCUMENT)))
    assert decoded == DOCUMENT
    boxes, expected = decoded.pages[0].char_boxes, DOCUMENT.pages[0].char_boxes
    assert boxes is not None and expected is not None
    assert boxes.dtype == np.uint16
    assert np.array_equal(boxes, expected)
    assert decoded.pages[1].char_boxes is None


@given(st.data())
def test_a_reply_cut_short_is_refused(data: st.DataObject) -> None:
    reply = reply_of(DOCUMENT)
    cut = reply[: data.draw(st.integers(0, len(reply) - 1))]
    with pytest.raises(DocumentError) as error:
        wire.decode_parsed(*wire.split(cut))
    assert error.value.code == "parser_crashed"


@given(st.binary(max_size=200))
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(DocumentError):
        wire.split(junk)


@pytest.mark.parametrize(
    "fields",
    [
        {"pages": [[1, 0, 6, 1.0, float("nan"), False]]},
        {"pages": [[1, 0, 6, 1.0, -1.0, False]]},
        {"pages": [[True, 0, 6, 1.0, 1.0, False]]},
        {"pages": [[1, 6, 0, 1.0, 1.0, True]]},
        {"pages": [[1, 0, 10**12, 1.0, 1.0, True]]},
        {"pages": [[1, 0, 6, 1.0, 1.0, False]]},  # the boxes are left over
        {"pages": 7},
        {"pages": [[1]]},
        {"blocks": [["script", 0, 4, 0, None]]},
        {"blocks": [["heading", 0, 4, 9, None]]},
        {"blocks": [["heading", -1, 4, 0, None]]},
        {"blocks": [[["heading"], 0, 4, 0, None]]},
        {"headings": None},
        {"n_text_bytes": 10**12},
        {"n_text_bytes": "4"},
        {"n_text_bytes": 1},  # splits a character
        {"title": ["a"]},
        {"media_type": None},
        {"receipt": {}},
        {"receipt": []},
    ],
)
def test_wrong_fields_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(DocumentError) as error:
        wire.decode_parsed(*wire.split(changed(**fields)))
    assert error.value.code == "parser_crashed"


def test_the_header_is_json() -> None:
    framed = wire.frame({"kind": "png"})
    assert json.loads(framed[8:]) == {"kind": "png"}
    header, body = wire.split(framed + b"rest")
    assert header == {"kind": "png"}
    assert bytes(body) == b"rest"
    with pytest.raises(DocumentError):
        wire.split(wire.frame({})[:8].replace(b"CBW1", b"CBW2") + b"{}")
