"""The files of an inventory, key by key.

These models say what a file may hold. What the files mean together is checked in `checks` and offered
as a `Platform` in `platform`.
"""

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from controlplane.model.secrets import Secret


def _text(pattern: str, explanation: str) -> AfterValidator:
    """A rule for text: it must match `pattern` in full, or `explanation` is what the person reads."""
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise PydanticCustomError(
                "text",
                "{shown} {explanation}",
                {
                    "shown": repr(value),
                    "explanation": explanation,
                },
            )
        return value

    return AfterValidator(check)


def _rule(check: Callable[[str], bool], explanation: str) -> AfterValidator:
    """A rule for text which a regular expression does not say well."""

    def apply(value: str) -> str:
        if not check(value):
            raise PydanticCustomError(
                "text",
                "{shown} {explanation}",
                {
                    "shown": repr(value),
                    "explanation": explanation,
                },
            )
        return value

    return AfterValidator(apply)


def _expecting(what: str) -> WrapValidator:
    """A type's own check, with a message that says `what` was expected."""

    def check(value: object, inner: ValidatorFunctionWrapHandler) -> object:
        try:
            return inner(value)
        except ValueError:
            raise PydanticCustomError(
                "text", "{shown} is not {what}", {"shown": repr(value), "what": what}
            ) from None

    return WrapValidator(check)


Address = Annotated[IPv4Address, _expecting("an IPv4 address, such as 10.0.0.11")]
Network = Annotated[
    IPv4Network, _expecting("an IPv4 network, such as 10.77.0.0/24, whose host bits are zero")
]

Identifier = Annotated[
    str,
    _text(
        r"(?=.{1,30}$)[a-z][a-z0-9]*(-[a-z0-9]+)*",
        "is not an identifier: use at most 30 lower-case letters, digits and single hyphens, "
        "beginning with a letter",
    ),
]
"""An identifier of the platform. Facility and team together must fit into an iRODS group name."""

HostName = Annotated[
    str,
    _text(
        r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
        "is not a host name: use lower-case letters, digits and hyphens, without the domain",
    ),
]
DomainName = Annotated[
    str,
    _text(
        r"(?=.{1,190}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*",
        "is not a domain name, such as bic.example",
    ),
]
ZoneName = Annotated[
    str,
    _text(
        r"[A-Za-z][A-Za-z0-9_]{0,62}",
        "is not a zone name: use letters, digits and underscores, beginning with a letter",
    ),
]
# irods::user::validate_name of iRODS 5.0.2 allows exactly these characters and 63 of them.
UserName = Annotated[
    str,
    _text(
        r"(?!\.{1,2}$)[A-Za-z0-9_.@-]{1,63}",
        "is not an iRODS user name: use letters without accents, digits, '.', '_', '-' and '@', no spaces, "
        "at most 63 characters",
    ),
]
# validate_resource_name of iRODS 5.0.2.
StorageResourceName = Annotated[
    str,
    _text(
        r"(?=.{1,63}$)\w+(-\w+)*",
        "is not a storage resource name: use letters, digits, underscores and single hyphens, "
        "at most 63 characters",
    ),
]
Line = Annotated[
    str,
    _rule(
        lambda value: bool(value.strip()) and value.isprintable() and len(value) <= 200,
        "is not a title: write one line of at most 200 characters",
    ),
]
Email = Annotated[
    str,
    _text(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)*", "is not an e-mail address"),
]


def _is_plain_path(value: str) -> bool:
    path = PurePosixPath(value)
    return (
        path.is_absolute()
        and value.isprintable()
        and str(path) == value
        and not value.startswith("//")
        and ".." not in path.parts
        and path != PurePosixPath("/")
    )


VaultPath = Annotated[
    str,
    _rule(
        _is_plain_path,
        "is not a vault path: write an absolute path other than / without '..', '//' or a '/' at its end",
    ),
]
Service = Literal[
    "postgresql", "irods_catalog_provider", "irods_catalog_consumer", "prometheus", "controlplane"
]
"""A service that Ansible deploys on a host; each is also an Ansible group."""

Role = Literal["contributor", "collaborator"]
"""What a team member may do with the team's data: contributors write, collaborators read."""


class FileModel(BaseModel):
    """What all parts of the files share: unknown keys and wrong types are refused, nothing changes."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", use_attribute_docstrings=True, str_strip_whitespace=False
    )


class DataCentreEntry(FileModel):
    """A data centre of the platform."""

    title: Line
    """The name that people read."""
    city: Line
    """The city it stands in."""


class HostEntry(FileModel):
    """A host that the platform team runs in a data centre."""

    data_centre: Identifier
    """The data centre it stands in, one of `data_centres`."""
    address: Address
    """The IPv4 address by which Ansible and the other hosts reach it."""
    services: tuple[Service, ...] = ()
    """The services deployed on it, beside what every host gets."""


class SandboxEntry(FileModel):
    """Where the hosts of this inventory live when they are containers on one machine."""

    fleet: Annotated[
        str,
        _text(
            r"[a-z][a-z0-9-]{0,9}",
            "is not a fleet name: use at most 10 lower-case letters, digits and hyphens, "
            "beginning with a letter",
        ),
    ]
    """The fleet's name, which marks all that it makes on the machine."""
    network: Network
    """The fleet's network, an IPv4 /24; its first address is the bridge of the machine."""

    @model_validator(mode="after")
    def _network_is_a_24(self) -> "SandboxEntry":
        if self.network.prefixlen != 24:
            raise PydanticCustomError(
                "network", "the fleet's network must be an IPv4 /24, such as 10.77.0.0/24"
            )
        return self


