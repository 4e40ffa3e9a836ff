"""Following changes for as long as the process lives.

Every few seconds the login server is asked for its newest event about an object, which is one small request.
Only when that is another one than before, when it sends word itself (`webhook`), when the inventory has
changed, or when ten minutes have passed, is everything read. So whatever is missed is missed for ten minutes
at most. Outages end nothing: a system that did not follow is tried again at each look, the others are left
alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from threading import Event

from controlplane.errors import BicError
from controlplane.sync.run import Synced
from controlplane.sync.status import Status

log = logging.getLogger(__name__)

INTERVAL = 20.0
"""Seconds between two looks at the login server."""

LONGEST_PAUSE = 60.0
"""Seconds between two looks while something fails."""

WHOLE = 600.0
"""Seconds after which everything is read, whether anything seems to have changed or not."""


@dataclass(frozen=True)
class Work:
    """What a follower does, as functions."""

    inventory: Callable[[], str]
    """A text that changes when the inventory does. Raises BicError."""
    newest: Callable[[], str]
    """A text that changes when people, groups or roles may have changed. Raises BicError."""
    sync: Callable[[AbstractSet[str]], Synced]
    """Let the systems with these identifiers follow; without any, all. Raises BicError."""
    tell: Callable[[Status], None]
    """Where it is kept how it went. Raises OSError."""


def status_of(
    synced: Synced, begun: float, ended: float, before: Status | None, *, some: bool = False
) -> Status:
    """How a sync went, between two Unix times; what did not follow last followed when it did `before`.

    With `some`, it was of some systems, and the others follow.
    """
    known = before.followed if before else {}
    followed = dict.fromkeys(known, begun) if some else {}
    for name, report in synced.last.items():
        if name:
            followed[name] = ended if report.ok else known.get(name, 0.0)
    return Status(begun, synced.ok, followed, synced.seconds, synced.changes)


class Follower:
    """Looks, and syncs when something may have changed."""

    def __init__(
        self, work: Work, before: Status | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """Know what to do, and how it went before; the first look syncs."""
        self._work = work
        self._clock = clock
        self._seen: tuple[str, str] | None = None
        """Inventory and newest event of the latest sync of all systems, if they were known then."""
        self._whole = 0.0
        """When that began."""
        self._behind: frozenset[str] = frozenset()
        """The systems that have not followed since."""
        self._status = before or Status(0.0, False, {}, 0.0, 0)
        self._trouble = ""
        self._failures = 0

    def run(self, stop: Event, word: Event, interval: float = INTERVAL) -> None:
        """Look until `stop` is set; `word` wakes it up, and is set with `stop` too."""
        while not stop.is_set():
            told = word.is_set()
            word.clear()
            self.look(told=told)
            if stop.is_set():
                break
            # While something is away, looks are fewer, and yet within a minute of its return.
            word.wait(max(interval, min(interval * 2.0 ** min(self._failures, 10), LONGEST_PAUSE)))

    def look(self, *, told: bool = False) -> bool:
        """Sync if something may have changed; returns whether it did. `told`: there was word of it."""
        now = self._clock()
        try:
            # Asked before the sync: what changes during it is seen by the next look.
            at = self._work.inventory(), self._work.newest()
            whole = told or at != self._seen or now - self._whole >= WHOLE
            due = whole or self._behind
            synced = self._work.sync(frozenset() if whole else self._behind) if due else None
        except BicError as error:
            self._failed(now, str(error))
            return False
        if synced is None:
            followed = dict.fromkeys(self._status.followed, now)
            self._keep(Status(now, True, followed, self._status.seconds, self._status.changes))
            return False
        if whole:
            self._seen, self._whole = at, now
        # The journal tells of its troubles as a system without an identifier, and is no system.
        self._behind = frozenset(name for name, report in synced.last.items() if name and not report.ok)
        if synced.ok:
            self._good(synced)
        else:
            self._trouble_with("; ".join(synced.problems))
        self._keep(status_of(synced, now, self._clock(), self._status, some=not whole))
        return True

    def _good(self, synced: Synced) -> None:
        if synced.changes:
            log.info("changes made: %d, passes: %d, %.1f s", synced.changes, synced.passes, synced.seconds)
        if self._trouble:
            log.info("all systems follow again")
        self._trouble, self._failures = "", 0

    def _failed(self, now: float, trouble: str) -> None:
        self._seen = None
        self._trouble_with(trouble)
        self._keep(Status(now, False, self._status.followed, 0.0, 0))

    def _trouble_with(self, trouble: str) -> None:
        self._failures += 1
        if trouble != self._trouble:
            # Once for each trouble, not at each look: the metrics tell how long it lasts.
            log.warning("not all systems follow: %s", trouble)
        self._trouble = trouble

    def _keep(self, status: Status) -> None:
        self._status = status
        try:
            self._work.tell(status)
        except OSError as error:
            log.warning("how the sync went cannot be kept: %s", error)
