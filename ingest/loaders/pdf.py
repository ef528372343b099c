"""PDF: text with the place of every character by PDFium, repair by pypdf."""

from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium

from ingest.limits import Limits
from ingest.loaders.pdf_headings import find_headings
from ingest.loaders.pdf_join import TextOfPages, words_of
from ingest.loaders.pdf_layout import stretches
from ingest.loaders.pdf_open import open_pdf
from ingest.loaders.pdf_structure import read_structure
from ingest.loaders.pdf_text import PageText, read_page
from ingest.postconditions import too_many_pages
from ingest.receipt import name_pages
from rag.errors import DocumentError
from rag.types import PageReceipt, ParsedDocument, Receipt

_MEDIA_TYPE = "application/pdf"
_DRAWN_ANNOTATIONS = frozenset((pdfium.FPDF_ANNOT_WIDGET, pdfium.FPDF_ANNOT_FREETEXT, pdfium.FPDF_ANNOT_STAMP))
_COMMENTS = frozenset(
    (
        pdfium.FPDF_ANNOT_TEXT,
        pdfium.FPDF_ANNOT_HIGHLIGHT,
        pdfium.FPDF_ANNOT_UNDERLINE,
        pdfium.FPDF_ANNOT_STRIKEOUT,
        pdfium.FPDF_ANNOT_SQUIGGLY,
    )
)
_MAX_FORM_DEPTH = 4
_MAX_UNMAPPED_SHARE = 0.2


def load_pdf(path: Path, *, name: str, password: str | None, limits: Limits) -> ParsedDocument:
    """Parse a PDF.

    Every page becomes a `Page` with its size and a box for every character. Lines are joined to paragraphs, words
    hyphenated at line ends are joined, headings are taken from the outline or else from type size. Filled form fields
    are part of the text, comments and attachments are not and the receipt says so.

    Raises:
        DocumentError: `encrypted`, `wrong_password`, `corrupt`, `too_large` (pages, characters), or `no_text`.
    """
    opened = open_pdf(path, password)
    document = opened.document
    if len(document) > limits.max_pages:
        raise too_many_pages(len(document), limits)
    reader = _Reader(document, limits)
    pages = [reader.read(index) for index in range(len(document))]
    if len(reader.unreadable) == len(pages):
        raise DocumentError("corrupt", "No page of the PDF can be read; open it elsewhere and save it again.")
    if not any(page.lines for page in pages):
        raise _no_text(reader)
    structure = read_structure(document)
    headings = find_headings([page.lines for page in pages], structure.outline)
    text = TextOfPages(words_of(pages))
    for page, known in zip(pages, headings, strict=True):
        text.add_page(page, stretches(page.lines, known))
        page.lines, page.boxes = [], page.boxes[:0]

    joined = text.close()

    warnings = reader.warnings()
    if opened.damaged:
        warnings.insert(0, "The PDF is damaged; it was read as far as possible and text may be missing.")
    if structure.n_attachments:
        warnings.append(
            f"{structure.n_attachments} attached files were not read; upload them as documents of their own."
        )
    receipts = tuple(
        PageReceipt(
            page=page.number,
            n_chars=page.end - page.start,
            flags=(*reader.flags[index], *(("repaired",) if opened.damaged else ())),
        )
        for index, page in enumerate(text.pages)
    )
    return ParsedDocument(
        text=joined,
        pages=tuple(text.pages),
        blocks=tuple(text.blocks),
        media_type=_MEDIA_TYPE,
        receipt=Receipt(pages=receipts, warnings=tuple(warnings)),
        title=structure.title,
    )


