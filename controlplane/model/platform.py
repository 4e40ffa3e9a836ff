"""The platform as immutable objects that refer to each other by name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from controlplane.model.files import Role, Service
from controlplane.model.secrets import Secret


@dataclass(frozen=True)
class DataCentre:
    """A data centre."""

    id: str
    title: str
    city: str


@dataclass(frozen=True)
class Sandbox:
    """The fleet of containers that stands for the hosts."""

    fleet: str
    network: IPv4Network


@dataclass(frozen=True)
class Host:
    """A host of the platform or a facility's buffer server."""

    name: str
    domain: str
    address: IPv4Address
    data_centre: str
    services: tuple[Service, ...] = ()
    facility: str | None = None
    """The facility whose buffer server this is, or None."""

    @property
    def fqdn(self) -> str:
        """The fully qualified domain name."""
        return f"{self.name}.{self.domain}"

    @property
    def is_buffer(self) -> bool:
        """Whether this is a facility's buffer server."""
        return self.facility is not None


@dataclass(frozen=True)
class Zone:
    """An iRODS zone and how the control plane enters it."""

    name: str
    catalog_provider: str
    """Name of the host that runs the catalog provider."""
    catalog_consumers: tuple[str, ...]
    port: int
    administrator: str
    password: Secret
    ca_file: Path

    @property
    def servers(self) -> tuple[str, ...]:
        """The names of all hosts that run a server of the zone, the catalog provider first."""
        return (self.catalog_provider, *self.catalog_consumers)


@dataclass(frozen=True, order=True)
class Person:
    """A person with an account."""

    user: str
    name: str
    email: str


@dataclass(frozen=True)
class Member:
    """A person's place in a team."""

    person: Person
    role: Role


@dataclass(frozen=True)
class Team:
    """A team of a facility."""

    id: str
    facility: str
    title: str
    pi: Person
    members: tuple[Member, ...]

    @property
    def group(self) -> str:
        """The name of the team's group in every system."""
        return f"{self.facility}-{self.id}"

    @property
    def people(self) -> tuple[Person, ...]:
        """The PI and all members, each once, ordered by user name."""
        return tuple(sorted({self.pi, *(member.person for member in self.members)}))


@dataclass(frozen=True)
class StorageResource:
    """An iRODS storage resource of a facility."""

    name: str
    facility: str
    host: str
    vault: str


@dataclass(frozen=True)
class Group:
    """A group of people as the systems know it: a facility's or a team's."""

    name: str
    facility: str
    team: str | None
    """The team's identifier, or None for the facility's own group."""
    users: tuple[str, ...]


@dataclass(frozen=True)
class Facility:
    """A microscopy facility."""

    id: str
    title: str
    institution: str
    city: str
    data_centre: str
    zone: str
    referents: tuple[Person, ...]
    buffer: str | None
    """The host name of its buffer server."""
    storage_resources: tuple[StorageResource, ...]
    teams: tuple[Team, ...]

    @property
    def people(self) -> tuple[Person, ...]:
        """Everybody of the facility, referents included, each once, ordered by user name."""
        return tuple(sorted({*self.referents, *(person for team in self.teams for person in team.people)}))

    @property
    def groups(self) -> tuple[Group, ...]:
        """The facility's own group, then one per team."""
        everybody = Group(self.id, self.id, None, tuple(person.user for person in self.people))
        return (
            everybody,
            *(
                Group(team.group, self.id, team.id, tuple(person.user for person in team.people))
                for team in self.teams
            ),
        )


@dataclass(frozen=True)
class Platform:
    """A whole inventory, checked."""

    name: str
    title: str
    environment: str
    domain: str
    sandbox: Sandbox | None
    data_centres: Mapping[str, DataCentre]
    hosts: Mapping[str, Host]
    """All hosts by name, the facilities' buffer servers included."""
    zones: Mapping[str, Zone]
    facilities: Mapping[str, Facility]
    root: Path
    """The inventory's folder, absolute."""
    state_dir: Path
    """The control host's own files for this platform: PKI and generated secrets. Absolute."""

    @property
    def ca_file(self) -> Path:
        """The certificate of the platform's own authority, a PEM file."""
        return self.state_dir / "pki" / "ca.crt"

    @cached_property
    def people(self) -> Mapping[str, Person]:
        """Everybody on the platform by user name."""
        return {person.user: person for facility in self.facilities.values() for person in facility.people}

    def hosts_with(self, service: Service) -> Iterator[Host]:
        """The hosts that run a service, in the inventory's order."""
        return (host for host in self.hosts.values() if service in host.services)

    def zone_of(self, host: str) -> Zone | None:
        """The zone that a host runs a server of, or None."""
        return next((zone for zone in self.zones.values() if host in zone.servers), None)

    def facilities_of(self, zone: str) -> Iterator[Facility]:
        """The facilities whose data a zone catalogues."""
        return (facility for facility in self.facilities.values() if facility.zone == zone)
