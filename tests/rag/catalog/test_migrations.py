import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from rag.catalog.database import Database
from rag.catalog.migrate import current_revision
from rag.catalog.models import Base
from rag.errors import ConflictError


def test_the_migrated_schema_is_that_of_the_models(database: Database) -> None:
    database.migrate()
    with database.read() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        tables = set(inspect(session.connection()).get_table_names())
    assert tables == set(Base.metadata.tables) | {"alembic_version"}


def test_ids_that_are_never_reused_are_so_by_the_schema(database: Database) -> None:
    database.migrate()
    if database.is_sqlite:
        with database.read() as session:
            query = text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
            sql = {name: statement for name, statement in session.execute(query)}
        assert {name for name, statement in sql.items() if "AUTOINCREMENT" in statement} == {
            "passages",
            "changes",
            "jobs",
        }
    else:
        with database.read() as session:
            for name, column in (("passages", "passage_id"), ("changes", "seq"), ("jobs", "number")):
                assert session.scalar(text("SELECT pg_get_serial_sequence(:t, :c)"), {"t": name, "c": column})


def test_an_up_to_date_database_is_left_alone(database: Database) -> None:
    database.migrate()
    with database.read() as session:
        revision = current_revision(session.connection())
    if database.is_sqlite:
        with database.read() as session:
            before = session.scalar(text("PRAGMA data_version")), session.scalar(text("PRAGMA schema_version"))
        database.migrate()
        with database.read() as session:
            assert before == (
                session.scalar(text("PRAGMA data_version")),
                session.scalar(text("PRAGMA schema_version")),
            )
    database.migrate()
    with database.read() as session:
        assert current_revision(session.connection()) == revision == "0003"


def test_a_newer_schema_is_refused(database: Database) -> None:
    database.migrate()
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConflictError, match="newer"):
        database.migrate()
