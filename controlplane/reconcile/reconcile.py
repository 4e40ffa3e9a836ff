"""Reconciling under a lock and in the journal: what `bic apply` and the workers do."""

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

from controlplane.errors import BicError
from controlplane.model import Limits
from controlplane.reconcile.limits import limited
from controlplane.reconcile.port import System
from controlplane.reconcile.resume import Moved, moved_error, rest
from controlplane.reconcile.run import (
    SYSTEMS_AT_ONCE,
    Outcome,
    Report,
    Watch,
    apply_plan,
    plan_all,
    plan_each,
    refuse,
)
from controlplane.reconcile.saved import SavedPlan
from controlplane.reconcile.schedule import unexpected
from controlplane.state import Kept, Key, Plan, Scope, without
from controlplane.store import Store, StoreError, history
from controlplane.store.journal import RunEnd, RunJournal, RunResult, begin_run
from controlplane.store.locks import Holder, hold, locks_for

Confirmed = AbstractSet[tuple[str, Key]]
"""Deletions that may destroy data: systems' identifiers and objects."""

Approve = Callable[[Sequence[Outcome]], Confirmed]
"""Shows the plans to somebody. Returns the deletions of data that are confirmed; raises to stop it all."""

Select = Callable[[System, Plan], Plan]
"""Chooses a part of a system's plan."""


def reconcile(
    systems: Iterable[System],
    scope: Scope,
    *,
    store: Store,
    platform: str,
    actor: str,
    limits: Limits,
    watch: Watch,
    command: str = "bic apply",
    adopt: bool = False,
    exceed_limits: bool = False,
    saved: SavedPlan | None = None,
    approve: Approve | None = None,
    select: Select | None = None,
    record_nothing: bool = True,
    wait_for_lock: float = 0.0,
    tell: Callable[[str], None] = lambda text: None,
    stop: Event | None = None,
) -> list[Report]:
    """Lock → observe → plan → refusals → limits → approval → apply, all of it in the journal.

    With `saved` exactly that plan is applied, or what an earlier run of it left. Without `approve` nothing
    that destroys data is deleted. `select` chooses a part of each plan. A run that can do nothing is in
    the journal unless `record_nothing` is False. `tell` is told what a person who waits should know. Once
    `stop` is set, by an interruption too, nothing more is begun.

    One report for each system in the scope: one that cannot be read, or whose plan is refused, says so and
    the others go on. Raises LockedError, StoreError, MovedError, and what `approve` raises.
    """
    stop = stop or Event()
    purpose = command if scope.whole else f"{command} on {scope}"
    with hold(store.locks, locks_for(scope), purpose, wait_for_lock, tell) as held:
        holder = Holder.myself(purpose)
        if saved is None:
            outcomes = plan_all(systems, watch, adopt=adopt, scope=scope)
        else:
            outcomes = plan_rest(systems, saved, store, watch)
        if select:
            outcomes = [
                replace(item, plan=select(item.system, item.plan)) if item.plan else item for item in outcomes
            ]
        outcomes = [limited(item, scope, limits, exceed_limits) for item in outcomes]
        if not record_nothing and not any(
            item.plan and item.plan.changes for item in outcomes if not item.refused
        ):
            return [_untouched(item) for item in outcomes]
        confirmed = approve(outcomes) if approve else frozenset()
        run = begin_run(
            store,
            held,
            holder,
            platform=platform,
            actor=actor,
            scope=str(scope),
            plan=saved.id if saved else "",
        )
        reports = _at_once(lambda item: _apply(item, confirmed, run, watch, stop), outcomes, stop)
        try:
            run.end(_end(reports, interrupted=stop.is_set()))
        except StoreError as error:
            # What was done is more important than that it cannot be written down.
            reports.append(Report("the journal", error=f"the end of the run could not be written: {error}"))
    return reports


