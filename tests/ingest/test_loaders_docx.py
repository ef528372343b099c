"""Word documents, made here with python-docx and touched up as XML."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import pytest
from docx.document import Document
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from ingest.limits import Limits
from ingest.loaders.docx import load_docx
from rag.errors import DocumentError
from rag.types import ParsedDocument


def parse(document: Document, tmp_path: Path, edit: Callable[[str], str] = lambda xml: xml) -> ParsedDocument:
    path = tmp_path / "made.docx"
    document.save(str(path))
    edited = tmp_path / "edited.docx"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(edited, "w") as target:
        for entry in source.namelist():
            data = source.read(entry)
            target.writestr(entry, edit(data.decode()).encode() if entry == "word/document.xml" else data)
    return load_docx(edited, name="made.docx", password=None, limits=Limits())


def blocks(parsed: ParsedDocument) -> list[tuple[str, str, str | None]]:
    return [(block.kind, parsed.text[block.start : block.end], block.heading) for block in parsed.blocks]


def test_headings_paragraphs_lists_and_tables_in_order(tmp_path: Path) -> None:
    document = docx.Document()
    document.core_properties.title = "The handbook"
    document.add_heading("Handbook", 0)
    document.add_heading("Leave", 1)
    document.add_paragraph("You have 30 days.")
    document.add_paragraph("ask", style="List Bullet")
    document.add_paragraph("wait", style="List Bullet")
    document.add_paragraph("first", style="List Number")
    document.add_paragraph("second", style="List Number")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(
        (cell for row in table.rows for cell in row.cells), ["Kind", "Days", "sick", "5"], strict=True
    ):
        cell.text = text
    document.add_heading("Special", 2)
    document.add_paragraph("End.")
    parsed = parse(document, tmp_path)
    assert parsed.title == "The handbook"
    assert parsed.pages == ()
    assert blocks(parsed) == [
        ("heading", "Handbook", "Handbook"),
        ("heading", "Leave", "Handbook › Leave"),
        ("paragraph", "You have 30 days.", "Handbook › Leave"),
        ("list", "- ask\n- wait\n1. first\n2. second", "Handbook › Leave"),
        ("table", "Kind | Days\nsick | 5", "Handbook › Leave"),
        ("heading", "Special", "Handbook › Leave › Special"),
        ("paragraph", "End.", "Handbook › Leave › Special"),
    ]
    assert parsed.blocks[4].table_header == "Kind | Days"


@pytest.mark.parametrize("name", ["Überschrift 1", "Titre 1", "heading 1", "Own heading"])
def test_headings_in_other_languages_and_by_inheritance(tmp_path: Path, name: str) -> None:
    document = docx.Document()
    style = document.styles.add_style(name, 1) if name != "heading 1" else document.styles["Heading 1"]
    if name == "Own heading":
        style.base_style = document.styles["Heading 1"]
    document.add_paragraph("Urlaub", style=style)
    document.add_paragraph("Text.")
    assert blocks(parse(document, tmp_path)) == [("heading", "Urlaub", "Urlaub"), ("paragraph", "Text.", "Urlaub")]


def test_an_outline_level_makes_a_heading(tmp_path: Path) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("Deep")
    paragraph._p.get_or_add_pPr().append(parse_xml(f'<w:outlineLvl {nsdecls("w")} w:val="2"/>'))
    assert blocks(parse(document, tmp_path))[0][0] == "heading"


def test_changes_are_read_as_accepted(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("MARK")
    changed = (
        "<w:p><w:r><w:t>Pay </w:t></w:r><w:del w:id='1' w:author='a'><w:r><w:delText>ten</w:delText></w:r></w:del>"
        "<w:ins w:id='2' w:author='a'><w:r><w:t>twelve</w:t></w:r></w:ins><w:r><w:t xml:space='preserve'> euros</w:t>"
        "<w:noBreakHyphen/><w:t>now</w:t><w:br/><w:t>or</w:t><w:tab/><w:t>never</w:t></w:r>"
        "<w:r><w:rPr><w:vanish/></w:rPr><w:t>secret</w:t></w:r>"
        "<w:r><w:instrText>PAGE</w:instrText></w:r><w:fldSimple w:instr='DATE'><w:r><w:t>!</w:t></w:r></w:fldSimple>"
        "<w:r><w:t xml:space='preserve'> 10</w:t></w:r>"
        "<w:r><w:rPr><w:vertAlign w:val='superscript'/></w:rPr><w:t>6</w:t></w:r></w:p>"
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>controlled</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    )
    parsed = parse(document, tmp_path, lambda xml: xml.replace("<w:p><w:r><w:t>MARK</w:t></w:r></w:p>", changed))
    assert parsed.text == "Pay twelve euros-now\nor\tnever! 10⁶\n\ncontrolled"


def test_headers_footers_and_comments_come_once(tmp_path: Path) -> None:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Confidential"
    document.sections[0].footer.paragraphs[0].text = "Page footer"
    document.add_section()
    document.add_heading("One", 1)
    paragraph = document.add_paragraph("Text.")
    document.add_comment(paragraph.runs, text="Really?", author="Ann")
    parsed = parse(document, tmp_path)
    assert blocks(parsed) == [
        ("paragraph", "Confidential", None),
        ("heading", "One", "One"),
        ("paragraph", "Text.", "One"),
        ("paragraph", "Ann: Really?", "One"),
        ("paragraph", "Page footer", None),
    ]
    assert parsed.receipt.warnings == ("Comments were taken into the text: 1.",)


def test_footnotes_follow_their_paragraph(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("Claim.MARK")
    document.add_paragraph("Next.")
    path = tmp_path / "plain.docx"
    document.save(str(path))
    noted = tmp_path / "noted.docx"
    namespace = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    note = '<w:footnote w:id="2"><w:p><w:r><w:t>The proof.</w:t></w:r></w:p></w:footnote>'
    notes = f"<w:footnotes {namespace}>{note}</w:footnotes>"
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(noted, "w") as target:
        for entry in source.namelist():
            text = source.read(entry)
            if entry == "word/document.xml":
                text = text.replace(b"MARK</w:t>", b'</w:t><w:footnoteReference w:id="2"/>')
            elif entry == "[Content_Types].xml":
                text = text.replace(
                    b"</Types>", f'<Override PartName="/word/footnotes.xml" ContentType="{kind}"/></Types>'.encode()
                )
            elif entry == "word/_rels/document.xml.rels":
                text = text.replace(
                    b"</Relationships>",
                    f'<Relationship Id="rId99" Type="{relation}" Target="footnotes.xml"/></Relationships>'.encode(),
                )
            target.writestr(entry, text)
        target.writestr("word/footnotes.xml", notes)
    parsed = load_docx(noted, name="noted.docx", password=None, limits=Limits())
    assert parsed.text == "Claim.\n\nThe proof.\n\nNext."


def test_text_boxes_are_read_once_and_pictures_by_their_description(tmp_path: Path) -> None:
    box = "<w:txbxContent><w:p><w:r><w:t>Boxed</w:t></w:r></w:p></w:txbxContent>"
    shape = (
        '<w:p><w:r><w:t>Beside</w:t><mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        f'<mc:Choice Requires="wps"><w:drawing><wps:txbx xmlns:wps="urn:x">{box}</wps:txbx></w:drawing></mc:Choice>'
        f"<mc:Fallback><w:pict>{box}</w:pict></mc:Fallback></mc:AlternateContent></w:r></w:p>"
        '<w:p><w:r><w:drawing><x:docPr xmlns:x="urn:p" descr="A red house"/>'
        '<x:blip xmlns:x="urn:p"/></w:drawing></w:r></w:p>'
        '<w:p><w:r><w:drawing><x:blip xmlns:x="urn:p"/></w:drawing></w:r></w:p>'
    )
    document = docx.Document()
    document.add_paragraph("MARK")
    parsed = parse(document, tmp_path, lambda xml: xml.replace("<w:p><w:r><w:t>MARK</w:t></w:r></w:p>", shape))
    assert parsed.text == "Beside\n\nBoxed\n\nA red house"
    assert parsed.receipt.warnings == ("Pictures without a description were left out: 1.",)


def test_nested_tables_lose_no_text(tmp_path: Path) -> None:
    document = docx.Document()
    outer = document.add_table(rows=1, cols=2)
    outer.rows[0].cells[0].text = "left"
    inner = outer.rows[0].cells[1].add_table(rows=2, cols=2)
    for index, cell in enumerate(cell for row in inner.rows for cell in row.cells):
        cell.text = f"c{index}"
    assert [(kind, text) for kind, text, _ in blocks(parse(document, tmp_path))] == [
        ("paragraph", "left"),
        ("table", "c0 | c1\nc2 | c3"),
    ]


def test_merged_cells_keep_the_columns(tmp_path: Path) -> None:
    document = docx.Document()
    table = document.add_table(rows=2, cols=3)
    table.rows[0].cells[0].merge(table.rows[0].cells[1]).text = "both"
    table.rows[0].cells[2].text = "z"
    for index, cell in enumerate(table.rows[1].cells):
        cell.text = str(index)
    assert parse(document, tmp_path).text == "both | | z\n0 | 1 | 2"


def test_computed_numbers_stand_before_their_paragraphs(tmp_path: Path) -> None:
    document = docx.Document()
    numbering = document.part.numbering_part.element
    levels = "".join(
        f'<w:lvl w:ilvl="{index}"><w:start w:val="1"/><w:numFmt w:val="{form}"/><w:lvlText w:val="{text}"/></w:lvl>'
        for index, (form, text) in enumerate([("decimal", "§ %1"), ("lowerLetter", "%1.%2)"), ("upperRoman", "(%3)")])
    )
    numbering.insert(0, parse_xml(f'<w:abstractNum {nsdecls("w")} w:abstractNumId="77">{levels}</w:abstractNum>'))
    numbering.append(parse_xml(f'<w:num {nsdecls("w")} w:numId="77"><w:abstractNumId w:val="77"/></w:num>'))
    for level, text in [(0, "one"), (1, "sub"), (1, "sub"), (2, "deep"), (0, "two"), (1, "sub")]:
        properties = document.add_paragraph(text)._p.get_or_add_pPr()
        properties.append(
            parse_xml(f'<w:numPr {nsdecls("w")}><w:ilvl w:val="{level}"/><w:numId w:val="77"/></w:numPr>')
        )
    heading = document.add_heading("Scope", 1)
    heading._p.get_or_add_pPr().append(
        parse_xml(f'<w:numPr {nsdecls("w")}><w:ilvl w:val="0"/><w:numId w:val="77"/></w:numPr>')
    )
    parsed = parse(document, tmp_path)
    assert parsed.text.split("\n") == [
        "§ 1 one",
        "  1.a) sub",
        "  1.b) sub",
        "    (I) deep",
        "§ 2 two",
        "  2.a) sub",
        "",
        "§ 3 Scope",
    ]


def test_macro_documents_are_read_as_well(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("With macros.")
    path, changed = tmp_path / "a.docx", tmp_path / "a.docm"
    document.save(str(path))
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(changed, "w") as target:
        for entry in source.namelist():
            data = source.read(entry).replace(
                b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
                b"application/vnd.ms-word.document.macroEnabled.main+xml",
            )
            target.writestr(entry, data)
    assert load_docx(changed, name="a.docm", password=None, limits=Limits()).text == "With macros."


def test_damaged_files_say_so(tmp_path: Path) -> None:
    path = tmp_path / "bad.docx"
    document = docx.Document()
    document.add_paragraph("x")
    document.save(str(path))
    whole = path.read_bytes()
    for data in (b"PK\x03\x04nothing", whole[: len(whole) // 2], b"no zip at all"):
        path.write_bytes(data)
        with pytest.raises(DocumentError) as caught:
            load_docx(path, name="bad.docx", password=None, limits=Limits())
        assert caught.value.code == "corrupt"
    docx.Document().save(str(path))
    with pytest.raises(DocumentError) as caught:
        load_docx(path, name="bad.docx", password=None, limits=Limits())
    assert caught.value.code == "no_text"
