"""The text of one PDF page as PDFium reads it: visual lines, each character with its box."""

import ctypes
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pypdfium2
import pypdfium2.raw as pdfium

from rag.normalize import normalize_with_map
from rag.types import FloatArray, IdArray

BoxArray = npt.NDArray[np.uint16]

_FULL = 65535  # a page's width or height in box units
_DEVICE = 1 << 20  # pixels of the device through which PDFium tells how it places a page
_PROBE = 1000.0  # points
_HYPHEN = 2  # what PDFium calls a hyphen after which a word goes on in the next line
_LINE_ENDS = (10, 13)
_HYPHENS = "-\u00ad\u2010"
_BOLD = re.compile(r"bold|black|heavy|demi|[-,]b$|^(?:\w+\+)?(?:CMBX|SFBX|CMB)\d", re.IGNORECASE)
_WORD = re.compile(r"\S+")
_FONT_NAME_BYTES = 128
_FORCE_BOLD = 1 << 18  # ISO 32000-1 table 123, bit 19


Cell = tuple[int, float, float]  # offset in a line's text, x0, x1


@dataclass(slots=True)
class Line:
    """One line of text as the eye sees it. Geometry in points, y down, in a frame in which the text is upright."""

    text: str  # normalized, no white space around it
    places: IdArray  # of each character of `text` in the page's glyphs; -1 for one that has none
    x0: float
    x1: float
    top: float
    bottom: float
    size: float  # height of its glyphs' boxes, about the font size
    bold: bool
    hyphenated: bool  # ends with a hyphen after which its last word may go on
    words: tuple[Cell, ...] = ()
    cells: tuple[Cell, ...] = ()  # words that no wide gap sets apart


@dataclass(slots=True)
class PageText:
    """What a page says."""

    width: float  # points, as shown
    height: float
    rotated: bool
    n_unmapped: int  # glyphs of which the PDF does not say what they mean
    lines: list[Line] = field(default_factory=list)
    boxes: BoxArray = field(default_factory=lambda: np.zeros((0, 4), np.uint16))  # of each glyph, see `Page.char_boxes`


def read_page(page: pypdfium2.PdfPage) -> PageText:
    """Lines and boxes of a page, in the order in which PDFium gives its text."""
    width, height = page.get_size()
    result = PageText(width=width, height=height, rotated=page.get_rotation() != 0, n_unmapped=0)
    textpage = page.get_textpage()
    try:
        codes, rectangles = _glyphs(textpage)
        if not codes:
            return result
        spans = list(_line_spans(codes))
        quarter = _reading_direction(textpage, spans)
        frame = _upright(rectangles, quarter)
        drawn = [
            line for start, end in spans if (line := _line(textpage, codes, frame, start, end, quarter)) is not None
        ]
        if (quarter or result.rotated) and _runs_upwards(drawn):
            drawn.reverse()  # PDFium orders what runs sideways by its place in the page, not by its own direction
        result.n_unmapped = sum(code in (0, 0xFFFD) for code in codes)
        result.lines = _joined(drawn)
        result.boxes = _on_page(page, _rotated_back(frame, quarter))
    finally:
        textpage.close()
    return result


def _glyphs(textpage: pypdfium2.PdfTextPage) -> tuple[list[int], FloatArray]:
    """Code points and loose boxes (left, bottom, right, top in user space), float64[n, 4]."""
    raw = textpage.raw
    rectangle = pdfium.FS_RECTF()
    pointer = ctypes.byref(rectangle)
    get_code, get_box = pdfium.FPDFText_GetUnicode, pdfium.FPDFText_GetLooseCharBox
    codes: list[int] = []
    boxes: list[float] = []
    for index in range(textpage.count_chars()):
        codes.append(get_code(raw, index))
        if get_box(raw, index, pointer):
            boxes += (rectangle.left, rectangle.bottom, rectangle.right, rectangle.top)
        else:
            boxes += (0.0, 0.0, 0.0, 0.0)
    return codes, np.asarray(boxes, dtype=np.float32).reshape(-1, 4)


