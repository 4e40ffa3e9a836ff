"""Changes, and a plan of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from controlplane.state.resource import Key, Value


class Action(StrEnum):
    """What is done to an object."""

    CREATE = "create"
    UPDATE = "update"
    ADOPT = "adopt"
    """Take over an object that exists and was not ours."""
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Change:
    """Something to do to one object."""

    action: Action
    key: Key
    fields: tuple[FieldChange, ...]
    """All fields of an object that is created or deleted, else those that change."""
    depends_on: frozenset[Key] = frozenset()
    """The objects of the same plan whose changes have to be done before this one, deletions included: an
    object is deleted after what depends on it."""
    facility: str = ""
    team: str = ""
    destroys: str = ""
    """The data that this deletion destroys, for people; a person has to confirm it by name."""
    retires: bool = False
    """Whether this update ends the access to an object that nobody wants any more; its data stay."""

    def field(self, name: str) -> FieldChange | None:
        """The change of one field, or None when it stays as it is."""
        return next((change for change in self.fields if change.name == name), None)


@dataclass(frozen=True, slots=True)
class Note:
    """What a plan says of an object that it leaves as it is."""

    key: Key
    reason: str
    facility: str = ""
    team: str = ""


class Conflict(Note):
    """A desired object that the plan cannot reach, and why."""

    __slots__ = ()


class Kept(Note):
    """An object of ours that nobody wants any more and that is not deleted, and why."""

    __slots__ = ()


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
                    "destroys": change.destroys,
                    "retires": change.retires,
                }
                for change in self.changes
            ],
            "conflicts": self._notes(self.conflicts),
            "kept": self._notes(self.kept),
        }

    def _path(self, key: Key) -> str:
        return f"{self.system}/{key.kind}/{key.name}"

    def _notes(self, notes: Iterable[Note]) -> list[dict[str, str]]:
        return [
            {
                "key": self._path(note.key),
                "facility": note.facility,
                "team": note.team,
                "reason": note.reason,
            }
            for note in notes
        ]


def _plain(value: Value | None) -> object:
    return list(value) if isinstance(value, tuple) else value


def _minus(left: Value | None, right: Value | None) -> tuple[str, ...]:
    if not isinstance(left, tuple):
        return ()
    gone = set(right) if isinstance(right, tuple) else set()
    return tuple(text for text in left if text not in gone)
