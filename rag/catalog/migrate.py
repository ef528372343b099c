"""Brings the schema up to date with Alembic, configured in code, so that it works from an installed package."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from rag.catalog.database import Database
from rag.errors import ConflictError


def migrate(database: Database) -> None:
    """Run the migrations that are missing, in one transaction; none where the schema is up to date.

    Raises:
        ConflictError: the schema is newer than this program.
        StorageError: the disk is full or failing; the schema is as it was.
    """
    config = _config()
    scripts = ScriptDirectory.from_config(config)
    with database.read() as session:
        if current_revision(session.connection()) == scripts.get_current_head():
            return
    with database.write() as session:
        connection = session.connection()
        revision = current_revision(connection)
        if revision is not None and revision not in {script.revision for script in scripts.walk_revisions()}:
            raise ConflictError("the catalog was written by a newer version; upgrade citebound to open it")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def current_revision(connection: Connection) -> str | None:
    """The migration the schema is at; None for an empty database."""
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