def _line_spans(codes: list[int]) -> Iterator[tuple[int, int]]:
    """Celles between line ends; a hyphen at which PDFium joined two lines ends one, too."""
    start = 0
    for index, code in enumerate(codes):
        if code in _LINE_ENDS:
            if index > start:
                yield start, index
            start = index + 1
        elif code == _HYPHEN:
            yield start, index + 1
            start = index + 1
    if len(codes) > start:
        yield start, len(codes)


def _reading_direction(textpage: pypdfium2.PdfTextPage, spans: list[tuple[int, int]]) -> int:
    """In which of the four directions most characters run: quarter turns clockwise from left to right."""
    votes = [0, 0, 0, 0]
    for start, end in spans:
        angle = pdfium.FPDFText_GetCharAngle(textpage.raw, (start + end) // 2)
        if math.isfinite(angle) and angle >= 0:
            votes[round(angle / (math.pi / 2)) % 4] += end - start
    return votes.index(max(votes))


def _upright(rectangles: FloatArray, quarter: int) -> FloatArray:
    """Boxes as x0, top, x1, bottom with y down, turned so that the text runs from left to right."""
    left, bottom, right, top = rectangles.T
    turned = {
        0: (left, -top, right, -bottom),
        1: (-top, -right, -bottom, -left),
        2: (-right, bottom, -left, top),
        3: (bottom, left, top, right),
    }[quarter]
    return np.stack(turned, axis=1)


def _runs_upwards(lines: list[Line]) -> bool:
    steps = [below.bottom - above.bottom for above, below in pairwise(lines)]
    return sum(step < 0 for step in steps) > sum(step > 0 for step in steps)


def _rotated_back(frame: FloatArray, quarter: int) -> FloatArray:
    """The inverse of `_upright`."""
    x0, top, x1, bottom = frame.T
    rectangles = {
        0: (x0, -bottom, x1, -top),
        1: (-bottom, -x1, -top, -x0),
        2: (-x1, top, -x0, bottom),
        3: (top, x0, bottom, x1),
    }[quarter]
    return np.stack(rectangles, axis=1)


def _line(
    textpage: pypdfium2.PdfTextPage, codes: list[int], frame: FloatArray, start: int, end: int, quarter: int
) -> Line | None:
    """The line of glyphs [start, end), None where nothing in it is visible. Evens out its boxes in `frame`."""
    raw = "".join(map(chr, codes[start:end]))
    hyphenated = codes[end - 1] == _HYPHEN or (len(raw) > 1 and raw[-1] in _HYPHENS and raw[-2].isalpha())
    if hyphenated:
        raw = raw[:-1] + "-"
    text, places = normalize_with_map(raw)
    kept = text.strip()
    if not kept:
        return None
    offset = text.index(kept)
    places = places[offset : offset + len(kept)] + start
    boxes = frame[start:end]
    inked = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    if not inked.any():
        return None
    _even_out(boxes, inked)
    x0, top = boxes[inked, :2].min(axis=0)
    x1, bottom = boxes[inked, 2:].max(axis=0)
    size = float(np.median(boxes[inked, 3] - boxes[inked, 1]))
    line = Line(
        text=kept,
        places=places,
        x0=float(x0),
        x1=float(x1),
        top=float(top),
        bottom=float(bottom),
        size=size,
        bold=_is_bold(textpage, start) and _is_bold(textpage, int(places[-1])),
        hyphenated=hyphenated,
    )
    line.words = tuple(_words(line, frame))
    line.cells = split_at_gaps(line.words, 1.5 * line.size)
    return line


def _even_out(boxes: FloatArray, inked: npt.NDArray[np.bool_]) -> None:
    """Cut boxes far higher than the others of their line to its edges: symbol fonts claim heights they do not use."""
    heights = boxes[:, 3] - boxes[:, 1]
    usual = np.median(heights[inked])
    odd = inked & (heights > 1.6 * usual)
    regular = inked & ~odd
    if odd.any() and regular.any():
        boxes[odd, 1] = boxes[regular, 1].min()
        boxes[odd, 3] = boxes[regular, 3].max()


def _is_bold(textpage: pypdfium2.PdfTextPage, index: int) -> bool:
    name = ctypes.create_string_buffer(_FONT_NAME_BYTES)
    flags = ctypes.c_int()
    length = pdfium.FPDFText_GetFontInfo(textpage.raw, index, name, _FONT_NAME_BYTES, ctypes.byref(flags))
    if not 0 < length <= _FONT_NAME_BYTES:
        return False
    return bool(flags.value & _FORCE_BOLD) or _BOLD.search(name.value.decode("utf-8", "replace")) is not None


def split_at_gaps(words: Sequence[Cell], gap: float) -> tuple[Cell, ...]:
    """Words put together to stretches that are further than `gap` apart."""
    cells: list[Cell] = []
    for word in words:
        if cells and word[1] - cells[-1][2] <= gap:
            begin, x0, x1 = cells[-1]
            cells[-1] = (begin, x0, max(x1, word[2]))
        else:
            cells.append(word)
    return tuple(cells)


def _words(line: Line, frame: FloatArray) -> Iterator[Cell]:
    """Where the words of a line stand."""
    edges: list[list[float]] = frame[np.maximum(line.places, 0)][:, (0, 2)].tolist()
    for match in _WORD.finditer(line.text):
        begin, end = match.span()
        yield begin, min(x0 for x0, _ in edges[begin:end]), max(x1 for _, x1 in edges[begin:end])


def _joined(lines: list[Line]) -> list[Line]:
    """Lines put together again where PDFium broke them only at a raised or lowered glyph or at a wide gap."""
    result: list[Line] = []
    for line in lines:
        if result and _same_line(result[-1], line):
            result[-1] = _join(result[-1], line)
        else:
            result.append(line)
    return result


def _same_line(first: Line, second: Line) -> bool:
    overlap = min(first.bottom, second.bottom) - max(first.top, second.top)
    lower = min(first.bottom - first.top, second.bottom - second.top)
    gap = second.x0 - first.x1
    return not first.hyphenated and overlap > 0.5 * lower and gap > -0.3 * min(first.size, second.size)


def _join(first: Line, second: Line) -> Line:
    size = first.size if len(first.text) >= len(second.text) else second.size
    gap = second.x0 - first.x1
    glue = " " if gap > 0.2 * size else ""
    shift = len(first.text) + len(glue)
    words = (*first.words, *((offset + shift, x0, x1) for offset, x0, x1 in second.words))
    return Line(
        text=first.text + glue + second.text,
        places=np.concatenate((first.places, np.full(len(glue), -1, np.int64), second.places)),
        x0=min(first.x0, second.x0),
        x1=max(first.x1, second.x1),
        top=min(first.top, second.top),
        bottom=max(first.bottom, second.bottom),
        size=size,
        bold=first.bold and second.bold,
        hyphenated=second.hyphenated,
        words=words,
        cells=split_at_gaps(words, 1.5 * size),
    )


def _on_page(page: pypdfium2.PdfPage, rectangles: FloatArray) -> BoxArray:
    """User-space rectangles as boxes on the page as it is shown: cropped, rotated, origin top left."""
    origin, along_x, along_y = (_device(page, x, y) for x, y in ((0.0, 0.0), (_PROBE, 0.0), (0.0, _PROBE)))
    matrix = np.stack((along_x - origin, along_y - origin)) / _PROBE
    corners = rectangles.astype(np.float64).reshape(-1, 2, 2) @ matrix + origin  # (n, 2 corners, x and y)
    edges = np.concatenate((corners.min(axis=1), corners.max(axis=1)), axis=1) * (_FULL / _DEVICE)
    boxes = np.rint(np.clip(edges, 0, _FULL)).astype(np.uint16)
    boxes[(boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])] = 0
    return boxes


def _device(page: pypdfium2.PdfPage, x: float, y: float) -> npt.NDArray[np.float64]:
    device_x, device_y = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDF_PageToDevice(page, 0, 0, _DEVICE, _DEVICE, 0, x, y, ctypes.byref(device_x), ctypes.byref(device_y))
    return np.array([device_x.value, device_y.value], dtype=np.float64)
