"""The tree of a page → headings, paragraphs, lists, tables, code, in one pass and without recursion."""

import re
from dataclasses import dataclass, field

import lxml.etree

from ingest.builder import TextBuilder
from ingest.loaders.markup import tag_of


def _set(listed: str) -> frozenset[str]:
    """The names in `listed`, which white space separates."""
    return frozenset(listed.split())


# Never shown, or navigation and controls rather than content.
_SKIPPED = _set(
    """
    head title script style template noscript nav iframe object embed audio video canvas datalist rp annotation
    annotation-xml
    """
)
_BLOCKS = _set(
    """
    address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure
    footer form header hgroup hr html legend li main menu ol optgroup option p pre search section select summary table
    tbody td textarea tfoot th thead tr ul listing xmp plaintext
    """
)
HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = frozenset(("ul", "ol", "menu", "dir"))
_PREFORMATTED = frozenset(("pre", "listing", "xmp", "plaintext", "textarea"))
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n\f]+")
_BLANKS = re.compile(r" {2,}")
_BREAK = re.compile(r" ?\n[ \n]*")
_RAISED = re.compile(r"[0-9+\-−n]{1,6}")
_SUPERSCRIPTS = str.maketrans("0123456789+-−n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻ⁿ")
_INTEGER = re.compile(r"-?\d{1,6}")
_MAX_COLUMNS_SPANNED = 50


def add_markup(root: lxml.etree._Element, builder: TextBuilder) -> None:
    """Add what a reader of the page would see, in order.

    Left out: scripts, styles, navigation, what is hidden, embedded media, with a warning for pictures that have no
    description. Tables that arrange a page are read as its paragraphs. Raised digits become ¹²³, so that 10⁶ is not
    read as 106.
    """
    walk = _Walk(builder)
    walker = lxml.etree.iterwalk(root, events=("start", "end", "comment", "pi"))
    for event, element in walker:
        if event == "start":
            hidden = _is_hidden(element)
            if hidden:
                walker.skip_subtree()
            walk.enter(element, hidden=hidden)
            continue
        if event == "end":
            walk.leave(element)
        if element is not root and element.tail:
            walk.text(element.tail)
    walk.finish()


def raise_digits(text: str) -> str:
    """Digits and signs as superscripts; anything else as it is."""
    return text.translate(_SUPERSCRIPTS) if _RAISED.fullmatch(text.strip()) else text


@dataclass(slots=True)
class _Table:
    rows: list[list[str]] = field(default_factory=list)
    header: bool = False


@dataclass(slots=True)
class _List:
    ordered: bool
    number: int  # of the next item


