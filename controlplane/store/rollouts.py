"""What happened to servers in rollouts of rule bases: rows beside a run of the journal, only ever added."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import desc, insert, select

from controlplane.store.database import Store
from controlplane.store.journal import RunJournal
from controlplane.store.tables import RolloutEventRow, RunRow


class Event(StrEnum):
    """What happens to a server, or to a wave of them."""

    WAVE = "wave"
    """A wave begins; the text names its servers."""
    EDITED = "edited by hand"
    """A file on the server was edited; the text is the edit."""
    STAGED = "staged"
    WAITED = "waited"
    """Clients were connected; the text says who."""
    ACTIVATED = "activated"
    GATE_PASSED = "gate passed"
    GATE_FAILED = "gate failed"
    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled back"
    FAILED = "failed"


@dataclass(frozen=True)
class RolloutEvent:
    """Something that happened to a server; times in seconds."""

    run: int
    at: datetime
    zone: str
    server: str
    wave: str
    event: str
    closed: float | None
    """For how long the server took no connections."""
    text: str

    def as_json(self) -> dict[str, Any]:
        """The event in JSON's types."""
        return {**self.__dict__, "at": self.at.isoformat()}


class RolloutJournal:
    """The events of one run; used by the threads of several zones."""

    def __init__(self, store: Store, run: RunJournal) -> None:
        """Write beside the run."""
        self._store = store
        self._run = run

    def write(
        self,
        event: Event,
        *,
        zone: str,
        wave: str,
        server: str = "",
        text: str = "",
        closed: float | None = None,
    ) -> None:
        """Add an event. Raises StoreError, also when the run's locks are lost: then nothing may go on."""
        self._run.check()
        with self._store.writing() as connection:
            connection.execute(
                insert(RolloutEventRow).values(
                    run_id=self._run.id,
                    at=datetime.now(UTC),
                    zone=zone,
                    server=server,
                    wave=wave,
                    event=event.value,
                    seconds=closed,
                    text=text,
                )
            )


def events(
    store: Store, platform: str, *, run: int | None = None, limit: int | None = None
) -> list[RolloutEvent]:
    """The latest events, or those of one run, the oldest first. Raises StoreError."""
    query = (
        select(RolloutEventRow.__table__)
        .join(RunRow, RunRow.id == RolloutEventRow.run_id)
        .where(RunRow.platform == platform)
        .order_by(desc(RolloutEventRow.id))
    )
    if run is not None:
        query = query.where(RolloutEventRow.run_id == run)
    with store.reading() as connection:
        rows = connection.execute(query.limit(limit) if limit else query).all()
    return [
        RolloutEvent(row.run_id, row.at, row.zone, row.server, row.wave, row.event, row.seconds, row.text)
        for row in reversed(rows)
    ]
