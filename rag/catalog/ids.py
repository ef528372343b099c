"""Opaque ids, and the one check that an id is safe as a file name."""

import re
import secrets
from collections.abc import Callable

NewId = Callable[[str], str]  # prefix → an id nobody has had

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def random_id(prefix: str) -> str:
    """`prefix` and 128 random bits, e.g. `doc_5f0c…`."""
    return f"{prefix}_{secrets.token_hex(16)}"


def is_id(value: str) -> bool:
    """Whether `value` has the form of an id; such a string names a file inside any folder, never outside."""
    return _ID.fullmatch(value) is not None
