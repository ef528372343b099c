"""JSON objects that arrive as text in a form field."""

import json
from typing import Any

from rag.errors import InvalidInputError


def parse_json_object(text: str, name: str) -> dict[str, Any]:
    """The object that `text` is.

    Raises:
        InvalidInputError: it is not JSON, not an object, or holds NaN or an infinity.
    """

    def refuse_constant(constant: str) -> None:
        raise ValueError(constant)

    try:
        value = json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{name} must be a JSON object") from error
    if not isinstance(value, dict):
        raise InvalidInputError(f"{name} must be a JSON object")
    return value
