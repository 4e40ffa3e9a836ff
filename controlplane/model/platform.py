"""The platform as immutable objects that refer to each other by name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote, urlencode, urlsplit

from controlplane.model.facility import Facility, Person, StorageResource
from controlplane.model.manifest_file import Engine
from controlplane.model.secrets import Secret
from controlplane.model.types import Service

SERVICE_LABELS: Mapping[Service, str] = MappingProxyType(
    {"authentik": "login", "federation_proxy": "federation", "grafana": "grafana"}
)
"""The services that have a public name of their own below the platform's domain, each with its first label.
At most one host has each."""


def service_name(service: Service, domain: str) -> str:
    """The public name of one of `SERVICE_LABELS`, such as login.bic.example."""
    return f"{SERVICE_LABELS[service]}.{domain}"


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
class StoreDatabase:
    """The control plane's database in PostgreSQL."""

    host: str
    """Name of the host that it is on."""
    address: IPv4Address
    """The host's address, which its certificate holds."""
    password: Secret
    ca_file: Path

    def reveal(self) -> str:
        """The database's URL, which holds the password. Raises SecretError."""
        trust = urlencode({"sslmode": "verify-full", "sslrootcert": str(self.ca_file)})
        return f"postgresql://bic:{quote(self.password.reveal(), safe='')}@{self.address}/bic?{trust}"


@dataclass(frozen=True, order=True)
class RemoteZone:
    """A zone that another one is federated with."""

    name: str
    host: str
    """The fully qualified domain name of its catalog provider."""
    port: int
    servers: tuple[str, ...] = ()
    """The fully qualified domain names of its other servers."""
    ca_file: Path | None = None
    """The authority that its servers' certificates come from; None for the platform's own."""


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

    remote_zones: tuple[RemoteZone, ...] = ()
    """All zones it is federated with: those of this platform, then those of others."""
    storage_resources: tuple[StorageResource, ...] = ()
    """The storage resources that belong to no facility."""
    parts: tuple[str, ...] = ()
    """The zones of platform.yml that it is made of, in order; more than one where the layout joins them."""

    @property
    def servers(self) -> tuple[str, ...]:
        """The names of all hosts that run a server of the zone, the catalog provider first."""
        return (self.catalog_provider, *self.catalog_consumers)


@dataclass(frozen=True)
class OmeroServer:
    """An OMERO server and how the control plane enters it."""

    host: str
    """Name of the host that it is on."""
    port: int
    """Where it speaks Ice over TLS."""
    database_host: str
    """Name of the host of its database."""
    password: Secret
    ca_file: Path
    """The authority that its certificate must come from."""

    administrator = "root"
    """Who the control plane is there."""


@dataclass(frozen=True)
class BufferAccess:
    """How the control plane enters the facilities' buffer servers, over SSH."""

    key: Path
    """The private key, a file."""
    known_hosts: Path
    """The keys of the servers, as OpenSSH knows hosts."""

    user = "bic"
    """Who the control plane is there."""


@dataclass(frozen=True)
class Identity:
    """The Authentik server at which people log in and from which teams' members come."""

    url: str
    token: Secret
    ca_file: Path | None
    """The authority that its certificate must come from; None for those that the control host trusts."""
    database_host: str | None = None
    """Name of the host of its database; None where no host of this platform has the service `authentik`."""
    address: IPv4Address | None = None
    """The address of the host that has the service `authentik`; None where no host of this platform has."""

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where its name leads, unless a DNS must say so."""
        return {urlsplit(self.url).hostname or "": str(self.address)} if self.address else {}


@dataclass(frozen=True)
class SyntheticPerson:
    """An account of nobody at the login server, which health logs in with."""

    username: str
    password: Secret


@dataclass(frozen=True)
class Portal:
    """The web pages of the platform."""

    host: str
    """Name of the host that serves them."""
    url: str
    """Their address, without a slash at its end."""
    issuer: str
    """The OpenID Connect issuer at which visitors log in."""
    client_secret: Secret
    token: Secret
    """The token of the portal's own account at the login server."""
    ca_file: Path | None
    """The authority that the issuer's certificate must come from; None for those that the host trusts."""
    synthetic_person: SyntheticPerson | None = None
    """Who logs in to see whether people can; None where nobody does."""

    client_id = "portal"
    """What the portal is called at the issuer."""

    @property
    def name(self) -> str:
        """The name of their address."""
        return urlsplit(self.url).hostname or ""

    @property
    def redirect_url(self) -> str:
        """Where the browser comes back to after a login."""
        return f"{self.url}/login/callback"


