import datetime
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from rag.catalog.catalog import Catalog
from rag.catalog.database import Database, sqlite_url
from rag.catalog.documents import Registration
from rag.catalog.files import FileStore, Staged
from rag.types import Document, FloatArray, NewPassage, Page, ParsedDocument, Receipt

START = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


class Bench:
    """A catalog and the few moves that most tests begin with. Time passes a second a look."""

    embedder = "stub-4"
    width = 10  # characters of a passage

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._seconds = 0

    @property
    def now(self) -> datetime.datetime:
        self._seconds += 1
        return START + datetime.timedelta(seconds=self._seconds)

    def stage(self, content: str | bytes) -> Staged:
        data = content.encode() if isinstance(content, str) else content
        return self.catalog.files.stage([data], 1_000_000)

    def register(self, content: str | bytes = "alpha", **changes: object) -> Registration:
        values: dict[str, object] = {
            "name": "a.txt",
            "collection": "default",
            "media_type": "text/plain",
            "metadata": {},
            "password": None,
            "on_duplicate": "skip",
            "now": self.now,
        }
        return self.catalog.documents.register(self.stage(content), **(values | changes))  # type: ignore[arg-type]

    def replace(self, document_id: str, content: str, **changes: object) -> Registration:
        values: dict[str, object] = {"name": None, "media_type": "text/plain", "password": None, "now": self.now}
        return self.catalog.documents.replace_content(
            document_id,
            self.stage(content),
            **(values | changes),  # type: ignore[arg-type]
        )

    def parsed(self, content: str, pages: tuple[Page, ...] = ()) -> ParsedDocument:
        return ParsedDocument(text=content, pages=pages, blocks=(), media_type="text/plain", receipt=Receipt())

    def passages(self, content: str) -> tuple[NewPassage, ...]:
        width = self.width
        return tuple(
            NewPassage(
                ordinal=ordinal,
                text=content[start : start + width],
                start=start,
                end=min(start + width, len(content)),
                heading=f"Part {ordinal}",
                table_header=None,
                first_page=None,
                last_page=None,
                n_tokens=2,
                continues=ordinal > 0,
            )
            for ordinal, start in enumerate(range(0, len(content), width))
        )

    def vectors(self, n: int, seed: int = 0) -> FloatArray:
        return np.random.default_rng(seed).standard_normal((n, 4)).astype(np.float32)

    def publish(self, content: str, pages: tuple[Page, ...] = (), seed: int = 0) -> Document:
        """Do the oldest job, whatever the bytes were: its text is `content`."""
        job = self.catalog.jobs.claim(self.now)
        assert job is not None and job.document_id is not None and job.version is not None
        passages = self.passages(content)
        self.catalog.documents.publish(
            job.job_id,
            job.document_id,
            job.version,
            self.parsed(content, pages),
            passages,
            self.vectors(len(passages), seed),
            self.embedder,
            self.now,
        )
        return self.catalog.documents.get(job.document_id)

    def ready(self, content: str = "alpha beta gamma delta", **changes: object) -> Document:
        self.register(content, **changes)
        return self.publish(content)


def _postgres_url() -> str | None:
    return os.environ.get("CITEBOUND_TEST_POSTGRES_URL")


def _postgres_schema() -> Iterator[str]:
    """A URL whose tables are in a schema of their own, dropped afterwards."""
    base = _postgres_url()
    if base is None:
        pytest.skip("CITEBOUND_TEST_POSTGRES_URL names no PostgreSQL server")
    schema = f"test_{secrets.token_hex(8)}"
    engine = create_engine(base)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    try:
        yield make_url(base).update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(False)
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "catalog.sqlite3")
    else:
        yield from _postgres_schema()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def bench(database: Database, tmp_path: Path) -> Bench:
    catalog = Catalog(database, FileStore(tmp_path))
    catalog.start(START)
    return Bench(catalog)


@pytest.fixture
def catalog(bench: Bench) -> Catalog:
    return bench.catalog


@pytest.fixture
def open_bench() -> Iterator[Callable[[Path], Bench]]:
    """Opens SQLite catalogs in any folder, as often as one likes."""
    opened: list[Catalog] = []

    def open_(folder: Path) -> Bench:
        folder.mkdir(exist_ok=True)
        catalog = Catalog(Database(sqlite_url(folder / "catalog.sqlite3")), FileStore(folder))
        catalog.start(START)
        opened.append(catalog)
        return Bench(catalog)

    yield open_
    for catalog in opened:
        catalog.close()


@pytest.fixture
def sqlite_bench(tmp_path: Path, open_bench: Callable[[Path], Bench]) -> Bench:
    return open_bench(tmp_path / "sqlite")


@pytest.fixture
def other_database_url(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """URLs of further empty databases, by kind."""
    schemas: list[Iterator[str]] = []

    def make(kind: str) -> str:
        if kind == "sqlite":
            return sqlite_url(tmp_path / f"{secrets.token_hex(4)}.sqlite3")
        schemas.append(_postgres_schema())
        return next(schemas[-1])

    yield make
    for schema in schemas:
        for _ in schema:
            pass
