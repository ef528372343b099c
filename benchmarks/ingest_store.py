"""The store, the parser and the worker of ingest over one folder: what the ingest benchmarks have in common."""

import datetime
import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ingest.pipeline import Ingestor
from ingest.sandbox import Sandbox
from rag.catalog.catalog import Catalog
from rag.catalog.database import Database
from rag.catalog.files import FileStore
from rag.catalog.folder import DataFolder
from rag.embed import Embedder, TokenCounter
from rag.index.faiss import FaissIndex
from rag.index.lexical import LexicalIndex
from rag.index.sync import Indexes


@dataclass(frozen=True)
class Store:
    """An open data folder that can ingest."""

    catalog: Catalog
    indexes: Indexes
    sandbox: Sandbox
    ingestor: Ingestor


def now() -> datetime.datetime:
    """The present time."""
    return datetime.datetime.now(datetime.UTC)


@contextmanager
def open_store(
    folder: Path, name: str, dimension: int, embedder: Callable[[], Embedder], counter: Callable[[], TokenCounter]
) -> Iterator[Store]:
    """Own `folder`, put in order what a crash left, and open everything over it."""
    with DataFolder(folder) as data, Sandbox() as sandbox:
        catalog = Catalog(Database(data.database_url), FileStore(data.path))
        catalog.start(now())
        lexical = LexicalIndex(data.indexes_path / "lexical.sqlite3")
        indexes = Indexes(catalog, FaissIndex(dimension), lexical, data.indexes_path, name)
        indexes.open()
        try:
            yield Store(catalog, indexes, sandbox, Ingestor(catalog, sandbox, indexes, embedder, counter, now))
        finally:
            indexes.close()
            catalog.close()


def medquad(folder: Path, limit: int) -> Iterator[tuple[str, bytes]]:
    """(file name, Markdown) of the first `limit` documents of `folder/documents.jsonl.gz`."""
    with gzip.open(folder / "documents.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in islice(lines, limit):
            row = json.loads(line)
            text = f"# {row['focus']}\n\n## {row['question']}\n\n{row['answer']}\n\nSource: {row['source']}\n"
            yield f"{row['id']}.md", text.encode()


def upload(store: Store, name: str, content: bytes) -> str:
    """Register one file; returns the document's id."""
    return store.catalog.documents.register(
        store.catalog.files.stage([content], len(content) + 1),
        name=name,
        collection="default",
        media_type="text/markdown",
        metadata={},
        password=None,
        on_duplicate="skip",
        now=now(),
    ).document.document_id
