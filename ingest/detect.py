"""What a file is: by its content first, by its name only where contents look alike."""

import re
import zipfile
from pathlib import Path, PurePath

from rag.errors import DocumentError

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
EPUB = "application/epub+zip"
HTML = "text/html"
MARKDOWN = "text/markdown"
CSV = "text/csv"
PLAIN = "text/plain"

_HEAD_BYTES = 16 * 1024
_PDF_HEADER_WITHIN = 1024  # ISO 32000 puts it first; readers accept it this far down
_SUPPORTED = "PDF, DOCX, PPTX, XLSX, EPUB, HTML, Markdown, CSV and plain text are supported"
_BINARY_SUFFIXES = {".pdf": "PDF", ".docx": "DOCX", ".pptx": "PPTX", ".xlsx": "XLSX", ".epub": "EPUB"}
_TEXT_SUFFIXES = {
    **dict.fromkeys((".html", ".htm", ".xhtml"), HTML),
    **dict.fromkeys((".md", ".markdown", ".mdown", ".mkd"), MARKDOWN),
    **dict.fromkeys((".csv", ".tsv"), CSV),
    **dict.fromkeys((".txt", ".text", ".log", ".rst"), PLAIN),
}
_DECLARED = {
    HTML: HTML,
    "application/xhtml+xml": HTML,
    MARKDOWN: MARKDOWN,
    "text/x-markdown": MARKDOWN,
    CSV: CSV,
    "text/tab-separated-values": CSV,
}
_FOREIGN = (
    (b"{\\rtf", "an RTF file", "save it as DOCX or PDF"),
    (b"%!PS", "a PostScript file", "convert it to PDF"),
    (b"\x89PNG\r\n", "a picture", "run text recognition (OCR) on it and upload the result"),
    (b"\xff\xd8\xff", "a picture", "run text recognition (OCR) on it and upload the result"),
    (b"GIF8", "a picture", "run text recognition (OCR) on it and upload the result"),
    (b"II*\x00", "a picture", "run text recognition (OCR) on it and upload the result"),
    (b"MM\x00*", "a picture", "run text recognition (OCR) on it and upload the result"),
    (b"\x1f\x8b", "a packed file", "unpack it and upload what is inside"),
    (b"7z\xbc\xaf\x27\x1c", "a packed file", "unpack it and upload what is inside"),
    (b"Rar!", "a packed file", "unpack it and upload what is inside"),
    (b"\xfd7zXZ\x00", "a packed file", "unpack it and upload what is inside"),
    (b"BZh", "a packed file", "unpack it and upload what is inside"),
    (b"\x7fELF", "a program", "upload a document"),
    (b"SQLite format 3\x00", "a database", "export its tables as CSV"),
)
_OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\x00\x00\xfe\xff")
_HTML_START = re.compile(
    rb"(?:<\?xml[^>]*>|<!--.*?-->|\s)*<(?:!doctype\s+html|html|head|body|title|meta)\b", re.I | re.S
)
_MARKDOWN_LINE = re.compile(r"#{1,6} \S|```|\[[^\]]+\]\([^)\s]+\)|[-*] \S|\|.*\|$")
_CONTROL = frozenset(range(32)) - {7, 8, 9, 10, 11, 12, 13, 26, 27}


def detect_media_type(path: Path, name: str, declared: str | None) -> str:
    """The media type whose loader can read the file.

    Args:
        path: the file.
        name: the name it was uploaded under; tells text formats apart.
        declared: the media type the uploader gave; used where neither content nor name decide.

    Raises:
        DocumentError: `empty`, `unsupported_type`, `encrypted` (an Office file with a password), or `corrupt` (the
            name promises a binary format that the content is not).
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    suffix = PurePath(name).suffix.lower()
    if not head:
        raise DocumentError("empty", "The file is empty; upload one with content.")
    if b"%PDF-" in head[:_PDF_HEADER_WITHIN]:
        return PDF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_type(path)
    if head.startswith(_OLE2):
        raise _old_office(path)
    for start, what, advice in _FOREIGN:
        if head.startswith(start):
            raise DocumentError("unsupported_type", f"The file is {what}; {advice}.")
    if not _is_text(head):
        if suffix in _BINARY_SUFFIXES:
            raise _not_what_it_says(_BINARY_SUFFIXES[suffix])
        raise DocumentError("unsupported_type", f"The file is of no kind that can be read; {_SUPPORTED}.")
    if _HTML_START.match(head.lstrip(b"\xef\xbb\xbf")):
        return HTML
    if suffix in _BINARY_SUFFIXES:
        raise _not_what_it_says(_BINARY_SUFFIXES[suffix])
    kind = _TEXT_SUFFIXES.get(suffix) or _DECLARED.get((declared or "").partition(";")[0].strip().lower())
    if kind == HTML and b"<" not in head:
        return PLAIN
    return kind or _sniffed(head, suffix)


def _zip_type(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        message = "The file is a damaged or truncated archive; save or transfer it again."
        raise DocumentError("corrupt", message) from error
    for member, media_type in (
        ("word/document.xml", DOCX),
        ("ppt/presentation.xml", PPTX),
        ("xl/workbook.xml", XLSX),
        ("META-INF/container.xml", EPUB),
    ):
        if member in names:
            return media_type
    if "xl/workbook.bin" in names:
        raise DocumentError("unsupported_type", "The file is a binary workbook (XLSB); save it as XLSX.")
    if "content.xml" in names and "mimetype" in names:
        raise DocumentError("unsupported_type", "The file is an OpenDocument file; save it as DOCX, PPTX, XLSX or PDF.")
    raise DocumentError("unsupported_type", "The file is an archive; unpack it and upload what is inside.")


def _old_office(path: Path) -> DocumentError:
    with path.open("rb") as file:
        content = file.read(4 * 1024 * 1024)
    if _ENCRYPTED_PACKAGE in content:
        return DocumentError("encrypted", "The Office file has a password; save it without one and upload it again.")
    return DocumentError(
        "unsupported_type", "The file is in an old Office format (DOC, XLS, PPT); save it as DOCX, XLSX, PPTX or PDF."
    )


def _not_what_it_says(kind: str) -> DocumentError:
    return DocumentError(
        "corrupt", f"The file is named like a {kind} file but is none; check it, or rename it to what it is."
    )


def _is_text(head: bytes) -> bool:
    if head.startswith(_BYTE_ORDER_MARKS):
        return True
    n_nul = head.count(0)
    if n_nul:
        # UTF-16 of European text has every second byte zero; anything else with zeros is no text.
        even, odd = head[::2].count(0), head[1::2].count(0)
        return max(even, odd) > 0.3 * len(head) / 2 and min(even, odd) < 0.05 * len(head) / 2
    return sum(byte in _CONTROL for byte in head) <= 0.02 * len(head)


def _sniffed(head: bytes, suffix: str) -> str:
    """Tell text formats apart where neither name nor uploader does; a file with an unknown suffix is plain text."""
    if suffix:
        return PLAIN
    text = head.decode("utf-8", errors="replace")
    lines = [line.rstrip() for line in text.splitlines()[:100] if line.strip()]
    marked = sum(_MARKDOWN_LINE.match(line) is not None for line in lines)
    if any(line.startswith(("# ", "## ")) for line in lines) and marked >= 2:
        return MARKDOWN
    rows = lines[: -1 if len(head) == _HEAD_BYTES else None]
    for delimiter in (",", ";", "\t"):
        if len(rows) >= 3 and len(counts := {row.count(delimiter) for row in rows}) == 1 and min(counts) >= 1:
            return CSV
    return PLAIN
