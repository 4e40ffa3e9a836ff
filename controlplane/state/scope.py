"""A part of a platform, and a plan narrowed to it."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Protocol

from controlplane.state.plan import Change, Plan
from controlplane.state.resource import Key


class Placed(Protocol):
    """Something that belongs to a facility and perhaps a team."""

    @property
    def facility(self) -> str:
        """The facility's identifier, or empty."""

    @property
    def team(self) -> str:
        """The team's identifier within the facility, or empty."""


@dataclass(frozen=True)
class Scope:
    """Some facilities, systems and teams. What is empty does not narrow."""

    facilities: AbstractSet[str] = frozenset()
    systems: AbstractSet[str] = frozenset()
    teams: AbstractSet[str] = frozenset()
    """As `<facility>/<team>`. Together with facilities: what is in either."""

    @property
    def whole(self) -> bool:
        """Whether this is the whole platform."""
        return not (self.facilities or self.systems or self.teams)

    @property
    def touched(self) -> AbstractSet[str]:
        """The facilities of which something is in the scope; empty when all are."""
        return self.facilities | {team.partition("/")[0] for team in self.teams}

    def has_system(self, system: str) -> bool:
        """Whether a system, by its identifier, is in the scope."""
        return not self.systems or system in self.systems

    def has(self, item: Placed) -> bool:
        """Whether something of a system in the scope is in the scope."""
        if not self.facilities and not self.teams:
            return True
        return item.facility in self.facilities or f"{item.facility}/{item.team}" in self.teams

    def __str__(self) -> str:
        if self.whole:
            return "the whole platform"
        parts = (("system", self.systems), ("facility", self.facilities), ("team", self.teams))
        return ", ".join(f"{word} {name}" for word, names in parts for name in sorted(names))


def narrow(plan: Plan, scope: Scope) -> Plan:
    """What of a plan is in the scope, and what that depends on."""
    if not scope.has_system(plan.system):
        return Plan(plan.system)
    if not scope.facilities and not scope.teams:
        return plan
    by_key = {change.key: change for change in plan.changes}
    kept: set[Key] = set()
    todo = [change for change in plan.changes if scope.has(change)]
    while todo:
        change = todo.pop()
        if change.key not in kept:
            kept.add(change.key)
            todo.extend(by_key[key] for key in change.depends_on)
    return replace(
        plan,
        changes=tuple(change for change in plan.changes if change.key in kept),
        conflicts=tuple(note for note in plan.conflicts if scope.has(note)),
        kept=tuple(note for note in plan.kept if scope.has(note)),
    )


def without(plan: Plan, keys: AbstractSet[Key]) -> tuple[Plan, tuple[Change, ...]]:
    """A plan without the changes of `keys`, and those others that depended on them and are gone too."""
    gone = set(keys)
    left: list[Change] = []
    dependents: list[Change] = []
    for change in plan.changes:
        if change.key in gone:
            continue
        if change.depends_on & gone:
            gone.add(change.key)
            dependents.append(change)
        else:
            left.append(change)
    return replace(plan, changes=tuple(left)), tuple(dependents)
