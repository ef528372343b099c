"""Runs migrations on the connection that `rag.catalog.migrate` hands over, inside its transaction."""

from alembic import context

from rag.catalog.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter most of a table in place
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
