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
)
from controlplane.model.facility_file import FacilityFile, PersonEntry, QuotaEntry, TeamEntry
from controlplane.model.platform import (
    NO_RULES,
    WAIT_FOR_TRANSFERS,
    DataCentre,
    Host,
    Identity,
    Limits,
    Platform,
    RemoteZone,
    RetentionRule,
    RuleBaseUse,
    Rules,
    Sandbox,
    StoreDatabase,
    Zone,
)
from controlplane.model.platform_file import (
    IdentityEntry,
    PlatformFile,
    StorageResourceEntry,
    StoreEntry,
    ZoneEntry,
    secret,
)
from controlplane.model.policy_files import LimitsFile, RolloutEntry, TierEntry
from controlplane.model.rule_values import catalogue_text

STATE_DIR_VARIABLE = "BIC_STATE_DIR"

Expand = Callable[[str], str]
"""Turns a file name of the inventory into a path."""


def link(root: Path, platform: PlatformFile, documents: Documents) -> Platform:
    """The platform that the files of the folder `root`, which agree with each other, describe."""
    state_dir = _state_dir(root, platform.name)
    facilities = [document.data for document in documents.facilities]
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
        hosts=MappingProxyType({host.name: host for host in _hosts(platform, facilities)}),
        zones=MappingProxyType({name: _zone(platform, name, expand) for name in platform.zones}),
        facilities=MappingProxyType(
            {facility.id: facility for facility in _facilities(facilities, documents.policies)}
        ),
        root=root,
        state_dir=state_dir,
        limits=_limits(documents.policies),
        identity=_identity(platform.identity, expand) if platform.identity else None,
        store=_store(platform, platform.store, expand) if platform.store else None,
        retention=_retention(documents.policies),
        rules=_rules(documents.policies, tuple(platform.zones)),
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


def _hosts(platform: PlatformFile, facilities: Iterable[FacilityFile]) -> Iterator[Host]:
    for name, entry in platform.hosts.items():
        yield Host(name, platform.domain, entry.address, entry.data_centre, entry.services)
    for facility in facilities:
        if buffer := facility.buffer:
            yield Host(
                buffer.host, platform.domain, buffer.address, facility.data_centre, facility=facility.id
            )


def _zone(platform: PlatformFile, name: str, expand: Expand) -> Zone:
    entry: ZoneEntry = platform.zones[name]
    ours = [
        RemoteZone(
            other, f"{platform.zones[other].catalog_provider}.{platform.domain}", platform.zones[other].port
        )
        for other in entry.federation
    ]
    theirs = [RemoteZone(other, remote.host, remote.port) for other, remote in entry.remote_zones.items()]
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
    )


def _identity(entry: IdentityEntry, expand: Expand) -> Identity:
    ca_file = Path(expand(entry.ca_file)) if entry.ca_file else None
    return Identity(entry.url, secret(entry.token, expand), ca_file)


def _store(platform: PlatformFile, entry: StoreEntry, expand: Expand) -> StoreDatabase:
    return StoreDatabase(
        host=entry.host,
        address=platform.hosts[entry.host].address,
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


def _rules(policies: Policies, zones: tuple[str, ...]) -> Rules:
    if policies.rules is None:
        return NO_RULES
    entry = policies.rules.data
    uses = {
        name: RuleBaseUse(
            name,
            use.zones or zones,
            MappingProxyType({key: catalogue_text(value) for key, value in use.parameters.items()}),
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
            context=entry.context,
            capacity=entry.capacity,
            parent_context=entry.parent_context,
        )


def _facilities(facilities: Iterable[FacilityFile], policies: Policies) -> Iterator[Facility]:
    people: dict[str, Person] = {}

    def person(entry: PersonEntry) -> Person:
        # One object for each person, however many teams they are in.
        known = people.get(entry.user)
        if known is None:
            known = people[entry.user] = Person(entry.user, entry.name, entry.email)
        return known

    for entry in facilities:
        tier = policies.tiers[entry.quota.tier] if entry.quota and entry.quota.tier else None
        yield Facility(
            id=entry.id,
            title=entry.title,
            institution=entry.institution,
            city=entry.city,
            data_centre=entry.data_centre,
            zone=entry.zone,
            referents=tuple(person(referent) for referent in entry.referents),
            buffer=entry.buffer.host if entry.buffer else None,
            storage_resources=tuple(_storage_resources(entry.storage_resources, entry.zone, entry.id)),
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
            omero_host=entry.omero.host if entry.omero else None,
        )


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
