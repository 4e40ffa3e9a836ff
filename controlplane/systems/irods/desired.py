"""What a zone should hold, from the platform with its members alone.

Access to a team's collection: the PI owns it, contributors write, and the team's group, which holds them
and the collaborators, reads. A facility's own collection is owned by its referents and read by all its
people. New data take over the collection's ACL (inheritance).

Where a facility's people reach its data from another zone too, they have accounts there, and as remote users
the same groups here; those who may write here may write from there where the inventory says so.
"""

from collections.abc import Iterator, Mapping
from datetime import date

from controlplane.collector import collector_paused
from controlplane.model import Facility, Platform, Quota, Team, Zone
from controlplane.state import Key, Resource, State, format_mark
from controlplane.systems.irods import resources
from controlplane.systems.irods.resources import OWN, READ, REMOTE_ZONE, STORAGE_RESOURCE, TOTAL, WRITE, entry

_Keys = Mapping[str, Key]
"""Keys of accounts by name; groups that hold the same people share them."""


def desired_state(platform: Platform, zone: Zone) -> State:
    """All that the platform needs in `zone`, for the people whom `platform` names."""
    facilities = list(platform.facilities_of(zone.name))
    visitors = list(platform.visitors_of(zone.name))
    with collector_paused():
        users = list(_users(platform.name, facilities, visitors))
        keys = {found.key.name: found.key for found in users}
        return State(
            [
                *users,
                *(made for facility in facilities for made in _groups(platform.name, facility, keys)),
                *_storage_resources(platform, zone),
                *_remote_zones(platform.name, zone),
                *_rule_parameters(platform, zone),
            ]
        )


def erasable_groups(platform: Platform, today: date) -> frozenset[str]:
    """The groups that may be deleted with their data today, because a rule of the inventory says so."""
    return frozenset(
        f"{rule.facility}-{rule.team}" if rule.team else rule.facility
        for rule in platform.retention
        if rule.delete_data_from <= today
    )


def _users(platform: str, facilities: list[Facility], visitors: list[Facility]) -> Iterator[Resource]:
    # Somebody of two facilities belongs to neither of them alone.
    facility_of: dict[str, str] = {}
    for facility in (*facilities, *visitors):
        for person in facility.people:
            facility_of[person.user] = "" if person.user in facility_of else facility.id
    fields = resources.user_fields(mark=format_mark(platform), kind="rodsuser")
    for name, facility_id in facility_of.items():
        yield resources.user(name, fields, facility=facility_id)
    remote: dict[tuple[str, str], str] = {}
    for facility in facilities:
        for visit in facility.access_from:
            for person in facility.people:
                account = person.user, visit.zone
                remote[account] = "" if account in remote else facility.id
    for (name, zone), facility_id in remote.items():
        called, of_zone = resources.remote_user(name, zone), Key(REMOTE_ZONE, zone)
        yield resources.user(called, fields, facility=facility_id, depends_on=[of_zone])


def _groups(platform: str, facility: Facility, keys: _Keys) -> Iterator[Resource]:
    own_acl = [entry(facility.id, READ), *(entry(person.user, OWN) for person in facility.referents)]
    acls: dict[str | None, list[str]] = {team.id: _team_acl(team) for team in facility.teams}
    acls[None] = own_acl
    for visit in facility.access_from:
        if visit.access == "write":
            for acl in acls.values():
                acl += [
                    entry(resources.remote_user(account, visit.zone), WRITE)
                    for account, level in resources.parse_entries(acl).items()
                    if level != READ and "#" not in account
                ]
    quotas: dict[str | None, Quota | None] = {team.id: team.quota for team in facility.teams}
    quotas[None] = facility.quota
    marked = format_mark(platform, facility.id)
    for group in facility.groups:
        quota = quotas[group.team]
        members = [
            *group.users,
            *(
                resources.remote_user(name, visit.zone)
                for visit in facility.access_from
                for name in group.users
            ),
        ]
        limits = dict(quota.storage_resources) if quota else {}
        if quota and quota.total is not None:
            limits[TOTAL] = quota.total
        yield resources.group(
            group.name,
            mark=marked,
            members=members,
            quotas=limits,
            collection=True,
            collection_mark=marked,
            inheritance=True,
            acl=acls[group.team],
            facility=facility.id,
            team=group.team or "",
            depends_on=[
                *(keys[name] for name in members),
                *(Key(STORAGE_RESOURCE, name) for name in limits if name != TOTAL),
            ],
        )


def _team_acl(team: Team) -> list[str]:
    return [
        entry(team.group, READ),
        *([entry(team.pi.user, OWN)] if team.pi_active else []),
        *(
            entry(member.person.user, WRITE)
            for member in team.members
            if member.role == "contributor" and member.person.user != team.pi.user
        ),
    ]


def _storage_resources(platform: Platform, zone: Zone) -> Iterator[Resource]:
    for wanted in platform.storage_resources_of(zone.name):
        yield resources.storage_resource(
            wanted.name,
            mark=format_mark(platform.name, wanted.facility),
            kind=wanted.kind,
            host=platform.hosts[wanted.host].fqdn if wanted.host else "",
            vault=wanted.vault or "",
            context=wanted.context,
            status=wanted.status,
            parent=wanted.parent or "",
            parent_context=wanted.parent_context or "",
            facility=wanted.facility,
        )


def _remote_zones(platform: str, zone: Zone) -> Iterator[Resource]:
    for remote in zone.remote_zones:
        yield resources.remote_zone(
            remote.name,
            mark=format_mark(platform),
            connection=f"{remote.host}:{remote.port}",
        )


def _rule_parameters(platform: Platform, zone: Zone) -> Iterator[Resource]:
    """The parameters that differ from their rule bases' defaults, and the group that carries them."""
    marked = format_mark(platform.name)
    here = [use for use in platform.rules.rule_bases.values() if zone.name in use.zones]
    if here:
        yield resources.group(
            resources.POLICY_GROUP,
            mark=marked,
            members=(),
            quotas={},
            collection=True,
            collection_mark=marked,
            inheritance=False,
            # A new group owns its home.
            acl=(entry(resources.POLICY_GROUP, READ),),
        )
    for use in here:
        for parameter, value in use.parameters.items():
            yield resources.rule_parameter(f"{use.name}:{parameter}", mark=marked, values=[value])
