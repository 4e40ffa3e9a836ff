"""The workflow that brings one facility to what the inventory wants, on whichever worker takes it.

It confirms nothing: a plan above the safety limits, and deletions that would destroy data, are left undone
and reported as refused, for a person to look at with `bic apply`.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from controlplane.errors import BicError
from controlplane.model import Platform, inventory_digest, load_platform
from controlplane.reconcile.reconcile import reconcile
from controlplane.reconcile.run import Report
from controlplane.state import Scope
from controlplane.store import Store
from controlplane.store.errors import LockedError
from controlplane.systems import planned_systems
from controlplane.workflows.port import Interrupted, Json, Run, StepError

log = logging.getLogger(__name__)

NAME = "reconcile"
"""The workflow's name. Its argument: `{"facility": <id>, "actor": <who asked>, "inventory": <digest>}`."""

LOCK_PAUSE = 10.0
"""Seconds until a facility that somebody else works on is tried again."""

LOCK_TRIES = 60
"""Attempts before the workflow fails because somebody else still works on the facility."""

REASONS = 5
"""Reasons that are kept of each system; the journal has all of them."""


class Result(StrEnum):
    """What became of a facility in one system, the worst last."""

    UNCHANGED = "unchanged"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


class Inventory:
    """An inventory that is read again when one of its files has changed."""

    def __init__(self, folder: Path) -> None:
        """Know the folder; nothing is read yet."""
        self._folder = folder
        self._lock = threading.Lock()
        self._loaded: tuple[Platform, str] | None = None

    def load(self) -> tuple[Platform, str]:
        """The platform as the files are now, and their digest. Raises BicError."""
        with self._lock:
            while True:
                try:
                    now = inventory_digest(self._folder)
                except OSError as error:
                    raise BicError(f"the inventory {self._folder} cannot be read: {error}") from error
                if self._loaded is None or self._loaded[1] != now:
                    # Looked at once more: the files may be replaced while they are read.
                    self._loaded = load_platform(self._folder), now
                    continue
                return self._loaded


class FacilityReconcile:
    """The workflow, with what a worker has: an inventory and a store."""

    def __init__(self, inventory: Inventory, store: Store) -> None:
        """Know both."""
        self._inventory = inventory
        self._store = store

    def __call__(self, run: Run, argument: Json) -> Json:
        """Reconcile the facility; wait while somebody else does."""
        wanted = cast("dict[str, str]", argument)
        for _ in range(LOCK_TRIES):
            result = cast("dict[str, Json]", run.run_step(NAME, lambda: self._step(run, wanted)))
            if "systems" in result:
                return result
            run.sleep(LOCK_PAUSE)
        raise StepError(str(result["locked"]))

    def _step(self, run: Run, wanted: Mapping[str, str]) -> Json:
        facility, actor = wanted["facility"], wanted["actor"]
        log.info("%s: begun for %s", facility, actor)
        begun = time.monotonic()
        platform, digest = self._inventory.load()
        if digest != wanted["inventory"]:
            # An outdated copy would undo what was applied from a newer one.
            raise BicError(
                "this worker's inventory is not the one that was dispatched; "
                "install it there (site.yml --tags controlplane) and dispatch again"
            )
        try:
            reports = reconcile(
                planned_systems(platform),
                Scope(facilities=frozenset({facility})),
                store=self._store,
                platform=platform.name,
                actor=actor,
                limits=platform.limits,
                watch=lambda label: lambda done, total: None,
                command="bic dispatch",
                tell=log.info,
                stop=run.stopping,
            )
        except LockedError as error:
            log.info("%s: %s", facility, error)
            return {"locked": str(error)}
        if run.stopping.is_set() and any(report.skipped for report in reports):
            log.info("%s: interrupted; it is done again", facility)
            raise Interrupted
        systems = [_summary(report) for report in reports]
        seconds = round(time.monotonic() - begun, 1)
        changed = sum(item["changed"] for item in systems)
        log.info("%s: %s, %d changes, %.1f s", facility, worst(systems), changed, seconds)
        return {"facility": facility, "systems": systems, "seconds": seconds}


def worst(systems: Sequence[Mapping[str, Any]]) -> Result:
    """The worst result among systems; unchanged when there is none."""
    order = list(Result)
    return max((Result(item["result"]) for item in systems), key=order.index, default=Result.UNCHANGED)


def _summary(report: Report) -> dict[str, Any]:
    """What is kept of a report: counts, and the first of the reasons why something was not done."""
    refused = [report.error] if report.refused else []
    refused += [f"{kept.key}: {kept.reason}" for kept in report.unconfirmed]
    problems = [report.error] if report.error and not report.refused else []
    problems += [f"{change.key}: {reason}" for change, reason in (*report.failed, *report.skipped)]
    problems += [f"{conflict.key}: {conflict.reason}" for conflict in report.conflicts]
    if problems:
        result = Result.FAILED
    elif refused:
        result = Result.REFUSED
    else:
        result = Result.DONE if report.done else Result.UNCHANGED
    reasons = [*refused, *problems]
    return {
        "system": report.id,
        "title": report.system,
        "result": result.value,
        "changed": len(report.done),
        "failed": len(report.failed),
        "skipped": len(report.skipped),
        "reasons": reasons[:REASONS],
        "more_reasons": max(0, len(reasons) - REASONS),
    }
