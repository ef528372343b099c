import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pypdf
import pytest
from PIL import Image
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from ingest.limits import Limits
from ingest.loaders.pdf import load_pdf
from ingest.render import render_page
from rag.errors import DocumentError, NoPagesError, NotFoundError
from rag.types import Page, ParsedDocument

Draw = Callable[[Canvas], None]


def write_pdf(path: Path, *pages: Draw, size: tuple[float, float] = (400, 600), encrypt: object = None) -> Path:
    canvas = Canvas(str(path), pagesize=size, encrypt=encrypt)
    for draw in pages:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return path


def lines(*texts: str, x: float = 50, y: float = 500, size: float = 10, pitch: float = 12) -> Draw:
    def draw(canvas: Canvas) -> None:
        for index, text in enumerate(texts):
            canvas.setFont("Helvetica", size)
            canvas.drawString(x, y - index * pitch, text)

    return draw


def load(path: Path, password: str | None = None, **limits: int) -> ParsedDocument:
    return load_pdf(path, name=path.name, password=password, limits=Limits(**limits))


def ink_of(path: Path, page: Page) -> npt.NDArray[np.bool_]:
    assert page.number is not None
    image = Image.open(io.BytesIO(render_page(path, page.number, None, 4_000_000))).convert("L")
    return np.asarray(image) < 160


def ink_inside(ink: npt.NDArray[np.bool_], boxes: npt.NDArray[np.uint16]) -> npt.NDArray[np.bool_]:
    mask = np.zeros_like(ink)
    height, width = ink.shape
    for box in boxes[boxes.any(axis=1)] / 65535:
        x0, y0, x1, y1 = box * [width, height, width, height]
        mask[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))] = True
    return ink & mask


def block_texts(parsed: ParsedDocument, kind: str) -> list[str]:
    return [parsed.text[block.start : block.end] for block in parsed.blocks if block.kind == kind]


