"""Slides: each is a page, its title a heading, its notes at its end."""

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lxml import etree
from pptx import Presentation
from pptx.enum.shapes import MSO_SHAPE_TYPE, PP_PLACEHOLDER
from pptx.exc import PythonPptxError

from ingest.builder import TextBuilder
from ingest.limits import Limits
from ingest.loaders.markup_blocks import raise_digits
from rag.errors import DocumentError
from rag.types import ParsedDocument

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"

_EMU_PER_POINT = 12_700
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_DIAGRAM_DATA = "/diagramData"  # end of the relationship type of SmartArt
_TITLES = (PP_PLACEHOLDER.TITLE, PP_PLACEHOLDER.CENTER_TITLE, PP_PLACEHOLDER.VERTICAL_TITLE)
_LISTED = (PP_PLACEHOLDER.BODY, PP_PLACEHOLDER.OBJECT, PP_PLACEHOLDER.VERTICAL_BODY, PP_PLACEHOLDER.VERTICAL_OBJECT)
_ORNAMENTS = (PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.DATE)
_MAX_GROUP_DEPTH = 50


def load_pptx(path: Path, *, name: str, password: str | None, limits: Limits) -> ParsedDocument:
    """Parse a presentation. Shapes come in their stacking order, the title first; hidden slides are flagged `hidden`.

    Raises:
        DocumentError: `corrupt`, `no_text`, `too_large`.
    """
    try:
        presentation = Presentation(str(path))
        slides = list(presentation.slides)
        width, height = presentation.slide_width, presentation.slide_height
        title = presentation.core_properties.title
    except (PythonPptxError, KeyError, ValueError, AttributeError, etree.XMLSyntaxError, zipfile.BadZipFile) as error:
        raise DocumentError(
            "corrupt",
            "The file is no whole presentation; open it in PowerPoint, save it again as .pptx and upload that.",
        ) from error
    reader = _Reader(TextBuilder(limits))
    for number, slide in enumerate(slides, start=1):
        reader.builder.start_page(
            number,
            width=width / _EMU_PER_POINT if width else None,
            height=height / _EMU_PER_POINT if height else None,
        )
        reader.add_slide(slide)
    return reader.finish(title or None)


