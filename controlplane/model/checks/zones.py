"""The storage resources of each zone, whichever file they are in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from controlplane.model.checks.spots import Spot
from controlplane.model.documents import Document, Documents, FacilityDocument
from controlplane.model.layout import Arrangement
from controlplane.model.platform_file import StorageResourceEntry
from controlplane.model.source import Key

LEAVES = ("unixfilesystem", "s3")
"""The types of storage resources that hold data themselves."""


@dataclass(frozen=True, slots=True)
class Node:
    """A storage resource as a file describes it."""

    name: str
    zone: str
    facility: str
    """The facility whose file describes it; empty for platform.yml."""
    entry: StorageResourceEntry
    document: Document[Any]
    section: tuple[Key, ...]
    """The way to the `storage_resources` that it is in."""

    @property
    def is_leaf(self) -> bool:
        """Whether it holds data itself."""
        return self.entry.type in LEAVES

    @property
    def spot(self) -> Spot:
        """Where its name is."""
        return Spot(self.document, (*self.section, self.name), is_key=True)

    def at(self, *route: Key) -> Spot:
        """Where a part of it is."""
        return Spot(self.document, (*self.section, self.name, *route))


def zone_of(documents: Documents, facility: FacilityDocument) -> str:
    """The zone of a facility; empty when nothing tells, which is a problem of the facility's own."""
    if documents.platform is None:
        return facility.data.zone or ""
    return Arrangement(documents.platform.data).zone_of(facility.data) or ""


def nodes(documents: Documents) -> Iterator[Node]:
    """All storage resources, in reading order, each in the zone that it is in."""
    if platform := documents.platform:
        arrangement = Arrangement(platform.data)
        for zone_name, zone in platform.data.zones.items():
            section = ("zones", zone_name, "storage_resources")
            for name, entry in zone.storage_resources.items():
                yield Node(name, arrangement.zone_named(zone_name), "", entry, platform, section)
    for facility in documents.facilities:
        data = facility.data
        if data.storage_resources and (in_zone := zone_of(documents, facility)):
            for name, entry in data.storage_resources.items():
                yield Node(name, in_zone, data.id, entry, facility, ("storage_resources",))


@dataclass
class Storage:
    """The storage resources of one zone."""

    names: dict[str, Node] = field(default_factory=dict)
    """All by name; of two with the same name, the first."""
    leaves: dict[str, list[Node]] = field(default_factory=dict)
    """Those that hold data, by facility; the zone's own under the empty name."""

    def usable(self, facility: FacilityDocument) -> list[str]:
        """The names of those that hold data and that a facility may name."""
        identifier = facility.data.id
        return [node.name for owner in ("", identifier) for node in self.leaves.get(owner, [])]

    def leaves_of(self, facility: FacilityDocument) -> list[Node]:
        """Where a facility's data can be.

        On its own leaves, and on the zone's where it has none or its own are in one of the zone's trees.
        """
        own = self.leaves.get(facility.data.id, [])
        described = facility.data.storage_resources
        parents = {entry.parent for entry in described.values()} - {None, *described}
        return own if own and not parents else [*own, *self.leaves.get("", [])]


def by_zone(documents: Documents) -> Mapping[str, Storage]:
    """The storage resources of each zone that has some."""
    found: dict[str, Storage] = {}
    for node in nodes(documents):
        storage = found.setdefault(node.zone, Storage())
        if storage.names.setdefault(node.name, node) is node and node.is_leaf:
            storage.leaves.setdefault(node.facility, []).append(node)
    return found
