"""From the files' data, checked, to a `Platform`."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from controlplane.model.documents import Documents, Policies
from controlplane.model.facility import (
    Facility,
    HpcMount,
    Instrument,
    Member,
    Person,
    Quota,
    StorageResource,
    Team,
    ZoneAccess,
)
from controlplane.model.facility_file import FacilityFile, PersonEntry, QuotaEntry, TeamEntry
from controlplane.model.layout import Arrangement
from controlplane.model.platform import (
    NO_RULES,
    WAIT_FOR_TRANSFERS,
    BufferAccess,
    DataCentre,
    Host,
    Identity,
    Limits,
    OmeroServer,
    Platform,
    Portal,
    RemoteZone,
    RetentionRule,
    RuleBaseUse,
    Rules,
    Sandbox,
    Scrape,
    StoreDatabase,
    SyntheticPerson,
    Zone,
)
from controlplane.model.platform_file import (
    IdentityEntry,
    OmeroServerEntry,
    PlatformFile,
    PortalEntry,
    StorageResourceEntry,
    StoreEntry,
    secret,
)
from controlplane.model.policy_files import LimitsFile, RolloutEntry, TierEntry
from controlplane.model.rule_values import catalogue_text
from controlplane.model.types import Access

STATE_DIR_VARIABLE = "BIC_STATE_DIR"

S3_AUTH_FILES = "/etc/irods/s3"
"""Where the role irods_server puts the secrets of buckets on a server, a file for each."""

Expand = Callable[[str], str]
"""Turns a file name of the inventory into a path."""


def link(root: Path, platform: PlatformFile, documents: Documents) -> Platform:
    """The platform that the files of the folder `root`, which agree with each other, describe."""
    state_dir = _state_dir(root, platform.name)
    facilities = [document.data for document in documents.facilities]
    arrangement = Arrangement(platform)
    sandbox = platform.sandbox

    def expand(text: str) -> str:
        return str(root / text.replace("{state_dir}", str(state_dir)))

    return Platform(
        name=platform.name,
        title=platform.title,
        environment=platform.environment,
        domain=platform.domain,
        sandbox=Sandbox(sandbox.fleet, sandbox.network) if sandbox else None,
        data_centres=MappingProxyType(
            {name: DataCentre(name, entry.title, entry.city) for name, entry in platform.data_centres.items()}
        ),
        hosts=MappingProxyType(
            {host.name: host for host in _hosts(platform.domain, arrangement, facilities)}
        ),
        zones=MappingProxyType({name: _zone(arrangement, name, expand) for name in arrangement.zones}),
        facilities=MappingProxyType(
            {facility.id: facility for facility in _facilities(facilities, arrangement, documents.policies)}
        ),
        root=root,
        state_dir=state_dir,
        limits=_limits(documents.policies),
        identity=_identity(platform, platform.identity, expand) if platform.identity else None,
        portal=_portal(platform.portal, platform.identity, expand)
        if platform.portal and platform.identity
        else None,
        store=_store(platform, platform.store, expand) if platform.store else None,
        scrape=Scrape(secret(platform.scrape.password, expand)) if platform.scrape else None,
        retention=_retention(documents.policies),
        rules=_rules(documents, arrangement),
        omero_servers=MappingProxyType(
            {host: _omero_server(host, entry, expand) for host, entry in platform.omero_servers.items()}
        ),
        buffers=BufferAccess(
            Path(expand(platform.buffers.key_file)), Path(expand("{state_dir}/pki/ssh_known_hosts"))
        )
        if platform.buffers
        else None,
    )


def _state_dir(root: Path, name: str) -> Path:
    """Where the control host keeps this platform's own files.

    Beside an `inventories` folder, which is how a clone looks; in the inventory itself when it stands
    alone; wherever the environment variable says.
    """
    if given := os.environ.get(STATE_DIR_VARIABLE):
        return Path(given).resolve()
    base = root.parent.parent if root.parent.name == "inventories" else root
    return base / ".state" / name


def _hosts(domain: str, arrangement: Arrangement, facilities: Iterable[FacilityFile]) -> Iterator[Host]:
    for name, entry in arrangement.hosts.items():
        yield Host(name, domain, entry.address, entry.data_centre, entry.services)
    for facility in facilities:
        if buffer := facility.buffer:
            yield Host(buffer.host, domain, buffer.address, facility.data_centre, facility=facility.id)


def _zone(arrangement: Arrangement, name: str, expand: Expand) -> Zone:
    entry = arrangement.zones[name]
    domain = arrangement.written.domain
    ours = []
    for other in entry.federation:
        provider, *others = (f"{server}.{domain}" for server in arrangement.servers(other))
        ours.append(RemoteZone(other, provider, arrangement.zones[other].port, tuple(others)))
    theirs = [
        RemoteZone(
            other,
            remote.host,
            remote.port,
            remote.servers,
            Path(expand(remote.ca_file)) if remote.ca_file else None,
        )
        for other, remote in entry.remote_zones.items()
    ]
    return Zone(
        name=name,
        catalog_provider=entry.catalog_provider,
        catalog_consumers=entry.catalog_consumers,
        port=entry.port,
        administrator=entry.administrator.user,
        password=secret(entry.administrator.password, expand),
        ca_file=Path(expand(entry.ca_file or "{state_dir}/pki/ca.crt")),
        remote_zones=(*ours, *theirs),
        storage_resources=tuple(_storage_resources(entry.storage_resources, name, "")),
        parts=tuple(part for part in arrangement.written.zones if arrangement.zone_named(part) == name),
    )


def _identity(platform: PlatformFile, entry: IdentityEntry, expand: Expand) -> Identity:
    ca_file = Path(expand(entry.ca_file)) if entry.ca_file else None
    ours = next((host.address for host in platform.hosts.values() if "authentik" in host.services), None)
    database_host = entry.database_host or (platform.store.host if ours and platform.store else None)
    return Identity(entry.url, secret(entry.token, expand), ca_file, database_host, ours)


def _portal(entry: PortalEntry, identity: IdentityEntry, expand: Expand) -> Portal:
    person = entry.synthetic_person
    return Portal(
        host=entry.host,
        url=entry.url,
        issuer=f"{identity.url}/application/o/{Portal.client_id}/",
        client_secret=secret(entry.client_secret, expand),
        token=secret(entry.token, expand),
        ca_file=Path(expand(identity.ca_file)) if identity.ca_file else None,
        synthetic_person=SyntheticPerson(person.username, secret(person.password, expand))
        if person
        else None,
    )


def _store(platform: PlatformFile, entry: StoreEntry, expand: Expand) -> StoreDatabase:
    return StoreDatabase(
        host=entry.host,
        address=platform.hosts[entry.host].address,
        password=secret(entry.password, expand),
        ca_file=Path(expand(entry.ca_file or "{state_dir}/pki/ca.crt")),
    )


def _omero_server(host: str, entry: OmeroServerEntry, expand: Expand) -> OmeroServer:
    return OmeroServer(
        host=host,
        port=entry.port,
        database_host=entry.database_host or host,
        password=secret(entry.password, expand),
        ca_file=Path(expand(entry.ca_file or "{state_dir}/pki/ca.crt")),
    )


def _limits(policies: Policies) -> Limits:
    entry = policies.limits.data if policies.limits else LimitsFile()
    return Limits(entry.share_percent / 100, entry.objects)


def _retention(policies: Policies) -> tuple[RetentionRule, ...]:
    rules = policies.retention.data.offboarded if policies.retention else ()
    return tuple(
        RetentionRule(rule.facility, rule.team, rule.delete_data_from, rule.reason) for rule in rules
    )


def _rules(documents: Documents, arrangement: Arrangement) -> Rules:
    if documents.policies.rules is None:
        return NO_RULES
    entry = documents.policies.rules.data
    engines = {name: manifest.engine for name, manifest in (documents.manifests or {}).items() if manifest}
    uses = {
        name: RuleBaseUse(
            name,
            tuple(dict.fromkeys(map(arrangement.zone_named, use.zones or arrangement.zones))),
            MappingProxyType({key: catalogue_text(value) for key, value in use.parameters.items()}),
            engines.get(name, "irods_rule_language"),
        )
        for name, use in entry.rule_bases.items()
    }
    rollout = entry.rollout or RolloutEntry()
    return Rules(
        MappingProxyType(uses),
        rollout.wait_for_transfers or WAIT_FOR_TRANSFERS,
        MappingProxyType(dict(rollout.canary)),
    )


def _storage_resources(
    entries: Mapping[str, StorageResourceEntry], zone: str, facility: str
) -> Iterator[StorageResource]:
    parents = {child: name for name, entry in entries.items() for child in entry.children}
    for name, entry in entries.items():
        yield StorageResource(
            name=name,
            zone=zone,
            facility=facility,
            kind=entry.type,
            host=entry.host,
            vault=entry.vault,
            parent=entry.parent or parents.get(name),
            context=_context(entry),
            capacity=entry.capacity,
            parent_context=entry.parent_context,
            status=entry.status,
            credentials=entry.s3.credentials if entry.s3 else None,
        )


def _context(entry: StorageResourceEntry) -> str:
    """The context of a storage resource: what follows from its other keys, then its own.

    The names are those of the storage resource plugins of iRODS 5.0.2.
    """
    parts: dict[str, object] = {}
    if entry.minimum_free_space is not None:
        parts["minimum_free_space_for_create_in_bytes"] = entry.minimum_free_space
    if entry.s3:
        parts |= {
            "S3_DEFAULT_HOSTNAME": entry.s3.endpoint,
            "S3_AUTH_FILE": f"{S3_AUTH_FILES}/{entry.s3.credentials}.keypair",
            "S3_REGIONNAME": entry.s3.region,
            "S3_PROTO": entry.s3.protocol,
            "ARCHIVE_NAMING_POLICY": entry.s3.naming,
            # An archive has its cache beside it; any other bucket is read and written by its host without
            # one.
            "HOST_MODE": "archive_attached" if entry.parent_context else "cacheless_attached",
        }
    derived = ";".join(f"{name}={value}" for name, value in parts.items())
    return ";".join(filter(None, (derived, entry.context)))


def _facilities(
    facilities: Iterable[FacilityFile], arrangement: Arrangement, policies: Policies
) -> Iterator[Facility]:
    people: dict[str, Person] = {}

    def person(entry: PersonEntry) -> Person:
        # One object for each person, however many teams they are in.
        known = people.get(entry.user)
        if known is None:
            known = people[entry.user] = Person(entry.user, entry.name, entry.email)
        return known

    for entry in facilities:
        tier = policies.tiers[entry.quota.tier] if entry.quota and entry.quota.tier else None
        zone = arrangement.zone_of(entry) or ""
        yield Facility(
            id=entry.id,
            title=entry.title,
            institution=entry.institution,
            city=entry.city,
            data_centre=entry.data_centre,
            zone=zone,
            referents=tuple(person(referent) for referent in entry.referents),
            buffer=entry.buffer.host if entry.buffer else None,
            storage_resources=tuple(_storage_resources(entry.storage_resources, zone, entry.id)),
            teams=tuple(_team(entry.id, team, tier, policies, person) for team in entry.teams),
            quota=Quota(tier.facility) if tier else _given_quota(entry.quota),
            instruments=tuple(
                Instrument(
                    instrument.id,
                    entry.id,
                    instrument.title,
                    instrument.modality,
                    instrument.manufacturer,
                    instrument.landing_zone,
                )
                for instrument in entry.instruments
            ),
            hpc_mounts=tuple(HpcMount(mount.host, mount.path, mount.access) for mount in entry.hpc_mounts),
            access_from=tuple(_access_from(entry, zone, arrangement)),
            omero_host=entry.omero.host if entry.omero else None,
        )


def _access_from(entry: FacilityFile, own: str, arrangement: Arrangement) -> Iterator[ZoneAccess]:
    """The other zones from which a facility's data are reached; those of two data centres may be one."""
    found: dict[str, Access] = {}
    for visit in entry.access_from:
        zone = arrangement.zone_in(visit.data_centre)
        if zone and zone != own and found.get(zone) != "write":
            found[zone] = visit.access
    return (ZoneAccess(zone, access) for zone, access in found.items())


def _team(
    facility: str,
    entry: TeamEntry,
    tier: TierEntry | None,
    policies: Policies,
    person: Callable[[PersonEntry], Person],
) -> Team:
    """`tier` is the facility's, whose quota for teams counts where the team has none of its own."""
    if entry.quota and entry.quota.tier:
        tier = policies.tiers[entry.quota.tier]
    elif entry.quota:
        tier = None
    return Team(
        id=entry.id,
        facility=facility,
        title=entry.title,
        pi=person(entry.pi),
        members=tuple(Member(person(member), member.role) for member in entry.members),
        members_from=entry.members_from,
        quota=Quota(tier.team) if tier else _given_quota(entry.quota),
        omero=entry.omero,
    )


def _given_quota(entry: QuotaEntry | None) -> Quota | None:
    if entry is None:
        return None
    return Quota(entry.total, MappingProxyType(dict(entry.storage_resources or {})))
