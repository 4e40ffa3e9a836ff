"""Making changes as soon as what they depend on is done, on a bounded number of threads."""

import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from queue import SimpleQueue
from threading import Event
from typing import Protocol

from controlplane.reconcile.port import ChangeError, SystemDownError
from controlplane.state import Action, Change, Key

log = logging.getLogger(__name__)

AHEAD = 32
"""Changes that are handed to the threads ahead of time, for each connection: so none of them waits."""

BATCH = 256
"""Results that are written to the journal together."""

BATCH_SECONDS = 0.5
"""Seconds after which fewer results are written, too."""


class Result(StrEnum):
    """What became of a change."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    """It was not attempted."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A change and what became of it."""

    change: Change
    result: Result
    text: str = ""
    """A remark, the reason of the failure, or why it was not attempted."""


class Journal(Protocol):
    """Where it is written what was begun and what became of it."""

    def started(self, changes: Sequence[Change]) -> None:
        """These changes are about to be made."""

    def ended(self, attempts: Sequence[Attempt]) -> None:
        """This became of them."""


class Schedule:
    """Runs the changes of one system; `stop` keeps it from beginning any more."""

    def __init__(
        self,
        apply: Callable[[Change], str],
        connections: int,
        journal: Journal,
        stop: Event,
        tell: Callable[[Attempt], None],
    ) -> None:
        """Make changes with `apply`, at most `connections` at a time; `tell` is told of each attempt."""
        self._apply = apply
        self._connections = connections
        self._journal = journal
        self._stop = stop
        self._tell = tell
        self._ended: SimpleQueue[Attempt] = SimpleQueue()
        self._unwritten: list[Attempt] = []
        self._written = time.monotonic()
        self._not_done: set[Key] = set()
        self._down = ""

    def run(self, changes: Sequence[Change]) -> None:
        """Make the changes, deletions when all the others have ended. What has begun is always finished."""
        pool = ThreadPoolExecutor(self._connections, thread_name_prefix="apply")
        try:
            self._phase(pool, [change for change in changes if change.action is not Action.DELETE])
            self._phase(pool, [change for change in changes if change.action is Action.DELETE])
        finally:
            pool.shutdown(cancel_futures=True)
            while not self._ended.empty():
                self._note(self._ended.get())
            self._write()

    def _phase(self, pool: ThreadPoolExecutor, changes: Sequence[Change]) -> None:
        by_key = {change.key: change for change in changes}
        dependents: dict[Key, list[Change]] = defaultdict(list)
        waiting: dict[Key, int] = {}
        ready: deque[Change] = deque()
        for change in changes:
            needed = [key for key in change.depends_on if key in by_key]
            for key in needed:
                dependents[key].append(change)
            if needed:
                waiting[change.key] = len(needed)
            else:
                ready.append(change)

        def release(key: Key) -> None:
            for dependent in dependents.pop(key, ()):
                waiting[dependent.key] -= 1
                if not waiting[dependent.key]:
                    ready.append(dependent)

        running = 0
        while ready or running:
            if running <= self._connections * AHEAD // 2:
                running += self._begin(pool, ready, self._connections * AHEAD - running, release)
            if running:
                attempt = self._ended.get()
                running -= 1
                self._take(attempt)
                release(attempt.change.key)

    def _begin(
        self, pool: ThreadPoolExecutor, ready: deque[Change], room: int, release: Callable[[Key], None]
    ) -> int:
        """Hand up to `room` changes to the threads; those that cannot be made are skipped at once."""
        batch: list[Change] = []
        while ready and len(batch) < room:
            change = ready.popleft()
            if reason := self._obstacle(change):
                self._take(Attempt(change, Result.SKIPPED, reason))
                release(change.key)
            else:
                batch.append(change)
        if batch:
            self._journal.started(batch)
            for change in batch:
                pool.submit(self._attempt, change)
        return len(batch)

    def _obstacle(self, change: Change) -> str:
        if self._stop.is_set():
            return "the run was interrupted"
        if self._down:
            return self._down
        failed = sorted(change.depends_on & self._not_done)
        return f"{failed[0]} was not done" if failed else ""

    def _attempt(self, change: Change) -> None:
        """In a thread of its own; always leaves a result."""
        if self._stop.is_set() or self._down:
            self._ended.put(Attempt(change, Result.SKIPPED, self._obstacle(change)))
            return
        try:
            attempt = Attempt(change, Result.DONE, self._apply(change))
        except SystemDownError as error:
            self._down = f"the system takes no more changes: {error}"
            attempt = Attempt(change, Result.FAILED, str(error))
        except ChangeError as error:
            attempt = Attempt(change, Result.FAILED, str(error))
        except BaseException as error:
            # Whatever it is, the run waits for this result.
            attempt = Attempt(change, Result.FAILED, unexpected(error))
        self._ended.put(attempt)

    def _note(self, attempt: Attempt) -> None:
        if attempt.result is not Result.DONE:
            self._not_done.add(attempt.change.key)
        self._tell(attempt)
        self._unwritten.append(attempt)

    def _take(self, attempt: Attempt) -> None:
        self._note(attempt)
        if len(self._unwritten) >= BATCH or time.monotonic() - self._written >= BATCH_SECONDS:
            self._write()

    def _write(self) -> None:
        if self._unwritten:
            # What cannot be written is not tried again: the run ends with that.
            unwritten, self._unwritten = self._unwritten, []
            self._journal.ended(unwritten)
        self._written = time.monotonic()


def unexpected(error: BaseException) -> str:
    """A defect in one line: what kind of error it is and its text. Where it was goes to the debug log."""
    log.debug("an unexpected error", exc_info=error)
    return f"failed unexpectedly: {type(error).__name__}: {' '.join(str(error).split()) or 'no further text'}"


class Unwritten:
    """A journal that keeps nothing, for runs that are not recorded."""

    def started(self, changes: Iterable[Change]) -> None:
        """Forget it."""

    def ended(self, attempts: Iterable[Attempt]) -> None:
        """Forget it."""