def _untouched(outcome: Outcome) -> Report:
    """What there is to say of a system in which nothing is to be done, or cannot be."""
    conflicts = outcome.plan.conflicts if outcome.plan else ()
    error = outcome.error or outcome.refused
    return Report(
        outcome.system.title,
        outcome.system.id,
        conflicts=conflicts,
        error=error,
        refused=bool(outcome.refused),
    )


def plan_rest(systems: Iterable[System], saved: SavedPlan, store: Store, watch: Watch) -> list[Outcome]:
    """What is left of a saved plan. Raises MovedError when the world has moved under it."""
    begun: dict[str, set[Key]] = {}
    for system, kind, name in history.attempted(store, saved.platform, saved.id):
        begun.setdefault(system, set()).add(Key(kind, name))
    plans = {item.id: item for item in saved.systems}
    moved: list[tuple[str, Moved]] = []

    def plan(system: System) -> Outcome:
        observed = system.observe(watch(f"reading {system.title}"))
        left = rest(plans[system.id], observed, saved.scope, begun.get(system.id, set()))
        moved.extend((system.id, item) for item in left.moved)
        return Outcome(system, left.plan, observed, reached=left.done)

    outcomes = plan_each([system for system in systems if system.id in plans], plan)
    if moved:
        raise moved_error(sorted(moved, key=lambda item: (item[0], item[1].key)))
    return outcomes


def _at_once(apply: Callable[[Outcome], Report], outcomes: Sequence[Outcome], stop: Event) -> list[Report]:
    """Apply the plans, several systems at the same time; an interruption stops all of them."""
    with ThreadPoolExecutor(SYSTEMS_AT_ONCE, thread_name_prefix="system") as pool:
        running = [pool.submit(apply, item) for item in outcomes]
        while True:
            try:
                return [future.result() for future in running]
            except KeyboardInterrupt:
                # What has begun is finished, so that the journal tells what became of it.
                stop.set()


def _apply(outcome: Outcome, confirmed: Confirmed, run: RunJournal, watch: Watch, stop: Event) -> Report:
    system, plan = outcome.system, outcome.plan
    if plan is None or outcome.refused:
        return Report(
            system.title, system.id, error=outcome.error or outcome.refused, refused=bool(outcome.refused)
        )
    plan, unconfirmed = keep_unconfirmed(plan, confirmed)
    try:
        plan = refuse(system, plan)
    except Exception as error:
        system.close()
        text = str(error) if isinstance(error, BicError) else unexpected(error)
        return Report(system.title, system.id, error=f"nothing was changed: {text}")
    # Where nothing is left to change, what a killed run left is still cleaned up.
    report = apply_plan(system, plan, watch, run.of(system.id), stop)
    report.unconfirmed = unconfirmed
    return report


def keep_unconfirmed(plan: Plan, confirmed: Confirmed) -> tuple[Plan, tuple[Kept, ...]]:
    """The plan without deletions of data that nobody confirmed and what depends on them; and all these."""
    unconfirmed = [
        change for change in plan.changes if change.destroys and (plan.system, change.key) not in confirmed
    ]
    left, dependents = without(plan, {change.key for change in unconfirmed})
    reasons = [
        *((change, f"its deletion would destroy {change.destroys}") for change in unconfirmed),
        *((change, "something that it holds would be destroyed") for change in dependents),
    ]
    return left, tuple(Kept(change.key, reason, change.facility, change.team) for change, reason in reasons)


def _end(reports: Sequence[Report], *, interrupted: bool) -> RunEnd:
    done, failed, skipped = (
        sum(len(getattr(report, part)) for report in reports) for part in ("done", "failed", "skipped")
    )
    if interrupted:
        result = RunResult.INTERRUPTED
    elif all(report.ok for report in reports):
        result = RunResult.DONE if done else RunResult.NOTHING
    elif all(report.ok or report.refused for report in reports):
        result = RunResult.REFUSED
    else:
        result = RunResult.FAILED
    text = "\n".join(f"{report.id}: {report.error}" for report in reports if report.error)
    return RunEnd(result, done, failed, skipped, text)
