"""The one form of text that is stored: NFC, LF line ends, no control characters but LF and TAB.

Each step is a substitution that also says where every character of the result came from, so that whatever is
tied to characters of the source (boxes on a page) can follow them.
"""

import re
import unicodedata
from collections.abc import Callable

import numpy as np

from rag.types import IdArray

# Kept on purpose: zero-width joiner and non-joiner (Persian, Indic scripts, emoji) and private-use characters,
# which are visible glyphs of some fonts.
_DROPPED = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"  # C0 and C1 without the line ends among them
    "\u00ad"  # soft hyphen
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # directional marks, overrides and isolates
    "\u180e\u200b\u2060-\u2065\ufeff"  # characters without width, byte order mark
    "\ud800-\udfff"  # lone surrogates
    "\ufdd0-\ufdef\ufff0-\ufffb\ufffe\uffff"  # noncharacters, interlinear annotation
    "\U000e0000-\U000e0fff"  # tags, with which text can be hidden
)
_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
_LINE_ENDS = "\r\v\f\x1c-\x1e\x85\u2028\u2029"
_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"

_FOREIGN = re.compile(f"\r\n|[{_LINE_ENDS}]|[{_SPACES}]|[{''.join(_LIGATURES)}]|[{_DROPPED}]")
# The last code points of every plane but the first are noncharacters, too.
_PLANE_ENDS = re.compile(
    "[" + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(1, 17)) + "]"
)
_LINE_END = re.compile(f"[{_LINE_ENDS}]")
_SPACE = re.compile(f"[{_SPACES}]")
# Nothing below U+0300 composes with what stands before it, so text may be cut there.
_CLUSTERS = re.compile("[\x00-\u02ff]?[\u0300-\U0010ffff]+")
_RUNS = re.compile(r"[ \t]*\n[ \t]*|[ \t]{2,}")
_BLANK_LINES = re.compile(r"\n{3,}")


def normalize(text: str, *, keep_spaces: bool = False) -> str:
    """The stored form of `text`; see `normalize_with_map`."""
    return normalize_with_map(text, keep_spaces=keep_spaces)[0]


def normalize_with_map(text: str, *, keep_spaces: bool = False) -> tuple[str, IdArray]:
    """The stored form of `text` and, for each of its characters, the index in `text` it came from.

    Line ends become LF, every kind of space becomes " ", ﬁ and its like are spelled out, control and invisible
    characters are dropped, the rest is brought to NFC. Unless `keep_spaces`, a run of blanks becomes one (a tab if
    it held a tab), blanks beside a line end and more than one empty line in a row are dropped.

    Returns:
        The text, and int64[len(text)], ascending. Normalizing twice changes nothing.
    """
    source = np.arange(len(text), dtype=np.int64)
    if not text.isascii():
        text, source = _substitute(text, source, _PLANE_ENDS, lambda _: "")
    text, source = _substitute(text, source, _FOREIGN, _replace_foreign)
    if not unicodedata.is_normalized("NFC", text):
        text, source = _compose(text, source)
    if not keep_spaces:
        text, source = _substitute(text, source, _RUNS, _collapse_run)
        text, source = _substitute(text, source, _BLANK_LINES, lambda _: "\n\n")
    return text, source


def is_normalized(text: str) -> bool:
    """Whether `text` may be stored as it is, its blanks left aside."""
    return normalize(text, keep_spaces=True) == text


def _replace_foreign(match: re.Match[str]) -> str:
    found = match.group()
    if found == "\r\n" or _LINE_END.fullmatch(found):
        return "\n"
    if _SPACE.fullmatch(found):
        return " "
    return _LIGATURES.get(found, "")


def _collapse_run(match: re.Match[str]) -> str:
    found = match.group()
    if "\n" in found:
        return "\n"
    return "\t" if "\t" in found else " "


def _substitute(
    text: str, source: IdArray, pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str]
) -> tuple[str, IdArray]:
    """Like `pattern.sub`; what is put in comes from where it stood in the match, else from the match's start on."""
    pieces: list[str] = []
    sources: list[IdArray] = []
    done = 0
    for match in pattern.finditer(text):
        new = replace(match)
        if new == match.group():
            continue
        pieces += (text[done : match.start()], new)
        old = source[match.start() + max(match.group().find(new), 0) : match.end()]
        sources += (source[done : match.start()], old[np.minimum(np.arange(len(new)), len(old) - 1)])
        done = match.end()
    if not pieces:
        return text, source
    pieces.append(text[done:])
    sources.append(source[done:])
    return "".join(pieces), np.concatenate(sources)


def _compose(text: str, source: IdArray) -> tuple[str, IdArray]:
    """NFC. A composed character comes from the first of the characters it is made of."""
    pieces: list[str] = []
    sources: list[IdArray] = []
    done = 0
    for match in _CLUSTERS.finditer(text):
        cluster = match.group()
        if unicodedata.is_normalized("NFC", cluster):
            continue
        composed = unicodedata.normalize("NFC", cluster)
        pieces += (text[done : match.start()], composed)
        sources += (source[done : match.start()], source[match.start() : match.end()][_origins(cluster, composed)])
        done = match.end()
    pieces.append(text[done:])
    sources.append(source[done:])
    return "".join(pieces), np.concatenate(sources)


def _origins(cluster: str, composed: str) -> IdArray:
    """For each character of `composed`, the index in `cluster`: both decompose to equally many characters."""
    origin = [index for index, char in enumerate(cluster) for _ in unicodedata.normalize("NFD", char)]
    starts = np.cumsum([0] + [len(unicodedata.normalize("NFD", char)) for char in composed[:-1]])
    picked: IdArray = np.asarray(origin, dtype=np.int64)[starts]
    return picked
