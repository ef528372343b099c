"""What a client calls a file, made safe to show. Names are never used as paths."""

import unicodedata

MAX_NAME_CHARS = 255
UNNAMED = "unnamed"

# Characters that reorder, hide or break what a person reads: bidirectional controls (UAX #9), separators, zero width.
_HIDDEN = frozenset(
    "\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2028\u2029\u2060\u2066\u2067\u2068\u2069\ufeff"
)


def display_name(given: str | None) -> str:
    """A file's name without folders, control and direction characters, at most 255 code points, never empty."""
    name = unicodedata.normalize("NFC", given or "").replace("\\", "/")
    name = "".join(c for c in name if c not in _HIDDEN and unicodedata.category(c) not in ("Cc", "Cs", "Cn"))
    name = " ".join(name.rsplit("/", 1)[-1].split())
    if name in ("", ".", ".."):
        return UNNAMED
    if len(name) <= MAX_NAME_CHARS:
        return name
    stem, dot, suffix = name.rpartition(".")
    if dot and len(suffix) <= 16:
        return stem[: MAX_NAME_CHARS - len(suffix) - 1] + dot + suffix
    return name[:MAX_NAME_CHARS]
