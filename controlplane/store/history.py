"""Reading the journal."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, desc, func, select

from controlplane.store.database import Store
from controlplane.store.journal import STARTED, RunResult, run_lock
from controlplane.store.tables import ChangeEventRow, RunEndRow, RunRow

RUNNING = "running"
"""The result of a run that is still at work."""


@dataclass(frozen=True)
class PastRun:
    """A run, as the journal tells it."""

    id: int
    started: datetime
    ended: datetime | None
    actor: str
    host: str
    pid: int
    command: str
    scope: str
    plan: str
    result: str
    """A RunResult, or RUNNING."""
    done: int
    failed: int
    skipped: int
    text: str

    @property
    def seconds(self) -> float | None:
        """How long it took; None when it did not end by itself."""
        return (self.ended - self.started).total_seconds() if self.ended else None

    def as_json(self) -> dict[str, Any]:
        """The run in JSON's types."""
        return {
            "run": self.id,
            "started": self.started.isoformat(),
            "ended": self.ended.isoformat() if self.ended else None,
            "seconds": self.seconds,
            "actor": self.actor,
            "host": self.host,
            "pid": self.pid,
            "command": self.command,
            "scope": self.scope,
            "plan": self.plan,
            "result": self.result,
            "done": self.done,
            "failed": self.failed,
            "skipped": self.skipped,
            "text": self.text,
        }


@dataclass(frozen=True)
class PastChange:
    """A change of a run, as the journal tells it."""

    system: str
    action: str
    kind: str
    name: str
    facility: str
    team: str
    started: datetime | None
    """None when it was not attempted."""
    result: str
    """done, failed, skipped, or `started` when the run was killed meanwhile."""
    text: str
    fields: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The change in JSON's types."""
        return {**self.__dict__, "started": self.started.isoformat() if self.started else None}


def runs(store: Store, platform: str, *, limit: int | None = None, facility: str = "") -> list[PastRun]:
    """The latest runs, the newest first; of a facility: those that touched it. Raises StoreError."""
    query = _runs(platform).order_by(desc(RunRow.id))
    if facility:
        touched = select(ChangeEventRow.run_id).where(ChangeEventRow.facility == facility)
        query = query.where(RunRow.id.in_(touched))
    return _read(store, query.limit(limit) if limit else query)


def run(store: Store, platform: str, run_id: int) -> PastRun | None:
    """One run, or None. Raises StoreError."""
    return next(iter(_read(store, _runs(platform).where(RunRow.id == run_id))), None)


def results(store: Store, platform: str) -> dict[str, int]:
    """How many runs ended by themselves, by result. Raises StoreError."""
    query = (
        select(RunEndRow.result, func.count())
        .join(RunRow, RunRow.id == RunEndRow.run_id)
        .where(RunRow.platform == platform)
        .group_by(RunEndRow.result)
    )
    with store.reading() as connection:
        return {result: number for result, number in connection.execute(query)}


def changes(store: Store, run_id: int, *, facility: str = "") -> list[PastChange]:
    """The changes of a run in the order in which they ended. Raises StoreError."""
    query = (
        select(ChangeEventRow.__table__).where(ChangeEventRow.run_id == run_id).order_by(ChangeEventRow.id)
    )
    if facility:
        query = query.where(ChangeEventRow.facility == facility)
    begun: dict[tuple[str, str, str], Row[Any]] = {}
    found: list[PastChange] = []
    with store.reading() as connection:
        for row in connection.execute(query):
            key = (row.system, row.kind, row.name)
            if row.event == STARTED:
                begun[key] = row
            else:
                found.append(_change(row, begun.pop(key, None)))
    return [*found, *(_change(row, row) for row in begun.values())]


def attempted(store: Store, platform: str, plan: str) -> set[tuple[str, str, str]]:
    """System, kind and name of all that earlier runs of a saved plan began to change. Raises StoreError."""
    query = (
        select(ChangeEventRow.system, ChangeEventRow.kind, ChangeEventRow.name)
        .join(RunRow, RunRow.id == ChangeEventRow.run_id)
        .where(RunRow.platform == platform, RunRow.plan == plan, ChangeEventRow.event == STARTED)
    )
    with store.reading() as connection:
        return {(row.system, row.kind, row.name) for row in connection.execute(query)}


def _runs(platform: str) -> Select[Any]:
    return (
        select(RunRow.__table__, RunEndRow.__table__)
        .outerjoin(RunEndRow, RunEndRow.run_id == RunRow.id)
        .where(RunRow.platform == platform)
    )


def _read(store: Store, query: Select[Any]) -> list[PastRun]:
    with store.reading() as connection:
        rows = connection.execute(query).all()
        cut_off = [row.id for row in rows if row.result is None]
        counts = {
            (run_id, event): count
            for run_id, event, count in connection.execute(
                select(ChangeEventRow.run_id, ChangeEventRow.event, func.count())
                .where(ChangeEventRow.run_id.in_(cut_off))
                .group_by(ChangeEventRow.run_id, ChangeEventRow.event)
            )
        }
    return [_run(store, row, {event: counts.get((row.id, event), 0) for event in _EVENTS}) for row in rows]


_EVENTS = ("done", "failed", "skipped")


def _run(store: Store, row: Row[Any], counted: dict[str, int]) -> PastRun:
    if row.result is None:
        result = RUNNING if store.locks.holders(run_lock(row.id)) else RunResult.INTERRUPTED.value
    else:
        result = row.result
        counted = {event: getattr(row, event) for event in _EVENTS}
    return PastRun(
        id=row.id,
        started=row.started_at,
        ended=row.ended_at,
        actor=row.actor,
        host=row.host,
        pid=row.pid,
        command=row.command,
        scope=row.scope,
        plan=row.plan,
        result=result,
        text=row.text or "",
        **counted,
    )


def _change(row: Row[Any], start: Row[Any] | None) -> PastChange:
    """The change that ended with `row`, or was only begun with it."""
    return PastChange(
        system=row.system,
        action=row.action,
        kind=row.kind,
        name=row.name,
        facility=row.facility,
        team=row.team,
        started=start.at if start is not None else None,
        result=row.event,
        text="" if row is start else row.text,
        fields=json.loads(start.text) if start is not None else {},
    )
