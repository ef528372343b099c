"""Answers that are no answers, as our errors: one sentence each that says what to do."""

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from llm.errors import LlmError, ModelNotFoundError, PromptTooLongError, RemoteError, RemoteUnavailableError

_MAX_REASON_CHARS = 200
_TOO_LONG = (
    "context_length_exceeded",
    "exceed_context_size",
    "context length",
    "context size",
    "context window",
    "maximum context",
)


def problem_of(host: str, status: int, headers: Mapping[str, str], body: bytes) -> LlmError:
    """What a status other than 200, or an error in the middle of a stream (status 200), means."""
    reason, code = _reason(body)
    said = f": {reason}" if reason else ""
    hint = f"{code} {reason}".lower()
    if status in (400, 413, 422, 200) and any(sign in hint for sign in _TOO_LONG):
        return PromptTooLongError(f"{host} cannot read a prompt that long{said}")
    if status in (401, 403):
        return RemoteError(f"{host} refuses the key; set decoder_api_key to one that it knows")
    if status == 404 and "model" in hint:
        return ModelNotFoundError(f"{host} has no model of that name{said}")
    if status == 404:
        return RemoteError(f"{host} has no chat completions at that address; it usually ends with /v1")
    if 300 <= status < 400:
        return RemoteError(f"{host} redirects, which is not followed with a key; set the address it points to")
    if status == 429 or status >= 500:
        asked = retry_after_seconds(headers.get("retry-after"), headers.get("date"))
        what = "has no room for more requests" if status in (429, 503) else f"failed with status {status}"
        return RemoteUnavailableError(f"{host} {what}; ask again later", retry_after_seconds=asked)
    if status == 200:
        return RemoteUnavailableError(f"{host} failed in the middle of its answer{said}")
    return RemoteError(f"{host} refuses the request with status {status}{said}")


def retry_after_seconds(value: str | None, date: str | None) -> int | None:
    """The seconds of a `Retry-After` header, which has a number or a date (RFC 9110, section 10.2.3).

    Args:
        value: The header.
        date: The header `Date` of the same answer, against which a date is held: clocks differ.
    """
    if value is None:
        return None
    if value.strip().isdecimal() and value.isascii():
        return int(value.strip()[:9])
    try:
        return max(0, round((parsedate_to_datetime(value) - parsedate_to_datetime(date or "")).total_seconds()))
    except (TypeError, ValueError):
        return None


def _reason(body: bytes) -> tuple[str, str]:
    """The server's own message, on one line and short, and its code; empty where there are none."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    error = whole.get("error", whole) if isinstance(whole, dict) else None
    if isinstance(error, str):
        return _short(error), ""
    if not isinstance(error, dict):
        return "", ""
    message = error.get("message") or error.get("detail")
    codes = " ".join(str(error[name]) for name in ("type", "code") if isinstance(error.get(name), str))
    return _short(message) if isinstance(message, str) else "", codes


def _short(text: str) -> str:
    plain = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return plain if len(plain) <= _MAX_REASON_CHARS else plain[: _MAX_REASON_CHARS - 1] + "…"
