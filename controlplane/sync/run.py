"""One sync: passes until nothing is left to follow.

A newcomer gets an account name in the first pass, accounts and memberships elsewhere in the second. A pass
changes nothing that is as it should be, so a sync may run at any time and any number of times; what keeps it
from meeting an apply is the lock of the platform.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from threading import Event

from controlplane.model import Platform
from controlplane.reconcile.port import FollowsPeople, System
from controlplane.reconcile.reconcile import reconcile
from controlplane.reconcile.run import Report, Watch
from controlplane.state import Scope
from controlplane.store import Store
from controlplane.sync.part import people_part

PASSES = 3
"""Passes at most: names, what they open, and one for what somebody changed meanwhile."""


@dataclass
class Synced:
    """What a sync did."""

    reports: list[Report] = field(default_factory=list)
    """Of all passes; of a system that had an error or a conflict, the last one counts."""
    seconds: float = 0.0
    passes: int = 0

    @property
    def changes(self) -> int:
        """How many changes were made."""
        return sum(len(report.done) for report in self.reports)

    @property
    def last(self) -> dict[str, Report]:
        """The latest report of each system."""
        return {report.id: report for report in self.reports}

    @property
    def ok(self) -> bool:
        """Whether all systems follow."""
        return all(report.ok for report in self.last.values())

    @property
    def problems(self) -> list[str]:
        """What went wrong, a line for each system."""
        found = []
        for report in self.last.values():
            reasons = [report.error] if report.error else []
            reasons += [f"{change.key}: {text}" for change, text in (*report.failed, *report.skipped)]
            reasons += [f"{note.key}: {note.reason}" for note in report.conflicts]
            if reasons:
                more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
                found.append(f"{report.system}: {reasons[0]}{more}")
        return found


def sync(
    make_systems: Callable[[], list[System]],
    platform: Platform,
    store: Store,
    *,
    actor: str,
    watch: Watch,
    only: AbstractSet[str] = frozenset(),
    command: str = "bic sync",
    wait_for_lock: float = 0.0,
    tell: Callable[[str], None] = lambda text: None,
    stop: Event | None = None,
) -> Synced:
    """Let people and memberships follow everywhere, or in the systems that `only` names.

    Nothing is confirmed: a plan above the safety limits is refused and says so. Raises LockedError and
    StoreError.
    """
    synced, begun = Synced(), time.monotonic()
    for _ in range(PASSES):
        made = make_systems()
        systems = [
            system for system in made if isinstance(system, FollowsPeople) and (not only or system.id in only)
        ]
        try:
            reports = reconcile(
                systems,
                Scope(),
                store=store,
                platform=platform.name,
                actor=actor,
                limits=platform.limits,
                watch=watch,
                command=command,
                select=people_part,
                record_nothing=False,
                wait_for_lock=wait_for_lock,
                tell=tell,
                stop=stop,
            )
        finally:
            # Those that are left out may have told the others who is on the platform.
            for system in made:
                system.close()
        synced.passes += 1
        synced.reports += reports
        telling = {system.id for system in systems if system.tells_people}
        if not any(report.done and report.id in telling for report in reports) or (stop and stop.is_set()):
            break
    synced.seconds = time.monotonic() - begun
    return synced
