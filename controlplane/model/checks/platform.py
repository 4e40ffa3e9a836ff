"""Data centres, hosts, zones and their federation."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from controlplane.model.checks.spots import Spot, at, key
from controlplane.model.documents import Documents, PlatformDocument
from controlplane.model.layout import CONSUMER, PROVIDER, Arrangement
from controlplane.model.platform import service_name
from controlplane.model.platform_file import RemoteZoneEntry, ZoneEntry
from controlplane.model.problems import Problem
from controlplane.model.source import Key
from controlplane.model.types import Service

GATEWAY: Service = "irods_gateway"
GRAFANA: Service = "grafana"
OMERO: Service = "omero_server"
HTTPS_PORT = 443


def check(documents: Documents) -> Iterator[Problem]:
    """What is wrong in platform.yml."""
    if platform := documents.platform:
        yield from _hosts(platform)
        yield from _servers(platform)
        yield from _store(platform)
        yield from _portal(platform)
        yield from _gateways(platform)
        yield from _omero_servers(platform)
        for name, zone in platform.data.zones.items():
            yield from _federation(platform, name, zone)
        if platform.data.layout == "federated":
            yield from _federated(platform)
        elif Arrangement(platform.data).joined:
            yield from _one_zone(platform)


def _hosts(platform: PlatformDocument) -> Iterator[Problem]:
    known = platform.data.data_centres
    for name, host in platform.data.hosts.items():
        if host.data_centre not in known and not platform.may_hold(host.data_centre):
            yield at(platform, "hosts", name, "data_centre").unknown("data centre", host.data_centre, known)
        for index, service in enumerate(host.services):
            if service in host.services[:index]:
                yield at(platform, "hosts", name, "services", index).problem(
                    f"the service {service!r} is listed twice"
                )
        if {PROVIDER, CONSUMER} <= set(host.services):
            yield at(platform, "hosts", name, "services").problem(
                f"a host is either {PROVIDER} or {CONSUMER}, not both"
            )


def _store(platform: PlatformDocument) -> Iterator[Problem]:
    """The control plane's database is where PostgreSQL is deployed."""
    if store := platform.data.store:
        yield from serves(platform, at(platform, "store", "host"), store.host, "postgresql")


def _portal(platform: PlatformDocument) -> Iterator[Problem]:
    """The portal runs where the control plane does, and its visitors need somewhere to log in."""
    if portal := platform.data.portal:
        yield from serves(platform, at(platform, "portal", "host"), portal.host, "controlplane")
        if platform.data.identity is None and platform.complete:
            yield key(platform, "portal").problem(
                "the portal needs a login server; describe it under 'identity'"
            )
        host = platform.data.hosts.get(portal.host)
        if host and GRAFANA in host.services and (urlsplit(portal.url).port or HTTPS_PORT) == HTTPS_PORT:
            yield at(platform, "portal", "url").problem(
                f"the portal and {service_name(GRAFANA, platform.data.domain)} would both listen on port "
                f"{HTTPS_PORT} of {portal.host!r}; write a port into the portal's address, or give the "
                f"service {GRAFANA} to another host"
            )


def _gateways(platform: PlatformDocument) -> Iterator[Problem]:
    """A gateway enters its zone at a server of its own data centre."""
    hosts = platform.data.hosts
    servers = [
        name
        for zone in platform.data.zones.values()
        for name in (zone.catalog_provider, *zone.catalog_consumers)
    ]
    near = {hosts[name].data_centre for name in servers if name in hosts}
    for name, host in hosts.items():
        if GATEWAY in host.services and host.data_centre not in near and platform.complete:
            yield at(platform, "hosts", name, "services").problem(
                f"the data centre {host.data_centre!r} has no iRODS server at which the gateway could enter "
                "a zone; give it a catalog consumer, or move the gateway"
            )


def _omero_servers(platform: PlatformDocument) -> Iterator[Problem]:
    """Every OMERO server is described, and has a database."""
    known = platform.data.omero_servers
    for host, server in known.items():
        spot = key(platform, "omero_servers", host)
        yield from serves(platform, spot, host, OMERO)
        if server.database_host is not None:
            spot = at(platform, "omero_servers", host, "database_host")
        yield from serves(platform, spot, server.database_host or host, "postgresql")
    for name, entry in platform.data.hosts.items():
        if OMERO in entry.services and name not in known and platform.complete:
            yield at(platform, "hosts", name, "services").problem(
                f"the host {name!r} has the service {OMERO}, but nothing says how the control plane enters "
                "it; add it under 'omero_servers' with a 'password'"
            )


