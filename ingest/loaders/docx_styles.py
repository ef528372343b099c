"""Which paragraphs of a Word document are headings, and the numbers and bullets that Word writes before paragraphs."""

import re
from dataclasses import dataclass, field

from docx.oxml.ns import qn
from lxml import etree

TITLE_LEVEL = 0  # the document's title stands above its first level

# "heading 1" is the built-in name in every language of Word; other programs write translated names.
_HEADING_NAME = re.compile(
    r"(?:heading|überschrift|titre|título|titolo|rubrik|overskrift|kop|nagłówek|nadpis|otsikko|заголовок|标题|見出し|제목)"
    r"\s*([1-9])",
    re.IGNORECASE,
)
_MAX_CHAIN = 20  # styles based on styles
_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl")),
    *((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
_PLACEHOLDER = re.compile(r"%([1-9])")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Style:
    name: str
    based_on: str | None
    properties: etree._Element | None  # w:pPr


class Styles:
    """Paragraph properties with what they inherit from styles."""

    def __init__(self, root: etree._Element | None) -> None:
        self._styles: dict[str, _Style] = {}
        for style in root.iter(qn("w:style")) if root is not None else ():
            identifier = style.get(qn("w:styleId"))
            if identifier is not None:
                name, based_on = style.find(qn("w:name")), style.find(qn("w:basedOn"))
                self._styles[identifier] = _Style(
                    name=name.get(qn("w:val"), "") if name is not None else "",
                    based_on=based_on.get(qn("w:val")) if based_on is not None else None,
                    properties=style.find(qn("w:pPr")),
                )

    def heading_level(self, paragraph: etree._Element) -> int | None:
        """1 for the top level, 0 for the title, None for body text."""
        outline = self._value(paragraph, "w:outlineLvl")
        if outline is not None:
            return int(outline) + 1 if outline.isdecimal() and int(outline) <= 8 else None
        for style in self._chain(paragraph):
            named = _HEADING_NAME.fullmatch(style.name.strip())
            if named is not None:
                return int(named.group(1))
            if style.name.casefold() == "title":
                return TITLE_LEVEL
        return None

    def numbering(self, paragraph: etree._Element) -> tuple[str, int] | None:
        """(number id, level) of the list the paragraph belongs to."""
        number_id = self._value(paragraph, "w:numPr/w:numId")
        if number_id is None or number_id == "0":
            return None
        level = self._value(paragraph, "w:numPr/w:ilvl") or "0"
        return number_id, int(level) if level.isdecimal() else 0

    def _value(self, paragraph: etree._Element, path: str) -> str | None:
        """The nearest `w:val` at `path`: of the paragraph itself, else of its styles."""
        full = "/".join(qn(step) for step in path.split("/"))
        own = paragraph.find(qn("w:pPr"))
        for properties in (own, *(style.properties for style in self._chain(paragraph))):
            found = properties.find(full) if properties is not None else None
            if found is not None:
                value: str | None = found.get(qn("w:val"))
                return value
        return None

    def _chain(self, paragraph: etree._Element) -> list[_Style]:
        reference = paragraph.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
        identifier = reference.get(qn("w:val")) if reference is not None else None
        chain: list[_Style] = []
        while identifier in self._styles and len(chain) < _MAX_CHAIN:
            chain.append(self._styles[identifier])
            identifier = chain[-1].based_on
        return chain


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    form: str = "decimal"
    template: str = "%1."
    start: int = 1


@dataclass(slots=True)
class Numbering:
    """Counts the items of every list in document order."""

    root: etree._Element | None
    _levels: dict[str, dict[int, _Level]] = field(default_factory=dict)  # by abstract list
    _lists: dict[str, str] = field(default_factory=dict)  # number id → abstract list
    _counts: dict[str, dict[int, int]] = field(default_factory=dict)  # by abstract list
    _restarted: set[str] = field(default_factory=set)
    _restarts: dict[str, dict[int, int]] = field(default_factory=dict)  # number id → level → start

    def __post_init__(self) -> None:
        """Read the definitions."""
        if self.root is None:
            return
        for abstract in self.root.iter(qn("w:abstractNum")):
            levels = {_integer(level.get(qn("w:ilvl")), 0): _read_level(level) for level in abstract.iter(qn("w:lvl"))}
            self._levels[abstract.get(qn("w:abstractNumId"), "")] = levels
        for number in self.root.iter(qn("w:num")):
            identifier = number.get(qn("w:numId"), "")
            reference = number.find(qn("w:abstractNumId"))
            self._lists[identifier] = reference.get(qn("w:val"), "") if reference is not None else ""
            for override in number.iter(qn("w:lvlOverride")):
                start = override.find(qn("w:startOverride"))
                if start is not None:
                    level = _integer(override.get(qn("w:ilvl")), 0)
                    self._restarts.setdefault(identifier, {})[level] = _integer(start.get(qn("w:val")), 1)

    def next_marker(self, number_id: str, level: int) -> str:
        """What Word writes before the next item: "-" for every bullet, "2.1.", "b)", or "" for nothing."""
        abstract = self._lists.get(number_id, "")
        levels = self._levels.get(abstract, {})
        counts = self._counts.setdefault(abstract, {})
        if number_id not in self._restarted:
            self._restarted.add(number_id)
            for restarted, start in self._restarts.get(number_id, {}).items():
                counts[restarted] = start - 1
        definition = levels.get(level, _Level())
        counts[level] = counts.get(level, definition.start - 1) + 1
        for deeper in [other for other in counts if other > level]:
            del counts[deeper]
        if definition.form == "bullet":
            return "-"
        if definition.form == "none":
            return ""

        def spell(match: re.Match[str]) -> str:
            wanted = int(match.group(1)) - 1
            other = levels.get(wanted, _Level())
            return _spell(counts.get(wanted, other.start), other.form)

        return _PLACEHOLDER.sub(spell, definition.template)


def _read_level(level: etree._Element) -> _Level:
    def value(tag: str, default: str) -> str:
        found = level.find(qn(tag))
        return found.get(qn("w:val"), default) if found is not None else default

    return _Level(
        form=value("w:numFmt", "decimal"),
        template=value("w:lvlText", "%1."),
        start=_integer(value("w:start", "1"), 1),
    )


def _spell(number: int, form: str) -> str:
    if form in ("lowerLetter", "upperLetter") and number > 0:
        letters = chr(ord("a") + (number - 1) % 26) * min((number - 1) // 26 + 1, 9)  # z, then aa
        return letters if form == "lowerLetter" else letters.upper()
    if form in ("lowerRoman", "upperRoman") and 0 < number < 4000:
        roman = ""
        for value, sign in _ROMAN:
            roman += sign * (number // value)
            number %= value
        return roman if form == "lowerRoman" else roman.upper()
    return f"{number:02d}" if form == "decimalZero" else str(number)


def _integer(value: str | None, default: int) -> int:
    return int(value) if value is not None and re.fullmatch(r"-?\d{1,9}", value) else default
