"""When checks of the platform's health changed their state."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "health_change",
        sa.Column("id", IDENTIFIER, primary_key=True, autoincrement=True),
        sa.Column("platform", sa.String(100), nullable=False),
        sa.Column("system", sa.String(200), nullable=False),
        sa.Column("target", sa.String(300), nullable=False),
        sa.Column("check_name", sa.String(100), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("before", sa.String(20), nullable=False),
        sa.Column("after", sa.String(20), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Index("ix_health_change_check", "platform", "system", "target", "check_name", "id"),
        sa.Index("ix_health_change_at", "platform", "at"),
    )
