"""Comparisons of systems: what was asked, what came of each case, and which documents that stands on."""

import sqlalchemy as sa
from alembic import op

from rag.catalog.columns import JsonValue, SortedText, UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "comparisons",
        sa.Column("comparison_id", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("collection", SortedText, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("n_results", sa.Integer(), nullable=False),
        sa.Column("n_expected", sa.Integer(), nullable=False),
        sa.Column("n_failures", sa.Integer(), nullable=False),
        sa.Column("seconds_left", sa.Float(), nullable=True),
        sa.Column("redacted", sa.Boolean(), nullable=False),
        sa.Column("error", JsonValue, nullable=True),
        sa.Column("manifest", JsonValue, nullable=True),
        sa.Column("figures", JsonValue, nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("comparison_id", name=op.f("pk_comparisons")),
    )
    op.create_index(op.f("ix_comparisons_job_id"), "comparisons", ["job_id"], unique=False)
    op.create_index(
        op.f("ix_comparisons_created_at_comparison_id"), "comparisons", ["created_at", "comparison_id"], unique=False
    )
    _create_part("comparison_inputs", sa.Column("payload", JsonValue, nullable=False))
    _create_part(
        "comparison_results",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("case_number", sa.Integer(), nullable=False),
        sa.Column("system_number", sa.Integer(), nullable=False),
        sa.Column("payload", JsonValue, nullable=False),
        key=("kind", "case_number", "system_number"),
    )
    _create_part(
        "comparison_sources",
        sa.Column("case_number", sa.Integer(), nullable=False),
        sa.Column("document_id", sa.String(length=64), nullable=False),
        key=("case_number", "document_id"),
    )
    op.create_index(op.f("ix_comparison_sources_document_id"), "comparison_sources", ["document_id"], unique=False)


def _create_part(name: str, *columns: sa.Column[object], key: tuple[str, ...] = ()) -> None:
    """A table whose rows go with their comparison."""
    op.create_table(
        name,
        sa.Column("comparison_id", sa.String(length=64), nullable=False),
        *columns,
        sa.ForeignKeyConstraint(
            ["comparison_id"], ["comparisons.comparison_id"], name=op.f(f"fk_{name}_comparison_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("comparison_id", *key, name=op.f(f"pk_{name}")),
    )
