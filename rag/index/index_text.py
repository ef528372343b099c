"""The form of a text that is searched by words, for passages and queries alike.

Compatibility forms are unified (Unicode NFKC: full-width letters, ligatures, superscripts). In scripts that put no
spaces between words a run becomes its characters and all pairs of neighbours, so that 東京都 is found by 東京 and 京:
overlapping pairs are the usual terms of such scripts (Nie, Gao, Zhang and Zhou, IRAL 2000), single characters keep
words of one character findable.
"""

import re
import unicodedata
from itertools import pairwise

_UNSPACED = (
    "\u0e01-\u0e3e\u0e40-\u0e4e\u0e81-\u0eaf\u0eb0-\u0ece\u0edc-\u0edf"  # Thai, Lao
    "\u1000-\u103f\u1050-\u109d\u1780-\u17d3"  # Burmese, Khmer
    "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7a3"  # Hangul: words carry particles without a space
    "\u3005-\u3007\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"  # Han
    "\u3041-\u3096\u3099-\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # kana
    "\u3105-\u312f\u31a0-\u31bf"  # bopomofo
)
_RUN = re.compile(f"[{_UNSPACED}]+")
_JOINERS = dict.fromkeys((0x00AD, 0x200C, 0x200D, 0x2060, 0xFEFF))  # they stand inside words and mean no break


def to_index_text(text: str) -> str:
    """The text whose words are indexed; it has no offsets in common with `text`."""
    if text.isascii():
        return text
    return _RUN.sub(_split_run, unicodedata.normalize("NFKC", text).translate(_JOINERS))


def _split_run(match: re.Match[str]) -> str:
    units = _units(match.group())
    pairs = [first + second for first, second in pairwise(units)]
    return f" {' '.join([*units, *pairs])} "


def _units(run: str) -> list[str]:
    """The characters of a run, each with the marks that stand on it."""
    units: list[str] = []
    for character in run:
        if units and unicodedata.category(character).startswith("M"):
            units[-1] += character
        else:
            units.append(character)
    return units
