"""What a zone should hold, from the inventory alone.

Access to a team's collection: the PI owns it, contributors write, and the team's group, which holds them
and the collaborators, reads. A facility's own collection is owned by its referents and read by all its
people. New data take over the collection's ACL (inheritance).
"""

from collections.abc import Iterator

from controlplane.model import Facility, Platform, Team, Zone
from controlplane.state import Key, Resource, State
from controlplane.systems.irods import resources
from controlplane.systems.irods.resources import OWN, READ, USER, WRITE, entry


def desired_state(platform: Platform, zone: Zone) -> State:
    """All that the facilities of `zone` need in it."""
    facilities = list(platform.facilities_of(zone.name))
    return State(
        [
            *_users(platform.name, facilities),
            *(made for facility in facilities for made in _groups(platform.name, facility)),
            *(made for facility in facilities for made in _storage_resources(platform, facility)),
        ]
    )


def _users(platform: str, facilities: list[Facility]) -> Iterator[Resource]:
    homes: dict[str, set[str]] = {}
    for facility in facilities:
        for person in facility.people:
            homes.setdefault(person.user, set()).add(facility.id)
    for name, of in homes.items():
        # Somebody of two facilities belongs to neither of them alone.
        facility_id = next(iter(of)) if len(of) == 1 else ""
        yield resources.user(name, mark=resources.mark(platform, ""), kind="rodsuser", facility=facility_id)


def _groups(platform: str, facility: Facility) -> Iterator[Resource]:
    own_acl = [entry(facility.id, READ), *(entry(person.user, OWN) for person in facility.referents)]
    acls: dict[str | None, list[str]] = {team.id: _team_acl(team) for team in facility.teams}
    acls[None] = own_acl
    for group in facility.groups:
        yield resources.group(
            group.name,
            mark=resources.mark(platform, facility.id),
            members=group.users,
            collection=True,
            collection_mark=resources.mark(platform, facility.id),
            inheritance=True,
            acl=acls[group.team],
            facility=facility.id,
            team=group.team or "",
            depends_on=(Key(USER, name) for name in group.users),
        )


def _team_acl(team: Team) -> list[str]:
    return [
        entry(team.group, READ),
        entry(team.pi.user, OWN),
        *(entry(member.person.user, WRITE) for member in team.members if member.role == "contributor"),
    ]


def _storage_resources(platform: Platform, facility: Facility) -> Iterator[Resource]:
    for wanted in facility.storage_resources:
        yield resources.storage_resource(
            wanted.name,
            mark=resources.mark(platform.name, facility.id),
            kind="unixfilesystem",
            host=platform.hosts[wanted.host].fqdn,
            vault=wanted.vault,
            facility=facility.id,
        )
