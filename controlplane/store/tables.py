"""The tables. They are made by the migrations; a test holds the two to each other.

`run`, `run_end`, `change_event` and `rollout_event` are append-only: triggers refuse to change or delete
their rows.
"""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

APPEND_ONLY = ("run", "run_end", "change_event", "rollout_event")
"""Tables whose rows stay as they were written."""

Identifier = BigInteger().with_variant(Integer, "sqlite")
"""A number that the database gives; SQLite does so for its own integer type alone."""


class Moment(TypeDecorator[datetime]):
    """A time with its zone. SQLite keeps none, so what is written and read is UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time in UTC."""
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time in UTC, which SQLite's answers do not say."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """All tables."""


class RunRow(Base):
    """A run that began."""

    __tablename__ = "run"

    id: Mapped[int] = mapped_column(Identifier, primary_key=True, autoincrement=True)
    platform: Mapped[str] = mapped_column(String(100), index=True)
    started_at: Mapped[datetime] = mapped_column(Moment)
    actor: Mapped[str] = mapped_column(String(200))
    """Who: the account, or the worker that acts by itself."""
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    command: Mapped[str] = mapped_column(Text)
    scope: Mapped[str] = mapped_column(Text)
    """The part of the platform, for people."""
    plan: Mapped[str] = mapped_column(String(64), index=True)
    """The identifier of the saved plan that was applied, or empty."""


class RunEndRow(Base):
    """A run that ended by itself; one that was killed has no such row."""

    __tablename__ = "run_end"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True, autoincrement=False)
    ended_at: Mapped[datetime] = mapped_column(Moment)
    result: Mapped[str] = mapped_column(String(20))
    done: Mapped[int]
    failed: Mapped[int]
    skipped: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    """What went wrong with whole systems, a line each."""


class ChangeEventRow(Base):
    """Something that happened to a change: it was started, done, failed or skipped."""

    __tablename__ = "change_event"
    __table_args__ = (
        Index("ix_change_event_run", "run_id", "id"),
        Index("ix_change_event_facility", "facility", "run_id"),
    )

    id: Mapped[int] = mapped_column(Identifier, primary_key=True, autoincrement=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    at: Mapped[datetime] = mapped_column(Moment)
    event: Mapped[str] = mapped_column(String(10))
    system: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(10))
    kind: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(Text)
    facility: Mapped[str] = mapped_column(String(100))
    team: Mapped[str] = mapped_column(String(100))
    text: Mapped[str] = mapped_column(Text)
    """Of a start: the fields as JSON. Otherwise a remark or reason."""


class RolloutEventRow(Base):
    """Something that happened to a server in a rollout of rule bases."""

    __tablename__ = "rollout_event"
    __table_args__ = (Index("ix_rollout_event_run", "run_id", "id"),)

    id: Mapped[int] = mapped_column(Identifier, primary_key=True, autoincrement=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    at: Mapped[datetime] = mapped_column(Moment)
    zone: Mapped[str] = mapped_column(String(63))
    server: Mapped[str] = mapped_column(String(255))
    """The host, or empty where it is about a whole wave."""
    wave: Mapped[str] = mapped_column(String(100))
    event: Mapped[str] = mapped_column(String(20))
    seconds: Mapped[float | None]
    """For how long the server was closed, where it was."""
    text: Mapped[str] = mapped_column(Text)
    """The rule bases, or a reason; of a file edited by hand, the edit as a diff."""


class DriftCheckRow(Base):
    """One comparison of one system with the inventory."""

    __tablename__ = "drift_check"

    id: Mapped[int] = mapped_column(Identifier, primary_key=True, autoincrement=True)
    platform: Mapped[str] = mapped_column(String(100), index=True)
    system: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime] = mapped_column(Moment)
    seconds: Mapped[float]
    error: Mapped[str] = mapped_column(Text)
    """Why it could not be compared, or empty."""


class DriftCountRow(Base):
    """How many objects of a kind deviate in a way."""

    __tablename__ = "drift_count"

    check_id: Mapped[int] = mapped_column(
        ForeignKey("drift_check.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    kind: Mapped[str] = mapped_column(String(100), primary_key=True)
    difference: Mapped[str] = mapped_column(String(20), primary_key=True)
    objects: Mapped[int]


class HealthChangeRow(Base):
    """A check of the platform's health that ended otherwise than before."""

    __tablename__ = "health_change"
    __table_args__ = (
        Index("ix_health_change_check", "platform", "system", "target", "check_name", "id"),
        Index("ix_health_change_at", "platform", "at"),
    )

    id: Mapped[int] = mapped_column(Identifier, primary_key=True, autoincrement=True)
    platform: Mapped[str] = mapped_column(String(100))
    system: Mapped[str] = mapped_column(String(200))
    target: Mapped[str] = mapped_column(String(300))
    check_name: Mapped[str] = mapped_column(String(100))
    at: Mapped[datetime] = mapped_column(Moment)
    before: Mapped[str] = mapped_column(String(20))
    """The state until then; empty when the check was made for the first time."""
    after: Mapped[str] = mapped_column(String(20))
    detail: Mapped[str] = mapped_column(Text)


class LockHolderRow(Base):
    """Who holds an advisory lock of PostgreSQL. A row counts only while its session holds the lock."""

    __tablename__ = "lock_holder"

    key: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    backend: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """The process of the server that serves the session."""
    name: Mapped[str] = mapped_column(Text)
    who: Mapped[str] = mapped_column(Text)
    pid: Mapped[int]
    since: Mapped[datetime] = mapped_column(Moment)
    purpose: Mapped[str] = mapped_column(Text)
