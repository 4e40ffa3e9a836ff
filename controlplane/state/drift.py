"""How far two states are apart, without a plan."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from controlplane.state.diff import differing_fields
from controlplane.state.plan import FieldChange
from controlplane.state.resource import Key, State
from controlplane.state.scope import Scope


class Difference(StrEnum):
    """How an object differs from what is desired."""

    MISSING = "missing"
    """It is desired and not there."""
    DIFFERING = "differing"
    """It is there with other values."""
    SURPLUS = "surplus"
    """It is ours, nobody wants it, and it has not ended: it may be deleted, or somebody still has access."""
    UNMARKED = "unmarked"
    """It is desired, and what is there does not carry our mark."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """One object that is not as desired."""

    difference: Difference
    key: Key
    fields: tuple[FieldChange, ...] = ()
    """Of a differing object: its fields as they are (before) and as desired (after)."""
    facility: str = ""
    team: str = ""


@dataclass(frozen=True)
class Drift:
    """All deviations of one system, in the order of their keys."""

    deviations: tuple[Deviation, ...] = ()
    kinds: frozenset[str] = frozenset()
    """All kinds of objects that were compared, whether any deviates or not."""

    def counts(self) -> dict[tuple[str, Difference], int]:
        """How many objects, by kind and difference; zero where all is as desired."""
        found = Counter((item.key.kind, item.difference) for item in self.deviations)
        return {
            (kind, difference): found[kind, difference]
            for kind in sorted(self.kinds)
            for difference in Difference
        }

    def as_json(self) -> list[dict[str, Any]]:
        """The deviations in JSON's types."""
        return [
            {
                "difference": item.difference.value,
                "kind": item.key.kind,
                "name": item.key.name,
                "facility": item.facility,
                "team": item.team,
                "fields": [
                    {"name": field.name, "observed": field.before, "desired": field.after}
                    for field in item.fields
                ],
            }
            for item in self.deviations
        ]


def compare(desired: State, observed: State, scope: Scope | None = None) -> Drift:
    """The deviations of `observed` from `desired`, of the objects in the scope."""
    scope = scope or Scope()
    deviations: list[Deviation] = []
    for key, wanted in desired.items():
        if not scope.has(wanted):
            continue
        found = observed.find(key)
        fields: tuple[FieldChange, ...] = ()
        if found is None:
            difference = Difference.MISSING
        elif not found.owned:
            difference = Difference.UNMARKED
        elif fields := differing_fields(found.fields, wanted.fields):
            difference = Difference.DIFFERING
        else:
            continue
        deviations.append(Deviation(difference, key, fields, wanted.facility, wanted.team))
    for key, found in observed.items():
        if not found.owned or key in desired or not scope.has(found):
            continue
        if not found.keep or differing_fields(found.fields, found.retired):
            deviations.append(Deviation(Difference.SURPLUS, key, (), found.facility, found.team))
    deviations.sort(key=lambda item: item.key)
    return Drift(tuple(deviations), frozenset(key.kind for state in (desired, observed) for key in state))
