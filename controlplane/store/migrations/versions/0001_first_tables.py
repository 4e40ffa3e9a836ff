"""The journal of runs, the results of comparisons, the holders of locks."""

import sqlalchemy as sa
from alembic import op

from controlplane.store.migrations.append_only import FUNCTION, append_only

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.DateTime(timezone=True)
APPEND_ONLY = ("run", "run_end", "change_event")


def upgrade() -> None:
    """Make all tables, and the triggers that keep the journal as it was written."""
    op.create_table(
        "run",
        sa.Column("id", IDENTIFIER, primary_key=True, autoincrement=True),
        sa.Column("platform", sa.String(100), nullable=False, index=True),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("plan", sa.String(64), nullable=False, index=True),
    )
    op.create_table(
        "run_end",
        sa.Column("run_id", IDENTIFIER, sa.ForeignKey("run.id"), primary_key=True, autoincrement=False),
        sa.Column("ended_at", MOMENT, nullable=False),
        sa.Column("result", sa.String(20), nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("skipped", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_table(
        "change_event",
        sa.Column("id", IDENTIFIER, primary_key=True, autoincrement=True),
        sa.Column("run_id", IDENTIFIER, sa.ForeignKey("run.id"), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("event", sa.String(10), nullable=False),
        sa.Column("system", sa.String(200), nullable=False),
        sa.Column("action", sa.String(10), nullable=False),
        sa.Column("kind", sa.String(100), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("facility", sa.String(100), nullable=False),
        sa.Column("team", sa.String(100), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Index("ix_change_event_run", "run_id", "id"),
        sa.Index("ix_change_event_facility", "facility", "run_id"),
    )
    op.create_table(
        "drift_check",
        sa.Column("id", IDENTIFIER, primary_key=True, autoincrement=True),
        sa.Column("platform", sa.String(100), nullable=False, index=True),
        sa.Column("system", sa.String(200), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
    )
    op.create_table(
        "drift_count",
        sa.Column(
            "check_id",
            IDENTIFIER,
            sa.ForeignKey("drift_check.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("kind", sa.String(100), primary_key=True),
        sa.Column("difference", sa.String(20), primary_key=True),
        sa.Column("objects", sa.Integer, nullable=False),
    )
    op.create_table(
        "lock_holder",
        sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("backend", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
    )
    dialect = op.get_context().dialect.name
    if dialect == "postgresql":
        op.execute(FUNCTION)
    for statement in append_only(dialect, APPEND_ONLY):
        op.execute(statement)
