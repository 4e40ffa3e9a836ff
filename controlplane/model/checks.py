"""What the files of an inventory must agree on, across all of them."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address
from pathlib import PurePosixPath

from controlplane.model.documents import Documents, FacilityDocument, PlatformDocument, mentions, place_of
from controlplane.model.facility_file import PersonEntry
from controlplane.model.problems import Place, Problem, suggestion
from controlplane.model.source import Key

# Names that every iRODS zone has from its setup on, whoever runs it.
RESERVED_ACCOUNTS = ("anonymous", "public", "rodsadmin")
RESERVED_STORAGE_RESOURCES = ("bundleResc",)

PROVIDER = "irods_catalog_provider"
CONSUMER = "irods_catalog_consumer"


def check(documents: Documents) -> Iterator[Problem]:
    """All disagreements between the files."""
    platform, facilities = documents.platform, documents.facilities
    if platform:
        yield from _data_centres_of_hosts(platform)
        yield from _zones(platform)
        for facility in facilities:
            yield from _references(platform, facility)
    yield from _facility_identifiers(facilities)
    yield from _hosts(platform, facilities)
    yield from _accounts(platform, facilities)
    yield from _people(facilities)
    yield from _storage_resources(facilities)


def _unknown(place: Place, what: str, name: str, known: Sequence[str]) -> Problem:
    return Problem(place, f"there is no {what} {name!r}; {suggestion(name, known, noun='known')}")


def _data_centres_of_hosts(platform: PlatformDocument) -> Iterator[Problem]:
    known = list(platform.data.data_centres)
    for name, host in platform.data.hosts.items():
        if host.data_centre not in known:
            place = platform.at("hosts", name, "data_centre")
            yield _unknown(place, "data centre", host.data_centre, known)
        for index, service in enumerate(host.services):
            if service in host.services[:index]:
                place = platform.at("hosts", name, "services", index)
                yield Problem(place, f"the service {service!r} is listed twice")
        if {PROVIDER, CONSUMER} <= set(host.services):
            place = platform.at("hosts", name, "services")
            yield Problem(place, f"a host is either {PROVIDER} or {CONSUMER}, not both")


def _zones(platform: PlatformDocument) -> Iterator[Problem]:
    """Every iRODS server is in exactly one zone, in the part that its service says."""
    hosts = platform.data.hosts
    served: dict[str, Place] = {}
    for zone_name, zone in platform.data.zones.items():
        servers: list[tuple[str, str, tuple[Key, ...]]] = [
            (zone.catalog_provider, PROVIDER, ("zones", zone_name, "catalog_provider")),
            *(
                (host, CONSUMER, ("zones", zone_name, "catalog_consumers", index))
                for index, host in enumerate(zone.catalog_consumers)
            ),
        ]
        for host, service, route in servers:
            place = platform.at(*route)
            if host not in hosts:
                yield _unknown(place, "host", host, list(hosts))
            elif service not in hosts[host].services:
                yield Problem(
                    place,
                    f"the host {host!r} does not have the service {service}; "
                    f"add it at {platform.at('hosts', host)}",
                )
            if host in served:
                yield Problem(place, f"the host {host!r} already serves the zone named at {served[host]}")
            served.setdefault(host, place)
    for name, host_entry in hosts.items():
        if name not in served and {PROVIDER, CONSUMER} & set(host_entry.services):
            yield Problem(
                platform.at("hosts", name, "services"),
                f"the host {name!r} is an iRODS server, but no zone names it under 'zones'",
            )


def _references(platform: PlatformDocument, facility: FacilityDocument) -> Iterator[Problem]:
    data, source = facility.data, facility.source
    if data.data_centre not in platform.data.data_centres:
        yield _unknown(
            source.at("data_centre"), "data centre", data.data_centre, list(platform.data.data_centres)
        )
    zone = platform.data.zones.get(data.zone)
    if zone is None:
        yield _unknown(source.at("zone"), "zone", data.zone, list(platform.data.zones))
    for name, resource in data.storage_resources.items():
        if resource.host is None:
            continue
        place = source.at("storage_resources", name, "host")
        if resource.host not in platform.data.hosts:
            yield _unknown(place, "host", resource.host, list(platform.data.hosts))
        elif zone and resource.host not in (servers := [zone.catalog_provider, *zone.catalog_consumers]):
            yield Problem(
                place,
                f"the host {resource.host!r} is not a server of the zone {data.zone}; "
                f"{suggestion(resource.host, servers, noun='its servers')}",
            )


def _facility_identifiers(facilities: Sequence[FacilityDocument]) -> Iterator[Problem]:
    seen: dict[str, Place] = {}
    for facility in facilities:
        place = facility.at("id")
        if earlier := seen.get(facility.data.id):
            yield Problem(place, f"the facility {facility.data.id!r} is already described at {earlier}")
        elif facility.data.id != facility.stem:
            yield Problem(
                place, f"the facility {facility.data.id!r} must be in a file named {facility.data.id}.yml"
            )
        seen.setdefault(facility.data.id, place)
        teams: dict[str, Place] = {}
        for index, team in enumerate(facility.data.teams):
            team_place = facility.at("teams", index, "id")
            if other := teams.get(team.id):
                yield Problem(team_place, f"the team {team.id!r} is already described at {other}")
            teams.setdefault(team.id, team_place)


def _hosts(platform: PlatformDocument | None, facilities: Sequence[FacilityDocument]) -> Iterator[Problem]:
    """Host names and addresses are unique, and a sandbox's addresses lie in its network."""
    mentions: list[tuple[str, Place, IPv4Address, Place]] = []
    if platform:
        for name, host in platform.data.hosts.items():
            name_place = platform.key("hosts", name)
            mentions.append((name, name_place, host.address, platform.at("hosts", name, "address")))
    for facility in facilities:
        if entry := facility.data.buffer:
            places = facility.at("buffer", "host"), facility.at("buffer", "address")
            mentions.append((entry.host, places[0], entry.address, places[1]))
    names: dict[str, Place] = {}
    addresses: dict[IPv4Address, Place] = {}
    network = platform.data.sandbox.network if platform and platform.data.sandbox else None
    for name, name_place, address, address_place in mentions:
        if earlier := names.get(name):
            yield Problem(name_place, f"the host name {name!r} is already used at {earlier}")
        if taken := addresses.get(address):
            yield Problem(address_place, f"the address {address} is already used at {taken}")
        if network and address not in network:
            yield Problem(address_place, f"the address {address} is outside the sandbox network {network}")
        elif network and address in (network[0], network[1], network[-1]):
            yield Problem(
                address_place,
                f"the address {address} is not free: hosts have {network[2]} to {network[-2]}, "
                f"{network[1]} is the machine itself",
            )
        names.setdefault(name, name_place)
        addresses.setdefault(address, address_place)


