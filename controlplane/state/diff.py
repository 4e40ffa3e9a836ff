"""The difference between two states, as changes in the order in which they can be made."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from controlplane.state.plan import Action, Change, Conflict, FieldChange, Kept, Plan
from controlplane.state.resource import Fields, Key, Resource, State

UNMARKED = "it exists and does not carry our mark; remove it, or take it over with --adopt"
ACCESS_FIRST = "its access ends first; the next plan deletes it"


def make_plan(system: str, desired: State, observed: State, *, adopt: bool = False) -> Plan:
    """The plan that turns `observed` into `desired`.

    What is not ours is never changed: an object that should exist and is there without our mark is a
    conflict, or is taken over when `adopt` says so. What is ours and not desired is deleted, unless it is to
    be kept. Where it is kept, or its deletion destroys data, the access to it ends first (its `retired`
    fields); data are destroyed by a later plan, when no access is left. Raises ValueError when objects
    depend on each other in a circle.
    """
    changes: list[Change] = []
    conflicts: list[Conflict] = []
    kept: list[Kept] = []
    created = _Created()
    for key, wanted in desired.items():
        found = observed.find(key)
        if found is None:
            changes.append(_change(Action.CREATE, wanted, created.fields(wanted.fields)))
            continue
        if not found.owned and not adopt:
            conflicts.append(Conflict(key, UNMARKED, wanted.facility, wanted.team))
            continue
        differing = differing_fields(found.fields, wanted.fields)
        if differing and wanted.fixed:
            conflicts.extend(
                Conflict(key, _stuck(item), wanted.facility, wanted.team)
                for item in differing
                if item.name in wanted.fixed
            )
            differing = tuple(item for item in differing if item.name not in wanted.fixed)
        if differing or not found.owned:
            changes.append(_change(Action.UPDATE if found.owned else Action.ADOPT, wanted, differing))
    for key, found in observed.items():
        if not found.owned or key in desired:
            continue
        retiring = differing_fields(found.fields, found.retired)
        if found.keep or (found.destroys and retiring):
            kept.append(Kept(key, found.keep or ACCESS_FIRST, found.facility, found.team))
            if retiring:
                changes.append(replace(_change(Action.UPDATE, found, retiring), retires=True))
        else:
            fields = tuple(FieldChange(name, value, None) for name, value in found.fields.items())
            changes.append(replace(_change(Action.DELETE, found, fields), destroys=found.destroys))
    return Plan(system, ordered(_linked(changes, observed)), tuple(conflicts), tuple(kept))


def differing_fields(found: Fields, wanted: Fields) -> tuple[FieldChange, ...]:
    """What has to change for `found` to hold all that is in `wanted`."""
    if found is wanted or found == wanted:
        return ()
    return tuple(
        FieldChange(name, found.get(name), value)
        for name, value in wanted.items()
        if found.get(name) != value
    )


class _Created:
    """The fields of objects that are created; objects that share their fields share these."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[FieldChange, ...]] = {}

    def fields(self, wanted: Fields) -> tuple[FieldChange, ...]:
        # The identity is unique because the desired state keeps every mapping alive.
        made = self._known.get(id(wanted))
        if made is None:
            made = tuple(FieldChange(name, None, value) for name, value in wanted.items())
            self._known[id(wanted)] = made
        return made


def _change(action: Action, resource: Resource, fields: tuple[FieldChange, ...]) -> Change:
    return Change(action, resource.key, fields, resource.depends_on, resource.facility, resource.team)


def _stuck(item: FieldChange) -> str:
    return f"its {item.name} is {item.before} and cannot be changed to {item.after}"


def _linked(changes: Sequence[Change], observed: State) -> list[Change]:
    """The changes with their dependencies within the plan; a deletion waits for what depended on its object.

    A plan that only creates what does not exist yet keeps the objects it was given.
    """
    made = {change.key for change in changes if change.action is not Action.DELETE}
    dependents: dict[Key, set[Key]] = defaultdict(set)
    if len(made) < len(changes):
        for change in changes:
            found = observed.find(change.key)
            for key in found.depends_on if found else ():
                dependents[key].add(change.key)
    linked = []
    for change in changes:
        if change.action is Action.DELETE:
            needed = frozenset(dependents.get(change.key, ()))
        else:
            needed = change.depends_on & made
        linked.append(change if needed == change.depends_on else replace(change, depends_on=needed))
    return linked


def ordered(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The changes so that each comes after those it depends on: deletions last, then by depth and key.

    Raises ValueError when they depend on each other in a circle.
    """
    depths = _depths({change.key: change.depends_on for change in changes})
    return tuple(
        sorted(
            changes,
            key=lambda change: (change.action is Action.DELETE, depths.get(change.key, 0), change.key),
        )
    )


def _depths(needed: Mapping[Key, frozenset[Key]]) -> dict[Key, int]:
    """How long the longest chain of dependencies below each object is; objects without any are left out."""
    # Most objects depend on nothing, and need no sorting.
    graph = {key: [need for need in needs if needed.get(need)] for key, needs in needed.items() if needs}
    depths: dict[Key, int] = {}
    try:
        for key in TopologicalSorter(graph).static_order():
            depths[key] = 1 + max((depths[need] for need in graph[key]), default=0)
    except CycleError as error:
        circle = " → ".join(str(key) for key in error.args[1])
        raise ValueError(f"these depend on each other in a circle: {circle}") from None
    return depths
