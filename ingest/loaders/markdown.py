"""Markdown: CommonMark with tables and strikethrough, its text without the marks."""

import re
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ingest.builder import TextBuilder
from ingest.limits import Limits
from ingest.loaders.encoding import decode
from ingest.loaders.markup import parse_html
from ingest.loaders.markup_blocks import add_markup, raise_digits
from ingest.loaders.plain import add_paragraphs
from rag.errors import DocumentError
from rag.types import ParsedDocument

MEDIA_TYPE = "text/markdown"

_MAX_NESTING = 60  # quotations and lists inside each other
_DEEPER = re.compile(
    rf"^(?:(?:[ \t]*(?:>|[*+-][ \t]|\d{{1,9}}[.)][ \t])){{{_MAX_NESTING}}}"
    rf"|(?:[ \t]{{{2 * _MAX_NESTING},}}|\t{{{_MAX_NESTING},}})(?:[*+-]|\d{{1,9}}[.)])[ \t])",
    re.MULTILINE,
)
_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_FRONT_KEY = re.compile(r"^[A-Za-z][\w-]*[ \t]*:", re.MULTILINE)
_FRONT_TITLE = re.compile(r"""^title[ \t]*:[ \t]*["']?(.{1,300}?)["']?[ \t]*$""", re.MULTILINE | re.IGNORECASE)
_FOOTNOTE = re.compile(r"\[\^[^\]\n]{1,100}\]")
_HTML_TAG = re.compile(
    r"</?(?:a|abbr|b|bdi|bdo|big|br|cite|code|data|del|dfn|em|font|i|img|input|ins|kbd|label|mark|picture|q|ruby|rt|rp|s|samp"
    r"|small|source|span|strike|strong|sub|sup|time|tt|u|var|wbr|p|div|center|details|summary|h[1-6])(?:[\s/][^<>]*)?>"
    r"|<!--.*?-->",
    re.IGNORECASE | re.DOTALL,
)
_LINE_BREAK_TAG = re.compile(r"<br\b", re.IGNORECASE)


def load_markdown(path: Path, *, name: str, password: str | None, limits: Limits) -> ParsedDocument:
    """Parse a Markdown file. Links keep their text, pictures their description, code its form.

    Front matter is left out with a warning; its `title` becomes the document's.

    Raises:
        DocumentError: `empty`, `no_text`, `too_large`.
    """
    data = path.read_bytes()
    if not data:
        raise DocumentError("empty", "The file is empty; upload one with content.")
    decoded = decode(data)
    builder = TextBuilder(limits)
    decoded.report(builder)
    text = decoded.text.replace("\r\n", "\n").replace("\r", "\n")
    title = None
    front = _FRONT_MATTER.match(text)
    if front is not None and _FRONT_KEY.search(front.group(1)):
        found = _FRONT_TITLE.search(front.group(1))
        title = found.group(1) if found is not None else None
        text = text[front.end() :]
        builder.warn("The front matter at the top of the file was left out.")
    if _DEEPER.search(text):
        builder.warn(f"Lists or quotations are nested more than {_MAX_NESTING} deep; the file was read as plain text.")
        add_paragraphs(builder, text)
    else:
        parser = MarkdownIt("commonmark", {"maxNesting": 4 * _MAX_NESTING}).enable(["table", "strikethrough"])
        known: dict[str, Any] = {}
        tokens = parser.parse(text, known)
        if any(label.startswith("^") for label in known.get("references", {})):
            # CommonMark takes a footnote for the definition of a link and would swallow it.
            tokens = parser.parse(_FOOTNOTE.sub(r"\\\g<0>", text))
        _Blocks(builder).add(tokens)
    return builder.build(media_type=MEDIA_TYPE, title=title, encoding=decoded.encoding)


class _Blocks:
    """Turns the parser's tokens into blocks."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._heading: int | None = None
        self._lists: list[bool] = []  # whether each open list is ordered
        self._marker: str | None = None  # of the item whose text has not been handed on yet
        self._item: list[str] = []  # its paragraphs
        self._rows: list[list[str]] | None = None

    def add(self, tokens: list[Token]) -> None:
        """Add every block of a parsed text."""
        for token in tokens:
            kind = token.type
            if kind == "inline":
                self._add_inline(token)
            elif kind == "heading_open":
                self._end_item()
                self._heading = int(token.tag[1])
            elif kind == "heading_close":
                self._heading = None
            elif kind in ("bullet_list_open", "ordered_list_open"):
                self._end_item()
                self._lists.append(kind == "ordered_list_open")
            elif kind in ("bullet_list_close", "ordered_list_close"):
                self._lists.pop()
            elif kind == "list_item_open":
                self._marker = f"{token.info}{token.markup}" if self._lists[-1] else "-"
            elif kind == "list_item_close":
                self._end_item()
                self._marker = None
            elif kind in ("fence", "code_block"):
                self._end_item()
                self._builder.add_code(token.content)
            elif kind == "html_block":
                self._end_item()
                root = parse_html(token.content)
                if root is not None:
                    add_markup(root, self._builder)
            elif kind == "table_open":
                self._end_item()
                self._rows = []
            elif kind == "tr_open" and self._rows is not None:
                self._rows.append([])
            elif kind == "table_close" and self._rows is not None:
                self._builder.add_table(self._rows)
                self._rows = None

    def _add_inline(self, token: Token) -> None:
        text = _inline_text(token.children or [])
        if self._rows is not None:
            self._rows[-1].append(text)
        elif self._heading is not None:
            self._builder.add_heading(self._heading, text)
        elif self._marker is not None:
            self._item.append(text)
        else:
            self._builder.add_paragraph(text)

    def _end_item(self) -> None:
        """Hand the collected paragraphs of an item on; what follows in it is no longer marked."""
        if self._item and self._marker is not None:
            self._builder.add_list_item("\n".join(self._item), marker=self._marker, level=len(self._lists) - 1)
            self._item = []
            self._marker = None


def _inline_text(tokens: list[Token]) -> str:
    pieces: list[str] = []
    raised = False
    for token in tokens:
        if token.type == "softbreak":
            pieces.append(" ")
        elif token.type == "hardbreak":
            pieces.append("\n")
        elif token.type == "html_inline":
            if _HTML_TAG.fullmatch(token.content) is None:
                pieces.append(token.content)  # "<name>" is a placeholder, no tag
            elif _LINE_BREAK_TAG.match(token.content):
                pieces.append("\n")
            raised = token.content.lower() == "<sup>"
            continue
        elif token.type == "image":
            pieces.append(_inline_text(token.children or []))
        else:
            pieces.append(raise_digits(token.content) if raised else token.content)
        raised = False
    return "".join(pieces)
