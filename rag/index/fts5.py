"""SQLite's FTS5 as the lexical index uses it: its tables, reading and changing them."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import apsw
import numpy as np

from rag.types import IdArray

_TOKENIZER = "porter"  # English endings, over Unicode words without diacritics
# Marks are part of a word, or Hindi would fall apart at its vowels.
_TOKENIZER_ARGS = ("unicode61", "remove_diacritics", "2", "categories", "L* N* Co M*")
# Removing a passage entry by entry costs as much as writing about 100 anew (docs/adr/0002-lexical-index.md).
_REWRITE_SHARE = 1 / 100


class FtsTable:
    """The full-text table of one collection."""

    def __init__(self, connection: Any, number: int) -> None:
        self.number = number
        self._connection = connection
        self._words = f"words_{number}"  # the names are made of a number, never of a collection's name

    def ids(self) -> IdArray:
        """Every id, ascending."""
        rows = self._connection.execute(f"SELECT id FROM {self._words}_docsize ORDER BY id").fetchall()
        return np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))

    def count(self) -> int:
        """How many passages there are."""
        return int(self._connection.execute(f"SELECT count(*) FROM {self._words}_docsize").get)

    def count_with(self, term: str) -> int:
        """How many passages have the term."""
        query = f"SELECT doc FROM vocabulary_{self.number} WHERE term = ?"
        return int(self._connection.execute(query, (term,)).get or 0)

    def create(self) -> None:
        """Make the table."""
        arguments = " ".join(f"'{argument}'" for argument in _TOKENIZER_ARGS)
        self._run(f'CREATE VIRTUAL TABLE {self._words} USING fts5(body, tokenize="{_TOKENIZER} {arguments}")')
        self._run(f"CREATE VIRTUAL TABLE vocabulary_{self.number} USING fts5vocab({self._words}, row)")
        self._run(f"CREATE VIRTUAL TABLE occurrences_{self.number} USING fts5vocab({self._words}, instance)")
        self.set_secure(True)

    def drop(self) -> None:
        """Remove the table."""
        self._run(f"DROP TABLE occurrences_{self.number}")
        self._run(f"DROP TABLE vocabulary_{self.number}")
        self._run(f"DROP TABLE {self._words}")

    def insert(self, rows: Sequence[tuple[int, str]]) -> None:
        """Add new rows."""
        self._connection.executemany(f"INSERT INTO {self._words}(rowid, body) VALUES (?, ?)", rows).fetchall()

    def present(self, ids: IdArray) -> list[int]:
        """Which of the ascending `ids` are here."""
        last = self._connection.execute(f"SELECT max(id) FROM {self._words}_docsize").get
        if not len(ids) or last is None or int(ids[0]) > last:
            return []
        query = f"SELECT id FROM {self._words}_docsize WHERE id IN (SELECT value FROM carray(?)) ORDER BY id"
        return [row[0] for row in self._connection.execute(query, (apsw.carray(ids),)).fetchall()]

    def bodies(self, ids: Sequence[int]) -> Iterator[str]:
        """The texts of these ids."""
        for passage_id in ids:
            yield self._connection.execute(f"SELECT body FROM {self._words} WHERE rowid = ?", (passage_id,)).get

    def delete(self, ids: Sequence[int]) -> None:
        """Remove these rows and their entries."""
        self._connection.executemany(f"DELETE FROM {self._words} WHERE rowid = ?", [(id,) for id in ids]).fetchall()

    def set_secure(self, secure: bool) -> None:
        """Whether `delete` overwrites entries, or only marks them until `rewrite`."""
        self._run(f"INSERT INTO {self._words}({self._words}, rank) VALUES ('secure-delete', {int(secure)})")

    def rewrite(self) -> None:
        """Write all entries anew."""
        self._run(f"INSERT INTO {self._words}({self._words}) VALUES ('rebuild')")

    def spells_removed(self, removed: frozenset[str]) -> bool:
        """Whether a key of an inner page is the beginning of a removed term and of no other.

        FTS5 overwrites entries, but leaves the keys that lead to their pages.
        """
        # Of occurrences the first is there at once; of the vocabulary all passages with the term would be counted.
        first = f"SELECT CAST(term AS BLOB) FROM occurrences_{self.number} WHERE term >= CAST(? AS TEXT) LIMIT 1"
        gone = sorted(term.encode() for term in removed)
        for (key,) in self._connection.execute(f"SELECT term FROM {self._words}_idx").fetchall():
            start = bytes(key)[1:]  # the byte before it says which index it is of
            place = bisect_left(gone, start)
            if start and place < len(gone) and gone[place].startswith(start):
                following = self._connection.execute(first, (start,)).get
                if following is None or not bytes(following).startswith(start):
                    return True
        return False

    def is_sound(self) -> bool:
        """Whether the entries are those of the texts."""
        try:
            self._run(f"INSERT INTO {self._words}({self._words}, rank) VALUES ('integrity-check', 1)")
        except apsw.CorruptError:
            return False
        return True

    def match(self, terms: Sequence[str], k: int, wanted: frozenset[int] | None) -> list[tuple[int, float]]:
        """Ids and BM25 of the `k` best passages with any of the words, best first, equal ones by id."""
        if not terms or (wanted is not None and not wanted):
            return []
        # A string in double quotes is words to FTS5, whatever else it looks like.
        quoted = " OR ".join('"' + term.replace('"', '""') + '"' for term in terms)
        query = f"SELECT rowid, rank FROM {self._words} WHERE {self._words} MATCH ?"
        values: list[Any] = [quoted]
        if wanted is not None:
            query += " AND +rowid IN (SELECT value FROM carray(?))"  # the + keeps it from matching once for each id
            values.append(apsw.carray(np.array(sorted(wanted), dtype=np.int64)))
        rows = self._connection.execute(f"{query} ORDER BY rank, rowid LIMIT ?", (*values, k)).fetchall()
        return [(passage_id, -rank) for passage_id, rank in rows]

    def _run(self, statement: str) -> None:
        self._connection.execute(statement).fetchall()


class FtsReader:
    """Reads over one connection, which one thread uses at a time."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._tokenizer = connection.fts5_tokenizer(_TOKENIZER, list(_TOKENIZER_ARGS))

    def snapshot(self) -> AbstractContextManager[Any]:
        """All reads inside see one state of the file."""
        snapshot: AbstractContextManager[Any] = self._connection
        return snapshot

    def table(self, collection: str) -> FtsTable | None:
        """The table of a collection; None where it has no passage."""
        number = self._connection.execute("SELECT number FROM collections WHERE name = ?", (collection,)).get
        return None if number is None else FtsTable(self._connection, number)

    def tables(self) -> tuple[FtsTable, ...]:
        """The tables of all collections."""
        rows = self._connection.execute("SELECT number FROM collections ORDER BY number").fetchall()
        return tuple(FtsTable(self._connection, row[0]) for row in rows)

    def terms(self, text: str) -> Mapping[str, str]:
        """The terms of `text` and for each a word of `text` that it is made from, in order."""
        encoded = text.encode("utf-8", "replace")
        found: dict[str, str] = {}
        for start, end, term in self._tokenizer(
            encoded, apsw.FTS5_TOKENIZE_QUERY, None, include_offsets=True, include_colocated=False
        ):
            found.setdefault(term, encoded[start:end].decode())
        return found

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class FtsWriter(FtsReader):
    """The changes of one transaction, after which nothing of what they removed is left in the tables."""

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self.has_removed = False
        self._removed: dict[int, int] = {}  # passages removed, by number of the table
        self._gone: dict[int, set[str]] = {}  # their terms, where entries were overwritten
        self._marked: set[int] = set()  # tables to rewrite

    def add(self, collection: str, rows: Sequence[tuple[int, str]]) -> None:
        """Add rows; an id that is there already, or comes again, is replaced."""
        last = dict(rows)
        if not last:
            return
        self.remove(np.array(sorted(last), dtype=np.int64))
        table = self.table(collection)
        if table is None:
            self._connection.execute("INSERT INTO collections(name) VALUES (?)", (collection,)).fetchall()
            table = FtsTable(self._connection, self._connection.last_insert_rowid())
            table.create()
        table.insert(sorted(last.items()))

    def remove(self, ids: IdArray) -> int:
        """Remove the ascending `ids` where they are; returns how many were."""
        n_removed = 0
        for table in self.tables():
            present = table.present(ids)
            if present:
                self._remove(table, present)
            n_removed += len(present)
        return n_removed

    def clear(self) -> None:
        """Remove all tables."""
        for table in self.tables():
            self._drop(table)
        self.has_removed = True

    def finish(self) -> None:
        """Make the removals final; before the commit."""
        for table in self.tables():
            if table.number not in self._removed:
                continue
            if not table.count():
                self._drop(table)
            elif table.number in self._marked:
                table.rewrite()
                table.set_secure(True)
            elif table.spells_removed(frozenset(self._gone[table.number])):
                table.rewrite()

    def _remove(self, table: FtsTable, ids: list[int]) -> None:
        self.has_removed = True
        self._removed[table.number] = self._removed.get(table.number, 0) + len(ids)
        if table.number not in self._marked and self._removed[table.number] > _REWRITE_SHARE * table.count():
            self._marked.add(table.number)
            table.set_secure(False)
        if table.number not in self._marked:
            gone = self._gone.setdefault(table.number, set())
            for body in table.bodies(ids):
                gone.update(self.terms(body))
        table.delete(ids)

    def _drop(self, table: FtsTable) -> None:
        table.drop()
        self._connection.execute("DELETE FROM collections WHERE number = ?", (table.number,)).fetchall()