@dataclass(frozen=True)
class Scrape:
    """As whom the metrics of the exporters are read."""

    password: Secret

    user = "prometheus"
    """The user name that goes with it."""


@dataclass(frozen=True)
class Limits:
    """How much one apply may update or delete before a person must say so."""

    share: float
    """The share of what is managed, from 0 to 1, that a plan may update or delete unasked."""
    objects: int
    """The number of objects that a plan may always update or delete."""


@dataclass(frozen=True, order=True)
class RetentionRule:
    """The permission to delete the data of a facility or team that is no longer in the inventory."""

    facility: str
    team: str | None
    """The team's identifier, or None for the facility's own collection."""
    delete_data_from: date
    """The first day on which the data may be deleted."""
    reason: str


@dataclass(frozen=True)
class RuleBaseUse:
    """A rule base that is in force."""

    name: str
    zones: tuple[str, ...]
    """The zones whose servers run it."""
    parameters: Mapping[str, str]
    """The values that differ from the manifest's defaults, as the catalogue keeps them."""
    engine: Engine = "irods_rule_language"
    """The rule engine that its manifest names, where one was read."""


@dataclass(frozen=True)
class Rules:
    """The rule bases in force, and how new rules come onto the servers."""

    rule_bases: Mapping[str, RuleBaseUse]
    wait_for_transfers: int
    """Seconds to wait for a server's transfers in flight before it is reloaded."""
    canary: Mapping[str, str]
    """By zone, the host that gets new rules before all others."""


WAIT_FOR_TRANSFERS = 300
NO_RULES = Rules(MappingProxyType({}), WAIT_FOR_TRANSFERS, MappingProxyType({}))
"""What a platform without `policies/rules.yml` has."""


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
    limits: Limits
    identity: Identity | None = None
    """None where all teams' members are in the inventory."""
    portal: Portal | None = None
    """None where there are no web pages."""
    store: StoreDatabase | None = None
    """The control plane's database; None for `store.sqlite` in the state folder."""
    scrape: Scrape | None = None
    """None where exporters ask for no password."""
    retention: tuple[RetentionRule, ...] = ()
    rules: Rules = NO_RULES
    omero_servers: Mapping[str, OmeroServer] = field(default_factory=lambda: MappingProxyType({}))
    """The OMERO servers by host."""
    buffers: BufferAccess | None = None
    """None where people do not follow onto buffer servers."""

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

    @property
    def service_addresses(self) -> Mapping[str, str]:
        """Where the public names lead."""
        return {name: str(host.address) for name, host in self.service_names.items()}

    @property
    def service_names(self) -> Mapping[str, Host]:
        """The public names of services, which outlive the hosts that they are on, each with its host."""
        names = {
            service_name(service, self.domain): host
            for service in SERVICE_LABELS
            for host in self.hosts_with(service)
        }
        if self.portal:
            names[self.portal.name] = self.hosts[self.portal.host]
        return names

    def zone_of(self, host: str) -> Zone | None:
        """The zone that a host runs a server of, or None."""
        return next((zone for zone in self.zones.values() if host in zone.servers), None)

    def gateway_to(self, host: str) -> tuple[Zone, Host] | None:
        """The zone that a gateway on a host serves, and the server at which it enters.

        Both are of the host's own data centre: the zone whose catalog provider is there before one that has
        but a consumer there. None when the data centre has no iRODS server.
        """
        here = self.hosts[host].data_centre
        near = [
            (server != zone.catalog_provider, zone, self.hosts[server])
            for zone in self.zones.values()
            for server in zone.servers
            if self.hosts[server].data_centre == here
        ]
        return min(near, key=lambda found: found[0])[1:] if near else None

    def visitors_of(self, zone: str) -> Iterator[Facility]:
        """The facilities of other zones whose people reach their data from this one."""
        return (
            facility
            for facility in self.facilities.values()
            if any(visit.zone == zone for visit in facility.access_from)
        )

    def facilities_of(self, zone: str) -> Iterator[Facility]:
        """The facilities whose data a zone catalogues."""
        return (facility for facility in self.facilities.values() if facility.zone == zone)

    def storage_resources_of(self, zone: str) -> tuple[StorageResource, ...]:
        """All storage resources of a zone: its own, then those of its facilities."""
        return (
            *self.zones[zone].storage_resources,
            *(resource for facility in self.facilities_of(zone) for resource in facility.storage_resources),
        )
