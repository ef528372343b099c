"""Words of a text and their plain forms, for attributing sentences to evidence."""

import re
import unicodedata
from functools import lru_cache

from rag.types import Span


def _mark_ranges() -> str:
    """Combining marks of the scripts below U+1DC0 as ranges of a character class: the word class of `re` lacks them."""
    ranges: list[list[int]] = []
    for code in range(0x300, 0x1DC0):
        if unicodedata.category(chr(code)).startswith("M"):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


_CJK = "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_MARKS = _mark_ranges()
_RAISED = "⁰¹²³⁴-⁹"  # of footnotes and powers: neither "end¹" nor "10⁶" is a word of its own
_LETTER = rf"(?:[^\W_{_CJK}{_RAISED}]|[{_MARKS}])"
_WORD = re.compile(rf"\d+(?:[.,:'’]\d+)+(?!{_LETTER})|[{_CJK}]|{_LETTER}+(?:['’]{_LETTER}+)*")
_COMMA_GROUPS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:['’]\d{3})+(?:[.,]\d+)?")
_DOT_GROUPS = re.compile(r"\d{1,3}(?:\.\d{3}){2,}|\d{1,3}(?:\.\d{3})+,\d+")
_DECIMAL_COMMA = re.compile(r"\d+,\d+")
_ACCENT = re.compile("[\u0300-\u036f]")
_VOWEL = re.compile("[aeiouy]")
NUMBER_WORDS = (  # each stands for its place
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip


def _set(listed: str) -> frozenset[str]:
    """The words of `listed`, which white space separates."""
    return frozenset(listed.split())


# Negations ("not", "no", "nicht", "kein") are no stop words: they turn a statement round.
_STOP_WORDS = _set(
    """
    a about an and are as at be been being but by can could did do does doing for from had has have having he her here
    hers him his how i if in into is it its itself just may me might must my of on or our ours shall she should so
    some such than that the their theirs them then there these they this those to too was we were what when where
    which while who whom whose why will with would you your yours also s t ll re ve d m
    aber als am an auch auf aus bei beim bin bis bist da dann das dass dem den denn der des die dies diese diesem
    diesen dieser dieses doch dort du durch ein eine einem einen einer eines er es etwas fur hat hatte hatten haben
    habe hier ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im ist ja kann konnen man mein mit nach noch nun nur ob
    oder ohne sehr sein seine seinem seinen seiner seit sich sie sind so uber um und uns unser unter vom von vor war
    waren warum was weil welche welcher wenn wer werden wie wir wird wo wurde wurden zu zum zur
    """
)


def words(text: str) -> tuple[Span, ...]:
    """Words and numbers in order: runs of letters and digits with inner apostrophes, numbers with inner separators
    ("1,000.5", "10:30"), and each Chinese or Japanese character by itself. Hyphens separate;
    raised digits belong to no word.
    """
    return tuple(Span(start=match.start(), end=match.end()) for match in _WORD.finditer(text))


def content_words(text: str) -> tuple[str, ...]:
    """Plain forms of the words that carry meaning, in order, repetitions kept.

    Casefolded, accents removed (ß = ss, ü = u), numbers in one notation ("1,000" and "1'000" = "1000"; "3,5" = "3.5"),
    English and German stop words left out, "n't" read as "not", the rest stemmed lightly (see `stem`).
    """
    plain = (_plain(match.group()) for match in _WORD.finditer(text))
    return tuple(word for word in plain if word)


def counted_words(text: str) -> frozenset[str]:
    """The `content_words` of a text, numbers up to twenty as digits: "sixteen weeks" is "16 weeks"."""
    return frozenset(_DIGITS.get(word, word) for word in content_words(text))


@lru_cache(maxsize=65_536)
def _plain(word: str) -> str:
    """The plain form of one word, or "" for a stop word."""
    if word[0].isdecimal() and not word[-1].isalpha():
        return _plain_number(word)
    folded = _ACCENT.sub("", unicodedata.normalize("NFKD", word.casefold())).replace("’", "'")
    if folded.endswith("n't"):
        return "not"
    folded = folded.removesuffix("'s").replace("'", "")
    return "" if folded in _STOP_WORDS else stem(folded)


def _plain_number(number: str) -> str:
    """One notation for the same number; "1.000" alone stays as it is, since it may be a decimal."""
    if not number.isascii():
        number = "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in number)
    if _COMMA_GROUPS.fullmatch(number):
        return re.sub("[,'’]", "", number)
    if _DOT_GROUPS.fullmatch(number):
        return number.replace(".", "").replace(",", ".")
    if _DECIMAL_COMMA.fullmatch(number):
        return number.replace(",", ".")
    return number


def stem(word: str) -> str:
    """A light stem of one folded word: the same for most inflected forms of an English or German word.

    Plural s after Harman ("How effective is suffixing?", JASIS 1991), then -ed and -ing with a doubled consonant
    undone, then the German endings -ern, -en, -er, -em and a last -e. A stem keeps at least three letters; words of
    three letters and words with digits or of other scripts keep their form, but for the s of "1970s".
    """
    if not word.isascii() or len(word) < 4:
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        word = word[:-3] + "y"
    elif word.endswith("s") and not word.endswith(("us", "ss", "is")):
        word = word[:-1]
    if not word.isalpha():
        return word
    for ending in ("ing", "ed"):
        root = word.removesuffix(ending)
        if root != word and len(root) >= 3 and _VOWEL.search(root):
            if root[-1] == "i":
                return root[:-1] + "y"
            doubled = len(root) > 3 and root[-1] == root[-2] and root[-1] not in "aeiouylsz"
            return root[:-1] if doubled else root
    for ending in ("ern", "en", "er", "em"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    if word.endswith("e") and len(word) >= 4:
        return word[:-1]
    return word


# Here, since it takes the function above to fill it.
_DIGITS = {_plain(word): str(value) for value, word in enumerate((*NUMBER_WORDS, "twenty"))}
