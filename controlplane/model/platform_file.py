"""`platform.yml`, key by key: what is common to all facilities."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from controlplane.model.secrets import Secret
from controlplane.model.types import (
    ONE_KEY,
    AbsolutePath,
    Address,
    DomainName,
    FileModel,
    FilePath,
    FleetName,
    HostName,
    Identifier,
    Layout,
    Line,
    Network,
    ParentContext,
    Port,
    ResourceContext,
    ResourceStatus,
    ResourceType,
    S3Endpoint,
    S3Region,
    Service,
    Size,
    StorageResourceName,
    Url,
    UserName,
    VariableName,
    ZoneName,
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

    fleet: FleetName
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

    model_config = ONE_KEY

    file: FilePath | None = None
    """A file whose text is the secret. `{state_dir}` stands for the folder of generated secrets; a relative
    path starts at the inventory's folder."""
    env: VariableName | None = None
    """An environment variable whose value is the secret."""

    @model_validator(mode="after")
    def _one_of_them(self) -> "SecretReference":
        if (self.file is None) == (self.env is None):
            raise PydanticCustomError("secret", "a secret has either 'file' or 'env'")
        return self


class IdentityEntry(FileModel):
    """The Authentik server at which people log in and from which teams' members come."""

    url: Url
    """Its address: https://login. and the platform's domain where a host of this platform has the service
    `authentik`, such as https://login.bic.example."""
    database_host: HostName | None = None
    """The host of its database, one of `hosts` with the service `postgresql`; where it is not given, the host
    of `store`. Only where a host of this platform has the service `authentik`."""
    token: SecretReference
    """Where the token is by which the control plane reads groups and users."""
    ca_file: FilePath | None = None
    """The certificate authority that its certificate must come from, as a PEM file; where it is not given,
    those that the control host trusts."""


class SyntheticPersonEntry(FileModel):
    """An account of the login server for `bic health --journeys`, of nobody: in no team, and without a second
    factor."""

    username: Line
    """Its name at the login server."""
    password: SecretReference
    """Where its password is."""


class PortalEntry(FileModel):
    """The web pages of the platform, whose visitors log in at the server of `identity`."""

    host: HostName
    """The host that serves them, one of `hosts` with the service `controlplane`."""
    url: Url
    """Their address, such as https://portal.bic.example."""
    client_secret: SecretReference
    """Where the secret is by which the application `portal` is known to the login server."""
    token: SecretReference
    """Where the token of the service account `bic-portal` is, with which the portal changes who is in a team
    for those who may."""
    synthetic_person: SyntheticPersonEntry | None = None
    """The account that logs in to the portal to see whether people can; none where it is not given."""


class AdministratorEntry(FileModel):
    """The iRODS administrator by which the control plane enters a zone."""

    user: UserName = "rods"
    """The administrator's user name."""
    password: SecretReference
    """Where the password is."""


class StoreEntry(FileModel):
    """The control plane's database in PostgreSQL, always entered over TLS."""

    host: HostName
    """The host that it is on, one of `hosts` with the service `postgresql`."""
    password: SecretReference
    """Where the password of the PostgreSQL role `bic`, which owns the database `bic`, is."""
    ca_file: FilePath | None = None
    """The certificate authority that the server's certificate must come from, as a PEM file; where it is not
    given, `{state_dir}/pki/ca.crt`."""


class ScrapeEntry(FileModel):
    """As whom the metrics of the exporters are read."""

    password: SecretReference
    """Where the password is that Prometheus gives, with the user name `prometheus`."""


class OmeroServerEntry(FileModel):
    """An OMERO server, and how the control plane enters it."""

    password: SecretReference
    """Where the password of its administrator `root` is."""
    port: Port = 4064
    """The TCP port on which it speaks Ice over TLS."""
    database_host: HostName | None = None
    """The host of its database, one of `hosts` with the service `postgresql`; where it is not given, the
    server's own."""
    ca_file: FilePath | None = None
    """The certificate authority that its certificate must come from, as a PEM file; where it is not given,
    `{state_dir}/pki/ca.crt`."""


class BufferAccessEntry(FileModel):
    """How the control plane enters the facilities' buffer servers."""

    key_file: FilePath
    """The private SSH key by which it may let people in and out there, and nothing else; a file that only the
    control plane can read."""


