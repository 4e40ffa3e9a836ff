"""What Authentik holds, from what was read to resources and to memberships; pure."""

from collections.abc import Iterable, Iterator, Mapping

from controlplane.membership import Membership, comes_from_directory
from controlplane.model import Member, Person, Platform, Team
from controlplane.model.types import Role as TeamRole
from controlplane.state import Key, Resource, State
from controlplane.systems.authentik import resources
from controlplane.systems.authentik.directory import ENDED as ENDED_ATTRIBUTE
from controlplane.systems.authentik.directory import MARK, Directory, account_of
from controlplane.systems.authentik.records import Group, RoleRights, User
from controlplane.systems.authentik.resources import (
    COLLABORATORS,
    CONTRIBUTORS,
    ENDED,
    EVERYWHERE,
    GROUP,
    OPEN,
    ROLE,
    below,
    right,
)

FACILITY, TEAM, ROLE_ATTRIBUTE = "bic_facility", "bic_team", "bic_role"


class SharedNameError(ValueError):
    """Two people have one account name."""


def attributes(*, mark: str, facility: str, team: str, role: str) -> dict[str, str]:
    """The attributes that the control plane gives a group."""
    return {MARK: mark, FACILITY: facility, TEAM: team, ROLE_ATTRIBUTE: role}


def is_ours(group: Group, platform: str) -> bool:
    """Whether a group carries the platform's mark."""
    return group.attributes.get(MARK) == platform


def compile_state(platform: Platform, directory: Directory, wanted: State) -> State:
    """The groups and roles that are ours or wanted, and the people who count."""
    return State(
        [
            *_groups(platform, directory, wanted),
            *_roles(platform, directory, wanted),
            *_people(platform, directory),
        ]
    )


def membership(platform: Platform, directory: Directory) -> Membership:
    """Who is in the teams that take their people from here.

    Raises SharedNameError when two active people have one account name: nobody knows whose access it is.
    """
    for name, users in directory.accounts.items():
        active = [user.username for user in users if user.active]
        if len(active) > 1:
            raise SharedNameError(
                f"the account name {name} belongs to {' and '.join(sorted(active))}: take bic_account from"
                " all but one"
            )
    teams: dict[str, tuple[Member, ...]] = {}
    unknown: dict[str, str] = {}
    for facility in platform.facilities.values():
        for team in facility.teams:
            if comes_from_directory(platform, team):
                found = _team_members(platform, team, directory)
                if isinstance(found, str):
                    unknown[team.group] = found
                else:
                    teams[team.group] = found
    inactive = frozenset(
        name for name, users in directory.accounts.items() if not any(user.active for user in users)
    )
    return Membership(teams, inactive, unknown)


def people_who_count(platform: Platform, directory: Directory) -> list[User]:
    """The people in groups of ours or that the inventory names, and all who have an account name or are or
    were inactive; by key.
    """
    named = {
        team.members_from
        for facility in platform.facilities.values()
        for team in facility.teams
        if team.members_from
    }
    groups = [group for group in directory.groups.values() if is_ours(group, platform.name)]
    for name in named:
        if name in directory.groups:
            groups.extend(directory.below(name))
    found = {user.pk: user for user in directory.members(groups)}
    for user in directory.people.values():
        if account_of(user) or not user.active or user.attributes.get(ENDED_ATTRIBUTE):
            found[user.pk] = user
    return [found[key] for key in sorted(found)]


def facility_of_people(platform: Platform, directory: Directory) -> Mapping[int, str]:
    """The facility of everybody who is in the groups of exactly one."""
    found: dict[int, set[str]] = {}
    for facility in platform.facilities.values():
        names = {team.members_from for team in facility.teams if team.members_from}
        groups = [group for name in names if name in directory.groups for group in directory.below(name)]
        if facility.id in directory.groups:
            groups.extend(directory.below(facility.id))
        for group in groups:
            for key in group.users:
                found.setdefault(key, set()).add(facility.id)
    return {key: next(iter(names)) for key, names in found.items() if len(names) == 1}


def username_problem(directory: Directory, known_as: str, wanted: str) -> str:
    """Why somebody cannot have a user name, or nothing."""
    holder = directory.usernames.get(wanted)
    if holder is None or holder.username == known_as:
        return ""
    kind = "another person" if holder.person else "a service account"
    return f"{kind} has the user name {wanted} at the login server and must be called otherwise there first"


def shown(user: User | None, key: int) -> str:
    """A member as a text: a person's account name, or else the user name behind an @."""
    if user is None:
        return f"@{key}"
    return (user.person and account_of(user)) or f"@{user.username}"