class SecretReference(FileModel):
    """Where a secret is read from when it is needed: exactly one of `file` and `env`."""

    file: Annotated[str, _rule(lambda value: bool(value.strip()), "is not a file name")] | None = None
    """A file whose text is the secret. `{state_dir}` stands for the folder of generated secrets; a relative
    path starts at the inventory's folder."""
    env: (
        Annotated[str, _text(r"[A-Za-z_][A-Za-z0-9_]*", "is not the name of an environment variable")] | None
    ) = None
    """An environment variable whose value is the secret."""

    @model_validator(mode="after")
    def _one_of_them(self) -> "SecretReference":
        if (self.file is None) == (self.env is None):
            raise PydanticCustomError("secret", "a secret has either 'file' or 'env'")
        return self


class AdministratorEntry(FileModel):
    """The iRODS administrator by which the control plane enters a zone."""

    user: UserName = "rods"
    """The administrator's user name."""
    password: SecretReference
    """Where the password is."""


class ZoneEntry(FileModel):
    """An iRODS zone."""

    catalog_provider: HostName
    """The host that runs the catalog provider, one of `hosts`."""
    catalog_consumers: tuple[HostName, ...] = ()
    """The hosts that run the zone's other servers."""
    port: Annotated[int, Field(ge=1, le=65535)] = 1247
    """The TCP port of every server of the zone."""
    administrator: AdministratorEntry
    """Who the control plane is in this zone."""
    ca_file: str | None = None
    """The certificate authority that the servers' certificates must come from, as a PEM file; where it is
    not given, `{state_dir}/pki/ca.crt`."""


class PlatformFile(FileModel):
    """`platform.yml`: what is common to all facilities."""

    name: Identifier
    """The platform's identifier. It marks everything that the control plane owns in other systems."""
    title: Line
    """The name that people read."""
    environment: Literal["sandbox", "staging", "production"]
    """What this inventory is for."""
    domain: DomainName
    """The DNS domain of all hosts."""
    sandbox: SandboxEntry | None = None
    """The fleet of containers that stands for the hosts; absent where the hosts are real."""
    data_centres: dict[Identifier, DataCentreEntry] = Field(min_length=1)
    """The data centres by identifier."""
    hosts: dict[HostName, HostEntry] = Field(min_length=1)
    """The hosts by name; the facilities' buffer servers are in the facilities' files."""
    zones: dict[ZoneName, ZoneEntry] = Field(default_factory=dict)
    """The iRODS zones by name."""


class PersonEntry(FileModel):
    """A person with an account."""

    user: UserName
    """The user name, the same in every system."""
    name: Line
    """The person's full name."""
    email: Email
    """The person's e-mail address."""


class MemberEntry(PersonEntry):
    """A person in a team."""

    role: Role
    """What the person may do with the team's data."""


class BufferEntry(FileModel):
    """A facility's buffer server."""

    host: HostName
    """Its host name, unique in the platform."""
    address: Address
    """The IPv4 address by which Ansible and the data centre reach it."""


class StorageResourceEntry(FileModel):
    """An iRODS storage resource: a folder on one of the zone's servers."""

    host: HostName
    """The server that holds it, one of the facility's zone."""
    vault: VaultPath
    """The absolute path of its folder on that server."""


class TeamEntry(FileModel):
    """A team of a facility."""

    id: Identifier
    """The team's identifier, unique in the facility."""
    title: Line
    """The name that people read."""
    pi: PersonEntry
    """The principal investigator (PI), who owns the team's data."""
    members: tuple[MemberEntry, ...] = ()
    """The other people of the team."""


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
    zone: ZoneName
    """The iRODS zone that catalogues its data, one of the platform's."""
    referents: tuple[PersonEntry, ...] = ()
    """The IT referents, who bring teams on board."""
    buffer: BufferEntry | None = None
    """The facility's buffer server."""
    storage_resources: dict[StorageResourceName, StorageResourceEntry] = Field(default_factory=dict)
    """The facility's iRODS storage resources by name."""
    teams: tuple[TeamEntry, ...] = ()
    """The facility's teams."""


def secret(reference: SecretReference, expand: Callable[[str], str]) -> Secret:
    """The secret that a reference stands for, not read yet."""
    if reference.env is not None:
        return Secret.from_environment(reference.env)
    return Secret.from_file(expand(reference.file or ""))
