"""The catalog as a whole: the one object that the rest of Citebound is given."""

import datetime
import threading
from dataclasses import dataclass

from rag.catalog.answers import Answers
from rag.catalog.changes import Changes
from rag.catalog.comparisons import Comparisons
from rag.catalog.database import Database
from rag.catalog.documents import Documents
from rag.catalog.events import Events
from rag.catalog.files import FileStore
from rag.catalog.ids import NewId, random_id
from rag.catalog.jobs import Jobs, Recovered
from rag.catalog.keys import Keys
from rag.catalog.passages import Passages


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What a start put in order."""

    n_swept: int  # files that a crash had left
    recovered: Recovered


class Catalog:
    """Documents, passages, jobs, answers, comparisons, keys and the change log over one database and one file store."""

    def __init__(self, database: Database, files: FileStore, new_id: NewId = random_id) -> None:
        self.database = database
        self.files = files
        self.events = Events()
        self.backup_gate = threading.Lock()  # held while a backup reads an older snapshot
        self.documents = Documents(database, files, self.events, new_id, self.backup_gate)
        self.passages = Passages(database)
        self.jobs = Jobs(database, self.events, new_id)
        self.answers = Answers(database)
        self.comparisons = Comparisons(database, new_id)
        self.keys = Keys(database, new_id)
        self.changes = Changes(database)

    def start(self, now: datetime.datetime) -> Started:
        """Put in order what a crash left: schema, orphaned files, log, interrupted jobs. Once, before all else.

        Raises:
            ConflictError: the schema is newer than this program.
            StorageError: the disk is full or failing.
        """
        self.database.migrate()
        n_swept = self.files.sweep(self.documents.versions())
        self.database.truncate_log()
        return Started(n_swept=n_swept, recovered=self.jobs.recover(now))

    def close(self) -> None:
        """Close the database."""
        self.database.close()
