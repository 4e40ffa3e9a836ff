"""Observe → plan → apply.

A system that cannot be read in full gets no plan; the others do. A change that fails does not stop the
others. There is no state between runs: an apply that was cut off is finished by the next one.
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

from controlplane.reconcile.port import ChangeError, ObservationError, Progress, System
from controlplane.state import Change, Plan, make_plan

Watch = Callable[[str], Progress]
"""Gives, for what is being done, somebody to tell how far it is."""


@dataclass(frozen=True)
class Outcome:
    """A system's plan, or why it has none."""

    system: System
    plan: Plan | None = None
    error: str = ""

    @property
    def settled(self) -> bool:
        """Whether the system was read and is as it should be, as far as a plan can make it."""
        return self.plan is not None and not self.plan.changes and not self.plan.conflicts


@dataclass
class Report:
    """What an apply did to one system."""

    system: str
    """The system's name for people."""
    done: list[Change] = field(default_factory=list)
    remarks: list[tuple[Change, str]] = field(default_factory=list)
    failed: list[tuple[Change, str]] = field(default_factory=list)
    seconds: float = 0.0
    error: str = ""
    """Why the system as a whole could not be prepared for the changes, or cleaned up after them."""

    @property
    def ok(self) -> bool:
        """Whether all changes were made."""
        return not self.failed and not self.error


def plan_all(systems: Iterable[System], watch: Watch, *, adopt: bool = False) -> list[Outcome]:
    """Read every system and plan its changes; all connections are closed afterwards."""
    return [_plan(system, watch, adopt) for system in systems]


def _plan(system: System, watch: Watch, adopt: bool) -> Outcome:
    try:
        observed = system.observe(watch(f"reading {system.title}"))
        return Outcome(system, make_plan(system.id, system.desired(), observed, adopt=adopt))
    except ObservationError as error:
        return Outcome(system, error=str(error))
    finally:
        system.close()


def apply_plan(system: System, plan: Plan, watch: Watch) -> Report:
    """Make a plan's changes, those that do not depend on each other at the same time."""
    report = Report(system.title)
    begun = time.monotonic()
    try:
        system.begin(plan)
    except ChangeError as error:
        report.error = f"nothing was changed: {error}"
        system.close()
        return report
    progress = watch(f"changing {system.title}")
    workers = ThreadPoolExecutor(system.connections, thread_name_prefix="apply")
    try:
        for wave in plan.waves():
            running = {workers.submit(system.apply, change): change for change in wave}
            for future in as_completed(running):
                change = running[future]
                try:
                    if remark := future.result():
                        report.remarks.append((change, remark))
                    report.done.append(change)
                except ChangeError as error:
                    report.failed.append((change, str(error)))
                progress(len(report.done) + len(report.failed), len(plan.changes))
        system.finish(plan)
    except ChangeError as error:
        report.error = str(error)
    finally:
        # On an interruption what has not begun stays undone; what has begun is finished.
        workers.shutdown(cancel_futures=True)
        system.close()
    report.seconds = time.monotonic() - begun
    report.failed.sort(key=lambda item: item[0].key)
    return report