def test_pages_have_numbers_ranges_and_sizes(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", lines("First page."), lines("Second page."), lines("Third page."))
    parsed = load(path)
    assert [(page.number, page.width, page.height) for page in parsed.pages] == [(n, 400, 600) for n in (1, 2, 3)]
    assert [parsed.text[page.start : page.end].strip() for page in parsed.pages] == [
        "First page.",
        "Second page.",
        "Third page.",
    ]
    assert parsed.pages[0].start == 0
    assert parsed.pages[-1].end == len(parsed.text)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_boxes_lie_on_the_ink_of_cropped_and_rotated_pages(tmp_path: Path, rotation: int) -> None:
    plain = write_pdf(tmp_path / "plain.pdf", lines("Glyph boxes follow", "crop and rotation", x=150, y=300, size=14))
    writer = pypdf.PdfWriter(clone_from=plain)
    writer.pages[0].cropbox = pypdf.generic.RectangleObject((100, 200, 350, 400))
    writer.pages[0].rotate(rotation)
    path = tmp_path / "turned.pdf"
    writer.write(path)

    parsed = load(path)
    (page,) = parsed.pages
    assert parsed.text == "Glyph boxes follow crop and rotation"
    assert (page.width, page.height) == ((250, 200) if rotation % 180 == 0 else (200, 250))
    assert page.char_boxes is not None
    ink = ink_of(path, page)
    for index, char in enumerate(parsed.text):
        assert char.isspace() or ink_inside(ink, page.char_boxes[index : index + 1]).any(), (index, char)
    assert ink_inside(ink, page.char_boxes).sum() > 0.97 * ink.sum()
    assert parsed.receipt.pages[0].flags == (("rotated",) if rotation else ())


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_text_that_runs_sideways_is_read_in_its_own_direction(tmp_path: Path, angle: int) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.translate(200, 300)
        canvas.rotate(angle)
        canvas.drawString(0, 0, "Sideways text goes on for a while and")
        canvas.drawString(0, -14, "continues in a second line.")

    path = write_pdf(tmp_path / "side.pdf", draw)
    parsed = load(path)
    assert block_texts(parsed, "paragraph") == ["Sideways text goes on for a while and continues in a second line."]
    (page,) = parsed.pages
    assert page.char_boxes is not None
    ink = ink_of(path, page)
    assert ink_inside(ink, page.char_boxes).sum() > 0.97 * ink.sum()


def test_lines_become_paragraphs(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        lines("A paragraph that runs over several lines of the page is", "put together again.")(canvas)
        lines("A second paragraph stands further below and is kept", "apart from the first.", y=450)(canvas)

    parsed = load(write_pdf(tmp_path / "a.pdf", draw))
    assert block_texts(parsed, "paragraph") == [
        "A paragraph that runs over several lines of the page is put together again.",
        "A second paragraph stands further below and is kept apart from the first.",
    ]


def test_indented_first_lines_begin_paragraphs(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        lines("The first paragraph fills its lines to the very end.")(canvas)
        lines("A new one starts with an indented line and goes", x=65, y=488)(canvas)
        lines("on without one below it, as books do it everywhere.", y=476)(canvas)

    assert len(block_texts(load(write_pdf(tmp_path / "a.pdf", draw)), "paragraph")) == 2


def test_hyphens_at_line_ends(tmp_path: Path) -> None:
    draw = lines(
        "The hyphen-", "ation of words is undone, a well-", "known word keeps its hyphen here, since",
        "well-known stands elsewhere. Names like Baden-", "Baden keep theirs, too.",
    )  # fmt: skip
    parsed = load(write_pdf(tmp_path / "a.pdf", draw))
    assert parsed.text == (
        "The hyphenation of words is undone, a well-known word keeps its hyphen here, since "
        "well-known stands elsewhere. Names like Baden-Baden keep theirs, too."
    )
    (page,) = parsed.pages
    assert page.char_boxes is not None
    assert all(page.char_boxes[index].any() for index, char in enumerate(parsed.text) if char.isalnum())
    # The two halves of the joined word stand in different lines.
    start = parsed.text.index("hyphenation")
    assert page.char_boxes[start, 1] < page.char_boxes[start + len("hyphenation") - 1, 1]


def test_headings_come_from_the_outline(tmp_path: Path) -> None:
    def chapter(number: int) -> Draw:
        def draw(canvas: Canvas) -> None:
            canvas.bookmarkPage(f"c{number}")
            canvas.addOutlineEntry(f"Chapter {number}", f"c{number}", 0)
            canvas.bookmarkPage(f"r{number}")  # reportlab keeps one title a bookmark
            canvas.addOutlineEntry("Rules", f"r{number}", 1)
            lines(f"Chapter {number}", y=550)(canvas)
            lines(f"{number}.1 Rules", y=520)(canvas)
            lines(f"Body of chapter {number} that says this and that.")(canvas)

        return draw

    parsed = load(write_pdf(tmp_path / "a.pdf", chapter(1), chapter(2)))
    assert [(block.kind, block.heading) for block in parsed.blocks] == [
        ("heading", "Chapter 1"),
        ("heading", "Chapter 1 › 1.1 Rules"),
        ("paragraph", "Chapter 1 › 1.1 Rules"),
        ("heading", "Chapter 2"),
        ("heading", "Chapter 2 › 2.1 Rules"),
        ("paragraph", "Chapter 2 › 2.1 Rules"),
    ]


def test_headings_come_from_type_size_without_an_outline(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        lines("Handbook", y=560, size=20)(canvas)
        lines("Leave", y=530, size=14)(canvas)
        lines("Employees have thirty days of leave each year, to be taken until March.", y=510)(canvas)
        lines("Travel", y=480, size=14)(canvas)
        lines("Travel is booked by those who travel, in second class, two weeks ahead.", y=460)(canvas)

    parsed = load(write_pdf(tmp_path / "a.pdf", draw, size=(600, 600)))
    paragraphs = [block.heading for block in parsed.blocks if block.kind == "paragraph"]
    assert paragraphs == ["Handbook › Leave", "Handbook › Travel"]
    assert block_texts(parsed, "heading") == ["Handbook", "Leave", "Travel"]


def test_a_numbered_heading_below_a_title_of_the_same_size_is_its_own(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        lines("Handbook of the House", "1 About the House", y=560, size=18, pitch=24)(canvas)
        lines("The house was built in the year of the great flood, by the river.", y=500)(canvas)

    assert block_texts(load(write_pdf(tmp_path / "a.pdf", draw)), "heading") == [
        "Handbook of the House",
        "1 About the House",
    ]


def test_tables_keep_their_rows_and_header(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        for row, cells in enumerate([("City", "Rate", "Nights"), ("Bonn", "80", "2"), ("Oslo", "120", "1")]):
            for column, cell in enumerate(cells):
                canvas.drawString(50 + 100 * column, 500 - 14 * row, cell)

    parsed = load(write_pdf(tmp_path / "a.pdf", draw))
    (table,) = [block for block in parsed.blocks if block.kind == "table"]
    assert parsed.text[table.start : table.end] == "City | Rate | Nights\nBonn | 80 | 2\nOslo | 120 | 1"
    assert table.table_header == "City | Rate | Nights"


def test_a_row_whose_cells_nearly_touch_is_split_at_the_columns_of_the_others(tmp_path: Path) -> None:
    rows = [("Event", "Days", "Proof"), ("Own wedding", "2", "paper"), ("Moving house", "1", "address")]
    rows.append(("The birth of a first child", "10", "paper"))

    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 10)
        for row, cells in enumerate(rows):
            for x, cell in zip((50, 169, 300), cells, strict=True):
                canvas.drawString(x, 500 - 16 * row, cell)

    parsed = load(write_pdf(tmp_path / "a.pdf", draw))
    assert block_texts(parsed, "table") == ["\n".join(" | ".join(row) for row in rows)]


def test_justified_text_is_no_table(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        for row, words in enumerate(["wide gaps between all", "the words here happen", "in narrow columns too"]):
            for x, word in zip((50, 110, 150 + 17 * row, 250), words.split(), strict=True):
                canvas.drawString(x + 9 * row * (x not in (50, 250)), 500 - 12 * row, word)

    assert not block_texts(load(write_pdf(tmp_path / "a.pdf", draw)), "table")


def test_filled_form_fields_are_text_with_boxes(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.drawString(50, 500, "Name:")
        canvas.acroForm.textfield(name="name", value="Ada Lovelace", x=100, y=495, width=150, height=18)

    parsed = load(write_pdf(tmp_path / "form.pdf", draw))
    assert "Ada Lovelace" in parsed.text
    (page,) = parsed.pages
    assert page.char_boxes is not None
    start = parsed.text.index("Ada")
    assert page.char_boxes[start : start + 3].any(axis=1).all()


def test_encryption(tmp_path: Path) -> None:
    locked = write_pdf(
        tmp_path / "locked.pdf", lines("Secret."), encrypt=StandardEncryption("user", "owner", strength=128)
    )
    open_to_all = write_pdf(
        tmp_path / "open.pdf", lines("Readable."), encrypt=StandardEncryption("", "owner", strength=128)
    )
    assert load(locked, "user").text == "Secret."
    assert load(locked, "owner").text == "Secret."
    assert load(open_to_all).text == "Readable."
    with pytest.raises(DocumentError) as missing:
        load(locked)
    with pytest.raises(DocumentError) as wrong:
        load(locked, "guess")
    assert (missing.value.code, wrong.value.code) == ("encrypted", "wrong_password")


def test_aes_256_encryption(tmp_path: Path) -> None:
    writer = pypdf.PdfWriter(clone_from=write_pdf(tmp_path / "plain.pdf", lines("Secret.")))
    writer.encrypt("pässword", algorithm="AES-256")
    writer.write(tmp_path / "locked.pdf")
    assert load(tmp_path / "locked.pdf", "pässword").text == "Secret."


def test_a_truncated_file_is_read_as_far_as_possible(tmp_path: Path) -> None:
    whole = write_pdf(tmp_path / "a.pdf", *(lines(f"Text of page {n}.") for n in range(1, 6))).read_bytes()
    cut = tmp_path / "cut.pdf"
    cut.write_bytes(whole[: whole.rindex(b"xref")])
    parsed = load(cut)
    assert "Text of page 1." in parsed.text
    assert all("repaired" in page.flags for page in parsed.receipt.pages)
    assert "damaged" in parsed.receipt.warnings[0]


@pytest.mark.parametrize("content", [b"%PDF-1.7\n", b"%PDF-1.7\n" + bytes(range(256)) * 40, b"%PDF-1.4\n%%EOF\n"])
def test_what_cannot_be_repaired_is_corrupt(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.pdf"
    path.write_bytes(content)
    with pytest.raises(DocumentError) as error:
        load(path)
    assert error.value.code == "corrupt"


def picture(canvas: Canvas) -> None:
    canvas.drawInlineImage(Image.new("L", (40, 40), 90), 50, 300, 200, 200)


def test_pages_that_are_pictures(tmp_path: Path) -> None:
    mixed = load(write_pdf(tmp_path / "mixed.pdf", lines("Words."), picture, lambda canvas: None))
    assert [page.flags for page in mixed.receipt.pages] == [(), ("image_only",), ("no_text",)]
    assert any("page 2" in warning and "OCR" in warning for warning in mixed.receipt.warnings)
    with pytest.raises(DocumentError) as error:
        load(write_pdf(tmp_path / "scan.pdf", picture, picture))
    assert (error.value.code, error.value.page) == ("no_text", 1)
    assert "OCR" in str(error.value)
    with pytest.raises(DocumentError) as blank:
        load(write_pdf(tmp_path / "blank.pdf", lambda canvas: None))
    assert blank.value.code == "no_text"


def test_attachments_are_named_in_the_receipt(tmp_path: Path) -> None:
    writer = pypdf.PdfWriter(clone_from=write_pdf(tmp_path / "plain.pdf", lines("Words.")))
    writer.add_attachment("figures.csv", b"a,b")
    writer.write(tmp_path / "attached.pdf")
    assert load(tmp_path / "attached.pdf").receipt.warnings[0].startswith("1 attached file")


def test_limits(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", *(lines(f"Text of page {n}.") for n in range(3)))
    for limits in ({"max_pages": 2}, {"max_chars": 20}):
        with pytest.raises(DocumentError) as error:
            load(path, **limits)
        assert error.value.code == "too_large"


def test_page_images(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", lines("One."), lines("Two."))
    image = Image.open(io.BytesIO(render_page(path, 2, None, 16_000_000)))
    assert image.size == (1400, 2100)
    small = Image.open(io.BytesIO(render_page(path, 1, None, 50_000)))
    assert 40_000 < small.width * small.height <= 50_000
    huge = write_pdf(tmp_path / "huge.pdf", lines("Large."), size=(14_400, 14_400))
    assert np.prod(Image.open(io.BytesIO(render_page(huge, 1, None, 1_000_000))).size) <= 1_000_000
    for number in (0, 3):
        with pytest.raises(NotFoundError):
            render_page(path, number, None, 1_000_000)
    text = tmp_path / "a.txt"
    text.write_text("no pages here")
    with pytest.raises(NoPagesError):
        render_page(text, 1, None, 1_000_000)


def test_a_page_of_absurd_shape_stays_within_the_pixel_cap(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "sliver.pdf", lines("x"), size=(3, 14_400))
    assert np.prod(Image.open(io.BytesIO(render_page(path, 1, None, 100_000))).size) <= 100_000
