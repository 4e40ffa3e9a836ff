"""Names and addresses that may be used only once."""

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import get_args

from controlplane.model.checks.spots import Spot, at, key
from controlplane.model.documents import Documents
from controlplane.model.problems import Problem
from controlplane.model.types import Service

# What Ansible would mix up with a host: words of its own, and the groups that are named after services and
# buffer servers.
RESERVED_HOSTS = frozenset({"all", "ungrouped", "localhost", "buffer", *get_args(Service)})


def check(documents: Documents) -> Iterator[Problem]:
    """What has an identifier, a host name or an address that it may not have."""
    yield from _identifiers(documents)
    yield from _hosts(documents)


def _identifiers(documents: Documents) -> Iterator[Problem]:
    seen: dict[str, Spot] = {}
    for facility in documents.facilities:
        spot = at(facility, "id")
        identifier = facility.data.id
        if earlier := seen.get(identifier):
            yield spot.problem(f"the facility {identifier!r} is already described at {earlier}")
        elif identifier != facility.stem:
            yield spot.problem(f"the facility {identifier!r} must be in a file named {identifier}.yml")
        seen.setdefault(identifier, spot)
        teams: dict[str, int] = {}
        for index, team in enumerate(facility.data.teams):
            first = teams.setdefault(team.id, index)
            if first != index:
                yield at(facility, "teams", index, "id").problem(
                    f"the team {team.id!r} is already described at {at(facility, 'teams', first, 'id')}"
                )


def _mentions(documents: Documents) -> Iterator[tuple[str, Spot, IPv4Address, Spot]]:
    """All hosts: name and address, each with where it is given."""
    if platform := documents.platform:
        for name, host in platform.data.hosts.items():
            yield name, key(platform, "hosts", name), host.address, at(platform, "hosts", name, "address")
    for facility in documents.facilities:
        if buffer := facility.data.buffer:
            yield (
                buffer.host,
                at(facility, "buffer", "host"),
                buffer.address,
                at(facility, "buffer", "address"),
            )


def _hosts(documents: Documents) -> Iterator[Problem]:
    """Host names and addresses are unique, and a sandbox's addresses lie in its network."""
    names: dict[str, Spot] = {}
    addresses: dict[IPv4Address, Spot] = {}
    platform = documents.platform
    network = platform.data.sandbox.network if platform and platform.data.sandbox else None
    for name, name_spot, address, address_spot in _mentions(documents):
        if name in RESERVED_HOSTS:
            yield name_spot.problem(f"a host cannot be named {name!r}, which means a group to Ansible")
        if earlier := names.get(name):
            yield name_spot.problem(f"the host name {name!r} is already used at {earlier}")
        if taken := addresses.get(address):
            yield address_spot.problem(f"the address {address} is already used at {taken}")
        if network and address not in network:
            yield address_spot.problem(f"the address {address} is outside the sandbox network {network}")
        elif network and address in (network[0], network[1], network[-1]):
            yield address_spot.problem(
                f"the address {address} is not free: hosts have {network[2]} to {network[-2]}, "
                f"{network[1]} is the machine itself"
            )
        names.setdefault(name, name_spot)
        addresses.setdefault(address, address_spot)