def serves(platform: PlatformDocument, spot: Spot, host: str, service: str) -> Iterator[Problem]:
    """The host that is named at `spot` exists and has the service that it is named for."""
    hosts = platform.data.hosts
    if host not in hosts:
        if not platform.may_hold(host):
            yield spot.unknown("host", host, hosts)
    elif service not in hosts[host].services and platform.complete:
        yield spot.problem(
            f"the host {host!r} does not have the service {service}; add it at {at(platform, 'hosts', host)}"
        )


def _servers(platform: PlatformDocument) -> Iterator[Problem]:
    """Every iRODS server is in exactly one zone, in the part that its service says."""
    hosts = platform.data.hosts
    served: dict[str, Spot] = {}
    for zone_name, zone in platform.data.zones.items():
        servers: list[tuple[str, str, tuple[Key, ...]]] = [
            (zone.catalog_provider, PROVIDER, ("catalog_provider",)),
            *(
                (host, CONSUMER, ("catalog_consumers", index))
                for index, host in enumerate(zone.catalog_consumers)
            ),
        ]
        for host, service, route in servers:
            spot = at(platform, "zones", zone_name, *route)
            yield from serves(platform, spot, host, service)
            if host in served:
                yield spot.problem(f"the host {host!r} already serves the zone named at {served[host]}")
            served.setdefault(host, spot)
    for name, entry in hosts.items():
        if name not in served and {PROVIDER, CONSUMER} & set(entry.services) and platform.complete:
            yield at(platform, "hosts", name, "services").problem(
                f"the host {name!r} is an iRODS server, but no zone names it under 'zones'"
            )


def _federated(platform: PlatformDocument) -> Iterator[Problem]:
    """A federation needs two, and each of its zones to be told of another."""
    zones = platform.data.zones
    if not platform.complete:
        return
    if len(zones) < 2:
        yield at(platform, "layout").problem(
            f"the layout is federated, but there {'is one zone' if zones else 'are no zones'}; "
            "describe the other zones under 'zones', or remove 'layout'"
        )
        return
    for name, zone in zones.items():
        if not zone.federation:
            yield key(platform, "zones", name).problem(
                f"the layout is federated, but the zone {name!r} is federated with none of this platform; "
                f"add 'federation', or make it 'layout: one_zone' at {at(platform, 'layout')}"
            )


def _one_zone(platform: PlatformDocument) -> Iterator[Problem]:
    """What all parts of one zone must agree on."""
    first, *others = platform.data.zones
    port = platform.data.zones[first].port
    remote: dict[str, tuple[RemoteZoneEntry, Spot]] = {}
    for name, zone in platform.data.zones.items():
        if name in others and zone.port != port:
            yield at(platform, "zones", name, "port").problem(
                f"the layout makes {first} and {name} one zone, whose servers have one port, "
                f"and {first} has {port}"
            )
        for other, entry in zone.remote_zones.items():
            spot = key(platform, "zones", name, "remote_zones", other)
            known, where = remote.setdefault(other, (entry, spot))
            if known != entry:
                yield spot.problem(
                    f"the layout makes {first} and {name} one zone, and the remote zone {other!r} is "
                    f"described otherwise at {where}"
                )


def _federation(platform: PlatformDocument, name: str, zone: ZoneEntry) -> Iterator[Problem]:
    zones = platform.data.zones
    for index, other in enumerate(zone.federation):
        spot = at(platform, "zones", name, "federation", index)
        if other == name:
            yield spot.problem(f"the zone {name!r} cannot be federated with itself")
        elif other in zone.federation[:index]:
            yield spot.problem(f"the zone {other!r} is listed twice")
        elif other not in zones:
            if not platform.may_hold(other):
                others = [known for known in zones if known != name]
                yield spot.unknown("zone", other, others, noun="this platform's other zones")
        elif name not in zones[other].federation and platform.complete:
            yield spot.problem(
                f"the federation of {name} with {other} is one-sided; "
                f"name {name} under 'federation' of {other} too, at {key(platform, 'zones', other)}"
            )
    for other in zone.remote_zones:
        spot = key(platform, "zones", name, "remote_zones", other)
        if other == name:
            yield spot.problem(f"the remote zone {other!r} has the name of the zone itself")
        elif other in zones:
            yield spot.problem(
                f"the zone {other!r} is one of this platform; name it under 'federation', not 'remote_zones'"
            )