class _Reader:
    """Reads pages one after the other and keeps account of what was odd about them."""

    def __init__(self, document: pypdfium2.PdfDocument, limits: Limits) -> None:
        self._document = document
        self._limits = limits
        self._n_chars = 0
        self._n_comments = 0
        self._has_forms = document.get_formtype() != pdfium.FORMTYPE_NONE
        document.init_forms()
        self.flags: list[tuple[str, ...]] = []
        self.unreadable: list[int] = []
        self.image_only: list[int] = []
        self._unmapped: list[int] = []

    def read(self, index: int) -> PageText:
        """The text of page `index` (0-based)."""
        try:
            result, flags = self._read(index)
        except pypdfium2.PdfiumError:
            self.unreadable.append(index + 1)
            result, flags = PageText(width=0.0, height=0.0, rotated=False, n_unmapped=0), ("unreadable", "no_text")
        self._n_chars += sum(len(line.text) for line in result.lines)
        if self._n_chars > self._limits.max_chars:
            raise DocumentError(
                "too_large",
                f"The PDF holds more than {self._limits.max_chars} characters; split it and upload the parts.",
            )
        self.flags.append(flags)
        return result

    def warnings(self) -> list[str]:
        """Sentences for the receipt."""
        sentences = []
        if self.unreadable:
            sentences.append(f"The PDF is damaged on {name_pages(self.unreadable)}, which could not be read.")
        if self.image_only:
            sentences.append(
                f"There is only a picture on {name_pages(self.image_only)}; its text needs text recognition (OCR)."
            )
        if self._unmapped:
            sentences.append(
                f"The fonts on {name_pages(self._unmapped)} do not say what their characters mean; text is missing."
            )
        if self._n_comments:
            comments = "1 comment is" if self._n_comments == 1 else f"{self._n_comments} comments are"
            sentences.append(f"{comments} not part of the text: notes in the margin or on marked words.")
        return sentences

    def _read(self, index: int) -> tuple[PageText, tuple[str, ...]]:
        page = self._document[index]
        try:
            if self._merge_annotations(page):
                page.close()
                page = self._document[index]
            result = read_page(page)
            flags = ["rotated"] if result.rotated else []
            if not result.lines:
                only_image = _has_image(page.raw)
                flags.append("image_only" if only_image else "no_text")
                if only_image:
                    self.image_only.append(index + 1)
            if result.n_unmapped > _MAX_UNMAPPED_SHARE * max(len(result.boxes), 1):
                self._unmapped.append(index + 1)
            return result, tuple(flags)
        finally:
            page.close()

    def _merge_annotations(self, page: pypdfium2.PdfPage) -> bool:
        """Make filled form fields and text boxes part of the page, as they are when it is drawn."""
        kinds = []
        for number in range(pdfium.FPDFPage_GetAnnotCount(page)):
            annotation = pdfium.FPDFPage_GetAnnot(page, number)
            kinds.append(pdfium.FPDFAnnot_GetSubtype(annotation))
            pdfium.FPDFPage_CloseAnnot(annotation)
        self._n_comments += sum(kind in _COMMENTS for kind in kinds)
        if not _DRAWN_ANNOTATIONS.intersection(kinds):
            return False
        return bool(pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY) == pdfium.FLATTEN_SUCCESS)


def _has_image(page: pdfium.FPDF_PAGE) -> bool:
    """Whether a picture is drawn on the page, directly or inside form objects."""
    found = [
        (pdfium.FPDFPage_GetObject(page, number), 0)
        for number in range(min(pdfium.FPDFPage_CountObjects(page), 10_000))
    ]
    while found:
        drawn, depth = found.pop()
        kind = pdfium.FPDFPageObj_GetType(drawn)
        if kind == pdfium.FPDF_PAGEOBJ_IMAGE:
            return True
        if kind == pdfium.FPDF_PAGEOBJ_FORM and depth < _MAX_FORM_DEPTH:
            n_inner = min(pdfium.FPDFFormObj_CountObjects(drawn), 1_000)
            found += [(pdfium.FPDFFormObj_GetObject(drawn, number), depth + 1) for number in range(n_inner)]
    return False


def _no_text(reader: _Reader) -> DocumentError:
    if reader.image_only:
        return DocumentError(
            "no_text",
            "The PDF holds pictures of pages and no text; run text recognition (OCR) on it and upload the result.",
            page=reader.image_only[0],
        )
    return DocumentError("no_text", "The PDF holds no text; upload one that does.")
