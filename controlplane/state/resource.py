"""Managed objects and collections of them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

Value = str | int | bool | tuple[str, ...]
"""A field's value. A tuple is a set of texts: sorted, without repetition."""


class Key(NamedTuple):
    """What identifies an object in its system, today and tomorrow."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.replace('_', ' ')} {self.name}"


@dataclass(frozen=True)
class Resource:
    """A managed object, as it should be or as it was found."""

    key: Key
    fields: Mapping[str, Value] = field(default_factory=dict)
    """What is compared, by name. Both sides of a comparison have the same names."""
    depends_on: frozenset[Key] = frozenset()
    """What must exist before this one can."""
    facility: str = ""
    """The facility it belongs to; empty when it belongs to the platform or to several."""
    team: str = ""
    """The team it belongs to; empty when it belongs to the whole facility."""
    fixed: frozenset[str] = frozenset()
    """The fields that cannot be changed once the object exists."""
    owned: bool = True
    """Of a found object: whether the control plane made it, as its mark says."""
    keep: str = ""
    """Of a found object: why it is never deleted, or empty when it may be."""

    def __post_init__(self) -> None:
        clean = {
            name: tuple(sorted(set(value))) if isinstance(value, tuple) else value
            for name, value in sorted(self.fields.items())
        }
        object.__setattr__(self, "fields", MappingProxyType(clean))


class State(Mapping[Key, Resource]):
    """Objects by key, in the order of their keys, whatever order they came in."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        """Hold `resources`; raises ValueError when two have the same key."""
        self._resources: dict[Key, Resource] = {}
        for resource in sorted(resources, key=lambda item: item.key):
            if resource.key in self._resources:
                raise ValueError(f"two resources have the key {resource.key}")
            self._resources[resource.key] = resource

    def __getitem__(self, key: Key) -> Resource:
        return self._resources[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._resources)

    def __len__(self) -> int:
        return len(self._resources)
