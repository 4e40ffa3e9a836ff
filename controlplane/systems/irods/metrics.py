"""What is measured in a zone: its servers, its contents, and how much each facility stores.

All numbers come from aggregate queries, whose number depends on the facilities and not on the data. Every
replica of a data object counts: that is what fills the disks.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from irods.column import Column, Criterion, Like
from irods.models import Collection, Resource, User
from prometheus_client.core import GaugeMetricFamily, Metric

from controlplane.model import Platform, Zone
from controlplane.systems.irods import calls
from controlplane.systems.irods.client import Client, Endpoint, IrodsError, endpoint

SERVERS_INTERVAL = 30.0
CONTENTS_INTERVAL = 60.0
USAGE_INTERVAL = 300.0

TIMEOUT = 10.0
"""Seconds to wait for a server that is asked only whether it is there."""


def collectors(platform: Platform) -> "Iterator[Servers | Contents | Usage]":
    """Three collectors per zone, as often as each costs little."""
    for zone in platform.zones.values():
        yield Servers(platform, zone)
        yield Contents(platform, zone)
        yield Usage(platform, zone)


class Servers:
    """Whether each server of a zone lets the administrator in, and its version."""

    interval = SERVERS_INTERVAL

    def __init__(self, platform: Platform, zone: Zone) -> None:
        """Measure `zone`."""
        self.platform, self.zone = platform, zone
        self.name = f"irods_servers_{zone.name}"

    def collect(self) -> Iterable[Metric]:
        """One reading; a server that does not answer is a value, not an error."""
        up = GaugeMetricFamily(
            "bic_irods_server_up", "Whether the server lets the administrator in.", labels=("zone", "host")
        )
        info = GaugeMetricFamily(
            "bic_irods_server_info", "The server's version.", labels=("zone", "host", "version")
        )
        # The password comes first: that it cannot be read is no server's fault.
        servers = [endpoint(self.zone, self.platform.hosts[name], TIMEOUT) for name in self.zone.servers]
        with ThreadPoolExecutor(len(servers)) as workers:
            versions = list(workers.map(_version, servers))
        for host, version in zip(self.zone.servers, versions, strict=True):
            up.add_metric([self.zone.name, host], 1.0 if version else 0.0)
            if version:
                info.add_metric([self.zone.name, host, version], 1.0)
        return up, info


class Contents:
    """How many accounts and collections a zone has, and its storage resources."""

    interval = CONTENTS_INTERVAL

    def __init__(self, platform: Platform, zone: Zone) -> None:
        """Measure `zone`."""
        self.platform, self.zone = platform, zone
        self.name = f"irods_contents_{zone.name}"

    def collect(self) -> Iterable[Metric]:
        """One reading. Raises BicError."""
        with _client(self.platform, self.zone) as client:
            numbers = counts(client)
            storage = client.rows(
                Resource.name, Resource.type, Resource.location, Resource.status, Resource.free_space
            )
        for what, count in numbers.items():
            yield _gauge(f"bic_irods_{what}", f"Number of {what} in the zone.", self.zone.name, count)
        yield from self._storage(storage)

    def _storage(self, rows: list[tuple[str, ...]]) -> Iterator[Metric]:
        facility = {
            resource.name: resource.facility
            for of_zone in self.platform.facilities_of(self.zone.name)
            for resource in of_zone.storage_resources
        }
        names = ("zone", "storage_resource", "facility")
        up = GaugeMetricFamily(
            "bic_irods_storage_resource_up", "Whether the storage resource is in service.", labels=names
        )
        info = GaugeMetricFamily(
            "bic_irods_storage_resource_info",
            "The storage resource's type and host.",
            labels=(*names, "type", "host"),
        )
        free = GaugeMetricFamily(
            "bic_irods_storage_resource_free_bytes", "Free space as the catalogue knows it.", labels=names
        )
        for name, kind, host, status, space in rows:
            labels = [self.zone.name, name, facility.get(name, "")]
            up.add_metric(labels, 0.0 if status == "down" else 1.0)
            info.add_metric([*labels, kind, host], 1.0)
            if space.isdecimal():
                free.add_metric(labels, float(space))
        yield from (up, info, free)


class Usage:
    """How much data a zone and each facility hold."""

    interval = USAGE_INTERVAL

    def __init__(self, platform: Platform, zone: Zone) -> None:
        """Measure `zone`."""
        self.platform, self.zone = platform, zone
        self.name = f"irods_usage_{zone.name}"

    def collect(self) -> Iterable[Metric]:
        """One reading. Raises BicError."""
        with _client(self.platform, self.zone) as client:
            objects, size = _usage(client)
            facilities = usage_of(
                client, [facility.id for facility in self.platform.facilities_of(self.zone.name)]
            )
        yield _gauge("bic_irods_data_objects", "Data objects, replicas included.", self.zone.name, objects)
        yield _gauge("bic_irods_data_bytes", "Bytes of all data, replicas included.", self.zone.name, size)
        labels = ("zone", "facility")
        objects_of = GaugeMetricFamily(
            "bic_irods_facility_data_objects", "Data objects of a facility, replicas included.", labels=labels
        )
        bytes_of = GaugeMetricFamily(
            "bic_irods_facility_data_bytes", "Bytes of a facility's data, replicas included.", labels=labels
        )
        for facility, (objects, size) in facilities.items():
            objects_of.add_metric([self.zone.name, facility], objects)
            bytes_of.add_metric([self.zone.name, facility], size)
        yield from (objects_of, bytes_of)


Amount = tuple[float, float]
"""Data objects and bytes."""


def counts(client: Client) -> dict[str, float]:
    """How many users, groups and collections the client's zone has. Raises IrodsError."""
    here = User.zone == client.server.zone
    return {
        "users": _number(client, User.id, here, User.type != "rodsgroup"),
        "groups": _number(client, User.id, here, User.type == "rodsgroup"),
        "collections": _number(client, Collection.id),
    }