class _Walk:
    """The block being collected, and what surrounds it."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._inline: list[str] = []
        self._hidden: list[bool] = []  # of each open element
        self._heading: int | None = None
        self._lists: list[_List] = []
        self._marker: str | None = None  # of the item whose text has not been handed on yet
        self._n_definitions = 0
        self._n_preformatted = 0
        self._table: _Table | None = None  # the open table of data; there is none inside it
        self._n_pictures = 0

    def enter(self, element: lxml.etree._Element, *, hidden: bool) -> None:
        """An element starts."""
        self._hidden.append(hidden)
        if hidden:
            return
        tag = tag_of(element)
        if tag == "br":
            self._inline.append("\n")
        elif tag == "img":
            self._add_picture(element)
        elif tag == "q":
            self._inline.append("“")
        elif self._table is not None:
            self._enter_in_table(tag)
        elif tag in HEADINGS:
            self._flush()
            self._heading = HEADINGS[tag]
        elif tag == "table":
            self._flush()
            self._table = None if _arranges_page(element) else _Table()
        elif tag in _LISTS:
            self._flush()
            self._lists.append(_List(ordered=tag == "ol", number=_integer(element.get("start"), 1)))
        elif tag == "li":
            self._flush()
            self._start_item(element)
        elif tag == "dd":
            self._break_line()
            self._n_definitions += 1
        elif tag in _PREFORMATTED:
            self._flush()
        elif tag in _BLOCKS:
            self._end_block()
        self._n_preformatted += tag in _PREFORMATTED
        if element.text:
            self.text(raise_digits(element.text) if tag == "sup" and len(element) == 0 else element.text)

    def leave(self, element: lxml.etree._Element) -> None:
        """An element ends."""
        if self._hidden.pop():
            return
        tag = tag_of(element)
        self._n_preformatted -= tag in _PREFORMATTED
        if tag == "q":
            self._inline.append("”")
        elif self._table is not None:
            self._leave_in_table(tag, element)
        elif tag in HEADINGS:
            self._flush()
            self._heading = None
        elif tag in _LISTS:
            self._flush()
            self._lists.pop()
        elif tag == "li":
            self._flush()
            self._marker = None
        elif tag == "dd":
            self._n_definitions -= 1
        elif tag in _PREFORMATTED:
            self._builder.add_code("".join(self._inline))
            self._inline.clear()
        elif tag in _BLOCKS and tag != "dt":
            self._end_block()

    def text(self, text: str) -> None:
        """Characters between tags."""
        self._inline.append(text if self._n_preformatted else _SPACE.sub(" ", text))

    def finish(self) -> None:
        """Everything has been seen."""
        self._flush()
        if self._n_pictures:
            self._builder.warn(f"Pictures without a description were left out: {self._n_pictures}.")

    def _enter_in_table(self, tag: str) -> None:
        if self._table is None:
            return
        if tag in ("tr", "td", "th", "caption"):
            self._builder.add_paragraph(self._take())  # text that stands outside every cell
        if tag == "tr" or (tag in ("td", "th") and not self._table.rows):
            self._table.rows.append([])
        if tag == "thead" or (tag == "th" and len(self._table.rows) == 1):
            self._table.header = True
        elif tag in _BLOCKS:
            self._inline.append(" ")

    def _leave_in_table(self, tag: str, element: lxml.etree._Element) -> None:
        if self._table is None:
            return
        if tag in ("td", "th") and self._table.rows:
            n_spanned = min(max(_integer(element.get("colspan"), 1), 1), _MAX_COLUMNS_SPANNED)
            self._table.rows[-1] += [self._take(), *[""] * (n_spanned - 1)]
        elif tag == "caption":
            self._builder.add_paragraph(self._take())
        elif tag == "table":
            table, self._table = self._table, None
            self._builder.add_paragraph(self._take())
            self._builder.add_table(table.rows, header=table.header)
        elif tag in _BLOCKS:
            self._inline.append(" ")

    def _start_item(self, element: lxml.etree._Element) -> None:
        if not self._lists:
            self._marker = "-"  # an item outside every list
            return
        innermost = self._lists[-1]
        number = _integer(element.get("value"), innermost.number)
        innermost.number = number + 1
        self._marker = f"{number}." if innermost.ordered else "-"

    def _end_block(self) -> None:
        """A paragraph starts or ends: inside an item or a definition that is no more than a line end."""
        if self._heading is None and (self._marker is not None or self._n_definitions):
            self._break_line()
        else:
            self._flush()

    def _break_line(self) -> None:
        if self._inline and any(not piece.isspace() for piece in self._inline[-3:]):
            self._inline.append("\n")

    def _take(self) -> str:
        """The collected text, without needless blanks."""
        text = "".join(self._inline)
        self._inline.clear()
        return _BREAK.sub("\n", _BLANKS.sub(" ", text)).strip()

    def _flush(self) -> None:
        """Hand the collected text to the builder as the block it belongs to."""
        text = self._take()
        if not text:
            return
        if self._heading is not None:
            self._builder.add_heading(self._heading, text)
        elif self._marker is not None:
            self._builder.add_list_item(text, marker=self._marker, level=max(len(self._lists) - 1, 0))
            self._marker = None
        else:
            self._builder.add_paragraph(text)

    def _add_picture(self, element: lxml.etree._Element) -> None:
        description = element.get("alt")
        if description is None:
            self._n_pictures += 1
        elif description.strip():
            self._inline.append(f" {description.strip()} ")


def _is_hidden(element: lxml.etree._Element) -> bool:
    if tag_of(element) in _SKIPPED or element.get("hidden") is not None or element.get("aria-hidden") == "true":
        return True
    style = element.get("style")
    return style is not None and _HIDDEN_STYLE.search(style) is not None


def _arranges_page(table: lxml.etree._Element) -> bool:
    """Whether a table serves layout: it holds another table, a single cell, or headings without header cells."""
    if table.get("role") in ("presentation", "none"):
        return True
    n_cells, has_heading, has_header_cell = 0, False, False
    for inner in table.iterdescendants():
        tag = tag_of(inner)
        if tag == "table":
            return True
        n_cells += tag in ("td", "th")
        has_header_cell = has_header_cell or tag == "th"
        has_heading = has_heading or tag in HEADINGS
    return n_cells <= 1 or (has_heading and not has_header_cell)


def _integer(value: str | None, default: int) -> int:
    value = (value or "").strip()
    return int(value) if _INTEGER.fullmatch(value) else default
