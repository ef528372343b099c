"""The form of a backup: an uncompressed tar of a manifest, tables as JSON lines, and uploaded files.

manifest.json            format, schema, time, counters, and name, size and SHA-256 of each other member, in order
tables/NAME.jsonl        a row a line; bytes as base64, times as ISO-8601
files/ID/VERSION[.password]

Uncompressed, so that it cannot grow when it is read. It holds no index: those are rebuilt from the tables.
"""

import base64
import binascii
import datetime
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

from sqlalchemy import JSON, Boolean, Column, Float, Integer, LargeBinary, String, Table
from sqlalchemy.types import TypeEngine

from rag.catalog.columns import UtcTime
from rag.catalog.models import Base, IndexSnapshotRow
from rag.errors import InvalidInputError

FORMAT = 1
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 256 * 1024 * 1024
COUNTERS = {"passages": "passage_id", "changes": "seq", "jobs": "number"}  # ids that are never reused
# Parents before what refers to them.
TABLES: tuple[Table, ...] = tuple(
    table for table in Base.metadata.sorted_tables if table.name != IndexSnapshotRow.__tablename__
)

_FILE = re.compile(r"files/(?P<document_id>[A-Za-z0-9_-]{1,64})/(?P<version>[1-9][0-9]{0,8})(?P<password>\.password)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of an archive."""

    name: str
    n_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an archive holds."""

    schema: str  # the migration its tables are at
    created_at: str
    counters: dict[str, int]
    members: tuple[Member, ...]


def manifest_to_json(manifest: Manifest) -> bytes:
    """The bytes of manifest.json."""
    value = {
        "citebound_backup": FORMAT,
        "schema": manifest.schema,
        "created_at": manifest.created_at,
        "counters": manifest.counters,
        "members": [
            {"name": member.name, "n_bytes": member.n_bytes, "sha256": member.sha256} for member in manifest.members
        ],
    }
    return json.dumps(value, indent=1).encode()


def manifest_from_json(data: bytes) -> Manifest:
    """The inverse of `manifest_to_json`.

    Raises:
        InvalidInputError: it is no manifest, of another format, or names what no backup has.
    """
    try:
        value = json.loads(data, parse_constant=_no_constant)
        found = value["citebound_backup"]
        if found != FORMAT:
            raise InvalidInputError(f"the backup has format {found!r}, this program reads {FORMAT}; upgrade citebound")
        counters = value["counters"]
        members = tuple(
            Member(name=item["name"], n_bytes=item["n_bytes"], sha256=item["sha256"]) for item in value["members"]
        )
        manifest = Manifest(schema=value["schema"], created_at=value["created_at"], counters=counters, members=members)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInputError("the backup's manifest does not parse; use a file made by citebound backup") from error
    names = [member.name for member in members]
    ok = (
        isinstance(manifest.schema, str)
        and isinstance(counters, dict)
        and counters.keys() == COUNTERS.keys()
        and all(type(value) is int and 0 <= value < 2**62 for value in counters.values())
        and all(
            isinstance(member.name, str)
            and type(member.n_bytes) is int
            and isinstance(member.sha256, str)
            and _SHA256.fullmatch(member.sha256)
            for member in members
        )
        and len(set(names)) == len(names)
        and {name for name in names if not _FILE.fullmatch(name)} == {table_name(table) for table in TABLES}
    )
    if not ok:
        raise InvalidInputError("the backup's manifest names what no backup has; use a file made by citebound backup")
    return manifest


def table_name(table: Table) -> str:
    """The member that holds a table."""
    return f"tables/{table.name}.jsonl"


def file_name(document_id: str, version: int, *, password: bool = False) -> str:
    """The member that holds an uploaded file or its password."""
    return f"files/{document_id}/{version}{'.password' if password else ''}"


def parse_file_name(name: str) -> tuple[str, int, bool] | None:
    """Document id, version, and whether it is the password; None for any other member."""
    match = _FILE.fullmatch(name)
    if match is None:
        return None
    return match["document_id"], int(match["version"]), match["password"] is not None


def hash_file(path: Path) -> tuple[int, str]:
    """Size and SHA-256."""
    with path.open("rb") as file:
        return copy_hashed(file, None)


def copy_hashed(source: IO[bytes], target: IO[bytes] | None) -> tuple[int, str]:
    """Copy to the end of `source`; returns size and SHA-256."""
    digest, n_bytes = hashlib.sha256(), 0
    while block := source.read(_COPY_BYTES):
        digest.update(block)
        n_bytes += len(block)
        if target is not None:
            target.write(block)
    return n_bytes, digest.hexdigest()


def encode_rows(table: Table, rows: Iterable[Any]) -> Iterator[bytes]:
    """A line a row, in the order of the columns of `table`."""
    for row in rows:
        yield (
            json.dumps({column.name: _encode(value) for column, value in zip(table.columns, row, strict=True)}).encode()
            + b"\n"
        )


def decode_rows(table: Table, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Rows by column name, every value of its column's type.

    Raises:
        InvalidInputError: a line is no row of that table.
    """
    columns = {column.name: column for column in table.columns}
    for number, line in enumerate(lines, start=1):
        try:
            value = json.loads(line, parse_constant=_no_constant)
            if not isinstance(value, dict) or value.keys() != columns.keys():
                raise ValueError
            row = {columns[name].name: _decode(columns[name], part) for name, part in value.items()}
        except (ValueError, TypeError, RecursionError, binascii.Error) as error:
            raise InvalidInputError(f"row {number} of {table.name} in the backup is not valid") from error
        yield row


def _encode(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, datetime.datetime) else value


def _decode(column: Column[Any], value: Any) -> Any:
    if isinstance(column.type, JSON):
        if value is None and not column.nullable:
            raise ValueError
        return value
    if value is None:
        if not column.nullable:
            raise ValueError
        return None
    if isinstance(column.type, UtcTime):
        moment = datetime.datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError
        return moment
    if isinstance(column.type, LargeBinary):
        return base64.b64decode(value, validate=True)
    if not isinstance(value, _python_type(column.type)) or (
        isinstance(value, bool) != isinstance(column.type, Boolean)
    ):
        raise ValueError
    if isinstance(value, str):
        value.encode()
    return value


def _python_type(kind: TypeEngine[Any]) -> type | tuple[type, ...]:
    if isinstance(kind, Boolean):
        return bool
    if isinstance(kind, Float):
        return (int, float)
    if isinstance(kind, Integer):
        return int
    if isinstance(kind, String):
        return str
    raise TypeError(f"no form for a column of type {kind!r}")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
