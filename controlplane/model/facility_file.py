"""`facilities/<id>.yml`, key by key: one facility."""

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from controlplane.model.platform_file import StorageResourceEntry
from controlplane.model.types import (
    ONE_KEY,
    AbsolutePath,
    Access,
    Address,
    Email,
    FileModel,
    Flag,
    GroupName,
    HostName,
    Identifier,
    Line,
    Role,
    Size,
    StorageResourceName,
    UserName,
    ZoneName,
)

_PLAIN = ConfigDict(extra="forbid")


# People are data classes with slots: a nation has a million of them, and a model of pydantic's takes six
# times the memory. Their descriptions are in `Field`, which subclasses inherit.
@dataclass(frozen=True, slots=True, config=_PLAIN)
class PersonEntry:
    """A person with an account."""

    user: Annotated[UserName, Field(description="The user name, the same in every system.")]
    name: Annotated[Line, Field(description="The person's full name.")]
    email: Annotated[Email, Field(description="The person's e-mail address.")]


@dataclass(frozen=True, slots=True, config=_PLAIN)
class MemberEntry(PersonEntry):
    """A person in a team."""

    role: Annotated[
        Role,
        Field(
            description="What the person may do with the team's data: contributors write, collaborators read."
        ),
    ]


class BufferEntry(FileModel):
    """A facility's buffer server."""

    host: HostName
    """Its host name, unique in the platform."""
    address: Address
    """The IPv4 address by which Ansible and the data centre reach it."""


class QuotaEntry(FileModel):
    """How much data a facility or a team may keep: exactly one of `tier`, `total` and `storage_resources`.

    The last two exclude each other because iRODS 5.0.2 computes wrong results for a group that has both.
    """

    model_config = ONE_KEY

    tier: Identifier | None = None
    """One of the tiers in `policies/quotas.yml`."""
    total: Size | None = None
    """The limit over all storage resources, such as 20 TiB."""
    storage_resources: Annotated[dict[StorageResourceName, Size], Field(min_length=1)] | None = None
    """The limit on each of the named storage resources."""

    @model_validator(mode="after")
    def _one_of_them(self) -> "QuotaEntry":
        if sum(part is not None for part in (self.tier, self.total, self.storage_resources)) != 1:
            raise PydanticCustomError(
                "quota", "a quota has exactly one of 'tier', 'total' and 'storage_resources'"
            )
        return self


class InstrumentEntry(FileModel):
    """A microscope or another source of data."""

    id: Identifier
    """The instrument's identifier, unique in the facility."""
    title: Line
    """The name that people read."""
    modality: Line
    """How it makes images, such as light-sheet or confocal."""
    manufacturer: Line | None = None
    """Who made it."""
    landing_zone: AbsolutePath | None = None
    """The folder on the facility's buffer server into which it writes."""


class HpcMountEntry(FileModel):
    """A facility's data on a cluster."""

    host: HostName
    """The host that mounts them, one of the platform's `hosts`."""
    path: AbsolutePath
    """The folder where they appear."""
    access: Access
    """Whether the cluster may write."""


class AccessFromEntry(FileModel):
    """A data centre from whose zone the facility's people reach its data too."""

    data_centre: Identifier
    """The data centre, one of the platform's and not the facility's own."""
    access: Access = "read"
    """Whether those who may write may do so from there too."""


class OmeroEntry(FileModel):
    """Where the images of a facility's teams are shown."""

    host: HostName
    """The host of the OMERO server, one of the platform's `hosts`."""


class TeamEntry(FileModel):
    """A team of a facility."""

    id: Identifier
    """The team's identifier, unique in the facility."""
    title: Line
    """The name that people read."""
    pi: PersonEntry
    """The principal investigator (PI), who owns the team's data."""
    members: tuple[MemberEntry, ...] = ()
    """The other people of the team; not together with `members_from`."""
    members_from: GroupName | None = None
    """The group of Authentik from which the other people of the team come, as contributors."""
    quota: QuotaEntry | None = None
    """How much data the team may keep; where it is not given, what the facility's tier gives to a team."""
    omero: Flag = False
    """Whether the team's images are shown in the facility's OMERO."""

    @model_validator(mode="after")
    def _one_source_of_members(self) -> "TeamEntry":
        if self.members and self.members_from is not None:
            raise PydanticCustomError("members", "a team has either 'members' or 'members_from', not both")
        return self


class FacilityFile(FileModel):
    """`facilities/<id>.yml`: one facility."""

    id: Identifier
    """The facility's identifier; the file has the same name."""
    title: Line
    """The name that people read."""
    institution: Line
    """The institution that runs it."""
    city: Line
    """The city it stands in."""
    data_centre: Identifier
    """The data centre that keeps its data, one of the platform's."""
    zone: ZoneName | None = None
    """The iRODS zone that catalogues its data, one of the platform's; where it is not given, the zone whose
    catalog provider stands in the facility's data centre, or the only zone."""
    quota: QuotaEntry | None = None
    """How much data the facility may keep, all its teams together."""
    referents: tuple[PersonEntry, ...] = ()
    """The IT referents, who bring teams on board."""
    buffer: BufferEntry | None = None
    """The facility's buffer server."""
    instruments: tuple[InstrumentEntry, ...] = ()
    """The facility's instruments."""
    hpc_mounts: tuple[HpcMountEntry, ...] = ()
    """Where clusters mount the facility's data."""
    access_from: tuple[AccessFromEntry, ...] = ()
    """The other data centres from which its people reach its data, such as where the cluster is that they
    compute on: they get accounts in that data centre's zone, which are remote users in the facility's own.
    Where both data centres are one zone, nothing is needed."""
    omero: OmeroEntry | None = None
    """Where the images of its teams are shown."""
    storage_resources: dict[StorageResourceName, StorageResourceEntry] = Field(default_factory=dict)
    """The facility's iRODS storage resources by name."""
    teams: tuple[TeamEntry, ...] = ()
    """The facility's teams."""