class RemoteZoneEntry(FileModel):
    """A zone of somebody else that one of ours is federated with."""

    host: DomainName
    """The fully qualified domain name of its catalog provider."""
    port: Port = 1247
    """The TCP port of its servers."""
    servers: tuple[DomainName, ...] = ()
    """The fully qualified domain names of its other servers: a client's server connects to whichever holds
    the data, and signs with the key of the federation only for servers that it knows."""
    ca_file: FilePath | None = None
    """The certificate authority that its servers' certificates come from, as a PEM file on the control host;
    where it is not given, this platform's own."""


class S3Entry(FileModel):
    """Where an S3 bucket is and who we are there."""

    endpoint: S3Endpoint
    """Host of the S3 service, with its port where that is not the usual one."""
    region: S3Region
    """The region of the bucket, such as eu-west-3."""
    credentials: Identifier
    """The name of the access key and its secret among the secrets of the inventory
    (`site_s3_credentials`)."""
    protocol: Literal["HTTPS", "HTTP"] = "HTTPS"
    """How the server speaks to the service."""
    naming: Literal["consistent", "decoupled"] = "consistent"
    """Whether objects in the bucket are renamed with the data objects of iRODS or keep their first names."""


class StorageResourceEntry(FileModel):
    """An iRODS storage resource: a folder on one of the zone's servers, a bucket, or what coordinates
    others."""

    type: ResourceType = "unixfilesystem"
    """`unixfilesystem` is a folder on a host and `s3` a bucket; the other types coordinate their children."""
    host: HostName | None = None
    """The server that holds it or speaks to the bucket, one of the zone's. Not for types that coordinate."""
    vault: AbsolutePath | None = None
    """The absolute path of its folder on that server, or /bucket/prefix. Not for types that coordinate."""
    capacity: Size | None = None
    """How much data fits in, such as 400 TiB: no quota may promise more. Not for types that coordinate."""
    minimum_free_space: Size | None = None
    """How much of the server's file system stays free: data objects that would leave less are refused. Only
    for `unixfilesystem`."""
    s3: S3Entry | None = None
    """Where the bucket is. Only for `s3`."""
    status: ResourceStatus = "up"
    """Whether data are written to it and read from it. One that is `down` keeps what it holds."""
    parent: StorageResourceName | None = None
    """The storage resource of the same zone whose child it is; the parent's `children` may say so instead."""
    children: tuple[StorageResourceName, ...] = ()
    """The storage resources that it coordinates; the children's `parent` may say so instead."""
    parent_context: ParentContext | None = None
    """What a child of a `compound` storage resource is to it: cache or archive."""
    context: ResourceContext = ""
    """Settings of its type, as "key=value;key=value"."""

    @model_validator(mode="after")
    def _parts_of_its_type(self) -> "StorageResourceEntry":
        given = [name for name in _OF_LEAVES if getattr(self, name) is not None]
        if allowed := _LEAF_PARTS.get(self.type):
            missing = [name for name in allowed.needed if name not in given]
            if missing:
                raise PydanticCustomError(
                    "leaf",
                    "a storage resource of type {kind} needs {names}",
                    {"kind": self.type, "names": " and ".join(map(repr, missing))},
                )
            if self.children:
                raise PydanticCustomError(
                    "leaf",
                    "a storage resource of type {kind} has no 'children'; "
                    "give it a type that coordinates, such as replication",
                    {"kind": self.type},
                )
            if unfit := [name for name in given if name not in (*allowed.needed, *allowed.possible)]:
                raise PydanticCustomError(
                    "leaf",
                    "a storage resource of type {kind} has no {names}",
                    {"kind": self.type, "names": " or ".join(map(repr, unfit))},
                )
        elif given:
            raise PydanticCustomError(
                "branch",
                "a storage resource of type {kind} coordinates its children and has no {names}",
                {"kind": self.type, "names": " or ".join(map(repr, given))},
            )
        return self

    @model_validator(mode="after")
    def _context_repeats_nothing(self) -> "StorageResourceEntry":
        for part in filter(None, self.context.split(";")):
            name = part.partition("=")[0]
            if instead := _SAID_ELSEWHERE.get(name):
                raise PydanticCustomError(
                    "context",
                    "the context of a storage resource does not hold {name}; write it as {instead}",
                    {"name": name, "instead": repr(instead)},
                )
        return self


