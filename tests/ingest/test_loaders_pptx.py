"""Presentations, made here with python-pptx."""

from pathlib import Path

import pytest
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Emu, Inches

from ingest.limits import Limits
from ingest.loaders.pptx import load_pptx
from rag.errors import DocumentError
from rag.types import ParsedDocument

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc00000000301010018dd8db0"
    "0000000049454e44ae426082"
)


def parse(presentation: object, tmp_path: Path) -> ParsedDocument:
    path = tmp_path / "made.pptx"
    presentation.save(str(path))  # type: ignore[attr-defined]
    return load_pptx(path, name="made.pptx", password=None, limits=Limits())


def test_each_slide_is_a_page_with_its_title_notes_tables_groups_and_charts(tmp_path: Path) -> None:
    presentation = Presentation()
    presentation.core_properties.title = "Plans"
    first = presentation.slides.add_slide(presentation.slide_layouts[1])
    first.shapes.title.text = "Goals"
    body = first.placeholders[1].text_frame
    body.text = "grow"
    nested = body.add_paragraph()
    nested.text, nested.level = "slowly", 1
    first.notes_slide.notes_text_frame.text = "Speak up."
    second = presentation.slides.add_slide(presentation.slide_layouts[6])
    group = second.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, Emu(9), Emu(9)).text_frame.text = "in a group"
    table = second.shapes.add_table(2, 2, 0, 0, Inches(3), Inches(1)).table
    for index, text in enumerate(["Year", "Sum", "2024", "7"]):
        table.cell(index // 2, index % 2).text = text
    data = CategoryChartData()
    data.categories = ["East", "West"]
    data.add_series("Sales", (19.2, 21))
    second.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, Inches(3), Inches(3), data)
    third = presentation.slides.add_slide(presentation.slide_layouts[5])
    third.shapes.title.text = "End"
    third._element.set("show", "0")
    parsed = parse(presentation, tmp_path)
    assert parsed.title == "Plans"
    assert [(page.number, parsed.text[page.start : page.end].strip()) for page in parsed.pages] == [
        (1, "Goals\n\n- grow\n  - slowly\n\nSpeak up."),
        (2, "in a group\n\nYear | Sum\n2024 | 7\n\n| Sales\nEast | 19.2\nWest | 21"),
        (3, "End"),
    ]
    assert (parsed.pages[0].width, parsed.pages[0].height) == (720, 540)
    assert [block.heading for block in parsed.blocks] == ["Goals"] * 3 + [None] * 3 + ["End"]
    assert [page.flags for page in parsed.receipt.pages] == [(), (), ("hidden",)]


def test_pictures_speak_by_their_description(tmp_path: Path) -> None:
    (tmp_path / "dot.png").write_bytes(PNG)
    presentation = Presentation()
    one = presentation.slides.add_slide(presentation.slide_layouts[6])
    described = one.shapes.add_picture(str(tmp_path / "dot.png"), 0, 0)
    described._element.nvPicPr.cNvPr.set("descr", "A dot")
    two = presentation.slides.add_slide(presentation.slide_layouts[6])
    two.shapes.add_picture(str(tmp_path / "dot.png"), 0, 0)._element.nvPicPr.cNvPr.set("descr", "")
    presentation.slides.add_slide(presentation.slide_layouts[6])
    parsed = parse(presentation, tmp_path)
    assert parsed.text == "A dot"
    assert [page.flags for page in parsed.receipt.pages] == [(), ("image_only",), ("no_text",)]
    assert parsed.receipt.warnings == ("Pictures without a description were left out: 1.",)


def test_damaged_and_empty_files_say_so(tmp_path: Path) -> None:
    path = tmp_path / "bad.pptx"
    path.write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(DocumentError) as caught:
        load_pptx(path, name="bad.pptx", password=None, limits=Limits())
    assert caught.value.code == "corrupt"
    with pytest.raises(DocumentError) as caught:
        parse(Presentation(), tmp_path)
    assert caught.value.code == "no_text"
