"""When checks of the platform's health changed their state."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, insert, or_, select

from controlplane.store.database import Store
from controlplane.store.tables import HealthChangeRow

KEPT = timedelta(days=90)
"""How long changes are kept; a check's latest one stays, since it is the check's state."""

MOST = 20_000
"""Changes of a platform that are kept at most, beside the latest of each check: one that comes and goes every
few seconds fills no disk."""

DETAIL = 1000
"""Letters of a detail that are kept."""

CheckKey = tuple[str, str, str]
"""A check: system, target and name."""


@dataclass(frozen=True)
class State:
    """How a check ended."""

    status: str
    detail: str


@dataclass(frozen=True)
class HealthChange:
    """A check that ended otherwise than before."""

    at: datetime
    system: str
    target: str
    check: str
    before: str
    """Empty when it was made for the first time."""
    after: str
    detail: str

    def as_json(self) -> dict[str, Any]:
        """The change in JSON's types."""
        return {**self.__dict__, "at": self.at.isoformat()}


def record(store: Store, platform: str, states: Mapping[CheckKey, State], at: datetime) -> int:
    """Keep what has changed since the checks were last made, and forget what is too old.

    Gives how many changes there were. Raises StoreError.
    """
    with store.writing() as connection:
        known = {
            (row.system, row.target, row.check_name): row.after
            for row in connection.execute(
                select(HealthChangeRow.__table__).where(HealthChangeRow.id.in_(_latest(platform)))
            )
        }
        rows = [
            {
                "platform": platform,
                "system": key[0],
                "target": key[1],
                "check_name": key[2],
                "at": at,
                "before": known.get(key, ""),
                "after": state.status,
                "detail": state.detail[:DETAIL],
            }
            for key, state in states.items()
            if known.get(key) != state.status
        ]
        if rows:
            connection.execute(insert(HealthChangeRow), rows)
            connection.execute(
                delete(HealthChangeRow).where(
                    HealthChangeRow.platform == platform,
                    _too_old(platform, at),
                    HealthChangeRow.id.not_in(_latest(platform)),
                )
            )
    return len(rows)


def since(
    store: Store, platform: str, moment: datetime, targets: Iterable[tuple[str, str]]
) -> list[HealthChange]:
    """The changes of some targets (system and name) since a moment, the oldest first. Raises StoreError."""
    chosen = set(targets)
    query = (
        select(HealthChangeRow.__table__)
        .where(HealthChangeRow.platform == platform, HealthChangeRow.at >= moment)
        .order_by(HealthChangeRow.id)
    )
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return [
        HealthChange(row.at, row.system, row.target, row.check_name, row.before, row.after, row.detail)
        for row in rows
        if (row.system, row.target) in chosen
    ]


def _latest(platform: str) -> Select[int]:
    """The latest change of each check."""
    return (
        select(func.max(HealthChangeRow.id))
        .where(HealthChangeRow.platform == platform)
        .group_by(HealthChangeRow.system, HealthChangeRow.target, HealthChangeRow.check_name)
    )


def _too_old(platform: str, now: datetime) -> ColumnElement[bool]:
    surplus = (
        select(HealthChangeRow.id)
        .where(HealthChangeRow.platform == platform)
        .order_by(HealthChangeRow.id.desc())
        .offset(MOST)
        .limit(1)
        .scalar_subquery()
    )
    return or_(HealthChangeRow.at < now.astimezone(UTC) - KEPT, HealthChangeRow.id <= surplus)
