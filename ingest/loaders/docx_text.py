"""The visible text of a Word paragraph, and what hangs on it: notes, comments, text boxes, pictures."""

from dataclasses import dataclass, field

from docx.oxml.ns import nsmap, qn
from lxml import etree

from ingest.loaders.markup_blocks import raise_digits

_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_WORDS = "{" + nsmap["w"] + "}"
# Deletions, field codes, properties and phonetic guides are not part of the text.
_SKIPPED = frozenset(
    qn(f"w:{name}")
    for name in ("del", "moveFrom", "delText", "instrText", "delInstrText", "pPr", "rPr", "sdtPr", "rt", "sectPr")
)
_SIGNS = {
    qn("w:tab"): "\t",
    qn("w:ptab"): "\t",
    qn("w:br"): "\n",
    qn("w:cr"): "\n",
    qn("w:noBreakHyphen"): "-",
}


@dataclass(slots=True)
class ParagraphText:
    """The text of one or more paragraphs, as a reader sees it with all changes accepted."""

    pieces: list[str] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)  # ("footnote" or "endnote", id)
    comments: list[str] = field(default_factory=list)  # ids
    boxes: list[etree._Element] = field(default_factory=list)  # w:txbxContent
    descriptions: list[str] = field(default_factory=list)  # of pictures
    n_undescribed: int = 0  # pictures

    @property
    def text(self) -> str:
        """The characters collected."""
        return "".join(self.pieces)

    def add(self, element: etree._Element) -> None:
        """Collect the text of an element and of everything in it."""
        tag = element.tag
        if not isinstance(tag, str) or tag in _SKIPPED:
            return
        if tag in (qn("w:t"), f"{_MATH}t"):
            self.pieces.append(element.text or "")
        elif tag in _SIGNS:
            self.pieces.append(_SIGNS[tag])
        elif tag == qn("w:sym"):
            self._add_symbol(element)
        elif tag == qn("w:r"):
            self._add_run(element)
        elif tag in (qn("w:footnoteReference"), qn("w:endnoteReference")):
            kind = "footnote" if tag == qn("w:footnoteReference") else "endnote"
            self.notes.append((kind, element.get(qn("w:id"), "")))
        elif tag == qn("w:commentReference"):
            self.comments.append(element.get(qn("w:id"), ""))
        elif tag == qn("w:txbxContent"):
            self.boxes.append(element)
        elif tag == f"{_MC}AlternateContent":
            chosen = element.find(f"{_MC}Choice")
            chosen = chosen if chosen is not None else element.find(f"{_MC}Fallback")
            if chosen is not None:
                self._add_children(chosen)
        elif tag in (qn("w:drawing"), qn("w:pict")):
            self._add_drawing(element)
        elif tag == f"{_MATH}f":
            self._add_joined(element, (f"{_MATH}num", f"{_MATH}den"), "/")
        elif tag in (f"{_MATH}sSup", f"{_MATH}sSub"):
            self._add_joined(element, (f"{_MATH}e", f"{_MATH}sup", f"{_MATH}sub"), "", raised=tag.endswith("sSup"))
        else:
            self._add_children(element)

    def _add_children(self, element: etree._Element) -> None:
        for child in element:
            self.add(child)

    def _add_run(self, run: etree._Element) -> None:
        properties = run.find(qn("w:rPr"))
        if properties is not None and _is_on(properties.find(qn("w:vanish"))):
            return
        before = len(self.pieces)
        self._add_children(run)
        position = properties.find(qn("w:vertAlign")) if properties is not None else None
        if position is not None and position.get(qn("w:val")) == "superscript":
            self.pieces[before:] = [raise_digits("".join(self.pieces[before:]))]

    def _add_symbol(self, element: etree._Element) -> None:
        try:
            code = int(element.get(qn("w:char"), ""), 16)
        except ValueError:
            return
        # Symbol fonts put ASCII at U+F000 and up; which picture that is depends on the font.
        if 0 < code < 0xD800 or 0xE000 <= code < 0xFFFE:
            self.pieces.append(chr(code))

    def _add_drawing(self, drawing: etree._Element) -> None:
        boxes = list(drawing.iter(qn("w:txbxContent")))
        self.boxes.extend(box for box in boxes if not _is_inside_another(box, drawing))
        pictures = list(drawing.iter("{*}blip", "{*}imagedata"))
        described = [
            found.strip()
            for holder in drawing.iter("{*}docPr", "{*}shape")
            if (found := holder.get("descr") or holder.get("alt") or "").strip()
        ]
        self.descriptions.extend(dict.fromkeys(described))
        if pictures and not described:
            self.n_undescribed += len(pictures)

    def _add_joined(self, element: etree._Element, parts: tuple[str, ...], sign: str, *, raised: bool = False) -> None:
        texts = []
        for child in element:
            if child.tag in parts:
                inner = ParagraphText()
                inner._add_children(child)
                texts.append(inner.text)
        if raised and len(texts) == 2:
            texts[1] = raise_digits(texts[1])
        self.pieces.append(sign.join(texts))


def _is_on(element: etree._Element | None) -> bool:
    return element is not None and element.get(qn("w:val"), "true") not in ("0", "false", "off")


def _is_inside_another(box: etree._Element, root: etree._Element) -> bool:
    """Whether a text box is a fallback copy, or part of another box that will be read with it."""
    for above in box.iterancestors():
        if above is root:
            return False
        if above.tag in (qn("w:txbxContent"), f"{_MC}Fallback"):
            return True
    return False