class _Reader:
    """Reads slides into the builder. python-pptx has no types, hence `Any`."""

    def __init__(self, builder: TextBuilder) -> None:
        self.builder = builder
        self._n_undescribed = 0

    def add_slide(self, slide: Any) -> None:
        """Add one slide to the page that was just started."""
        self.builder.leave_headings()
        before = self.builder.n_chars
        shapes = list(_flatten(slide.shapes))
        titles = [shape for shape in shapes if _placeholder(shape) in _TITLES]
        for shape in titles[:1]:
            self.builder.add_heading(1, " ".join(_paragraph_texts(shape)))
        for shape in shapes:
            if shape not in titles[:1]:
                self._add_shape(shape)
        for relationship in slide.part.rels.values():
            if relationship.reltype.endswith(_DIAGRAM_DATA) and not relationship.is_external:
                self._add_diagram(relationship.target_part.blob)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            self._add_paragraphs(slide.notes_slide.notes_text_frame.paragraphs)
        if self.builder.n_chars == before:
            pictures = any(_is_picture(shape) for shape in shapes)
            self.builder.flag("image_only" if pictures else "no_text")
        if slide._element.get("show") in ("0", "false"):
            self.builder.flag("hidden")

    def finish(self, title: str | None) -> ParsedDocument:
        """The finished document."""
        if self._n_undescribed:
            self.builder.warn(f"Pictures without a description were left out: {self._n_undescribed}.")
        return self.builder.build(media_type=MEDIA_TYPE, title=title)

    def _add_shape(self, shape: Any) -> None:
        placeholder = _placeholder(shape)
        if placeholder in _ORNAMENTS:
            return
        if getattr(shape, "has_table", False):
            rows = [[_cell_text(cell) for cell in row.cells] for row in shape.table.rows]
            self.builder.add_table(rows, header=shape.table.first_row)
        elif getattr(shape, "has_chart", False):
            self._add_chart(shape.chart)
        elif getattr(shape, "has_text_frame", False):
            paragraphs = [paragraph for paragraph in shape.text_frame.paragraphs if _text(paragraph).strip()]
            if placeholder in _LISTED and len(paragraphs) > 1:
                for paragraph in paragraphs:
                    self.builder.add_list_item(_text(paragraph), level=paragraph.level)
            else:
                self._add_paragraphs(paragraphs)
        elif _is_picture(shape):
            description = _description(shape)
            self._n_undescribed += not description
            self.builder.add_paragraph(description)

    def _add_paragraphs(self, paragraphs: Iterable[Any]) -> None:
        for paragraph in paragraphs:
            self.builder.add_paragraph(_text(paragraph))

    def _add_chart(self, chart: Any) -> None:
        """The chart's title and the numbers it draws."""
        if chart.has_title and chart.chart_title.has_text_frame:
            self.builder.add_paragraph(chart.chart_title.text_frame.text)
        for plot in chart.plots:
            series = list(plot.series)
            rows = [["", *(str(one.name) for one in series)]]
            for index, category in enumerate(plot.categories):
                values = [one.values[index] if index < len(one.values) else None for one in series]
                rows.append([str(category), *("" if value is None else f"{value:.15g}" for value in values)])
            self.builder.add_table(rows)

    def _add_diagram(self, data: bytes) -> None:
        parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True)
        try:
            root = etree.fromstring(data, parser)
        except etree.XMLSyntaxError:
            self.builder.warn("A diagram could not be read and was left out.")
            return
        for paragraph in root.iter(f"{_DRAWING}p"):
            self.builder.add_list_item("".join(run.text or "" for run in paragraph.iter(f"{_DRAWING}t")))


def _flatten(shapes: Iterable[Any], depth: int = 0) -> Iterator[Any]:
    """The shapes, those in groups included, in order."""
    for shape in shapes:
        if getattr(shape, "shape_type", None) == MSO_SHAPE_TYPE.GROUP and depth < _MAX_GROUP_DEPTH:
            yield from _flatten(shape.shapes, depth + 1)
        else:
            yield shape


def _placeholder(shape: Any) -> Any:
    return shape.placeholder_format.type if getattr(shape, "is_placeholder", False) else None


def _is_picture(shape: Any) -> bool:
    return hasattr(shape, "image") or shape._element.tag.endswith("}pic")


def _description(shape: Any) -> str:
    holder = next(shape._element.iter("{*}cNvPr"), None)
    return str(holder.get("descr") or "").strip() if holder is not None else ""


def _paragraph_texts(shape: Any) -> list[str]:
    return [_text(paragraph) for paragraph in shape.text_frame.paragraphs]


def _text(paragraph: Any) -> str:
    """Text of a paragraph: runs, fields and line breaks; digits raised above the line become ¹²³."""
    pieces = []
    for child in paragraph._p:
        if child.tag == f"{_DRAWING}br":
            pieces.append("\n")
        elif child.tag in (f"{_DRAWING}r", f"{_DRAWING}fld"):
            text = child.findtext(f"{_DRAWING}t") or ""
            properties = child.find(f"{_DRAWING}rPr")
            is_raised = properties is not None and not (properties.get("baseline") or "0").startswith(("0", "-"))
            pieces.append(raise_digits(text) if is_raised else text)
        elif child.tag not in (f"{_DRAWING}pPr", f"{_DRAWING}endParaRPr"):
            pieces.append("".join(inner.text or "" for inner in child.iter("{*}t")))  # formulas
    return "".join(pieces)


def _cell_text(cell: Any) -> str:
    return "\n".join(_text(paragraph) for paragraph in cell.text_frame.paragraphs)
