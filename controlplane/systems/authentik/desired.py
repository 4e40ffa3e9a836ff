"""What Authentik should hold, from the inventory and from who is there; pure.

The tree is platform → facility → team → role groups. Where the inventory names a team's members, they are the
members of its role groups; else the people who look after the team put them there, and the control plane
reads them. Referents and PIs come from the inventory as far as an account of that name exists.
"""

from collections.abc import Collection, Iterable, Iterator

from controlplane.collector import collector_paused
from controlplane.membership import Newcomer, assign_names, comes_from_directory
from controlplane.model import Facility, Platform, Team
from controlplane.state import Key, Resource, State
from controlplane.systems.authentik import resources
from controlplane.systems.authentik.contents import facility_of_people, people_who_count
from controlplane.systems.authentik.directory import Directory, account_of
from controlplane.systems.authentik.records import User
from controlplane.systems.authentik.resources import (
    ADMINISTRATORS,
    COLLABORATORS,
    CONTRIBUTORS,
    ENDED,
    GROUP,
    OPEN,
    PI,
    PORTAL,
    REFERENTS,
    RIGHTS,
    ROLE,
    TEAM_ROLES,
    below,
    right,
)
from controlplane.systems.authentik.rights import PORTAL_ACCOUNT

BOOTSTRAP_USER = "akadmin"
"""The administrator whom Authentik makes at its first start, and would make again under this name."""


def desired_state(platform: Platform, directory: Directory, taken: Collection[str]) -> State:
    """All that the platform needs in Authentik; `taken` are the account names of other systems."""
    portal_is_here = PORTAL_ACCOUNT in directory.usernames
    here = {name for name, users in directory.accounts.items() if any(user.active for user in users)}
    with collector_paused():
        return State(
            [
                resources.group(platform.name, mark=platform.name, role="", parent=""),
                _role_group(platform, platform.name, ADMINISTRATORS),
                *(
                    made
                    for facility in platform.facilities.values()
                    for made in _facility(platform, facility, here, portal_is_here=portal_is_here)
                ),
                *_people(platform, directory, taken),
            ]
        )


def names_in_inventory(platform: Platform) -> Iterator[str]:
    """The account and group names that the inventory gives away."""
    yield from platform.people
    for facility in platform.facilities.values():
        yield from (group.name for group in facility.groups)
    yield from (zone.administrator for zone in platform.zones.values())


def open_roles(platform: Platform, team: Team) -> tuple[str, ...]:
    """The role groups of a team whose members its PI and the facility's referents choose; often none."""
    chosen = comes_from_directory(platform, team) and team.members_from is None
    return (CONTRIBUTORS, COLLABORATORS) if chosen else ()


def _facility(
    platform: Platform, facility: Facility, here: Collection[str], *, portal_is_here: bool
) -> Iterator[Resource]:
    name = facility.id
    yield resources.group(
        name,
        mark=platform.name,
        role="",
        parent=platform.name,
        facility=name,
        depends_on=[Key(GROUP, platform.name)],
    )
    referents = [person.user for person in facility.referents if person.user in here]
    yield _role_group(platform, name, REFERENTS, facility=name, members=referents)
    looked_after = [below(team.group, role) for team in facility.teams for role in TEAM_ROLES]
    yield _role(below(name, REFERENTS), looked_after, name, "")
    if platform.portal:
        members = [f"@{PORTAL_ACCOUNT}"] if portal_is_here else []
        yield _role_group(platform, name, PORTAL, facility=name, members=members)
        open_groups = [
            below(team.group, role) for team in facility.teams for role in open_roles(platform, team)
        ]
        yield _role(below(name, PORTAL), open_groups, name, "")
    for team in facility.teams:
        yield from _team(platform, team, here)


def _team(platform: Platform, team: Team, here: Collection[str]) -> Iterator[Resource]:
    yield resources.group(
        team.group,
        mark=platform.name,
        role="",
        parent=team.facility,
        facility=team.facility,
        team=team.id,
        depends_on=[Key(GROUP, team.facility)],
    )
    members: dict[str, list[str] | None] = {PI: [team.pi.user], CONTRIBUTORS: None, COLLABORATORS: None}
    if team.members_from is None and not comes_from_directory(platform, team):
        for role, wanted in ((CONTRIBUTORS, "contributor"), (COLLABORATORS, "collaborator")):
            members[role] = [member.person.user for member in team.members if member.role == wanted]
    for role in TEAM_ROLES:
        names = members[role]
        present = None if names is None else [name for name in names if name in here]
        yield _role_group(platform, team.group, role, facility=team.facility, team=team.id, members=present)
    yield _role(
        below(team.group, PI),
        [below(team.group, CONTRIBUTORS), below(team.group, COLLABORATORS)],
        team.facility,
        team.id,
    )


def _role_group(
    platform: Platform,
    parent: str,
    role: str,
    *,
    facility: str = "",
    team: str = "",
    members: Iterable[str] | None = None,
) -> Resource:
    name = below(parent, role)
    roles = [name] if role in (PI, REFERENTS, PORTAL) else []
    return resources.group(
        name,
        mark=platform.name,
        role=role,
        parent=parent,
        roles=roles,
        members=members,
        facility=facility,
        team=team,
        depends_on=[Key(GROUP, parent), *(Key(ROLE, name) for name in roles)],
    )


def _role(name: str, groups: Iterable[str], facility: str, team: str) -> Resource:
    groups = list(groups)
    return resources.role(
        name,
        rights=[right(group, codename) for group in groups for codename in RIGHTS],
        facility=facility,
        team=team,
        depends_on=[Key(GROUP, group) for group in groups],
    )


def _people(platform: Platform, directory: Directory, taken: Collection[str]) -> Iterator[Resource]:
    people = people_who_count(platform, directory)
    facility_of = facility_of_people(platform, directory)
    newcomers = [_newcomer(user) for user in people if user.active and not account_of(user)]
    given: dict[str, str] = {}
    if newcomers:
        # A user name of somebody else is taken too: it becomes the account name.
        theirs = directory.usernames.keys() - {newcomer.username for newcomer in newcomers}
        used = {*taken, *names_in_inventory(platform), *directory.accounts, *theirs}
        given = assign_names(newcomers, used)
    for user in people:
        account = account_of(user) or given.get(user.uuid, "")
        renamed = user.active and account and user.username != BOOTSTRAP_USER
        yield resources.person(
            user.username,
            account=account,
            username=account if renamed else user.username,
            access=OPEN if user.active else ENDED,
            facility=facility_of.get(user.pk, ""),
        )


def _newcomer(user: User) -> Newcomer:
    given, surname = (user.attributes.get(name) for name in ("given_name", "family_name"))
    return Newcomer(
        user.joined,
        user.uuid,
        user.name,
        given if isinstance(given, str) else "",
        surname if isinstance(surname, str) else "",
        user.username,
    )
