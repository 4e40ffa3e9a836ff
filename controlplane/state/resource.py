"""Managed objects and collections of them."""

from collections.abc import ItemsView, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

Value = str | int | bool | tuple[str, ...]
"""A field's value. A tuple is a set of texts: sorted, without repetition."""

Fields = Mapping[str, Value]
"""Values by the names of their fields, in the order of the names."""


class Key(NamedTuple):
    """What identifies an object in its system, today and tomorrow."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.replace('_', ' ')} {self.name}"


def make_fields(values: Mapping[str, Value]) -> Fields:
    """`values` in order, every tuple as a set; immutable.

    Objects whose fields are equal, such as all accounts of one kind, can share the result: that saves the
    memory, and comparing them costs nothing.
    """
    return MappingProxyType(
        {
            name: tuple(sorted(set(value))) if isinstance(value, tuple) else value
            for name, value in sorted(values.items())
        }
    )


NO_FIELDS = make_fields({})


@dataclass(frozen=True, slots=True)
class Resource:
    """A managed object, as it should be or as it was found."""

    key: Key
    fields: Fields = field(default_factory=lambda: NO_FIELDS)
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
    """Of a found object: why it is not deleted, or empty when it may be."""
    retired: Fields = field(default_factory=lambda: NO_FIELDS)
    """Of a found object: the values that some fields take on once nobody wants the object any more and it
    cannot be deleted at once: nobody has access, and the data stay."""
    destroys: str = ""
    """Of a found object: the data that its deletion destroys, for people, such as "1,234 data objects,
    2.1 TiB". Empty when its deletion destroys none."""

    def __post_init__(self) -> None:
        # A mapping proxy is what `make_fields` returned.
        if not isinstance(self.fields, MappingProxyType):
            object.__setattr__(self, "fields", make_fields(self.fields))
        if not isinstance(self.retired, MappingProxyType):
            object.__setattr__(self, "retired", make_fields(self.retired))


class State(Mapping[Key, Resource]):
    """Objects by key, in the order of their keys, whatever order they came in."""

    __slots__ = ("_resources",)

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        """Hold `resources`; raises ValueError when two have the same key."""
        ordered = sorted(resources, key=_key)
        self._resources = {resource.key: resource for resource in ordered}
        if len(self._resources) < len(ordered):
            same = next(a.key for a, b in pairwise(ordered) if a.key == b.key)
            raise ValueError(f"two resources have the key {same}")

    def __getitem__(self, key: Key) -> Resource:
        return self._resources[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._resources)

    def __len__(self) -> int:
        return len(self._resources)

    def find(self, key: Key) -> Resource | None:
        """An object, or None; as `get`, and several times as fast for those that are not there."""
        return self._resources.get(key)

    def items(self) -> ItemsView[Key, Resource]:
        """All objects with their keys; the dictionary's own view, which is several times as fast."""
        return self._resources.items()


def _key(resource: Resource) -> Key:
    return resource.key
