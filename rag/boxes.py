"""Where a span of a document stands on its pages: page numbers and one box a line."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from rag.citations import Place
from rag.types import Box, Page, Span

_FULL = 65_535  # of a page's width or height in `Page.char_boxes`
_SAME_LINE = 0.5  # of the lower of two heights that must overlap


class PagedDocuments(Protocol):
    """The part of the catalog that is read here."""

    def pages(self, document_id: str, version: int | None = None) -> tuple[Page, ...]:
        """The pages of a version; () for formats without pages."""
        ...

    def char_boxes(self, document_id: str, version: int, page: int) -> npt.NDArray[np.uint16] | None:
        """uint16[n_chars, 4] as in `Page.char_boxes`; None where the page has none."""
        ...


class PageLocator:
    """Locates spans in the documents of a catalog."""

    def __init__(self, documents: PagedDocuments) -> None:
        self._documents = documents

    def __call__(self, document_id: str, version: int, span: Span) -> Place:
        """The pages that `span` touches and its boxes on them; no page and no box for formats without pages.

        Raises:
            NotFoundError: the document was deleted meanwhile.
        """
        touched = [
            page
            for page in self._documents.pages(document_id, version)
            if page.number is not None and page.start < span.end and span.start < page.end
        ]
        numbers = [page.number for page in touched if page.number is not None]
        boxes: list[Box] = []
        for page, number in zip(touched, numbers, strict=True):
            places = self._documents.char_boxes(document_id, version, number)
            if places is not None:
                boxes.extend(line_boxes(places[max(0, span.start - page.start) : span.end - page.start], number))
        return Place(first_page=min(numbers, default=None), last_page=max(numbers, default=None), boxes=tuple(boxes))


def line_boxes(places: npt.NDArray[np.uint16], page: int) -> tuple[Box, ...]:
    """One box a line of characters that follow each other; uint16[n, 4], x0 y0 x1 y1, all zero for no place.

    A character opens a new line where its height overlaps that of the line before by less than half, or where it stands
    left of it (the next column).
    """
    lines: list[list[int]] = []
    for x0, y0, x1, y1 in places.tolist():
        if x1 <= x0 or y1 <= y0:
            continue
        if lines:
            line = lines[-1]
            shared = min(line[3], y1) - max(line[1], y0)
            if shared >= _SAME_LINE * min(line[3] - line[1], y1 - y0) and x1 > line[0]:
                lines[-1] = [min(line[0], x0), min(line[1], y0), max(line[2], x1), max(line[3], y1)]
                continue
        lines.append([x0, y0, x1, y1])
    return tuple(Box(page=page, x0=x0 / _FULL, y0=y0 / _FULL, x1=x1 / _FULL, y1=y1 / _FULL) for x0, y0, x1, y1 in lines)
