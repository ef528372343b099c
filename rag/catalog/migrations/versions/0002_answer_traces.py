"""What the decoder read and wrote for each stored answer."""

import sqlalchemy as sa
from alembic import op

from rag.catalog.columns import JsonValue

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; older answers have no row in it."""
    op.create_table(
        "answer_traces",
        sa.Column("answer_id", sa.String(length=64), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("has_history", sa.Boolean(), nullable=False),
        sa.Column("messages", JsonValue, nullable=True),
        sa.Column("token_ids", JsonValue, nullable=True),
        sa.ForeignKeyConstraint(
            ["answer_id"], ["answers.answer_id"], name=op.f("fk_answer_traces_answer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("answer_id", name=op.f("pk_answer_traces")),
    )
