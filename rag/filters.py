"""Filters over the metadata of documents, in the manner of MongoDB's query language, as plain values: nothing runs.

A filter is a mapping of keys to conditions, all of which must hold: `{"year": {"$gte": 2020}, "team": "legal"}`.
A condition is a value (equality) or a mapping of operators. `$and`, `$or` (lists of filters) and `$not` (a filter)
stand beside keys, `$not` (operators) also behind a key. A key is looked up as it stands, then as a dotted path into
nested objects. Where the metadata has a list, a condition holds if it holds for one of its items.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from rag.errors import InvalidFilterError
from rag.types import Document, Metadata

MAX_DEPTH = 8  # of nested filters
MAX_CONDITIONS = 256  # in the whole filter
MAX_LIST_ITEMS = 1000  # of $in and $nin
MAX_STRING_CHARS = 1000
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_COMPARISONS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin")
_OPERATORS = f"{', '.join(_COMPARISONS)}, $and, $or and $not"

_Value = str | int | float | bool | None
_Test = Callable[[Metadata], bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was checked; made by `parse_filter`."""

    _test: _Test

    def matches(self, metadata: Metadata) -> bool:
        """Whether the filter holds; never raises, whatever the metadata is."""
        return self._test(metadata)

    def matches_document(self, document: Document) -> bool:
        """The same over a document's metadata, with its id, name and media type where the metadata lacks them."""
        built_in = {
            "document_id": document.document_id,
            "document_name": document.name,
            "media_type": document.media_type,
        }
        return self._test({**built_in, **document.metadata})


def parse_filter(mapping: Mapping[str, Any]) -> Filter:
    """Check a filter; the empty one holds always.

    Raises:
        InvalidFilterError: it is not a filter; the message says in one sentence what is wrong.
    """
    return Filter(_Parser().filter(mapping, depth=1))


class _Parser:
    """Builds the test of one filter and counts its conditions."""

    def __init__(self) -> None:
        self._n_conditions = 0

    def filter(self, mapping: Any, depth: int) -> _Test:
        if not isinstance(mapping, Mapping):
            raise InvalidFilterError("a filter must be an object of keys and conditions")
        if depth > MAX_DEPTH:
            raise InvalidFilterError(f"a filter may be nested at most {MAX_DEPTH} deep")
        return _all([self._entry(key, value, depth) for key, value in mapping.items()])

    def _entry(self, key: Any, value: Any, depth: int) -> _Test:
        if key in ("$and", "$or"):
            if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not value:
                raise InvalidFilterError(f"{key} needs a list of at least one filter")
            tests = [self.filter(part, depth + 1) for part in value]
            return _all(tests) if key == "$and" else _any(tests)
        if key == "$not":
            return _not(self.filter(value, depth + 1))
        if not isinstance(key, str) or key.startswith("$"):
            raise InvalidFilterError(f"{_shown(key)} is not an operator; there are {_OPERATORS}")
        if not _KEY.fullmatch(key):
            raise InvalidFilterError("a key of a filter must be 1 to 64 of the characters A-Z a-z 0-9 _ . -")
        if isinstance(value, Mapping):
            return self._operators(key, value, depth)
        return self._comparison(key, "$eq", value)

    def _operators(self, key: str, operators: Mapping[Any, Any], depth: int) -> _Test:
        if not operators:
            raise InvalidFilterError(f"the condition on {key} names no operator; there are {_OPERATORS}")
        if depth > MAX_DEPTH:
            raise InvalidFilterError(f"a filter may be nested at most {MAX_DEPTH} deep")
        tests: list[_Test] = []
        for operator, value in operators.items():
            if operator == "$not":
                if not isinstance(value, Mapping):
                    raise InvalidFilterError(f"$not on {key} needs an object of operators")
                tests.append(_not(self._operators(key, value, depth + 1)))
            elif operator in _COMPARISONS:
                tests.append(self._comparison(key, operator, value))
            else:
                raise InvalidFilterError(
                    f"{_shown(operator)} is not an operator on a key (there are {', '.join(_COMPARISONS)} and $not); "
                    "write a nested key as a dotted path"
                )
        return _all(tests)

    def _comparison(self, key: str, operator: str, value: Any) -> _Test:
        self._n_conditions += 1
        if self._n_conditions > MAX_CONDITIONS:
            raise InvalidFilterError(f"a filter may have at most {MAX_CONDITIONS} conditions")
        if operator in ("$in", "$nin"):
            if not isinstance(value, Sequence) or isinstance(value, str | bytes):
                raise InvalidFilterError(f"{operator} on {key} needs a list of values")
            if len(value) > MAX_LIST_ITEMS:
                raise InvalidFilterError(f"{operator} on {key} may have at most {MAX_LIST_ITEMS} values")
            among = frozenset(_identity(_checked(key, item)) for item in value)
            found = _any_item(key, lambda item: _identity(item) in among)
            return _not(found) if operator == "$nin" else found
        checked = _checked(key, value)
        if operator in ("$eq", "$ne"):
            wanted = _identity(checked)
            equal = _any_item(key, lambda item: _identity(item) == wanted)
            return _not(equal) if operator == "$ne" else equal
        return _any_item(key, _ordering(key, operator, checked))


def _ordering(key: str, operator: str, bound: _Value) -> Callable[[Any], bool]:
    """Compares numbers with numbers and strings with strings by code point; anything else is False."""
    kind = _kind(bound)
    if kind not in ("number", "string"):
        raise InvalidFilterError(f"{operator} on {key} needs a number or a string")
    limit = cast(Any, bound)

    def holds(item: Any) -> bool:
        if _kind(item) != kind:
            return False
        if operator == "$gt":
            return bool(item > limit)
        if operator == "$gte":
            return bool(item >= limit)
        return bool(item < limit) if operator == "$lt" else bool(item <= limit)

    return holds


def _checked(key: str, value: Any) -> _Value:
    if isinstance(value, str):
        if len(value) > MAX_STRING_CHARS:
            raise InvalidFilterError(f"a string in the condition on {key} is longer than {MAX_STRING_CHARS} characters")
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int | float):
        raise InvalidFilterError(f"a number in the condition on {key} is not finite or does not fit into 64 bits")
    raise InvalidFilterError(f"the condition on {key} must compare with a string, number, true, false or null")


def _any_item(key: str, holds: Callable[[Any], bool]) -> _Test:
    def test(metadata: Metadata) -> bool:
        value = _look_up(metadata, key)
        if isinstance(value, list | tuple):
            return any(holds(item) for item in value)
        return holds(value)

    return test


def _look_up(metadata: Metadata, key: str) -> Any:
    """The value under `key`, else at that dotted path; None where there is none."""
    if key in metadata:
        return metadata[key]
    value: Any = metadata
    for part in key.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"  # 1 and 1.0 are equal; NaN equals nothing and is not above or below anything
    if isinstance(value, str):
        return "string"
    return "null" if value is None else "other"


def _identity(value: Any) -> tuple[str, Any]:
    """What equality compares: kinds first, so that true is not 1. Objects and lists in lists equal no value."""
    kind = _kind(value)
    return (kind, None) if kind == "other" else (kind, value)


def _all(tests: Sequence[_Test]) -> _Test:
    return lambda metadata: all(test(metadata) for test in tests)


def _any(tests: Sequence[_Test]) -> _Test:
    return lambda metadata: any(test(metadata) for test in tests)


def _not(test: _Test) -> _Test:
    return lambda metadata: not test(metadata)


def _shown(key: Any) -> str:
    """A name out of a request, short and on one line."""
    return repr(key)[:40] if isinstance(key, str) else "something that is not a string"
