"""Are page numbers and boxes of parsed PDFs right? Speed of parsing?

    python benchmarks/pdf_pages.py --data DIR [--images DIR]

DIR holds `GeoTopo-komprimiert.pdf` and its true text `GeoTopo-book.txt` (and other PDFs). The true text repeats the
running head of each page ("4 1.1. TOPOLOGISCHE RÄUME"); the first long line after such a head stands on the page of
that printed number, which the PDF's page labels map to a page. Each such line is a phrase that must be found, after
parsing, on that page (a few stand on a second page as well; those are listed). For boxes, the page is rendered, and the
box of each letter and digit must hold ink; how much ink lies outside all boxes is told as well (figures are drawn ink).
"""

import argparse
import io
import json
import re
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pypdfium2
import structlog
from PIL import Image, ImageDraw

from ingest.limits import Limits
from ingest.sandbox import Sandbox
from rag.errors import DocumentError
from rag.types import Page, ParsedDocument

_HEAD = re.compile(r"^(\d{1,3}) (?:\d\.\d+\. )?[A-ZÄÖÜß .-]{6,}$")
_DARK = 160  # grey level below which a pixel is ink
_BOOK = "GeoTopo-komprimiert.pdf"


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the PDFs")
    parser.add_argument("--images", type=Path, help="write five pages with a phrase's boxes drawn here")
    arguments = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for the figures
    with Sandbox(Limits()) as sandbox:
        sandbox.start()
        sandbox.layers()
        figures = {
            "files": _all_files(sandbox, arguments.data),
            "book": _book(sandbox, arguments.data, arguments.images),
        }
    print(json.dumps(figures, indent=2, ensure_ascii=False))


def _all_files(sandbox: Sandbox, folder: Path) -> dict[str, object]:
    ends: dict[str, str] = {}
    started = time.perf_counter()
    for path in sorted(folder.glob("*.pdf")):
        try:
            sandbox.parse(path, name=path.name)
            ends[path.name] = "ready"
        except DocumentError as error:
            ends[path.name] = error.code
    return {"n": len(ends), "seconds": round(time.perf_counter() - started, 2), "ends": ends}


def _book(sandbox: Sandbox, folder: Path, images: Path | None) -> dict[str, object]:
    path = folder / _BOOK
    started = time.perf_counter()
    parsed = sandbox.parse(path, name=path.name)
    seconds = time.perf_counter() - started
    labels = pypdfium2.PdfDocument(path)
    page_of = {labels.get_page_label(index): index + 1 for index in range(len(labels))}
    phrases = _phrases((folder / "GeoTopo-book.txt").read_text(encoding="utf-8"))
    squeezed = {page.number: _squeeze(parsed.text[page.start : page.end]) for page in parsed.pages}
    found = right = 0
    elsewhere: list[dict[str, object]] = []
    placed: list[tuple[Page, str]] = []
    for label, phrase in phrases:
        pages = [number for number, text in squeezed.items() if _squeeze(phrase) in text]
        found += bool(pages)
        if page_of.get(label) in pages:
            right += 1
            placed.append((parsed.pages[page_of[label] - 1], phrase))
        if pages and pages != [page_of.get(label)]:
            elsewhere.append({"printed": label, "expected": page_of.get(label), "found": pages})
    return {
        "pages": len(parsed.pages),
        "seconds": round(seconds, 3),
        "pages_per_second": round(len(parsed.pages) / seconds, 1),
        "phrases": len(phrases),
        "phrases_found": found,
        "phrases_on_the_right_page": right,
        "also_or_only_elsewhere": elsewhere,
        "boxes": _boxes(sandbox, path, parsed, placed[:: max(1, len(placed) // 5)][:5], images),
    }


def _phrases(text: str) -> list[tuple[str, str]]:
    """(printed page number, first long line of prose after that page's running head)."""
    phrases = []
    label: str | None = None
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            label = head.group(1)
        elif label is not None and len(line) >= 40 and sum(char.isalpha() for char in line) > 0.7 * len(line):
            phrases.append((label, line))
            label = None
    return phrases


def _boxes(
    sandbox: Sandbox, path: Path, parsed: ParsedDocument, placed: list[tuple[Page, str]], images: Path | None
) -> list[dict[str, object]]:
    rows = []
    for page, phrase in placed:
        assert page.number is not None and page.char_boxes is not None
        image = Image.open(io.BytesIO(sandbox.render_page(path, page.number))).convert("L")
        ink = np.asarray(image) < _DARK
        text = parsed.text[page.start : page.end]
        start, end = _find(text, phrase)
        visible = [index for index in range(start, end) if text[index].isalnum()]
        inside = [_has_ink(ink, page.char_boxes[index]) for index in visible]
        everywhere = [index for index in range(len(text)) if text[index].isalnum()]
        of_page = [_has_ink(ink, page.char_boxes[index]) for index in everywhere]
        outside = ink.copy()
        for x0, y0, x1, y1 in _pixels(ink, page.char_boxes):
            outside[y0:y1, x0:x1] = False
        rows.append(
            {
                "page": page.number,
                "quote": text[start:end],
                "characters_of_the_quote_with_ink_in_their_box": round(float(np.mean(inside)), 3),
                "characters_of_the_page_with_ink_in_their_box": round(float(np.mean(of_page)), 3),
                "ink_of_the_page_outside_all_boxes": round(float(outside.sum() / max(ink.sum(), 1)), 3),
            }
        )
        if images is not None:
            _draw(image, page, start, end, images / f"page-{page.number}.png")
    return rows


def _draw(image: Image.Image, page: Page, start: int, end: int, target: Path) -> None:
    assert page.char_boxes is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    shown = image.convert("RGB")
    pen = ImageDraw.Draw(shown)
    size = np.array([image.width, image.height] * 2) / 65535
    for box in page.char_boxes[start:end]:
        if box.any():
            pen.rectangle([float(edge) for edge in box * size], outline=(220, 30, 30))
    shown.save(target)


def _has_ink(ink: npt.NDArray[np.bool_], box: npt.NDArray[np.uint16]) -> bool:
    ((x0, y0, x1, y1),) = _pixels(ink, box[None])
    return bool(ink[y0:y1, x0:x1].any())


def _pixels(ink: npt.NDArray[np.bool_], boxes: npt.NDArray[np.uint16]) -> list[list[int]]:
    height, width = ink.shape
    edges = boxes / 65535 * np.array([width, height, width, height])
    edges[:, :2], edges[:, 2:] = np.floor(edges[:, :2]), np.ceil(edges[:, 2:])
    rows: list[list[int]] = edges.astype(int).tolist()
    return rows


def _find(text: str, phrase: str) -> tuple[int, int]:
    """Where the letters of `phrase` stand in `text`."""
    letters = [(index, char) for index, char in enumerate(text) if char.isalnum()]
    at = _squeeze(text).index(_squeeze(phrase))
    return letters[at][0], letters[at + len(_squeeze(phrase)) - 1][0] + 1


def _squeeze(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


if __name__ == "__main__":
    main()
