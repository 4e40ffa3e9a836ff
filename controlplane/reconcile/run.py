"""Observe → plan → apply, for one system or several.

A system that cannot be read in full gets no plan; the others do. A change that fails does not stop the
others, but those that depend on it. There is no state between runs: an apply that was cut off is finished by
the next one.
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Event

from controlplane.errors import BicError
from controlplane.reconcile.port import ChangeError, Progress, System
from controlplane.reconcile.schedule import Attempt, Journal, Result, Schedule, Unwritten, unexpected
from controlplane.state import Change, Conflict, Kept, Plan, Scope, State, make_plan, narrow, without

Watch = Callable[[str], Progress]
"""Gives, for what is being done, somebody to tell how far it is."""

SYSTEMS_AT_ONCE = 16
"""Systems that are read or changed at the same time: a nation has one for each facility, and several that are
away at once must not hold up the others, each for as long as it takes to find out."""


@dataclass(frozen=True)
class Outcome:
    """A system's plan, or why it has none."""

    system: System
    plan: Plan | None = None
    observed: State | None = None
    """What was read."""
    error: str = ""
    refused: str = ""
    """Why the plan is not applied although there is one."""
    reached: int = 0
    """Of a saved plan: the changes that need not be made any more."""

    @property
    def settled(self) -> bool:
        """Whether the system was read and is as it should be, as far as a plan can make it."""
        return self.plan is not None and not self.plan.changes and not self.plan.conflicts


@dataclass
class Report:
    """What an apply did to one system."""

    system: str
    """The system's name for people."""
    id: str = ""
    """The system's identifier; empty in a report about the journal."""
    done: list[Change] = field(default_factory=list)
    remarks: list[tuple[Change, str]] = field(default_factory=list)
    failed: list[tuple[Change, str]] = field(default_factory=list)
    skipped: list[tuple[Change, str]] = field(default_factory=list)
    """What was not attempted, and why."""
    conflicts: tuple[Conflict, ...] = ()
    kept: tuple[Kept, ...] = ()
    """What nobody wants any more and stays, as the plan says."""
    unconfirmed: tuple[Kept, ...] = ()
    """What was not deleted because it holds data, and nobody confirmed that they are to be destroyed."""
    seconds: float = 0.0
    error: str = ""
    """What went wrong with the system as a whole."""
    refused: bool = False
    """Whether that was the size of the plan alone."""

    @property
    def ok(self) -> bool:
        """Whether the system is as it should be now."""
        return not (self.failed or self.skipped or self.conflicts or self.error)


def plan_all(
    systems: Iterable[System], watch: Watch, *, adopt: bool = False, scope: Scope | None = None
) -> list[Outcome]:
    """Read every system in the scope and plan its changes; all connections are closed afterwards."""
    scope = scope or Scope()

    def plan(system: System) -> Outcome:
        desired = system.desired()
        observed = system.observe(watch(f"reading {system.title}"))
        return Outcome(system, narrow(make_plan(system.id, desired, observed, adopt=adopt), scope), observed)

    return plan_each([system for system in systems if scope.has_system(system.id)], plan)


def plan_each(systems: Iterable[System], plan: Callable[[System], Outcome]) -> list[Outcome]:
    """Plans, several systems at the same time; what goes wrong with one is its outcome's error."""

    def outcome(system: System) -> Outcome:
        try:
            planned = plan(system)
            return replace(planned, plan=refuse(system, planned.plan)) if planned.plan else planned
        except BicError as error:
            return Outcome(system, error=str(error))
        except Exception as error:
            return Outcome(system, error=unexpected(error))
        finally:
            system.close()

    with ThreadPoolExecutor(SYSTEMS_AT_ONCE, thread_name_prefix="plan") as pool:
        return list(pool.map(outcome, systems))


def refuse(system: System, plan: Plan) -> Plan:
    """The plan without what the live system refuses and what depends on that; these become conflicts.

    Raises ObservationError when the system cannot tell.
    """
    refusals = system.refusals(plan.changes) if plan.changes else {}
    if not refusals:
        return plan
    left, dependents = without(plan, refusals.keys())
    refused = [change for change in plan.changes if change.key in refusals]
    conflicts = [
        *(Conflict(change.key, refusals[change.key], change.facility, change.team) for change in refused),
        *(
            Conflict(change.key, "it depends on something that is refused", change.facility, change.team)
            for change in dependents
        ),
    ]
    return replace(left, conflicts=(*plan.conflicts, *conflicts))


def apply_plan(
    system: System,
    plan: Plan,
    watch: Watch,
    journal: Journal | None = None,
    stop: Event | None = None,
) -> Report:
    """Make a plan's changes, those that do not depend on each other at the same time.

    Once `stop` is set no change is begun any more.
    """
    report = Report(system.title, system.id, conflicts=plan.conflicts, kept=plan.kept)
    begun = time.monotonic()
    progress = watch(f"changing {system.title}") if plan.changes else None
    ended = 0

    def tell(attempt: Attempt) -> None:
        nonlocal ended
        ended += 1
        match attempt.result:
            case Result.DONE:
                report.done.append(attempt.change)
                if attempt.text:
                    report.remarks.append((attempt.change, attempt.text))
            case Result.FAILED:
                report.failed.append((attempt.change, attempt.text))
            case Result.SKIPPED:
                report.skipped.append((attempt.change, attempt.text))
        if progress:
            progress(ended, len(plan.changes))

    try:
        try:
            system.begin(plan.changes)
        except ChangeError as error:
            report.error = f"nothing was changed: {error}"
            return report
        schedule = Schedule(system.apply, system.connections, journal or Unwritten(), stop or Event(), tell)
        schedule.run(plan.changes)
        system.finish()
    except BicError as error:
        report.error = str(error)
    except Exception as error:
        report.error = unexpected(error)
    finally:
        system.close()
        report.seconds = time.monotonic() - begun
        report.failed.sort(key=lambda item: item[0].key)
    return report
