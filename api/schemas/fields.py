"""Bounds of request fields, as annotations: each says in one sentence what is allowed when a value is outside."""

import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, WrapValidator
from pydantic_core import CoreSchema, PydanticCustomError, ValidationError, core_schema
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

from rag.catalog.labels import checked_collection
from rag.errors import InvalidInputError

MAX_JSON_DEPTH = 8
MAX_JSON_NODES = 2_000
MAX_JSON_CHARS = 32_768
MAX_QUESTION_CHARS = 8_000
_UNREADABLE = re.compile("[\0\ud800-\udfff]")
_DIGITS = re.compile(r"-?[0-9]{1,19}")


class RequestModel(BaseModel):
    """A request body: unknown fields are errors, types are not converted, numbers are finite."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


def refuse(sentence: str) -> PydanticCustomError:
    """The error whose message is exactly `sentence`."""
    return PydanticCustomError("allowed", "{sentence}", {"sentence": sentence})


def _replace_message(sentence: str) -> Callable[[Any, ValidatorFunctionWrapHandler], Any]:
    def run(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            raise refuse(sentence) from error

    return run


def explain(sentence: str) -> WrapValidator:
    """Say `sentence` in place of whatever the wrapped validation complains of."""
    return WrapValidator(_replace_message(sentence))


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number in [low, high]. With `from_text` (paths, query strings) digits count as a number."""

    low: int
    high: int
    from_text: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Strict, so that neither true nor 3.0 nor "3" is a whole number."""

        def digits(value: Any) -> Any:
            return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value

        schema: CoreSchema = core_schema.int_schema(strict=True, ge=self.low, le=self.high)
        if self.from_text:
            schema = core_schema.no_info_before_validator_function(digits, schema)
        sentence = f"must be a whole number from {self.low} to {self.high}"
        return core_schema.no_info_wrap_validator_function(_replace_message(sentence), schema)


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number; `allowed` says the range in words, the rest says it to the validator."""

    allowed: str
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Strict, so that true is not a number."""
        schema = core_schema.float_schema(
            strict=True, allow_inf_nan=False, ge=self.ge, gt=self.gt, le=self.le, lt=self.lt
        )
        sentence = f"must be a number {self.allowed}"
        return core_schema.no_info_wrap_validator_function(_replace_message(sentence), schema)


@dataclass(frozen=True, slots=True)
class Text:
    """A string of `low` to `high` code points, made NFC, without NUL; blanks alone are empty unless `blanks`."""

    low: int
    high: int
    blanks: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Length is checked before and after normalization."""
        sentence = f"must be a string of {self.low:,} to {self.high:,} characters"

        def normalize(value: str) -> str:
            text = unicodedata.normalize("NFC", value)
            length = len(text) if self.blanks else len(text.strip())
            if length < self.low or len(text) > self.high:
                raise refuse(sentence)
            return text

        def readable(value: Any) -> Any:
            if isinstance(value, str) and _UNREADABLE.search(value):
                raise refuse("must hold no NUL character and no half of a surrogate pair")
            return value

        schema = core_schema.no_info_after_validator_function(
            normalize, core_schema.str_schema(strict=True, min_length=self.low, max_length=self.high)
        )
        bounded = core_schema.no_info_wrap_validator_function(_replace_message(sentence), schema)
        return core_schema.no_info_before_validator_function(readable, bounded)


def collection_name(value: Any) -> str:
    """A collection's name in NFC.

    Raises:
        ValueError: it is not one.
    """
    try:
        if isinstance(value, str):
            return checked_collection(value)
    except InvalidInputError:
        pass
    raise ValueError("must be a string of 1 to 128 characters, none of them a control character or line break")


def bounded_json(value: Any) -> dict[str, Any]:
    """A JSON object of bounded depth and size whose numbers are finite and fit in 64 bits.

    Raises:
        ValueError: it is something else, or beyond the bounds.
    """
    if not isinstance(value, dict):
        raise ValueError("must be a JSON object")
    n_nodes = n_chars = 0
    waiting: list[tuple[Any, int]] = [(value, 1)]
    while waiting:
        node, depth = waiting.pop()
        n_nodes += 1
        if isinstance(node, dict):
            waiting += [(key, depth) for key in node]
            waiting += [(child, depth + 1) for child in node.values()]
        elif isinstance(node, list):
            waiting += [(child, depth + 1) for child in node]
        elif isinstance(node, str):
            n_chars += len(node)
            if any("\ud800" <= c <= "\udfff" or c == "\0" for c in node):
                raise ValueError("must not hold lone surrogates or NUL in its strings")
        elif isinstance(node, float) and not math.isfinite(node):
            raise ValueError("must hold finite numbers only")
        elif isinstance(node, int) and not -(2**63) <= node < 2**63:
            raise ValueError("must hold only numbers from -2^63 to 2^63 - 1")
        if depth > MAX_JSON_DEPTH and isinstance(node, dict | list):
            raise ValueError(f"must not be nested deeper than {MAX_JSON_DEPTH} levels")
        if n_nodes + len(waiting) > MAX_JSON_NODES or n_chars > MAX_JSON_CHARS:
            raise ValueError(f"must have at most {MAX_JSON_NODES:,} values and {MAX_JSON_CHARS:,} characters")
    return value


def _say(check: Callable[[Any], Any]) -> BeforeValidator:
    def run(value: Any) -> Any:
        try:
            return check(value)
        except ValueError as error:
            raise refuse(str(error)) from error

    return BeforeValidator(run)


Question = Annotated[str, Text(1, MAX_QUESTION_CHARS)]
CollectionName = Annotated[str, _say(collection_name)]
JsonObject = Annotated[dict[str, Any], _say(bounded_json)]
Identifier = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.\-]+$"), explain("must be an id")]
