import numpy as np
import numpy.typing as npt
import pytest

from rag.boxes import PageLocator, line_boxes
from rag.citations import Place
from rag.types import Box, Page, Span

FULL = 65_535


def line(n: int, x: int, y: int, *, height: int = 1000) -> list[list[int]]:
    """`n` characters of 100 units in a row, the last one a line break without a place."""
    return [[x + 100 * i, y, x + 100 * i + 100, y + height] for i in range(n - 1)] + [[0, 0, 0, 0]]


class Documents:
    def __init__(self, pages: tuple[Page, ...], boxes: dict[int, npt.NDArray[np.uint16]]) -> None:
        self._pages, self._boxes = pages, boxes

    def pages(self, document_id: str, version: int | None = None) -> tuple[Page, ...]:
        return self._pages

    def char_boxes(self, document_id: str, version: int, page: int) -> npt.NDArray[np.uint16] | None:
        return self._boxes.get(page)


def array(*lines: list[list[int]]) -> npt.NDArray[np.uint16]:
    return np.array([place for rows in lines for place in rows], dtype=np.uint16)


def test_one_box_a_line() -> None:
    boxes = line_boxes(array(line(4, 1000, 2000), line(3, 1000, 3500)), 5)
    assert boxes == (
        Box(page=5, x0=1000 / FULL, y0=2000 / FULL, x1=1300 / FULL, y1=3000 / FULL),
        Box(page=5, x0=1000 / FULL, y0=3500 / FULL, x1=1200 / FULL, y1=4500 / FULL),
    )


def test_a_raised_character_stays_in_its_line() -> None:
    rows = [[0, 1000, 100, 2000], [100, 900, 150, 1500], [150, 1000, 250, 2000]]
    (box,) = line_boxes(array(rows), 1)
    assert (round(box.y0 * FULL), round(box.x1 * FULL)) == (900, 250)


def test_the_next_column_opens_a_new_box() -> None:
    assert len(line_boxes(array([[5000, 1000, 5100, 2000], [200, 1000, 300, 2000]]), 1)) == 2


def test_characters_without_a_place_have_no_box() -> None:
    assert line_boxes(array([[0, 0, 0, 0]] * 3), 1) == ()
    assert line_boxes(np.zeros((0, 4), dtype=np.uint16), 1) == ()


@pytest.mark.parametrize(
    ("span", "first", "last", "on_pages"),
    [((1, 3), 1, 1, [1]), ((3, 9), 1, 2, [1, 2]), ((6, 8), 2, 2, [2]), ((12, 14), 3, 3, [])],
)
def test_a_span_is_found_on_its_pages(span: tuple[int, int], first: int, last: int, on_pages: list[int]) -> None:
    pages = (Page(number=1, start=0, end=5), Page(number=2, start=5, end=11), Page(number=3, start=11, end=20))
    documents = Documents(pages, {1: array(line(5, 0, 100)), 2: array(line(6, 0, 100))})
    place = PageLocator(documents)("d", 1, Span(start=span[0], end=span[1]))
    assert (place.first_page, place.last_page) == (first, last)
    assert [box.page for box in place.boxes] == on_pages
    if span == (6, 8):
        assert (place.boxes[0].x0, place.boxes[0].x1) == (100 / FULL, 300 / FULL)


def test_formats_without_pages_have_no_place() -> None:
    nowhere = Place(first_page=None, last_page=None)
    assert PageLocator(Documents((), {}))("d", 1, Span(start=0, end=5)) == nowhere
    section = (Page(number=None, start=0, end=50),)
    assert PageLocator(Documents(section, {}))("d", 1, Span(start=0, end=5)) == nowhere
