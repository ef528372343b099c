"""Where the text of a document is put together: the one place that counts offsets for every loader but PDF."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ingest.limits import Limits
from rag.errors import DocumentError
from rag.normalize import normalize
from rag.passage_text import HEADING_SEPARATOR
from rag.types import Block, Page, PageReceipt, ParsedDocument, Receipt

_MAX_HEADING_CHARS = 160  # of one part of a heading path; the heading's own block keeps every character
_MAX_WARNINGS = 50

BlockKind = Literal["heading", "paragraph", "list", "table", "code"]


@dataclass(slots=True, kw_only=True)
class _OpenPage:
    number: int
    start: int
    width: float | None
    height: float | None
    flags: list[str] = field(default_factory=list)


class TextBuilder:
    """Takes the pieces of a document in reading order and gives its normalized text with blocks and pages.

    Blocks are separated by one empty line, list items and table rows by a line end; consecutive list items are one
    block. A block's heading is the path of the headings above it ("A › B"), its own included where it is a heading.
    Pieces that hold no visible character leave no trace.

    Raises:
        DocumentError: `too_large`, once the text or its pages exceed the limits.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._pages: list[_OpenPage] = []
        self._path: list[tuple[int, str]] = []  # (level, text) of the open headings
        self._list_open = False
        self._warnings: dict[str, None] = {}
        self._flags: dict[str, None] = {}
        self._first_heading: str | None = None

    def add_heading(self, level: int, text: str) -> None:
        """A heading of `level` (1 = top); it closes the open headings of its own and of deeper levels."""
        line = _one_line(normalize(text))
        if not line:
            return
        short = line if len(line) <= _MAX_HEADING_CHARS else line[: _MAX_HEADING_CHARS - 1].rstrip() + "…"
        self._path = [(above, name) for above, name in self._path if above < level]
        self._path.append((level, short))
        self._first_heading = self._first_heading or short
        self._add("heading", line)

    def leave_headings(self) -> None:
        """Close every open heading: what follows stands under none (a slide without title)."""
        self._path = []
        self._list_open = False

    def add_paragraph(self, text: str) -> None:
        """A paragraph; line ends in it are kept."""
        self._add("paragraph", normalize(text).strip())

    def add_list_item(self, text: str, *, marker: str = "-", level: int = 0) -> None:
        """One item of a list, written "- text" or "3. text" and indented by two blanks a `level`."""
        body = normalize(text).strip()
        if body:
            self._add("list", f"{'  ' * min(level, 8)}{marker} {body}", joins=self._list_open)
            self._list_open = True

    def add_table(self, rows: Iterable[Sequence[str]], *, header: bool = True) -> None:
        """A table, a line a row: "cell | cell". Line ends in cells become blanks, "|" becomes "¦", empty rows go.

        With `header`, the first row that is left is the table's header.
        """
        lines = []
        length = self._length
        for row in rows:
            cells = [_one_line(cell).replace("|", "¦") for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                lines.append(" | ".join(cells))
                length += len(lines[-1])
                self._check_length(length)
        text = normalize("\n".join(lines)).strip()
        self._add("table", text, table_header=text.partition("\n")[0] if header and len(lines) > 1 else None)

    def add_code(self, text: str) -> None:
        """Preformatted text: blanks and line ends are kept."""
        self._add("code", normalize(text, keep_spaces=True).strip("\n").rstrip())

    def start_page(self, number: int, *, width: float | None = None, height: float | None = None) -> None:
        """What follows stands on page `number` (1-based, ascending); width and height in points."""
        if len(self._pages) >= self._limits.max_pages:
            raise DocumentError(
                "too_large", f"The file has more than {self._limits.max_pages} pages; split it and upload the parts."
            )
        if self._length and not self._parts[-1].endswith("\n\n"):
            self._append("\n\n")
        self._list_open = False
        self._pages.append(_OpenPage(number=number, start=self._length, width=width, height=height))

    def warn(self, sentence: str) -> None:
        """A sentence for the receipt; the same one is kept once, and 50 at most."""
        if len(self._warnings) < _MAX_WARNINGS:
            self._warnings[sentence] = None

    def flag(self, name: str) -> None:
        """A flag for the receipt of the open page, or of the document where there are no pages."""
        flags = self._pages[-1].flags if self._pages else None
        if flags is None:
            self._flags[name] = None
        elif name not in flags:
            flags.append(name)

    @property
    def n_chars(self) -> int:
        """Characters collected up to now."""
        return self._length

    def build(self, *, media_type: str, title: str | None = None, encoding: str | None = None) -> ParsedDocument:
        """The finished document. Without `title`, its first heading is the title.

        Raises:
            DocumentError: `no_text`, where no piece held a visible character.
        """
        if not self._blocks:
            raise DocumentError(
                "no_text", "No text was found in the file; if it holds pictures of text, recognise the text first."
            )
        text = "".join(self._parts)[: self._blocks[-1].end]
        pages = self._closed_pages(len(text))
        if pages:
            receipts = tuple(
                PageReceipt(page=page.number, n_chars=page.end - page.start, flags=tuple(opened.flags))
                for page, opened in zip(pages, self._pages, strict=True)
            )
        else:
            receipts = (PageReceipt(page=None, n_chars=len(text), flags=tuple(self._flags)),)
        return ParsedDocument(
            text=text,
            pages=pages,
            blocks=tuple(self._blocks),
            media_type=media_type,
            receipt=Receipt(pages=receipts, encoding=encoding, warnings=tuple(self._warnings)),
            title=_one_line(normalize(title or "")) or self._first_heading,
        )

    def _closed_pages(self, length: int) -> tuple[Page, ...]:
        starts = [min(page.start, length) for page in self._pages]
        ends = [*starts[1:], length]
        return tuple(
            Page(number=page.number, start=start, end=end, width=page.width, height=page.height)
            for page, start, end in zip(self._pages, starts, ends, strict=False)
        )

    def _add(self, kind: BlockKind, text: str, *, table_header: str | None = None, joins: bool = False) -> None:
        self._list_open = False
        if not text:
            return
        if joins:
            self._append("\n" + text)
            self._blocks[-1] = replace(self._blocks[-1], end=self._length)
            return
        if self._length and not self._parts[-1].endswith("\n\n"):
            self._append("\n\n")
        start = self._length
        self._append(text)
        heading = HEADING_SEPARATOR.join(name for _, name in self._path) or None
        block = Block(kind=kind, start=start, end=self._length, heading=heading, table_header=table_header)
        self._blocks.append(block)

    def _append(self, text: str) -> None:
        self._check_length(self._length + len(text))
        self._parts.append(text)
        self._length += len(text)

    def _check_length(self, length: int) -> None:
        if length > self._limits.max_chars:
            raise DocumentError(
                "too_large",
                f"The file holds more than {self._limits.max_chars} characters of text; split it and upload the parts.",
            )


def _one_line(text: str) -> str:
    return " ".join(text.split())
