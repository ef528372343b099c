"""EPUB: the chapters of the spine in reading order."""

import posixpath
import zipfile
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

import lxml.etree

from ingest.builder import TextBuilder
from ingest.limits import Limits
from ingest.loaders.encoding import decode_markup
from ingest.loaders.markup import parse_xhtml, tag_of
from ingest.loaders.markup_blocks import HEADINGS, add_markup
from rag.errors import DocumentError
from rag.types import ParsedDocument

MEDIA_TYPE = "application/epub+zip"

_PAGES = frozenset(("application/xhtml+xml", "text/html", "application/xml", "text/x-oeb1-document"))
# Fonts may be scrambled in a book that is otherwise open (EPUB 3.3, font obfuscation; Adobe's older scheme).
_FONT_SCRAMBLING = frozenset(("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"))


def load_epub(path: Path, *, name: str, password: str | None, limits: Limits) -> ParsedDocument:
    """Parse a book. A chapter without a heading gets its name in the table of contents as one.

    Raises:
        DocumentError: `corrupt`, `encrypted` (copy protection), `no_text`, `too_large`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_book(archive, limits)
    except (zipfile.BadZipFile, lxml.etree.XMLSyntaxError, KeyError, EOFError) as error:
        raise DocumentError(
            "corrupt", "The file is no whole EPUB book; download or export it again and upload the new file."
        ) from error


def _read_book(archive: zipfile.ZipFile, limits: Limits) -> ParsedDocument:
    names = set(archive.namelist())
    _refuse_protected(archive, names)
    container = _parse(archive.read("META-INF/container.xml"))
    package_path = next((element.get("full-path") for element in container.iter("{*}rootfile")), None)
    if package_path is None:
        raise DocumentError("corrupt", "The EPUB book names no content; export it again and upload the new file.")
    package = _parse(archive.read(package_path))
    folder = posixpath.dirname(package_path)
    items = {item.get("id"): item for item in package.iter("{*}item")}
    builder = TextBuilder(limits)
    contents = _contents(archive, items.values(), folder, names)
    missing = 0
    for reference in package.iter("{*}itemref"):
        item = items.get(reference.get("idref"))
        if item is None or item.get("media-type") not in _PAGES:
            continue
        member = _member(folder, item.get("href"))
        if member not in names:
            missing += 1
            continue
        root = parse_xhtml(decode_markup(archive.read(member)).text)
        if root is None:
            continue
        if member in contents and not any(tag_of(element) in HEADINGS for element in root.iter()):
            builder.add_heading(1, contents[member])
        add_markup(root, builder)
    if missing:
        builder.warn(f"Chapters that the book names but does not hold: {missing}.")
    title = next((element.text for element in package.iter("{http://purl.org/dc/elements/1.1/}title")), None)
    return builder.build(media_type=MEDIA_TYPE, title=title)


def _refuse_protected(archive: zipfile.ZipFile, names: set[str]) -> None:
    if "META-INF/encryption.xml" not in names:
        return
    methods = _parse(archive.read("META-INF/encryption.xml")).iter("{*}EncryptionMethod")
    if any(method.get("Algorithm") not in _FONT_SCRAMBLING for method in methods):
        raise DocumentError("encrypted", "The book is copy-protected (DRM); upload a version without protection.")


def _contents(
    archive: zipfile.ZipFile, items: Iterable[lxml.etree._Element], folder: str, names: set[str]
) -> dict[str, str]:
    """Chapter file → its first name in the table of contents (EPUB 2's NCX or EPUB 3's navigation page)."""
    found: dict[str, str] = {}
    for item in items:
        is_navigation = "nav" in (item.get("properties") or "").split()
        is_ncx = item.get("media-type") == "application/x-dtbncx+xml"
        member = _member(folder, item.get("href"))
        if not (is_navigation or is_ncx) or member not in names:
            continue
        root = parse_xhtml(decode_markup(archive.read(member)).text)
        if root is None:
            continue
        base = posixpath.dirname(member)
        for target, label in _entries(root):
            found.setdefault(_member(base, target), label)
    return found


def _entries(root: lxml.etree._Element) -> list[tuple[str, str]]:
    entries = []
    for element in root.iter("{*}navPoint", "{*}a"):
        if tag_of(element) == "a":
            target, label = element.get("href"), "".join(element.itertext())
        else:
            content, text = element.find("{*}content"), element.find("{*}navLabel")
            target = content.get("src") if content is not None else None
            label = "".join(text.itertext()) if text is not None else ""
        if target and label.strip():
            entries.append((target, label))
    return entries


def _member(folder: str, reference: str | None) -> str:
    """The archive's name for a reference; only ever looked up among its names, never a path on disk."""
    plain = unquote((reference or "").partition("#")[0])
    return posixpath.normpath(posixpath.join(folder, plain))


def _parse(data: bytes) -> lxml.etree._Element:
    parser = lxml.etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True)
    return lxml.etree.fromstring(data, parser)
