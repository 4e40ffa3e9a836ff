"""What happens to servers in rollouts of rule bases."""

import sqlalchemy as sa
from alembic import op

from controlplane.store.migrations.append_only import append_only

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the table, whose rows stay as they were written."""
    op.create_table(
        "rollout_event",
        sa.Column("id", IDENTIFIER, primary_key=True, autoincrement=True),
        sa.Column("run_id", IDENTIFIER, sa.ForeignKey("run.id"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("zone", sa.String(63), nullable=False),
        sa.Column("server", sa.String(255), nullable=False),
        sa.Column("wave", sa.String(100), nullable=False),
        sa.Column("event", sa.String(20), nullable=False),
        sa.Column("seconds", sa.Double, nullable=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Index("ix_rollout_event_run", "run_id", "id"),
    )
    for statement in append_only(op.get_context().dialect.name, ["rollout_event"]):
        op.execute(statement)
