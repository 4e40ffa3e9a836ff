"""How much room storage resources have, kept in the catalogue.

iRODS 5.0.2 never finds out by itself. It reads the number where a storage resource's context has
`minimum_free_space_for_create_in_bytes`, and without a number it refuses every data object there. So the
control plane asks each server for the room on the file system of its vaults and writes the answers down:
before it sets such a context, and for all storage resources whenever it is told to.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from irods.models import Resource
from irods.session import iRODSSession

from controlplane.model import Platform
from controlplane.systems.irods import calls
from controlplane.systems.irods.client import Client, IrodsError, endpoint

TIMEOUT = 30.0
"""Seconds for one answer; a server that is off takes the provider's time to find out."""

AT_ONCE = 4
"""Hosts that are asked at a time."""

NEEDS_IT = "minimum_free_space_for_create_in_bytes="
"""What is in the context of a storage resource whose room must be known."""


@dataclass(frozen=True, order=True)
class Measured:
    """The room of one storage resource, in bytes, or why it is not known."""

    zone: str
    host: str
    name: str
    free: int | None
    error: str = ""


@dataclass(frozen=True)
class _Place:
    name: str
    host: str
    vault: str
    hierarchy: str
    """Its name after those of all above it, as iRODS writes it."""


def measure_all(platform: Platform) -> Iterator[Measured]:
    """Measure the platform's storage resources that are folders, zone by zone, and write down what is
    found."""
    for zone in platform.zones.values():
        wanted = {
            found.name: platform.hosts[found.host].fqdn
            for found in platform.storage_resources_of(zone.name)
            if found.kind == "unixfilesystem" and found.host
        }
        provider = endpoint(zone, platform.hosts[zone.catalog_provider], TIMEOUT)
        with Client(provider, AT_ONCE) as client:
            yield from sorted(_zone(client, wanted))


def measure(session: iRODSSession, name: str) -> int:
    """Measure one storage resource, write down the bytes that are free and return them."""
    (place,) = _places(session, [name])
    return _measure(session, place)


def _zone(client: Client, wanted: Mapping[str, str]) -> Iterable[Measured]:
    zone = client.server.zone
    try:
        places = client.call(lambda session: _places(session, wanted))
    except IrodsError as error:
        return [Measured(zone, host, name, None, str(error)) for name, host in wanted.items()]
    missing = wanted.keys() - {place.name for place in places}
    by_host = [list(some) for _, some in groupby(places, key=lambda place: place.host)]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="free-space") as workers:
        found = list(workers.map(lambda some: _host(client, some), by_host))
    return [
        *(measured for some in found for measured in some),
        *(Measured(zone, wanted[name], name, None, "it is not in the zone yet") for name in missing),
    ]


def _host(client: Client, places: Iterable[_Place]) -> list[Measured]:
    """The storage resources of one host, one after the other; a host that does not answer is asked once."""
    zone, gone, found = client.server.zone, "", []
    for place in places:
        free: int | None = None
        error = gone
        if not gone:
            try:
                free = client.call(partial(_measure, place=place))
            except IrodsError as failure:
                error = str(failure)
                gone = error if failure.transient else ""
        found.append(Measured(zone, place.host, place.name, free, error))
    return found


def _measure(session: iRODSSession, place: _Place) -> int:
    free = calls.free_space(session, place.hierarchy, place.vault)
    calls.administer(session, "modify", "resource", place.name, "free_space", str(free))
    return free


def _places(session: iRODSSession, names: Collection[str]) -> list[_Place]:
    """Where storage resources are, by host; those that do not exist are left out."""
    columns = (Resource.id, Resource.name, Resource.location, Resource.vault_path, Resource.parent)
    rows = {row[0]: row for row in calls.rows(session, columns)}
    places = []
    for row in rows.values():
        if row[1] in names:
            line = [row[1]]
            parent = row[4]
            while parent in rows:
                line.insert(0, rows[parent][1])
                parent = rows[parent][4]
            places.append(_Place(row[1], row[2], row[3], ";".join(line)))
    return sorted(places, key=lambda place: (place.host, place.name))
