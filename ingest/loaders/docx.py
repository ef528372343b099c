"""Word documents: paragraphs, lists and tables in order, with their headings, notes, comments and text boxes."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from docx.opc.exceptions import OpcError
from docx.opc.part import Part, XmlPart
from docx.oxml.ns import qn
from docx.oxml.parser import parse_xml
from docx.package import Package
from lxml import etree

from ingest.builder import TextBuilder
from ingest.limits import Limits
from ingest.loaders.docx_styles import Numbering, Styles
from ingest.loaders.docx_text import ParagraphText
from rag.errors import DocumentError
from rag.types import ParsedDocument

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

# Elements that only wrap blocks: content controls, custom XML, insertions, the target of a move.
_WRAPPERS = frozenset(qn(f"w:{name}") for name in ("sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag"))
_MAX_COLUMNS_SPANNED = 50
_FIRST_ROW = 0x0020  # bit of w:tblLook


def load_docx(path: Path, *, name: str, password: str | None, limits: Limits) -> ParsedDocument:
    """Parse a Word document as it reads with all tracked changes accepted.

    Headings are found by outline level, by style in any language of Word, and through inherited styles; numbers that
    Word computes stand before their paragraphs. Footnotes, comments and text boxes follow the paragraph they hang on;
    page headers come first and page footers last, each text once.

    Raises:
        DocumentError: `corrupt`, `no_text`, `too_large`.
    """
    builder = TextBuilder(limits)
    try:
        package = Package.open(str(path))
        main = package.main_document_part
        root = _root(main)
        reader = _Reader(builder, main)
    except (OpcError, KeyError, ValueError, AttributeError, etree.XMLSyntaxError, zipfile.BadZipFile) as error:
        raise DocumentError(
            "corrupt", "The file is no whole Word document; open it in Word, save it again as .docx and upload that."
        ) from error
    reader.read(root)
    return builder.build(media_type=MEDIA_TYPE, title=_title(package))


def _root(part: Part) -> etree._Element:
    return part.element if isinstance(part, XmlPart) else parse_xml(part.blob)


def _title(package: Package) -> str | None:
    try:
        title: str = package.core_properties.title
    except (KeyError, ValueError, AttributeError, etree.XMLSyntaxError):
        return None  # damaged properties cost the title, not the text
    return title or None


class _Reader:
    """Reads the parts of one document into the builder."""

    def __init__(self, builder: TextBuilder, main: Part) -> None:
        self._builder = builder
        self._main = main
        self._styles = Styles(self._related("styles"))
        self._numbering = Numbering(self._related("numbering"))
        self._notes = {
            (kind, note.get(qn("w:id"), "")): note
            for kind in ("footnote", "endnote")
            for note in self._children(f"{kind}s", f"w:{kind}")
        }
        self._comments = {comment.get(qn("w:id"), ""): comment for comment in self._children("comments", "w:comment")}
        self._n_undescribed = 0
        self._n_comments = 0

    def read(self, root: etree._Element) -> None:
        """Read the document part and everything it refers to."""
        body = root.find(qn("w:body"))
        if body is None:
            return
        for header in self._page_texts(body, "w:headerReference"):
            self._add_blocks(header)
        self._add_blocks(body)
        self._builder.leave_headings()
        for footer in self._page_texts(body, "w:footerReference"):
            self._add_blocks(footer)
        if self._n_undescribed:
            self._builder.warn(f"Pictures without a description were left out: {self._n_undescribed}.")
        if self._n_comments:
            self._builder.warn(f"Comments were taken into the text: {self._n_comments}.")
        if next(body.iter(qn("w:altChunk")), None) is not None:
            self._builder.warn("A file that is embedded in the document was left out.")

    def _add_blocks(self, container: etree._Element) -> None:
        for block in _blocks(container):
            if block.tag == qn("w:p"):
                self._add_paragraph(block)
            else:
                self._add_table(block)

    def _add_paragraph(self, paragraph: etree._Element) -> None:
        content = ParagraphText()
        content.add(paragraph)
        text = content.text.strip()
        numbered = self._styles.numbering(paragraph)
        marker = self._numbering.next_marker(*numbered) if numbered is not None and text else ""
        level = self._styles.heading_level(paragraph)
        if level is not None:
            self._builder.add_heading(level, f"{marker} {text}" if marker not in ("", "-") else text)
        elif marker:
            self._builder.add_list_item(text, marker=marker, level=numbered[1] if numbered is not None else 0)
        else:
            self._builder.add_paragraph(text)
        self._add_attached(content)

    def _add_attached(self, content: ParagraphText) -> None:
        """What hangs on a paragraph or table follows it."""
        self._n_undescribed += content.n_undescribed
        for description in content.descriptions:
            self._builder.add_paragraph(description)
        for box in content.boxes:
            self._add_blocks(box)
        for key in content.notes:
            if key in self._notes:
                self._builder.add_paragraph(self._text_of(self._notes[key]))
        for identifier in content.comments:
            comment = self._comments.get(identifier)
            text = self._text_of(comment) if comment is not None else ""
            if comment is not None and text.strip():
                self._n_comments += 1
                self._builder.add_paragraph(f"{comment.get(qn('w:author')) or 'Comment'}: {text}")

    def _add_table(self, table: etree._Element) -> None:
        rows = [list(_wrapped(row, "w:tc")) for row in _wrapped(table, "w:tr") if not _is_deleted(row)]
        cells = [cell for row in rows for cell in row]
        if len(cells) <= 1 or any(next(cell.iter(qn("w:tbl")), None) is not None for cell in cells):
            for cell in cells:  # a box or a layout, not a table of data
                self._add_blocks(cell)
            return
        attached = ParagraphText()
        self._builder.add_table([self._row(row, attached) for row in rows], header=_has_header(table))
        self._add_attached(attached)

    def _row(self, cells: list[etree._Element], attached: ParagraphText) -> list[str]:
        row: list[str] = []
        for cell in cells:
            texts = []
            for paragraph in _blocks(cell):
                attached.pieces.clear()
                attached.add(paragraph)
                text = attached.text
                numbered = self._styles.numbering(paragraph)
                marker = self._numbering.next_marker(*numbered) if numbered is not None and text.strip() else ""
                texts.append(f"{marker} {text}" if marker not in ("", "-") else text)
            span = cell.find(f"{qn('w:tcPr')}/{qn('w:gridSpan')}")
            width = span.get(qn("w:val"), "1") if span is not None else "1"
            n_columns = min(int(width), _MAX_COLUMNS_SPANNED) if width.isdecimal() else 1
            row += ["\n".join(texts), *[""] * (n_columns - 1)]
        attached.pieces.clear()
        return row

    def _text_of(self, container: etree._Element) -> str:
        """Plain text of a note or comment, a line a paragraph."""
        lines = []
        for paragraph in container.iter(qn("w:p")):
            content = ParagraphText()
            content.add(paragraph)
            lines.append(content.text.strip())
        return "\n".join(line for line in lines if line)

    def _page_texts(self, body: etree._Element, reference_tag: str) -> Iterator[etree._Element]:
        """Page headers or footers with letters in them, each text once."""
        seen: set[str] = set()
        for reference in body.iter(qn(reference_tag)):
            relationship = self._main.rels.get(reference.get(qn("r:id"), ""))
            if relationship is None or relationship.is_external:
                continue
            root = _root(relationship.target_part)
            text = self._text_of(root)
            if text not in seen and any(char.isalpha() for char in text):
                seen.add(text)
                yield root

    def _related(self, kind: str) -> etree._Element | None:
        """The root of the related part of one kind, None where there is none."""
        for relationship in self._main.rels.values():
            if relationship.reltype.endswith(f"/relationships/{kind}") and not relationship.is_external:
                return _root(relationship.target_part)
        return None

    def _children(self, kind: str, tag: str) -> Iterator[etree._Element]:
        root = self._related(kind)
        if root is not None:
            yield from root.iter(qn(tag))


def _blocks(container: etree._Element) -> Iterator[etree._Element]:
    """Paragraphs and tables of a container, in order."""
    for child in container:
        if child.tag in (qn("w:p"), qn("w:tbl")):
            yield child
        elif child.tag in _WRAPPERS:
            yield from _blocks(child)


def _wrapped(container: etree._Element, name: str) -> Iterator[etree._Element]:
    """Rows of a table or cells of a row, in order."""
    for child in container:
        if child.tag == qn(name):
            yield child
        elif child.tag in _WRAPPERS:
            yield from _wrapped(child, name)


def _is_deleted(row: etree._Element) -> bool:
    return row.find(f"{qn('w:trPr')}/{qn('w:del')}") is not None


def _has_header(table: etree._Element) -> bool:
    """Whether the first row is a header: marked as one, or formatted as one, as Word does unless told otherwise."""
    row = next(_wrapped(table, "w:tr"), None)
    if row is not None and row.find(f"{qn('w:trPr')}/{qn('w:tblHeader')}") is not None:
        return True
    look = table.find(f"{qn('w:tblPr')}/{qn('w:tblLook')}")
    if look is None:
        return True
    first = look.get(qn("w:firstRow"))
    if first is not None:
        return first in ("1", "true", "on")
    try:
        return bool(int(look.get(qn("w:val"), "0"), 16) & _FIRST_ROW)
    except ValueError:
        return True