def usage_of(client: Client, facilities: Iterable[str]) -> dict[str, Amount]:
    """What each facility holds: in its home collection, below it, and in its teams' homes.

    Raises IrodsError.
    """
    prefixes = {name: f"/{client.server.zone}/home/{name}" for name in facilities}
    homes = {
        name: [
            _usage(client, Collection.name == home),
            _usage(client, Like(Collection.name, f"{home}/%")),
            _usage(client, Like(Collection.name, f"{home}-%")),
        ]
        for name, home in prefixes.items()
    }
    return facility_totals(homes)


def facility_totals(homes: dict[str, list[Amount]]) -> dict[str, Amount]:
    """What each facility holds, from what is under its prefixes.

    The prefix of the facility `a` also covers the homes of a facility `a-b`, which is not one of its teams,
    so what that one holds is taken off.
    """
    totals: dict[str, Amount] = {}
    for facility in sorted(homes, key=len, reverse=True):
        objects = sum(amount[0] for amount in homes[facility])
        size = sum(amount[1] for amount in homes[facility])
        for other, held in totals.items():
            if other.startswith(f"{facility}-"):
                objects -= held[0]
                size -= held[1]
        totals[facility] = (objects, size)
    return dict(sorted(totals.items()))


def _version(server: Endpoint) -> str:
    """The server's version, or nothing when it does not let the administrator in."""
    try:
        with Client(server, connections=1) as client, client.session() as session:
            return ".".join(str(part) for part in session.server_version)
    except IrodsError:
        return ""


def _client(platform: Platform, zone: Zone) -> Client:
    return Client(endpoint(zone, platform.hosts[zone.catalog_provider]), connections=1)


def _gauge(name: str, documentation: str, zone: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=("zone",))
    family.add_metric([zone], value)
    return family


def _number(client: Client, column: Column, *where: Criterion) -> float:
    with client.session() as session:
        rows = session.query().filter(*where).count(column).all()
        return _value(rows[0][column]) if len(rows) else 0.0


def _usage(client: Client, *where: Criterion) -> Amount:
    number, size = client.call(lambda session: calls.amount(session, *where))
    return float(number), float(size)


def _value(text: object) -> float:
    # The sum over nothing comes as an empty text.
    return float(str(text)) if text not in (None, "") else 0.0
