"""Column types that SQLite and PostgreSQL store alike."""

import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator

# SQLite gives out AUTOINCREMENT ids for INTEGER columns only; PostgreSQL's INTEGER would end at 2^31.
BigId = BigInteger().with_variant(Integer(), "sqlite")

# Sorted by code point on both; PostgreSQL's default follows the locale of the server.
SortedText = Text().with_variant(Text(collation="C"), "postgresql")

JsonValue = JSON(none_as_null=True)


class UtcTime(TypeDecorator[datetime.datetime]):
    """A moment, stored as UTC and read back with its time zone.

    Raises:
        ValueError: a time without a zone is stored.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        """Turn any zone into UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs a time zone; use datetime.now(datetime.UTC)")
        value = value.astimezone(datetime.UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime.datetime | None:
        """Mark what was stored as UTC."""
        if value is None:
            return None
        moment: datetime.datetime = value
        return moment.replace(tzinfo=datetime.UTC) if moment.tzinfo is None else moment.astimezone(datetime.UTC)
