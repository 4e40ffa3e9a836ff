"""Facilities, their teams and people as immutable objects."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from controlplane.model.types import Access, ParentContext, ResourceStatus, ResourceType, Role

_NO_LIMITS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, order=True, slots=True)
class Person:
    """A person with an account."""

    user: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Member:
    """A person's place in a team."""

    person: Person
    role: Role


@dataclass(frozen=True)
class Quota:
    """How much data a group may keep, in bytes: in total, or on each of some storage resources."""

    total: int | None = None
    storage_resources: Mapping[str, int] = field(default_factory=lambda: _NO_LIMITS)
    """The limit by the storage resource's name; empty where there is a total."""


@dataclass(frozen=True)
class Team:
    """A team of a facility."""

    id: str
    facility: str
    title: str
    pi: Person
    members: tuple[Member, ...] = ()
    """The other people, where the inventory names them."""
    members_from: str | None = None
    """The group of Authentik from which the other people come, as contributors, or None."""
    quota: Quota | None = None
    """Its own quota or that of the facility's tier; None where nothing limits it."""
    omero: bool = False
    """Whether its images are shown in the facility's OMERO."""
    pi_active: bool = True
    """False when the login server says that the PI's account is closed: then it opens nothing."""

    @property
    def group(self) -> str:
        """The name of the team's group in every system."""
        return f"{self.facility}-{self.id}"

    @cached_property
    def people(self) -> tuple[Person, ...]:
        """The PI, if active, and all members, each once, ordered by user name."""
        pi = (self.pi,) if self.pi_active else ()
        return _each_once((*pi, *(member.person for member in self.members)))


@dataclass(frozen=True, slots=True)
class StorageResource:
    """An iRODS storage resource: a folder on a server, or what coordinates others."""

    name: str
    zone: str
    facility: str
    """The facility it belongs to; empty for one of the zone itself."""
    kind: ResourceType
    host: str | None
    """Name of the host that holds it; None for a kind that coordinates."""
    vault: str | None
    """The absolute path of its folder on the host; None for a kind that coordinates."""
    parent: str | None
    """Name of the storage resource of the same zone whose child it is."""
    context: str
    """Settings of its kind, as `key=value;key=value`."""
    capacity: int | None
    """How many bytes fit in; None where the inventory does not say."""
    parent_context: ParentContext | None = None
    """What it is to a parent of kind `compound`."""
    status: ResourceStatus = "up"
    credentials: str | None = None
    """The name of the secrets by which its host enters the bucket; None where there is no bucket."""


@dataclass(frozen=True)
class Instrument:
    """A microscope or another source of data."""

    id: str
    facility: str
    title: str
    modality: str
    manufacturer: str | None
    landing_zone: str | None
    """The absolute path on the facility's buffer server into which it writes."""


@dataclass(frozen=True)
class HpcMount:
    """A facility's data on a cluster."""

    host: str
    path: str
    access: Access


@dataclass(frozen=True)
class ZoneAccess:
    """Another zone from which a facility's people reach its data."""

    zone: str
    access: Access


@dataclass(frozen=True)
class Group:
    """A group of people as the systems know it: a facility's or a team's."""

    name: str
    facility: str
    team: str | None
    """The team's identifier, or None for the facility's own group."""
    users: tuple[str, ...]
    """The user names that the inventory gives, in order."""


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
    quota: Quota | None = None
    """None where nothing limits it."""
    instruments: tuple[Instrument, ...] = ()
    hpc_mounts: tuple[HpcMount, ...] = ()
    access_from: tuple[ZoneAccess, ...] = ()
    omero_host: str | None = None
    """Name of the host of the OMERO server that shows its teams' images."""

    @cached_property
    def people(self) -> tuple[Person, ...]:
        """Everybody whom the inventory names, referents included, each once, ordered by user name."""
        return _each_once((*self.referents, *(person for team in self.teams for person in team.people)))

    @cached_property
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


def _each_once(people: Iterable[Person]) -> tuple[Person, ...]:
    # By user name, which is unique in a checked inventory, and much faster to compare than a whole person.
    by_user = {person.user: person for person in people}
    return tuple(by_user[user] for user in sorted(by_user))
