"""The form in which a passage is embedded, indexed and shown to the decoder: its place, then its text."""

from rag.types import NewPassage, Passage

HEADING_SEPARATOR = " › "


def embedding_text(passage: NewPassage | Passage) -> str:
    """Heading, table header and text, a line each; headings that open the text are not repeated."""
    return "\n".join((*prefix_lines(passage.heading, passage.table_header, passage.text), passage.text.rstrip()))


def prefix_lines(heading: str | None, table_header: str | None, text: str) -> tuple[str, ...]:
    """What stands before `text` in `embedding_text`.

    That is the part of the heading path that `text` does not open with, and the table header.
    """
    lines = []
    if heading is not None:
        parts = heading.split(HEADING_SEPARATOR)
        above = parts[: len(parts) - _n_repeated(parts, text)]
        if above:
            lines.append(HEADING_SEPARATOR.join(above))
    if table_header is not None:
        lines.append(table_header)
    return tuple(lines)


def _n_repeated(parts: list[str], text: str) -> int:
    """How many of the last `parts` are the first lines of `text`."""
    if not any(text.startswith(part) for part in parts):
        return 0
    head = text[: sum(len(part) + 4 for part in parts)]
    opening = [line for line in head.splitlines() if line.strip()][: len(parts)]
    for n_lines in range(len(opening), 0, -1):
        if parts[-n_lines:] == opening[:n_lines]:
            return n_lines
    return 0
