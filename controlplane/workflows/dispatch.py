"""One reconcile per facility on the queue, and following them to their end."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from controlplane.reconcile.port import Progress
from controlplane.workflows.port import Job, Queue, Status, Ticket
from controlplane.workflows.reconcile import NAME, Result, worst

LOOK = 1.0
"""Seconds between two looks at the queue."""

ALONE = 15.0
"""Seconds without any worker after which somebody who waits is told."""

KEEP = timedelta(days=30)
"""How long the queue knows of work that ended. What was changed is in the journal, which keeps everything."""


@dataclass(frozen=True, slots=True)
class FacilityResult:
    """What became of a facility."""

    facility: str
    result: Result
    changed: int
    seconds: float
    """Of the reconcile itself, without the wait for a worker."""
    worker: str
    reasons: tuple[str, ...]
    """Why something was not done."""
    systems: tuple[Mapping[str, Any], ...]

    @property
    def ok(self) -> bool:
        """Whether the facility is now as the inventory wants it."""
        return self.result in (Result.UNCHANGED, Result.DONE)

    def as_json(self) -> dict[str, Any]:
        """The result for machines."""
        return {
            "facility": self.facility,
            "result": self.result.value,
            "changed": self.changed,
            "seconds": self.seconds,
            "worker": self.worker,
            "reasons": list(self.reasons),
            "systems": list(self.systems),
        }


def dispatch(queue: Queue, facilities: Iterable[str], actor: str, inventory: str) -> dict[str, Ticket]:
    """Queue a reconcile of each facility, unless it has one that is queued or running; by facility.

    Only a worker whose copy of the inventory has the digest `inventory` does it.
    """
    queue.forget(KEEP)
    return {
        facility: queue.enqueue(
            NAME, {"facility": facility, "actor": actor, "inventory": inventory}, key=facility
        )
        for facility in facilities
    }


def follow(
    queue: Queue, tickets: Mapping[str, Ticket], progress: Progress, lonely: Callable[[], None]
) -> list[FacilityResult]:
    """Wait until all have ended. `lonely` is called once when no worker is there to take the work."""
    ids = [ticket.id for ticket in tickets.values()]
    alone_since = time.monotonic()
    told = False
    while True:
        jobs = queue.jobs(ids)
        ended = sum(id not in jobs or jobs[id].status.ended for id in ids)
        progress(ended, len(ids))
        if ended == len(ids):
            return [result(facility, jobs.get(ticket.id)) for facility, ticket in tickets.items()]
        if not told:
            now = time.monotonic()
            if any(job.status is Status.RUNNING for job in jobs.values()) or queue.workers():
                alone_since = now
            elif now - alone_since > ALONE:
                lonely()
                told = True
        time.sleep(LOOK)


def result(facility: str, job: Job | None) -> FacilityResult:
    """What a job that ended tells of its facility."""
    if job is None or job.status is not Status.DONE:
        reason = job.error if job else "the queue no longer knows of it"
        worker = job.worker if job else ""
        return FacilityResult(facility, Result.FAILED, 0, 0.0, worker, (reason,), ())
    told = cast("dict[str, Any]", job.result)
    systems = told["systems"]
    reasons = [f"{item['title']}: {reason}" for item in systems for reason in item["reasons"]]
    if more := sum(item["more_reasons"] for item in systems):
        reasons.append(f"and {more:,} more, see bic history")
    return FacilityResult(
        facility,
        worst(systems),
        sum(item["changed"] for item in systems),
        told["seconds"],
        job.worker,
        tuple(reasons),
        tuple(systems),
    )
