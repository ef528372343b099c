"""Cuts a parsed document into passages that fit the embedder.

The passages are contiguous, in order and cover every character. White space between two blocks belongs to the passage
before it, white space before the first block to the first passage. A heading opens a passage and stays with what
follows it; headings that follow each other directly stay together where each stands under the one before it.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rag.embed import TokenCounter
from rag.passage_text import HEADING_SEPARATOR, prefix_lines
from rag.text import split_sentences
from rag.types import Block, NewPassage, ParsedDocument

_LINE_END = re.compile(r"\n+")
_WINDOW_CHARS = 65_536  # text that is tokenized in one call


def cut_passages(parsed: ParsedDocument, counter: TokenCounter, *, max_tokens: int) -> tuple[NewPassage, ...]:
    """Passages of at most `max_tokens` tokens, heading and repeated table header included.

    Blocks of one section are packed in order while they fit. A block that fits alone is never cut; a longer one is cut
    between rows, items or lines, else at sentence ends, else between words, else between tokens. Pieces after the first
    have `continues` set (not where a list is cut between two items); those of a table carry its header row.
    A heading path or table header that takes more than a third of the budget is shortened, or left out where even that
    is too long.

    Raises:
        ValueError: `max_tokens` is not positive.
    """
    if max_tokens < 1:
        raise ValueError(f"max_tokens must be positive, got {max_tokens}")
    if not parsed.text or parsed.text.isspace():
        return ()
    blocks = _tiles(parsed)
    cutter = _Cutter(parsed, counter, blocks, max_tokens)
    for section in _sections(blocks):
        cutter.cut(section)
    return tuple(cutter.passages)


def _tiles(parsed: ParsedDocument) -> tuple[Block, ...]:
    """The blocks, each stretched to the start of the next, the first to the start of the text."""
    length = len(parsed.text)
    blocks = [block for block in parsed.blocks if block.start < block.end]
    if not blocks:
        return (Block(kind="paragraph", start=0, end=length, heading=None),)
    starts = [0, *(block.start for block in blocks[1:])]
    ends = [*starts[1:], length]
    return tuple(replace(block, start=start, end=end) for block, start, end in zip(blocks, starts, ends, strict=True))


def _sections(blocks: Sequence[Block]) -> Iterator[tuple[Block, ...]]:
    """Runs of blocks that may share passages."""
    section: list[Block] = []
    for block in blocks:
        if section and not _stays(section, block):
            yield tuple(section)
            section = []
        section.append(block)
    if section:
        yield tuple(section)


def _stays(section: list[Block], block: Block) -> bool:
    """Whether `block` belongs to the section that is open."""
    last = section[-1]
    if block.kind == "heading":
        above = "" if last.heading is None else last.heading + HEADING_SEPARATOR
        return last.kind == "heading" and block.heading is not None and block.heading.startswith(above)
    return last.kind == "heading" or block.heading == last.heading


@dataclass(slots=True)
class _Open:
    """The passage being filled."""

    start: int
    end: int
    heading: str | None
    table_header: str | None = None
    continues: bool = False
    n_prefix_tokens: int = 0
    bare: bool = True  # holds nothing but headings


class _Cutter:
    """The state of one run: the tokens of the text and the passages cut so far."""

    def __init__(self, parsed: ParsedDocument, counter: TokenCounter, blocks: Sequence[Block], max_tokens: int) -> None:
        self.passages: list[NewPassage] = []
        self._text = parsed.text
        self._counter = counter
        self._max_tokens = max_tokens
        self._token_ends = _token_ends(parsed.text, counter, [block.start for block in blocks])
        self._counts: dict[str, int] = {}  # tokens of headings and table headers
        self._short: dict[str, str] = {}
        numbered = [page for page in parsed.pages if page.number is not None]
        self._page_starts = [page.start for page in numbered]
        self._page_numbers = [page.number for page in numbered]

    def cut(self, section: tuple[Block, ...]) -> None:
        """Cut one section into passages."""
        heading = self._shorten_heading(section[-1].heading)
        current: _Open | None = None
        for block in section:
            if current is not None and not current.bare and not self._fits(current, self._content_end(block)):
                self._close(current)
                current = None
            if current is None:
                current = self._open(block.start, heading)
            if not self._fits(current, self._content_end(block)):
                current = self._split(current, block)
            current.end = block.end
            current.bare = current.bare and block.kind == "heading"
        if current is not None:
            self._close(current)

    def _split(self, current: _Open, block: Block) -> _Open:
        """Close passages until the rest of `block` fits into the one that is returned."""
        header = self._shorten(block.table_header)
        end = self._content_end(block)
        lines = self._lines(block)
        sentences: list[int] | None = None
        while not self._fits(current, end):
            after = max(current.start, block.start)
            while self._text[after].isspace():  # a passage ends after something that can be read
                after += 1
            room = self._max_tokens - current.n_prefix_tokens
            reach = self._reach(current.start, room)
            cut = _last_between(lines, after, reach)
            between_items = cut is not None and block.kind == "list"
            if cut is None:
                if sentences is None:
                    # White space that follows is skipped below; a bullet before the next one is not.
                    spans = split_sentences(self._text[block.start : end])
                    sentences = [block.start + span.end for span in spans]
                cut = _last_between(sentences, after, reach)
            if cut is None:
                cut = self._word_end(after, reach)
            if cut is None:
                cut = self._token_end(current.start, room)
            while cut < end and self._text[cut].isspace():
                cut += 1
            if cut >= end:
                break  # its last character alone has more tokens than there is room
            current.end = cut
            self._close(current)
            inside = cut > block.start
            repeated = header if inside else None
            current = self._open(cut, current.heading, repeated, continues=inside and not between_items)
            current.bare = False
        return current

    def _lines(self, block: Block) -> list[int]:
        """Where the rows, items or code lines of `block` start; nothing for paragraphs, whose lines may be wrapped."""
        if block.kind in ("paragraph", "heading"):
            return []
        end = self._content_end(block)
        return [match.end() for match in _LINE_END.finditer(self._text, block.start, end)]

    def _content_end(self, block: Block) -> int:
        """Where the white space begins that ends `block`."""
        end = block.end
        while end > block.start and self._text[end - 1].isspace():
            end -= 1
        return end

    def _open(
        self, start: int, heading: str | None, table_header: str | None = None, *, continues: bool = False
    ) -> _Open:
        head = self._text[start : start + 4 * len(heading) + 8] if heading is not None else ""
        return _Open(
            start=start,
            end=start,
            heading=heading,
            table_header=table_header,
            continues=continues,
            n_prefix_tokens=self._count(prefix_lines(heading, table_header, head)),
        )

    def _close(self, current: _Open) -> None:
        text = self._text[current.start : current.end]
        first = current.start + len(text) - len(text.lstrip())
        last = max(first, current.start + len(text.rstrip()) - 1)
        passage = NewPassage(
            ordinal=len(self.passages),
            text=text,
            start=current.start,
            end=current.end,
            heading=current.heading,
            table_header=current.table_header,
            first_page=self._page(first),
            last_page=self._page(last),
            n_tokens=self._count(prefix_lines(current.heading, current.table_header, text))
            + self._n_tokens(current.start, current.end),
            continues=current.continues,
        )
        self.passages.append(passage)

    def _fits(self, current: _Open, end: int) -> bool:
        return current.n_prefix_tokens + self._n_tokens(current.start, end) <= self._max_tokens

    def _n_tokens(self, start: int, end: int) -> int:
        return bisect_right(self._token_ends, end) - bisect_right(self._token_ends, start)

    def _reach(self, start: int, room: int) -> int:
        """The last offset up to which the text from `start` has at most `room` tokens."""
        index = bisect_right(self._token_ends, start) + room
        return self._token_ends[index] - 1 if index < len(self._token_ends) else len(self._text)

    def _token_end(self, start: int, room: int) -> int:
        """The end of the last of `room` tokens from `start`; past `start` by one token at least."""
        return self._token_ends[bisect_right(self._token_ends, start) + max(room, 1) - 1]

    def _word_end(self, start: int, reach: int) -> int | None:
        """The last offset up to `reach` that follows a line, if that leaves half of the room used, or else a word."""
        line = self._text.rfind("\n", start + 1, reach) + 1
        if line > (start + reach) // 2:
            return line
        word = max(line, self._text.rfind(" ", start + 1, reach) + 1, self._text.rfind("\t", start + 1, reach) + 1)
        return word if word > start + 1 else None

    def _count(self, lines: Sequence[str]) -> int:
        """Tokens of headings and table headers, each tokenized once."""
        for line in lines:
            if line not in self._counts:
                self._counts[line] = len(self._counter.token_ends(line))
        return sum(self._counts[line] for line in lines)

    def _shorten_heading(self, heading: str | None) -> str | None:
        """The last parts of a heading path that take a third of the budget at most."""
        parts = heading.split(HEADING_SEPARATOR) if heading is not None else []
        while len(parts) > 1 and self._count([HEADING_SEPARATOR.join(parts)]) > self._max_tokens // 3:
            parts.pop(0)
        return self._shorten(HEADING_SEPARATOR.join(parts))

    def _shorten(self, line: str | None) -> str | None:
        """`line` cut to a third of the budget; None where nothing of it fits."""
        room = self._max_tokens // 3
        if not line or self._count([line]) <= room:
            return line or None
        if line not in self._short:
            ends = self._counter.token_ends(line)
            self._short[line] = line[: ends[room - 3]].rstrip() + "…" if room > 3 else ""
        short = self._short[line]
        return short if short and self._count([short]) <= room else None

    def _page(self, offset: int) -> int | None:
        index = bisect_right(self._page_starts, offset) - 1
        return self._page_numbers[index] if index >= 0 else None


def _last_between(boundaries: Sequence[int], after: int, up_to: int) -> int | None:
    """The largest of `boundaries` that is > `after` and <= `up_to`."""
    index = bisect_right(boundaries, up_to) - 1
    return boundaries[index] if index >= 0 and boundaries[index] > after else None


def _token_ends(text: str, counter: TokenCounter, starts: Sequence[int]) -> list[int]:
    """Ends of all tokens of `text`, tokenized in windows that end where a block ends wherever possible."""
    ends: list[int] = []
    start = 0
    while start < len(text):
        end = min(start + _WINDOW_CHARS, len(text))
        if end < len(text):
            index = bisect_left(starts, end + 1) - 1
            blank = starts[index] if starts[index] > start else text.rfind(" ", start + 1, end) + 1
            end = blank if blank > start else end
        ends.extend(start + offset for offset in counter.token_ends(text[start:end]))
        start = end
    return ends
