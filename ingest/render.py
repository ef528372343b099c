"""Page images of PDFs. Runs in the parser's cage: PDFium is native code and not safe for threads."""

import io
import math
from pathlib import Path

import pypdfium2

from ingest.detect import PDF, detect_media_type
from ingest.loaders.pdf_open import open_pdf
from rag.errors import DocumentError, NoPagesError, NotFoundError

DEFAULT_WIDTH = 1400  # pixels
_MAX_SIDE = 32_000  # pixels, where bitmaps end


def render_page(
    path: Path, page_number: int, password: str | None, max_pixels: int, *, width: int = DEFAULT_WIDTH
) -> bytes:
    """A page as PNG, `width` pixels wide, or smaller where it would have more than `max_pixels`.

    Raises:
        NoPagesError: the file is no PDF.
        NotFoundError: the file has no such page (1-based).
        DocumentError: the file or the page cannot be drawn.
    """
    if detect_media_type(path, path.name, None) != PDF:
        raise NoPagesError("Only PDFs have page images; read the document's text instead.")
    document = open_pdf(path, password).document
    if not 1 <= page_number <= len(document):
        raise NotFoundError(f"The document has no page {page_number}; it has {len(document)}.")
    document.init_forms()
    try:
        page = document[page_number - 1]
        page_width, page_height = page.get_size()
        scale = _scale(page_width, page_height, width, max_pixels)
        bitmap = page.render(scale=scale)
    except pypdfium2.PdfiumError as error:
        message = f"Page {page_number} of the PDF is damaged and cannot be drawn."
        raise DocumentError("corrupt", message, page=page_number) from error
    png = io.BytesIO()
    bitmap.to_pil().save(png, "PNG", compress_level=4)
    return png.getvalue()


def _scale(page_width: float, page_height: float, width: int, max_pixels: int) -> float:
    """Pixels a point, such that neither the count of pixels nor a side goes beyond what is allowed."""
    page_width, page_height = max(page_width, 1e-3), max(page_height, 1e-3)
    by_area = math.sqrt(max_pixels / (page_width * page_height))
    by_side = (_MAX_SIDE - 1) / max(page_width, page_height)
    scale = min(width / page_width, by_area, by_side) * (1 - 1e-6)  # both sides are rounded up below and in PDFium
    while math.ceil(page_width * scale) * math.ceil(page_height * scale) > max_pixels:
        scale *= 0.99
    return scale
