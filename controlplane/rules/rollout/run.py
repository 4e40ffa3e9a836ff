"""A rollout as a whole: read all servers, settle what an earlier run left, plan, and change the zones."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from controlplane.errors import BicError
from controlplane.model import Platform
from controlplane.rules.rollout.deploy import Asks, Conditions, Outcome, Result, Target, ZoneRollout
from controlplane.rules.rollout.plan import ServerPlan, plan_server, server_state
from controlplane.rules.rollout.release import Release
from controlplane.rules.rollout.waves import waves

Approve = Callable[[Sequence[ServerPlan]], bool]
"""Shows the plan to somebody, and whether to go on."""


@dataclass(frozen=True)
class Wanted:
    """What one server should run."""

    zone: str
    release: Release


@dataclass(frozen=True)
class Report:
    """What became of a rollout."""

    outcomes: tuple[Outcome, ...]
    plans: tuple[ServerPlan, ...]
    """What was to be done, those that could not be read included."""

    @property
    def ok(self) -> bool:
        """Whether every server could be read and runs what was asked for."""
        return not any(plan.error for plan in self.plans) and all(
            one.result is Result.CONFIRMED or (one.result is Result.ROLLED_BACK and not one.reason)
            for one in self.outcomes
        )


def read(servers: Asks, wanted: Mapping[str, Wanted]) -> list[ServerPlan]:
    """The plans of all servers, asked at the same time; one that cannot be read says why."""
    answers = servers.ask(list(wanted), "status")
    found = []
    for server, want in wanted.items():
        try:
            state = server_state(answers[server].get())
            found.append(plan_server(server, want.zone, want.release, state))
        except BicError as error:
            found.append(ServerPlan(server, want.zone, want.release, error=str(error)))
    return found


def deploy(
    platform: Platform, conditions: Conditions, wanted: Mapping[str, Wanted], approve: Approve
) -> Report:
    """Bring servers to what they should run. Raises StoreError."""
    plans = read(conditions.servers, wanted)
    left = [plan for plan in plans if plan.state and plan.state.pending]
    settled = _settle(conditions, left)
    if left:
        plans = read(conditions.servers, wanted)
    if any(one.reason for one in settled):
        return Report(tuple(settled), tuple(plans))
    todo = [plan for plan in plans if plan.state and not plan.in_step]
    if not approve(plans) or not todo:
        done = [one for one in settled if one.result is Result.CONFIRMED]
        return Report((*done, *(Outcome(plan.server) for plan in todo)), tuple(plans))
    targets = {
        plan.server: Target(plan.release.names, {file.name: file.text for file in plan.release.files})
        for plan in todo
    }
    outcomes = change(platform, conditions, {plan.server: plan.zone for plan in todo}, targets)
    again = {one.server for one in outcomes}
    return Report(
        (*(one for one in settled if one.server not in again), *outcomes),
        tuple(plans),
    )


def rollback(
    platform: Platform, conditions: Conditions, wanted: Mapping[str, Wanted], approve: Approve
) -> Report:
    """Bring servers back to the list before the last confirmed one; what is only pending is taken back.

    Raises StoreError.
    """
    plans = read(conditions.servers, wanted)
    if not approve(plans):
        return Report(tuple(Outcome(plan.server) for plan in plans if plan.state), tuple(plans))
    outcomes: list[Outcome] = []
    targets: dict[str, Target] = {}
    for plan in plans:
        if plan.state and plan.state.pending:
            rollout = ZoneRollout(conditions, plan.zone, {plan.server: Target((), {})})
            rollout.settle(plan.server, plan.state.pending)
            outcomes += rollout.outcomes.values()
        elif plan.state and plan.state.previous:
            targets[plan.server] = Target(plan.state.previous, {})
    zones = {plan.server: plan.zone for plan in plans}
    outcomes += change(platform, conditions, zones, targets)
    return Report(tuple(outcomes), tuple(plans))


def change(
    platform: Platform, conditions: Conditions, zones: Mapping[str, str], targets: Mapping[str, Target]
) -> list[Outcome]:
    """Change servers, given with their zones, to what `targets` says: several zones at the same time."""
    rollouts = {
        zone: ZoneRollout(
            conditions, zone, {server: targets[server] for server in targets if zones[server] == zone}
        )
        for zone in dict.fromkeys(zones[server] for server in targets)
    }

    def run(zone: str) -> None:
        changed = list(rollouts[zone].targets)
        canary = platform.rules.canary.get(zone)
        rollouts[zone].run(waves(platform.zones[zone], platform.hosts, changed, canary))

    with ThreadPoolExecutor(len(rollouts) or 1, thread_name_prefix="zone") as pool:
        running = [pool.submit(run, zone) for zone in rollouts]
        while True:
            try:
                for future in running:
                    future.result()
                break
            except KeyboardInterrupt:
                # What has begun on a server is brought to an end there.
                conditions.stop.set()
    return [outcome for one in rollouts.values() for outcome in one.outcomes.values()]


def _settle(conditions: Conditions, left: Sequence[ServerPlan]) -> list[Outcome]:
    """Finish or take back what an earlier run left pending, one server after the other."""
    found: list[Outcome] = []
    for plan in left:
        if plan.state is None or plan.state.pending is None:
            continue
        target = Target(plan.release.names, {file.name: file.text for file in plan.release.files})
        rollout = ZoneRollout(conditions, plan.zone, {plan.server: target})
        rollout.settle(plan.server, plan.state.pending)
        found.extend(rollout.outcomes.values())
    return found
