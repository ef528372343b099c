"""Bytes of a text file → characters, by evidence in the bytes and never with a crash."""

import codecs
import re
from dataclasses import dataclass

import charset_normalizer

from ingest.builder import TextBuilder

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE_BYTES = 65_536  # what the statistical guess reads
_HEAD_BYTES = 4096  # where a page says its encoding
_CHARSET = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.IGNORECASE)
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
# One candidate a script and family, so that look-alikes (cp1252, cp1254, mac_iceland …) do not compete on short texts.
_CANDIDATES = [
    *("cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1255", "cp1256"),
    *("gb18030", "big5", "cp932", "euc_jp", "iso2022_jp", "cp949"),
]
_COMMONEST = "cp1252"
# Labels that the web uses for a superset of what they name (WHATWG Encoding Standard).
_WEB_LABELS = {
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A decoded file. `damaged`: some bytes fitted no encoding and stand as U+FFFD."""

    text: str
    encoding: str
    damaged: bool
    guessed: bool = False  # by statistics: nothing in the file says it

    def report(self, builder: TextBuilder) -> None:
        """Flag and warn where bytes could not be read, and warn where their encoding was a guess."""
        if self.guessed:
            builder.warn(
                f"The file does not say its encoding; it was read as {self.encoding}. "
                "If letters look wrong, save it as UTF-8 and upload it again."
            )
        if self.damaged:
            builder.flag("badly_encoded")
            builder.warn(
                f"Some bytes are no {self.encoding} and stand as \ufffd; save the file as UTF-8 and upload it again."
            )


def decode(data: bytes, *, declared: str | None = None) -> Decoded:
    """Decode by byte order mark, UTF-16 without one, `declared` encoding, strict UTF-8, then by statistics.

    A declared encoding that is unknown, or that the bytes do not fit, is passed over.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            text = data[len(mark) :].decode(encoding, "replace")
            return Decoded(text=text, encoding=encoding, damaged="\ufffd" in text)
    wide = _wide(data)
    if wide is not None:
        text = data.decode(wide, "replace")
        return Decoded(text=text, encoding=wide, damaged="\ufffd" in text)
    for candidate in (_known(declared), "utf-8"):
        if candidate is not None and (read := _strictly(data, candidate)) is not None:
            return read
    mended = data.decode("utf-8", "replace")
    n_broken, n_whole = mended.count("\ufffd"), sum(map(len, re.findall("[\x80-\ufffc\U00010000-\U0010ffff]+", mended)))
    if 2 * n_broken <= n_whole:  # other encodings hardly ever look like UTF-8 by chance
        return Decoded(text=mended, encoding="utf-8", damaged=True)
    guessed = _guess(data)
    if guessed is not None:
        text = data.decode(guessed, "replace")
        return Decoded(text=text, encoding=guessed, damaged="\ufffd" in text, guessed=True)
    return Decoded(text=mended, encoding="utf-8", damaged=True)


def decode_markup(data: bytes) -> Decoded:
    """Decode HTML or XML, whose first lines may say their encoding."""
    declared = _CHARSET.search(data[:_HEAD_BYTES])
    return decode(data, declared=declared.group(1).decode("ascii") if declared is not None else None)


def _strictly(data: bytes, encoding: str) -> Decoded | None:
    try:
        return Decoded(text=data.decode(encoding), encoding=encoding, damaged=False)
    except UnicodeError:
        return None


def _known(label: str | None) -> str | None:
    """The Python codec for a web label, None where there is no such text encoding."""
    if label is None:
        return None
    try:
        name = codecs.lookup(label.strip()).name
        b"a".decode(name)  # refuses codecs that are no text encodings
    except (LookupError, UnicodeError, ValueError):
        return None
    return _WEB_LABELS.get(name, name)


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark: most of every other byte is zero."""
    sample = data[:_SAMPLE_BYTES]
    half = len(sample) // 2
    if half < 4:
        return None
    high, low = sample[0::2].count(0), sample[1::2].count(0)
    if low > 0.6 * half > 4 * high:
        return "utf-16-le"
    if high > 0.6 * half > 4 * low:
        return "utf-16-be"
    return None


def _guess(data: bytes) -> str | None:
    """The likeliest legacy encoding, judged around the first byte that is not ASCII."""
    first = _NOT_ASCII.search(data)
    start = max(0, first.start() - _SAMPLE_BYTES // 4) if first is not None else 0
    matches = charset_normalizer.from_bytes(data[start : start + _SAMPLE_BYTES], cp_isolation=_CANDIDATES)
    best = matches.best()
    if best is None:
        return "cp1252" if _strictly(data, "cp1252") is not None else None
    for match in matches:
        as_likely = match.chaos <= best.chaos and match.coherence >= best.coherence
        if as_likely and _COMMONEST in match.could_be_from_charset:
            return _COMMONEST  # short texts often fit several tables equally well
    return best.encoding
