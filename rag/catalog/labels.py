"""Checks of what a caller names: documents, collections, metadata."""

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

from rag.errors import InvalidInputError
from rag.types import Metadata

_MAX_NAME_CHARS = 512
_MAX_COLLECTION_CHARS = 128
_MAX_METADATA_CHARS = 65536
_REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, lone surrogates, line and paragraph separators


def checked_name(name: str) -> str:
    """A document's name, NFC.

    Raises:
        InvalidInputError: it is empty, too long, or has control characters.
    """
    return _label("a document's name", name, _MAX_NAME_CHARS)


def checked_collection(collection: str) -> str:
    """A collection's name, NFC.

    Raises:
        InvalidInputError: it is empty, too long, or has control characters.
    """
    return _label("a collection's name", collection, _MAX_COLLECTION_CHARS)


def checked_metadata(metadata: Metadata) -> dict[str, Any]:
    """Metadata as a JSON object.

    Raises:
        InvalidInputError: it is no JSON object, has NaN or infinity, or is too long.
    """
    if not isinstance(metadata, Mapping):
        raise InvalidInputError("metadata must be a JSON object")
    try:
        encoded = json.dumps(dict(metadata), allow_nan=False, ensure_ascii=False)
        encoded.encode()  # refuses lone surrogates
        value: dict[str, Any] = json.loads(encoded)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError("metadata must be a JSON object without NaN or infinity") from error
    if len(encoded) > _MAX_METADATA_CHARS:
        raise InvalidInputError(f"metadata may have at most {_MAX_METADATA_CHARS} characters as JSON")
    if _has_nul(value):
        raise InvalidInputError("metadata may not contain the character U+0000")
    return value


def name_key(name: str) -> str:
    """The form of a name that search and sorting compare: without case and without compatibility forms."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _label(what: str, value: str, max_chars: int) -> str:
    value = unicodedata.normalize("NFC", value).strip()
    if not 1 <= len(value) <= max_chars:
        raise InvalidInputError(f"{what} must have 1 to {max_chars} characters")
    if any(unicodedata.category(character) in _REFUSED for character in value):
        raise InvalidInputError(f"{what} may not contain control characters or line breaks")
    return value


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(_has_nul(part) for part in value)