@dataclass(frozen=True)
class _Parts:
    """The keys of a type of storage resource that holds data itself."""

    needed: tuple[str, ...]
    possible: tuple[str, ...]


_LEAF_PARTS = {
    "unixfilesystem": _Parts(("host", "vault"), ("capacity", "minimum_free_space")),
    "s3": _Parts(("host", "vault", "s3"), ("capacity",)),
}
_OF_LEAVES = ("host", "vault", "s3", "capacity", "minimum_free_space")

# Keys of contexts that follow from other parts of a storage resource. The secret key itself belongs into no
# context: everybody who may list storage resources reads those.
_SAID_ELSEWHERE = {
    "minimum_free_space_for_create_in_bytes": "minimum_free_space",
    "S3_DEFAULT_HOSTNAME": "s3.endpoint",
    "S3_REGIONNAME": "s3.region",
    "S3_PROTO": "s3.protocol",
    "S3_AUTH_FILE": "s3.credentials",
    "S3_ACCESS_KEY_ID": "s3.credentials",
    "S3_SECRET_ACCESS_KEY": "s3.credentials",
    "ARCHIVE_NAMING_POLICY": "s3.naming",
    "HOST_MODE": "parent_context",
}


class ZoneEntry(FileModel):
    """An iRODS zone."""

    catalog_provider: HostName
    """The host that runs the catalog provider, one of `hosts`."""
    catalog_consumers: tuple[HostName, ...] = ()
    """The hosts that run the zone's other servers."""
    port: Port = 1247
    """The TCP port of every server of the zone."""
    administrator: AdministratorEntry
    """Who the control plane is in this zone."""
    ca_file: FilePath | None = None
    """The certificate authority that the servers' certificates must come from, as a PEM file; where it is
    not given, `{state_dir}/pki/ca.crt`."""
    federation: tuple[ZoneName, ...] = ()
    """The other zones of this platform that it is federated with; both sides name each other. Where the
    layout makes them one zone, there is nothing to federate."""
    remote_zones: dict[ZoneName, RemoteZoneEntry] = Field(default_factory=dict)
    """The zones of others that it is federated with, by name."""
    storage_resources: dict[StorageResourceName, StorageResourceEntry] = Field(default_factory=dict)
    """The storage resources that belong to no facility, by name."""


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
    store: StoreEntry | None = None
    """The PostgreSQL database of the control plane; where it is not given, the database is the SQLite file
    `{state_dir}/store.sqlite`."""
    identity: IdentityEntry | None = None
    """The Authentik server from which teams' members come."""
    portal: PortalEntry | None = None
    """The web pages; they need `identity`."""
    scrape: ScrapeEntry | None = None
    """The password without which exporters answer nobody; where it is not given, they ask for none."""
    data_centres: Annotated[dict[Identifier, DataCentreEntry], Field(min_length=1)]
    """The data centres by identifier."""
    hosts: Annotated[dict[HostName, HostEntry], Field(min_length=1)]
    """The hosts by name; the facilities' buffer servers are in the facilities' files."""
    layout: Layout | None = None
    """How the data centres share the data. `federated`: each of `zones` is a zone of its own, with those of
    its `federation` at its side. `one_zone`: all of `zones` are one, which has the name, catalog provider,
    port and administrator of the first; the others' servers are its catalog consumers, and their storage
    resources its own. Facilities' files are the same in both. Where it is not given, `zones` are what they
    say."""
    zones: dict[ZoneName, ZoneEntry] = Field(default_factory=dict)
    """The iRODS zones by name."""
    omero_servers: dict[HostName, OmeroServerEntry] = Field(default_factory=dict)
    """The OMERO servers by host, each one of `hosts` with the service `omero_server`."""
    buffers: BufferAccessEntry | None = None
    """How people follow onto the facilities' buffer servers; where it is not given, nobody does."""


def secret(reference: SecretReference, expand: Callable[[str], str]) -> Secret:
    """The secret that a reference stands for, not read yet."""
    if reference.env is not None:
        return Secret.from_environment(reference.env)
    return Secret.from_file(expand(reference.file or ""))
