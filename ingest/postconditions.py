"""What every parsed document fulfils, whichever loader made it; enforced in the cage and judged again outside it."""

import dataclasses
import re
from collections.abc import Iterable, Iterator

import numpy as np

from ingest.limits import Limits
from ingest.receipt import complete_receipt
from rag.errors import DocumentError
from rag.normalize import is_normalized, normalize, normalize_with_map
from rag.types import Block, Page, ParsedDocument

_NO_TEXT = "The file holds no text; upload one that does."
_INK = re.compile(r"\S(?:.*\S)?", re.DOTALL)
_INDENTED_INK = re.compile(r"[ \t]*\S(?:.*\S)?", re.DOTALL)  # the indentation of code belongs to it


def finish(parsed: ParsedDocument, limits: Limits) -> ParsedDocument:
    """Bring what a loader made into the promised form, and complete its receipt.

    Text is normalized, and pages, blocks and boxes follow it; blocks lose outer white space; text that no block
    holds gets one, so that nothing is lost.

    Raises:
        DocumentError: `no_text`, `too_large`; `parser_crashed` if the loader broke its contract.
    """
    if len(parsed.text) > limits.max_chars:
        raise _too_long(limits)
    check_order(parsed)
    if not is_normalized(parsed.text):
        parsed = _normalized(parsed)
    parsed = dataclasses.replace(
        parsed,
        blocks=tuple(_covering(parsed.text, parsed.blocks)),
        title=None if parsed.title is None else " ".join(normalize(parsed.title).split()) or None,
        receipt=complete_receipt(parsed),
    )
    check_parsed(parsed, limits)
    return parsed


def check_parsed(parsed: ParsedDocument, limits: Limits) -> None:
    """Raise unless the document is what `finish` promises.

    Raises:
        DocumentError: `no_text`, `too_large`, or `parser_crashed` for a document that cannot be right.
    """
    if len(parsed.text) > limits.max_chars:
        raise _too_long(limits)
    if not parsed.text.strip():
        raise DocumentError("no_text", _NO_TEXT)
    if len(parsed.pages) > limits.max_pages:
        raise too_many_pages(len(parsed.pages), limits)
    check_order(parsed)
    if not is_normalized(parsed.text):
        raise _broken("text is not normalized")
    uncovered = _gaps(parsed.text, parsed.blocks)
    if any(parsed.text[start:end].strip() for start, end in uncovered):
        raise _broken("text stands outside every block")


def check_order(parsed: ParsedDocument) -> None:
    """Raise unless pages and blocks are in order, apart, and inside the text.

    Raises:
        DocumentError: `parser_crashed`.
    """
    end = 0
    for index, page in enumerate(parsed.pages):
        if page.number != index + 1:
            raise _broken("pages are not numbered from 1")
        if not end <= page.start <= page.end <= len(parsed.text):
            raise _broken("pages are out of order")
        boxes = page.char_boxes
        if boxes is not None and (boxes.shape != (page.end - page.start, 4) or boxes.dtype != np.uint16):
            raise _broken("boxes do not fit their page")
        end = page.end
    end = 0
    for block in parsed.blocks:
        if not end <= block.start <= block.end <= len(parsed.text):
            raise _broken("blocks are out of order")
        end = block.end


def too_many_pages(n_pages: int, limits: Limits) -> DocumentError:
    """The error for a document of more pages than allowed."""
    return DocumentError(
        "too_large", f"The file has {n_pages} pages and {limits.max_pages} are allowed; split it and upload the parts."
    )


def _too_long(limits: Limits) -> DocumentError:
    return DocumentError(
        "too_large", f"The file holds more than {limits.max_chars} characters; split it and upload the parts."
    )


def _broken(what: str) -> DocumentError:
    return DocumentError("parser_crashed", f"The parser broke its own rules ({what}); report this file's kind.")


def _normalized(parsed: ParsedDocument) -> ParsedDocument:
    text, source = normalize_with_map(parsed.text, keep_spaces=True)

    def moved(offset: int) -> int:
        return int(np.searchsorted(source, offset, side="left"))

    def moved_page(page: Page) -> Page:
        start, end = moved(page.start), moved(page.end)
        boxes = page.char_boxes
        if boxes is not None:
            boxes = boxes[source[start:end] - page.start]
        return dataclasses.replace(page, start=start, end=end, char_boxes=boxes)

    def moved_block(block: Block) -> Block:
        return dataclasses.replace(
            block,
            start=moved(block.start),
            end=moved(block.end),
            heading=None if block.heading is None else normalize(block.heading),
            table_header=None if block.table_header is None else normalize(block.table_header, keep_spaces=True),
        )

    return dataclasses.replace(
        parsed,
        text=text,
        pages=tuple(moved_page(page) for page in parsed.pages),
        blocks=tuple(moved_block(block) for block in parsed.blocks),
    )


def _covering(text: str, blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks without outer white space and without empty ones, and a paragraph for whatever lies between."""
    heading: str | None = None
    end = 0
    for block in blocks:
        yield from _trimmed(text, Block(kind="paragraph", start=end, end=block.start, heading=heading))
        yield from _trimmed(text, block)
        heading, end = block.heading, block.end
    yield from _trimmed(text, Block(kind="paragraph", start=end, end=len(text), heading=heading))


def _trimmed(text: str, block: Block) -> Iterator[Block]:
    pattern = _INDENTED_INK if block.kind == "code" else _INK
    ink = pattern.search(text, block.start, block.end)
    if ink is not None:
        yield dataclasses.replace(block, start=ink.start(), end=ink.end())


def _gaps(text: str, blocks: Iterable[Block]) -> Iterator[tuple[int, int]]:
    end = 0
    for block in blocks:
        yield end, block.start
        end = block.end
    yield end, len(text)
