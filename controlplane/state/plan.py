"""The difference between two states, as changes in the order in which they can be made."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import Any

from controlplane.state.resource import Key, Resource, State, Value


class Action(StrEnum):
    """What is done to an object."""

    CREATE = "create"
    UPDATE = "update"
    ADOPT = "adopt"
    """Take over an object that exists and was not ours."""
    DELETE = "delete"


@dataclass(frozen=True)
class FieldChange:
    """A field before and after; None where the object does not exist."""

    name: str
    before: Value | None
    after: Value | None

    @property
    def added(self) -> tuple[str, ...]:
        """The texts that a set gains."""
        return _minus(self.after, self.before)

    @property
    def removed(self) -> tuple[str, ...]:
        """The texts that a set loses."""
        return _minus(self.before, self.after)


@dataclass(frozen=True)
class Change:
    """Something to do to one object."""

    action: Action
    key: Key
    fields: tuple[FieldChange, ...]
    """All fields of an object that is created or deleted, else those that change."""
    depends_on: frozenset[Key] = frozenset()
    """The objects of this plan that have to be done first."""
    facility: str = ""
    team: str = ""

    def field(self, name: str) -> FieldChange | None:
        """The change of one field, or None when it stays as it is."""
        return next((change for change in self.fields if change.name == name), None)


@dataclass(frozen=True)
class Conflict:
    """A desired object that the plan cannot reach, and why."""

    key: Key
    reason: str
    facility: str = ""


@dataclass(frozen=True)
class Kept:
    """An object of ours that nobody wants any more and that is not deleted, and why."""

    key: Key
    reason: str
    facility: str = ""


@dataclass(frozen=True)
class Plan:
    """All that is to be done to one system."""

    system: str
    """The system's identifier."""
    changes: tuple[Change, ...] = ()
    """In an order in which each can be made: what others depend on comes first, deletions come last."""
    conflicts: tuple[Conflict, ...] = ()
    kept: tuple[Kept, ...] = ()

    def count(self, action: Action) -> int:
        """How many changes do `action`."""
        return sum(change.action is action for change in self.changes)

    def waves(self) -> Iterator[Sequence[Change]]:
        """The changes in groups: those of one group can be made at the same time."""
        yield from _waves([change for change in self.changes if change.action is not Action.DELETE])
        yield from _waves([change for change in self.changes if change.action is Action.DELETE])

    def as_json(self) -> dict[str, Any]:
        """The plan in JSON's types; equal plans give equal documents.

        A `key` is unique over all systems: `<system>/<kind>/<name>`.
        """
        return {
            "system": self.system,
            "counts": {action.value: self.count(action) for action in Action},
            "changes": [
                {
                    "action": change.action.value,
                    "key": self._path(change.key),
                    "facility": change.facility,
                    "team": change.team,
                    "fields": [
                        {"name": item.name, "before": _plain(item.before), "after": _plain(item.after)}
                        for item in change.fields
                    ],
                    "depends_on": [self._path(key) for key in sorted(change.depends_on)],
                }
                for change in self.changes
            ],
            "conflicts": self._notes(self.conflicts),
            "kept": self._notes(self.kept),
        }

    def _path(self, key: Key) -> str:
        return f"{self.system}/{key.kind}/{key.name}"

    def _notes(self, notes: Iterable[Conflict | Kept]) -> list[dict[str, str]]:
        return [
            {"key": self._path(note.key), "facility": note.facility, "reason": note.reason} for note in notes
        ]


def make_plan(system: str, desired: State, observed: State, *, adopt: bool = False) -> Plan:
    """The plan that turns `observed` into `desired`.

    What is not ours is never changed: an object that should exist and is there without our mark is a
    conflict, or is taken over when `adopt` says so. What is ours and not desired is deleted, unless it is to
    be kept. Raises ValueError when objects depend on each other in a circle.
    """
    changes: list[Change] = []
    conflicts: list[Conflict] = []
    kept: list[Kept] = []
    for key, wanted in desired.items():
        found = observed.get(key)
        if found is None:
            changes.append(_change(Action.CREATE, wanted, _all_fields(wanted, None)))
            continue
        if not found.owned and not adopt:
            reason = "it exists and does not carry our mark; remove it, or take it over with --adopt"
            conflicts.append(Conflict(key, reason, wanted.facility))
            continue
        differing = _differing_fields(found, wanted)
        stuck = [item for item in differing if item.name in wanted.fixed]
        conflicts.extend(
            Conflict(
                key,
                f"its {item.name} is {item.before} and cannot be changed to {item.after}",
                wanted.facility,
            )
            for item in stuck
        )
        free = tuple(item for item in differing if item.name not in wanted.fixed)
        if free or not found.owned:
            changes.append(_change(Action.UPDATE if found.owned else Action.ADOPT, wanted, free))
    for key, found in observed.items():
        if key in desired or not found.owned:
            continue
        if found.keep:
            kept.append(Kept(key, found.keep, found.facility))
        else:
            changes.append(_change(Action.DELETE, found, _all_fields(None, found)))
    return Plan(system, tuple(_ordered(changes)), tuple(conflicts), tuple(kept))


def _change(action: Action, resource: Resource, fields: tuple[FieldChange, ...]) -> Change:
    return Change(action, resource.key, fields, resource.depends_on, resource.facility, resource.team)


def _all_fields(wanted: Resource | None, found: Resource | None) -> tuple[FieldChange, ...]:
    source = wanted or found
    names = source.fields if source else ()
    return tuple(
        FieldChange(name, found.fields[name] if found else None, wanted.fields[name] if wanted else None)
        for name in names
    )


def _differing_fields(found: Resource, wanted: Resource) -> tuple[FieldChange, ...]:
    return tuple(
        FieldChange(name, found.fields.get(name), value)
        for name, value in wanted.fields.items()
        if found.fields.get(name) != value
    )


def _waves(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """Groups of changes that are all deletions or all not: dependencies first, in deletions last."""
    by_key = {change.key: change for change in changes}
    sorter: TopologicalSorter[Key] = TopologicalSorter()
    for change in changes:
        sorter.add(change.key)
        for needed in change.depends_on & by_key.keys():
            if change.action is Action.DELETE:
                sorter.add(needed, change.key)
            else:
                sorter.add(change.key, needed)
    sorter.prepare()
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        yield [by_key[key] for key in ready]
        sorter.done(*ready)


def _ordered(changes: Sequence[Change]) -> Iterator[Change]:
    planned = {change.key for change in changes}
    try:
        for wave in Plan("", tuple(changes)).waves():
            for change in wave:
                yield replace(change, depends_on=change.depends_on & planned)
    except CycleError as error:
        circle = " → ".join(str(key) for key in error.args[1])
        raise ValueError(f"these depend on each other in a circle: {circle}") from None


def _plain(value: Value | None) -> object:
    return list(value) if isinstance(value, tuple) else value


def _minus(left: Value | None, right: Value | None) -> tuple[str, ...]:
    if not isinstance(left, tuple):
        return ()
    gone = set(right) if isinstance(right, tuple) else set()
    return tuple(text for text in left if text not in gone)
