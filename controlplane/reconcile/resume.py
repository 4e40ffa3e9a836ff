"""A saved plan against the world as it is now."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from controlplane.errors import BicError
from controlplane.reconcile.saved import SavedSystem, digest
from controlplane.state import (
    Action,
    Change,
    FieldChange,
    Key,
    Plan,
    Resource,
    Scope,
    State,
    Value,
    differing_fields,
    make_fields,
)

SHOWN = 20
"""Objects that have moved which are named before only their number is."""


class MovedError(BicError):
    """The world is not as it was when the plan was saved."""


@dataclass(frozen=True)
class Moved:
    """An object that is not as it was, and how."""

    key: Key
    how: str


@dataclass(frozen=True)
class Rest:
    """What is left of a saved plan."""

    plan: Plan
    done: int
    """Changes that need not be made any more: the objects are as the plan wants them."""
    moved: tuple[Moved, ...]


def rest(saved: SavedSystem, observed: State, scope: Scope, begun: AbstractSet[Key]) -> Rest:
    """What is left to do of a saved plan, and what has moved under it.

    `begun` holds what earlier runs of the same plan began to change: such an object may be anywhere between
    before and after. Every other one has to be as it was or as the plan wants it.
    """
    left: list[Change] = []
    moved: list[Moved] = []
    done = 0
    planned = {change.key for change in saved.plan.changes}
    for change in saved.plan.changes:
        found = observed.find(change.key)
        if _reached(change, found):
            done += 1
        elif how := _hindrance(change, found):
            moved.append(Moved(change.key, how))
        elif _was(saved, change.key) == (digest(found) if found else None):
            left.append(change)
        elif change.key in begun:
            left.append(_remaining(change, found))
        else:
            moved.append(Moved(change.key, _how(change, found)))
    for key, found in observed.items():
        if found.owned and key not in planned and scope.has(found) and _was(saved, key) != digest(found):
            moved.append(Moved(key, "it is not as it was" if _was(saved, key) else "it is new"))
    for kind, names in saved.observed.items():
        for name in names:
            if (key := Key(kind, name)) not in planned and key not in observed:
                moved.append(Moved(key, "it is gone"))
    return Rest(
        replace(saved.plan, changes=tuple(left)), done, tuple(sorted(moved, key=lambda item: item.key))
    )


def moved_error(moved: Iterable[tuple[str, Moved]]) -> MovedError:
    """The error that names what has moved; `moved` holds systems' identifiers with their objects."""
    lines = [f"  {system}: {item.key}: {item.how}" for system, item in moved]
    if len(lines) > SHOWN:
        lines[SHOWN:] = [f"  … and {len(lines) - SHOWN:,} more"]
    return MovedError(
        "\n".join(
            [
                "nothing was changed, because these objects are not as they were when the plan was saved:",
                *lines,
                "Make a new plan with bic plan -o, and review it.",
            ]
        )
    )


def _was(saved: SavedSystem, key: Key) -> str | None:
    return saved.observed.get(key.kind, {}).get(key.name)


def _reached(change: Change, found: Resource | None) -> bool:
    if change.action is Action.DELETE:
        return found is None
    return found is not None and found.owned and not differing_fields(found.fields, _after(change))


def _hindrance(change: Change, found: Resource | None) -> str:
    """Why a deletion would do more than was reviewed, or empty."""
    if change.action is not Action.DELETE or found is None:
        return ""
    if found.keep:
        return f"it is not deleted any more: {found.keep}"
    if found.destroys and not change.destroys:
        return f"its deletion would now destroy {found.destroys}"
    return ""


def _remaining(change: Change, found: Resource | None) -> Change:
    """The change from what an unfinished attempt left."""
    if found is None or change.action is Action.DELETE:
        return change
    action = Action.UPDATE if found.owned else change.action
    return replace(change, action=action, fields=differing_fields(found.fields, _after(change)))


def _after(change: Change) -> dict[str, Value]:
    return dict(make_fields({item.name: item.after for item in change.fields if item.after is not None}))


def _how(change: Change, found: Resource | None) -> str:
    if found is None:
        return "it is gone"
    if change.action is Action.CREATE:
        return "it exists now"
    different = [item for item in change.fields if found.fields.get(item.name) != item.before]
    return (
        "; ".join(_moved_field(item, found.fields.get(item.name)) for item in different)
        or "it is not as it was"
    )


def _moved_field(item: FieldChange, now: Value | None) -> str:
    if isinstance(item.before, tuple) and isinstance(now, tuple):
        since = FieldChange(item.name, item.before, now)
        parts = [f"+{text}" for text in since.added] + [f"-{text}" for text in since.removed]
        return f"{item.name}: {' '.join(parts[:SHOWN])}{' …' if len(parts) > SHOWN else ''}"
    return f"{item.name}: {item.before} → {now}"