def _team_members(platform: Platform, team: Team, directory: Directory) -> tuple[Member, ...] | str:
    """The team's people without the PI, or why they are not known."""
    found: dict[str, Member] = {}
    if team.members_from is not None:
        if team.members_from not in directory.groups:
            return (
                f"Authentik has no group {team.members_from!r}, which members_from of the team {team.id} of"
                f" {team.facility} names"
            )
        _add(found, directory.members(directory.below(team.members_from)), "contributor", team)
        return tuple(found[name] for name in sorted(found))
    roles: tuple[tuple[str, TeamRole], ...] = ((CONTRIBUTORS, "contributor"), (COLLABORATORS, "collaborator"))
    for part, role in roles:
        group = directory.groups.get(below(team.group, part))
        # One that is not there yet is made by the next apply, and has nobody.
        if group is None:
            continue
        if not is_ours(group, platform.name):
            return f"the group {group.name} of Authentik does not carry our mark"
        _add(found, directory.members([group]), role, team)
    return tuple(found[name] for name in sorted(found))


def _add(found: dict[str, Member], users: Iterable[User], role: TeamRole, team: Team) -> None:
    """Add the active people who have an account name; a role that somebody has already stays."""
    for user in users:
        name = account_of(user)
        if user.active and name and name != team.pi.user:
            found.setdefault(name, Member(Person(name, user.name, user.email), role))


def _groups(platform: Platform, directory: Directory, wanted: State) -> Iterator[Resource]:
    ours = {group.name for group in directory.groups.values() if is_ours(group, platform.name)}
    strangers_below = {
        directory.names[parent]
        for group in directory.groups.values()
        if group.name not in ours
        for parent in group.parents
        if parent in directory.names
    }
    for group in directory.groups.values():
        desired = wanted.find(Key(GROUP, group.name))
        if desired is None and group.name not in ours:
            continue
        # Of a wanted group whose people come from here, who is in it is no difference to mend.
        decided = desired is None or "members" in desired.fields
        parents = sorted(directory.names.get(key, key) for key in group.parents)
        needs = [
            *(Key(GROUP, name) for name in parents if name in ours),
            *(Key(ROLE, name) for name in group.roles),
        ]
        yield resources.group(
            group.name,
            mark=_text(group, MARK),
            role=_text(group, ROLE_ATTRIBUTE),
            parent=", ".join(parents),
            roles=group.roles,
            members=[shown(directory.user(key), key) for key in group.users] if decided else None,
            facility=_text(group, FACILITY),
            team=_text(group, TEAM),
            depends_on=needs,
            owned=group.name in ours,
            keep=resources.KEPT_PARENT if desired is None and group.name in strangers_below else "",
        )


def _text(group: Group, name: str) -> str:
    value = group.attributes.get(name)
    return value if isinstance(value, str) else ""


def _roles(platform: Platform, directory: Directory, wanted: State) -> Iterator[Resource]:
    carriers: dict[str, set[str]] = {}
    for group in directory.groups.values():
        for name in group.roles:
            carriers.setdefault(name, set()).add(group.name)
    ours = {group.name for group in directory.groups.values() if is_ours(group, platform.name)}
    for name in sorted(directory.roles.keys() | carriers.keys()):
        rights = _rights(directory.roles.get(name), directory)
        carried = carriers.get(name, set())
        alone = bool(rights) and all(text.rpartition(":")[0] in ours for text in rights)
        owned = (name in carried and name in ours) if carried else alone
        if not owned and Key(ROLE, name) not in wanted:
            continue
        same = directory.groups.get(name)
        on = {text.rpartition(":")[0] for text in rights}
        yield resources.role(
            name,
            rights=rights,
            facility=_text(same, FACILITY) if same else "",
            team=_text(same, TEAM) if same else "",
            depends_on=[Key(GROUP, each) for each in on if each in ours],
            owned=owned,
        )


def _rights(found: RoleRights | None, directory: Directory) -> list[str]:
    if found is None:
        return []
    return [
        *(right(directory.names[key], codename) for codename, key in found.objects if key in directory.names),
        *(right(EVERYWHERE, codename) for codename in found.everywhere),
    ]


def _people(platform: Platform, directory: Directory) -> Iterator[Resource]:
    facility_of = facility_of_people(platform, directory)
    for user in people_who_count(platform, directory):
        yield resources.person(
            user.username,
            account=account_of(user),
            username=user.username,
            access=ENDED if user.attributes.get(ENDED_ATTRIBUTE) else OPEN,
            facility=facility_of.get(user.pk, ""),
        )
