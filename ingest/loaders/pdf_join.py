"""The text of a document of PDF pages, put together from stretches of lines; boxes follow their characters."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ingest.loaders.pdf_layout import Stretch
from ingest.loaders.pdf_text import BoxArray, Line, PageText
from rag.types import Block, IdArray, Page

_HEADING_SEPARATOR = " › "
_MAX_HEADING_CHARS = 160  # of one part of a heading path
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LAST_WORD = re.compile(r"([^\W\d_]+(?:-[^\W\d_]+)*)-$")
_FIRST_WORD = re.compile(r"[^\W\d_]+")
_NOWHERE = -1


def words_of(pages: Iterable[PageText]) -> frozenset[str]:
    """Every word that stands whole in a line, case folded, words with hyphens among them."""
    words: set[str] = set()
    for page in pages:
        for line in page.lines:
            found = _WORD.findall(line.text.casefold())
            words.update(found[:-1] if line.hyphenated else found)
    return frozenset(words)


@dataclass(slots=True)
class TextOfPages:
    """Collects pages in order into one text. Blocks are set apart by an empty line, rows and items by a line end."""

    words: frozenset[str]  # see `words_of`
    parts: list[str] = field(default_factory=list)
    length: int = 0
    pages: list[Page] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    path: list[tuple[int, str]] = field(default_factory=list)  # (level, title) of the open headings

    def add_page(self, page: PageText, stretches: Sequence[Stretch]) -> None:
        """Append a page. Its range ends where the next one starts, so that no character is between pages."""
        start = self.length
        places: list[IdArray] = []
        for stretch in stretches:
            text, origin = self._joined(page.lines[stretch.first : stretch.last], stretch)
            if stretch.kind == "heading":
                self._open_heading(stretch)
            block = Block(
                kind=stretch.kind,
                start=self.length,
                end=self.length + len(text),
                heading=_HEADING_SEPARATOR.join(title for _, title in self.path) or None,
                table_header=text.partition("\n")[0] if stretch.kind == "table" else None,
            )
            self.blocks.append(block)
            self.parts += (text, "\n\n")
            self.length += len(text) + 2
            places += (origin, np.full(2, _NOWHERE, np.int64))
        self.pages.append(
            Page(
                number=len(self.pages) + 1,
                start=start,
                end=self.length,
                width=page.width,
                height=page.height,
                char_boxes=_boxes(page.boxes, places),
            )
        )

    def close(self) -> str:
        """The whole text, without the empty line after its last block."""
        text = "".join(self.parts)[: self.blocks[-1].end if self.blocks else 0]
        self.pages = [_cut(page, len(text)) for page in self.pages]
        return text

    def _open_heading(self, stretch: Stretch) -> None:
        title = stretch.title
        if len(title) > _MAX_HEADING_CHARS:
            title = title[: _MAX_HEADING_CHARS - 1].rstrip() + "…"
        self.path = [(level, above) for level, above in self.path if level < stretch.level]
        self.path.append((stretch.level, title))

    def _joined(self, lines: Sequence[Line], stretch: Stretch) -> tuple[str, IdArray]:
        texts: list[str] = []
        places: list[IdArray] = []
        for index, line in enumerate(lines):
            text, origin = _row(line) if stretch.kind == "table" else (line.text, line.places)
            texts.append(text)
            places.append(origin)
            if index + 1 == len(lines):
                break
            if stretch.kind == "table":
                glue = "\n"
            elif line.hyphenated:
                glue = ""
                if not self._keeps_hyphen(line.text, lines[index + 1].text):
                    texts[-1], places[-1] = text[:-1], origin[:-1]
            else:
                glue = " "
            texts.append(glue)
            places.append(np.full(len(glue), _NOWHERE, np.int64))
        return "".join(texts), np.concatenate(places)

    def _keeps_hyphen(self, text: str, following: str) -> bool:
        """Whether the hyphen at the end of a line belongs to the word; the document's other words tell."""
        if not following[:1].islower():
            return True
        before, after = _LAST_WORD.search(text), _FIRST_WORD.match(following)
        if before is None or after is None:
            return True
        first, second = before.group(1).casefold(), after.group().casefold()
        return first + second not in self.words and f"{first}-{second}" in self.words


def _cut(page: Page, length: int) -> Page:
    if page.end <= length:
        return page
    start = min(page.start, length)
    boxes = page.char_boxes
    return replace(page, start=start, end=length, char_boxes=None if boxes is None else boxes[: length - start])


def _row(line: Line) -> tuple[str, IdArray]:
    """A row of a table as "cell | cell"."""
    texts: list[str] = []
    places: list[IdArray] = []
    starts = [begin for begin, _, _ in line.cells]
    for begin, end in zip(starts, [*starts[1:], len(line.text)], strict=True):
        cell = line.text[begin:end].rstrip()
        if texts:
            texts.append(" | ")
            places.append(np.full(3, _NOWHERE, np.int64))
        texts.append(cell)
        places.append(line.places[begin : begin + len(cell)])
    return "".join(texts), np.concatenate(places)


def _boxes(glyph_boxes: BoxArray, places: list[IdArray]) -> BoxArray:
    if not places:
        return np.zeros((0, 4), np.uint16)
    origin = np.concatenate(places)
    boxes: BoxArray = np.zeros((len(origin), 4), np.uint16)
    placed = origin != _NOWHERE
    boxes[placed] = glyph_boxes[origin[placed]]
    return boxes