def _accounts(platform: PlatformDocument | None, facilities: Sequence[FacilityDocument]) -> Iterator[Problem]:
    """Users and groups share one namespace in iRODS, and some names are taken from the start."""
    taken: dict[str, str] = {name: "iRODS itself" for name in RESERVED_ACCOUNTS}
    if platform:
        for zone_name, zone in platform.data.zones.items():
            place = platform.at("zones", zone_name, "administrator")
            taken[zone.administrator.user] = f"the administrator of zone {zone_name} ({place})"
    described: set[str] = set()
    identifiers = {facility.data.id for facility in facilities}
    for facility in facilities:
        if facility.data.id in described:
            continue  # A facility described twice is one problem, not one for each of its groups.
        described.add(facility.data.id)
        # A facility `a-b` next to one called `a`: whose is the group `a-b-c`?
        others = [name for name in identifiers if name.startswith(f"{facility.data.id}-")]
        groups = [(facility.data.id, facility.at("id"), f"the facility {facility.data.id!r}")]
        for index, team in enumerate(facility.data.teams):
            name = f"{facility.data.id}-{team.id}"
            place = facility.at("teams", index, "id")
            groups.append((name, place, f"the team {team.id!r} of {facility.data.id!r}"))
            if nested := next((other for other in others if name.startswith(f"{other}-")), None):
                yield Problem(
                    place,
                    f"the team's group {name!r} reads like one of the facility {nested!r}; rename the team",
                )
            if len(name) > 63:
                yield Problem(place, f"the group name {name!r} has more than the 63 characters of iRODS")
        mine: set[str] = set()
        for name, place, owner in groups:
            if name in taken and name not in mine:
                yield Problem(place, f"the group name {name!r} is taken by {taken[name]}")
            mine.add(name)
            taken.setdefault(name, f"{owner} ({place})")
    for facility in facilities:
        for person in mentions(facility.data):
            if person.user in taken:
                yield Problem(
                    place_of(facility, person),
                    f"the user name {person.user!r} is taken by {taken[person.user]}",
                )


def _people(facilities: Sequence[FacilityDocument]) -> Iterator[Problem]:
    """A person may be in several teams, but is the same person everywhere; in one team only once."""
    first: dict[str, tuple[PersonEntry, FacilityDocument]] = {}
    for facility in facilities:
        for person in mentions(facility.data):
            known, where = first.setdefault(person.user, (person, facility))
            if (known.name, known.email) != (person.name, person.email):
                yield Problem(
                    place_of(facility, person),
                    f"the user {person.user!r} is {known.name} <{known.email}> at {place_of(where, known)} "
                    f"and {person.name} <{person.email}> here; one user name is one person",
                )
        for team in facility.data.teams:
            seen: dict[str, PersonEntry] = {team.pi.user: team.pi}
            for member in team.members:
                if earlier := seen.get(member.user):
                    yield Problem(
                        place_of(facility, member),
                        f"the user {member.user!r} is already in this team at {place_of(facility, earlier)}",
                    )
                seen.setdefault(member.user, member)


def _storage_resources(facilities: Sequence[FacilityDocument]) -> Iterator[Problem]:
    """Names are unique in a zone, and no vault lies in another one of the same host."""
    names: dict[tuple[str, str], Place] = {}
    vaults: dict[str, list[tuple[PurePosixPath, Place]]] = {}
    for facility in facilities:
        for name, resource in facility.data.storage_resources.items():
            place = facility.key("storage_resources", name)
            if name in RESERVED_STORAGE_RESOURCES:
                yield Problem(place, f"the storage resource name {name!r} is taken by iRODS itself")
            if earlier := names.get((facility.data.zone, name)):
                yield Problem(
                    place,
                    f"the storage resource {name!r} of zone {facility.data.zone} "
                    f"is already described at {earlier}",
                )
            names.setdefault((facility.data.zone, name), place)
            if resource.host is None or resource.vault is None:
                continue
            vault = PurePosixPath(resource.vault)
            vault_place = facility.at("storage_resources", name, "vault")
            for other, other_place in vaults.get(resource.host, []):
                if vault.is_relative_to(other) or other.is_relative_to(vault):
                    yield Problem(
                        vault_place,
                        f"the vault {vault} overlaps {other} on the same host, given at {other_place}",
                    )
            vaults.setdefault(resource.host, []).append((vault, vault_place))
