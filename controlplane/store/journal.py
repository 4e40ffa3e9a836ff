"""Writing the journal: a run, what happened to each of its changes, and its end.

Rows are only ever added. A run without an end was killed, or is still at work: while it lives it holds the
lock `run/<id>`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import insert

from controlplane.reconcile.schedule import Attempt
from controlplane.state import Change, FieldChange
from controlplane.store.database import Store
from controlplane.store.locks import Held, Holder
from controlplane.store.tables import ChangeEventRow, RunEndRow, RunRow

STARTED = "started"

_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class RunResult(StrEnum):
    """How a run ended."""

    DONE = "done"
    NOTHING = "nothing to do"
    FAILED = "failed"
    """In part or as a whole."""
    REFUSED = "refused"
    """The plan was larger than the limits allow."""
    INTERRUPTED = "interrupted"
    """A person stopped it, or it was killed."""


@dataclass(frozen=True)
class RunEnd:
    """What became of a run."""

    result: RunResult
    done: int = 0
    failed: int = 0
    skipped: int = 0
    text: str = ""


class RunJournal:
    """The journal of one run."""

    def __init__(self, store: Store, held: Held, run_id: int) -> None:
        """Write to the store as long as the locks are held."""
        self._store = store
        self._held = held
        self.id = run_id

    def of(self, system: str) -> "SystemJournal":
        """The journal of one system in the run."""
        return SystemJournal(self, system)

    def check(self) -> None:
        """Raise StoreError when the run's locks are lost: then nothing may go on."""
        self._held.check()

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows of changes. Raises StoreError, also when the locks are lost."""
        self.check()
        with self._store.writing() as connection:
            connection.execute(insert(ChangeEventRow), rows)

    def end(self, end: RunEnd) -> None:
        """Write what became of the run. Raises StoreError."""
        with self._store.writing() as connection:
            connection.execute(
                insert(RunEndRow).values(
                    run_id=self.id,
                    ended_at=datetime.now(UTC),
                    result=end.result.value,
                    done=end.done,
                    failed=end.failed,
                    skipped=end.skipped,
                    text=end.text,
                )
            )


class SystemJournal:
    """What happens to the changes of one system in a run; `reconcile.schedule.Journal`."""

    def __init__(self, run: RunJournal, system: str) -> None:
        """Write into the run's journal."""
        self._run = run
        self._system = system

    def started(self, changes: Sequence[Change]) -> None:
        """These changes are about to be made."""
        self._write((STARTED, change, _fields_text(change.fields)) for change in changes)

    def ended(self, attempts: Sequence[Attempt]) -> None:
        """This became of them."""
        self._write((item.result.value, item.change, item.text) for item in attempts)

    def _write(self, events: Iterable[tuple[str, Change, str]]) -> None:
        common = {"run_id": self._run.id, "at": datetime.now(UTC), "system": self._system}
        self._run.write(
            [
                {
                    **common,
                    "event": event,
                    "action": change.action.value,
                    "kind": change.key.kind,
                    "name": change.key.name,
                    "facility": change.facility,
                    "team": change.team,
                    "text": text,
                }
                for event, change, text in events
            ]
        )


def begin_run(
    store: Store, held: Held, holder: Holder, *, platform: str, actor: str, scope: str, plan: str = ""
) -> RunJournal:
    """Write that a run begins; `plan` is the identifier of a saved plan. Raises StoreError."""
    with store.writing() as connection:
        (run_id,) = connection.execute(
            insert(RunRow)
            .values(
                platform=platform,
                started_at=datetime.now(UTC),
                actor=actor,
                host=holder.who.rpartition("@")[2],
                pid=holder.pid,
                command=holder.purpose,
                scope=scope,
                plan=plan,
            )
            .returning(RunRow.id)
        ).one()
    held.add(run_lock(run_id))
    return RunJournal(store, held, run_id)


def run_lock(run_id: int) -> str:
    """The lock that a run holds while it lives."""
    return f"run/{run_id}"


def _fields_text(fields: Iterable[FieldChange]) -> str:
    """What changes, as JSON: of a set what it gains and loses, else the value before and after."""
    return _compact(
        {
            item.name: {"added": item.added, "removed": item.removed}
            if isinstance(item.after if item.after is not None else item.before, tuple)
            else {"before": item.before, "after": item.after}
            for item in fields
        }
    )
