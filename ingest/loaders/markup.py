"""HTML and XHTML texts → trees: nothing is loaded, no entity is expanded, no DTD is read."""

import re
from html.entities import html5

import lxml.etree
import lxml.html

from rag.errors import DocumentError

_DOCTYPE = re.compile(r"<!DOCTYPE[^>\[]{0,2000}(?:\[[^\]]*\]\s*)?>", re.IGNORECASE)
_DECLARATION = re.compile(r"\s*<\?xml[^>]{0,500}\?>")
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31});")
_XML_ENTITIES = frozenset(("amp", "lt", "gt", "quot", "apos"))


def parse_html(text: str) -> lxml.etree._Element | None:
    """The tree of an HTML text, mended like a browser would; None where it holds no element and no text.

    Raises:
        DocumentError: `corrupt`, where elements are nested deeper than the parser follows; it would drop the rest.
    """
    parser = lxml.html.HTMLParser(encoding="utf-8", no_network=True, huge_tree=True)
    data = text.replace("\x00", "").encode("utf-8", "replace")
    if not data.strip():
        return None
    try:
        root = lxml.html.document_fromstring(data, parser=parser)
    except lxml.etree.ParserError:  # nothing but comments
        return None
    if any(entry.type == lxml.etree.ErrorTypes.ERR_RESOURCE_LIMIT for entry in parser.error_log):
        raise DocumentError("corrupt", "The page nests its elements too deep to be read; save it as text or PDF.")
    return root


def parse_xhtml(text: str) -> lxml.etree._Element | None:
    """The tree of an XHTML text; where it is not well-formed it is read as HTML."""
    plain = _DECLARATION.sub("", text, count=1) if _DECLARATION.match(text) else text
    plain = _ENTITY.sub(_spell_entity, _DOCTYPE.sub("", plain, count=1))
    parser = lxml.etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=True)
    try:
        return lxml.etree.fromstring(plain.encode("utf-8", "replace"), parser)
    except lxml.etree.XMLSyntaxError:
        return parse_html(text)


def tag_of(element: lxml.etree._Element) -> str:
    """The local name in small letters; "" for comments and processing instructions."""
    tag = element.tag
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


def find_title(root: lxml.etree._Element) -> str | None:
    """The text of `<title>` of a page, not of a drawing in it."""
    for element in root.iter("{*}title"):
        parent = element.getparent()
        if parent is not None and tag_of(parent) == "head":
            return "".join(element.itertext()).strip() or None
    return None


def _spell_entity(match: re.Match[str]) -> str:
    name = match.group(1)
    return match.group() if name in _XML_ENTITIES else html5.get(name + ";", match.group())
